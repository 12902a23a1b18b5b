//! What commands that run **several versions** or targets of one scenario have in common.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::console::{self, Progress};
use super::failure::Failure;
use super::run::ScenarioArguments;
use crate::engine::EngineError;
use crate::engine::select::{self, Choice};
use crate::engine::target::{self, Wanted};
use crate::report::escape;
use crate::run::RunError;
use crate::run::event::{Event, Listener};
use crate::run::session::{self, Request};
use crate::scenario;

/// Arguments of such a command.
#[derive(Debug, Args)]
pub(super) struct SeriesArguments {
    #[command(flatten)]
    pub(super) source: ScenarioArguments,
    /// What runs the cells: auto, docker, embedded or exec:PROGRAM
    #[arg(long, value_name = "ENGINE", default_value = "auto", env = "PARALLAX_ENGINE")]
    engine: Choice,
    /// Cells at once; default: as many as there are processors, and 64 for exec:PROGRAM
    #[arg(long, value_name = "N", env = "PARALLAX_JOBS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Decides which cells are run; default: random
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// What the vendor says openly; takes the place of the scenario's own [[disclosed]]
    #[arg(long, value_name = "FILE")]
    disclosures: Option<PathBuf>,
    /// No progress and no notices
    #[arg(long, short)]
    pub(super) quiet: bool,
}

impl SeriesArguments {
    /// The run of the scenario's target, or of one that settings put in its place, into this folder.
    pub(super) fn request(&self, out: PathBuf, target: &[String]) -> Result<Request, Failure> {
        let mut overrides = target.to_vec();
        overrides.extend(self.source.overrides()?);
        let mut scenario = self.source.load(&overrides)?;
        if let Some(disclosures) = &self.disclosures {
            scenario.disclosed = scenario::load_disclosures(disclosures, &scenario.factors)?;
        }
        let path = &self.source.scenario;
        let scenario_text = fs_err::read_to_string(path).map_err(|error| Failure::usage(error.to_string()))?;
        let program = std::env::current_exe()
            .map_err(|error| Failure::engine(format!("our own executable cannot be found: {error}")))?;
        Ok(Request {
            scenario,
            scenario_path: path.display().to_string(),
            scenario_text,
            overrides,
            seed: self.seed,
            jobs: self.jobs.map_or_else(|| session::default_jobs(&self.engine), usize::from),
            engine: self.engine.clone(),
            out,
            resume: false,
            program,
        })
    }
}

/// The versions that are asked for, as the registry knows them.
pub(super) async fn versions(request: &Request, wanted: &Wanted) -> Result<Vec<String>, Failure> {
    let (target, source) = (&request.scenario.target, &request.scenario.target.source);
    let python = match wanted {
        Wanted::List(_) => String::new(),
        Wanted::Range(..) => {
            let kind = select::choose(request.engine.clone(), source).await.map_err(engine)?;
            target::pod_python(target, kind.userland())
        }
    };
    target::versions(source, wanted, &python).await.map_err(engine)
}

fn engine(error: EngineError) -> Failure {
    failure(error.into())
}

/// A package or version that nobody has is a mistake of the command line's.
pub(super) fn failure(error: RunError) -> Failure {
    match error {
        RunError::Engine(EngineError::NoTarget { message, .. }) => {
            Failure::usage(message.lines().map(escape::terminal).collect::<Vec<_>>().join(" "))
        }
        error => error.into(),
    }
}

/// Tells what happens, a line a thing: a bar cannot say how far many runs are.
pub(super) fn listener(quiet: bool) -> (Arc<Progress>, Listener) {
    let say = move |line: &str| {
        if !quiet {
            console::note(&line.lines().map(escape::terminal).collect::<Vec<_>>().join("\n  "));
        }
    };
    let listener: Listener = Arc::new(move |event| match event {
        Event::Preparing(line) | Event::Warning(line) | Event::Noticed(line) => say(&line),
        Event::Resumed(cells) => say(&format!("going on after {cells} cells")),
        Event::Planned { .. } | Event::Started(_) | Event::Finished { .. } | Event::Hypotheses(_) => {}
    });
    (Arc::new(Progress::new(true)), listener)
}
