//! `parallax run`: from a scenario to findings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::console::{self, Progress};
use super::exit::Exit;
use super::failure::Failure;
use crate::engine::select::Choice;
use crate::report::{Json, Markdown, Report as _};
use crate::run::session::{self, Request};
use crate::run::{RunError, usage};
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
    /// Go on with the run in the folder, if there is one
    #[arg(long, requires = "out")]
    resume: bool,
    /// No progress and no notices
    #[arg(long, short)]
    quiet: bool,
    /// Print findings.json instead of the table
    #[arg(long)]
    json: bool,
}

/// A scenario on the command line.
#[derive(Debug, Args)]
pub(super) struct ScenarioArguments {
    /// The scenario file
    scenario: PathBuf,
    /// Change a value of the scenario, such as target.version=1.2.3
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Cells at most; changes design.budget
    #[arg(long, value_name = "N")]
    budget: Option<u32>,
}

impl ScenarioArguments {
    /// What the command line changes.
    pub(super) fn overrides(&self) -> Vec<String> {
        let budget = self.budget.map(|budget| format!("design.budget={budget}"));
        self.set.iter().cloned().chain(budget).collect()
    }

    /// The checked scenario.
    pub(super) fn load(&self) -> Result<scenario::Scenario, Failure> {
        Ok(scenario::load(&self.scenario, &self.overrides())?)
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let scenario = arguments.source.load()?;
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
        overrides: arguments.source.overrides(),
        seed,
        jobs: arguments.jobs.map_or_else(|| session::default_jobs(&arguments.engine), usize::from),
        engine: arguments.engine.clone(),
        out: out.clone(),
        resume: arguments.resume,
        program,
    };
    console::log();
    let progress = Arc::new(Progress::new(arguments.quiet));
    if let (Some(seed), false) = (seed, arguments.quiet) {
        console::note(&format!("{} · seed {seed} · {}", request.scenario.name, out.display()));
    }
    let heard = progress.clone();
    let ended = super::block_on(async {
        let cancel = CancellationToken::new();
        tokio::spawn(interrupt(cancel.clone(), progress.clone()));
        session::run(&request, &(Arc::new(move |event| heard.hear(event)) as _), &cancel).await
    })?;
    progress.finish();
    let ended = match ended {
        Ok(ended) => ended,
        Err(RunError::Interrupted) => {
            return Err(Failure::engine(format!(
                "interrupted; go on with: parallax run {} --out {} --resume",
                path.display(),
                out.display()
            )));
        }
        Err(error) => return Err(error.into()),
    };
    let folder = Folder::open(&out)?;
    folder.write("report.md", &Markdown.render(&ended.findings, &ended.manifest))?;
    if arguments.json {
        console::print(&Json.render(&ended.findings, &ended.manifest));
    } else {
        console::print(&console::text_report().render(&ended.findings, &ended.manifest));
    }
    if !arguments.quiet {
        if let Some(used) = &ended.manifest.usage {
            console::note(&usage::line(used, ended.manifest.cores));
        }
        console::note(&format!("kept in {}: findings.json, report.md and every record", out.display()));
    }
    Ok(ended.findings.verdict.into())
}

/// Waits for Ctrl-C or a request to end.
async fn interrupt(cancel: CancellationToken, progress: Arc<Progress>) {
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
