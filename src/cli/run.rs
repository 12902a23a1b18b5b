//! `parallax run`: from a scenario to findings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::console::{self, Progress};
use super::design::DesignArguments;
use super::exit::Exit;
use super::failure::Failure;
use super::progress::Mode;
use crate::engine::EngineError;
use crate::engine::select::Choice;
use crate::report::{Json, Report as _, escape};
use crate::run::by_hand::quote;
use crate::run::session::{self, Request};
use crate::run::{RunError, reproduce, usage};
use crate::scenario;
use crate::store::Folder;

/// Arguments of `parallax run`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: ScenarioArguments,
    /// What runs the cells: auto (Docker where it answers, else embedded), docker (containers), embedded (Linux
    /// namespaces, without a daemon), or exec:PROGRAM (a program of yours that takes cells and gives captures as lines
    /// of JSON; arguments are quoted as for a shell; see docs/external-engine.md)
    #[arg(long, value_name = "ENGINE", default_value = "auto", env = "PARALLAX_ENGINE")]
    engine: Choice,
    /// Cells at once; default: as many as there are processors, and 64 for exec:PROGRAM
    #[arg(long, value_name = "N", env = "PARALLAX_JOBS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Decides the plan: the same seed and scenario give the same cells; default: random
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Folder of the run; default: runs/SCENARIO-SEED-TIME
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What the vendor says openly; takes the place of the scenario's own [[disclosed]]
    #[arg(long, value_name = "FILE")]
    disclosures: Option<PathBuf>,
    /// Go on with the run in the folder, if there is one
    #[arg(long, requires = "out")]
    resume: bool,
    /// No progress and no notices
    #[arg(long, short)]
    quiet: bool,
    /// How progress is shown, on standard error; default: a bar on a terminal, else plain
    #[arg(long, value_enum, value_name = "HOW", conflicts_with = "quiet")]
    progress: Option<Mode>,
    /// Print findings.json instead of the table
    #[arg(long)]
    json: bool,
}

/// A scenario on the command line.
#[derive(Debug, Args)]
pub(super) struct ScenarioArguments {
    /// The scenario file
    pub(super) scenario: PathBuf,
    /// Change a value of the scenario, such as target.version=1.2.3
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    design: DesignArguments,
}

/// How a command that runs a scenario first runs it.
#[derive(Clone, Debug, Args)]
pub(super) struct How {
    /// Change a value of the scenario, such as target.version=1.2.3
    #[arg(long = "set", value_name = "KEY=VALUE", help_heading = "For a scenario")]
    set: Vec<String>,
    #[command(flatten)]
    design: DesignArguments,
    /// What runs the cells
    #[arg(
        long,
        value_name = "ENGINE",
        default_value = "auto",
        env = "PARALLAX_ENGINE",
        help_heading = "For a scenario"
    )]
    engine: Choice,
    /// Cells at once; default: as many as there are processors
    #[arg(long, value_name = "N", env = "PARALLAX_JOBS", value_parser = clap::value_parser!(u16).range(1..=256),
          help_heading = "For a scenario")]
    jobs: Option<u16>,
    /// Decides the plan; default: random
    #[arg(long, value_name = "N", help_heading = "For a scenario")]
    seed: Option<u64>,
    /// Folder of the run; default: runs/SCENARIO-SEED-TIME
    #[arg(long, value_name = "DIR", help_heading = "For a scenario")]
    folder: Option<PathBuf>,
}

impl Arguments {
    /// Those of a run that another command needs first.
    pub(super) fn of(scenario: PathBuf, disclosures: Option<PathBuf>, how: &How) -> Self {
        let How { set, design, engine, jobs, seed, folder } = how.clone();
        Self {
            source: ScenarioArguments { scenario, set, design },
            engine,
            jobs,
            seed,
            out: folder,
            disclosures,
            resume: false,
            quiet: false,
            progress: None,
            json: false,
        }
    }
}

impl ScenarioArguments {
    /// What the command line changes.
    pub(super) fn overrides(&self) -> Result<Vec<String>, Failure> {
        let design = self.design.overrides(&self.set)?;
        Ok(self.set.iter().cloned().chain(design).collect())
    }

    /// Where the scenario stands.
    pub(super) fn path(&self) -> &Path {
        &self.scenario
    }

    /// The checked scenario.
    pub(super) fn load(&self, overrides: &[String]) -> Result<scenario::Scenario, Failure> {
        Ok(scenario::load(&self.scenario, overrides)?)
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    to_folder(arguments).map(|(_, exit)| exit)
}

/// Runs, and says where the run is kept.
pub(super) fn to_folder(arguments: &Arguments) -> Result<(PathBuf, Exit), Failure> {
    let mut overrides = arguments.source.overrides()?;
    if let (true, true, Some(out)) = (arguments.resume, overrides.is_empty(), &arguments.out) {
        overrides = overrides_of(out)?;
    }
    let mut scenario = arguments.source.load(&overrides)?;
    if let Some(disclosures) = &arguments.disclosures {
        scenario.disclosed = scenario::load_disclosures(disclosures, &scenario.factors)?;
    }
    let path = &arguments.source.scenario;
    let scenario_text = fs_err::read_to_string(path).map_err(|error| Failure::usage(error.to_string()))?;
    // With --resume the seed is that of the run in the folder.
    let seed =
        if arguments.resume { arguments.seed } else { Some(arguments.seed.unwrap_or_else(session::random_seed)) };
    let out = arguments.out.clone().unwrap_or_else(|| default_folder(&scenario.name, seed.unwrap_or_default()));
    let program = std::env::current_exe()
        .map_err(|error| Failure::engine(format!("our own executable cannot be found: {error}")))?;
    let request = Request {
        scenario,
        scenario_path: path.display().to_string(),
        scenario_text,
        overrides,
        seed,
        jobs: arguments.jobs.map_or_else(|| session::default_jobs(&arguments.engine), usize::from),
        engine: arguments.engine.clone(),
        out: out.clone(),
        resume: arguments.resume,
        program,
    };
    console::log();
    let progress = Arc::new(Progress::in_mode(arguments.quiet, arguments.progress));
    // Beside lines of JSON nothing else is said.
    let quiet = arguments.quiet || arguments.progress == Some(Mode::Json);
    progress.json(&json!({
        "event": "began", "schema_version": 1, "scenario": request.scenario.name, "seed": seed,
        "folder": out.display().to_string(),
    }));
    if let (Some(seed), false) = (seed, quiet) {
        console::note(&format!("{} · seed {seed} · {}", request.scenario.name, out.display()));
    }
    let heard = progress.clone();
    let ended = super::block_on(async {
        let cancel = CancellationToken::new();
        tokio::spawn(interrupt(cancel.clone(), progress.clone()));
        session::run(&request, &(Arc::new(move |event| heard.hear(event)) as _), &cancel).await
    })?;
    progress.finish();
    if let Err(error) = &ended {
        progress.json(&json!({ "event": "failed", "text": error.to_string() }));
    }
    let ended = match ended {
        Ok(ended) => ended,
        Err(RunError::Interrupted) => {
            return Err(Failure::engine(format!(
                "interrupted; go on with: {} --out {}{} --resume",
                reproduce::with_settings(&request.scenario_path, &request.overrides),
                quote(&out.display().to_string()),
                arguments
                    .disclosures
                    .as_ref()
                    .map_or_else(String::new, |file| format!(" --disclosures {}", quote(&file.display().to_string())))
            )));
        }
        Err(RunError::Engine(EngineError::NoTarget { key, message })) => {
            let message = message.lines().map(escape::terminal).collect::<Vec<_>>().join(" ");
            let (text, overrides) = (&request.scenario_text, &request.overrides);
            return Err(scenario::no_target(path, text, overrides, key, &message).into());
        }
        Err(error) => return Err(error.into()),
    };
    let folder = Folder::open(&out)?;
    super::report::write_all(&folder, &ended.manifest, &ended.findings, &ended.campaign)?;
    if arguments.json {
        console::print(&Json.render(&ended.findings, &ended.manifest));
    } else {
        console::print(&console::text_report().render(&ended.findings, &ended.manifest));
    }
    let verdict: Exit = ended.findings.verdict.into();
    progress.json(&json!({
        "event": "ended", "verdict": ended.findings.verdict, "exit": verdict.code(),
        "findings": ended.findings.findings.len(), "cells": ended.findings.cells,
    }));
    if !quiet {
        if let Some(used) = &ended.manifest.usage {
            console::note(&usage::line(used, ended.manifest.cores));
        }
        console::note(&format!("kept in {}: report.html, report.md, findings.json and every record", out.display()));
    }
    Ok((out, verdict))
}

/// What the command line changed when the run in the folder was begun: it goes on as it was. None where there is no run.
fn overrides_of(out: &Path) -> Result<Vec<String>, Failure> {
    let Ok(manifest) = Folder::open(out).and_then(|folder| folder.manifest()) else { return Ok(Vec::new()) };
    if let Some(setting) = manifest.overrides.iter().find(|setting| setting.contains("⟨secret ")) {
        return Err(Failure::usage(format!(
            "the run in {} was begun with --set {}, and secrets are not kept: give that setting again",
            out.display(),
            escape::terminal(setting)
        )));
    }
    Ok(manifest.overrides)
}

/// Waits for Ctrl-C or a request to end.
pub(super) async fn interrupt(cancel: CancellationToken, progress: Arc<Progress>) {
    let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    cancel.cancel();
    progress.say("interrupted: ending what runs");
}

fn default_folder(name: &str, seed: u64) -> PathBuf {
    let time = chrono::Utc::now().format("%Y%m%d-%H%M%S");
    Path::new("runs").join(format!("{name}-{seed}-{time}"))
}
