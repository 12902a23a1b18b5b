//! The **external** engine: a long-lived program that runs cells for us (a farm of virtual machines, a hosted sandbox, a
//! simulator), told of them and answering by lines of JSON. `docs/external-engine.md` is its contract.
//!
//! Knows nothing of pods: nothing is installed, no gateway is started and no canary flies. Whatever the program does
//! wrong is a failure of the engine, never of an agent.

mod answer;
mod process;
mod program;
mod question;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::target::TargetFacts;
use super::{Engine, EngineError, Job};
use crate::capture::Capture;
use crate::gateway::client::Traffic;
use crate::scenario::{Scenario, Source};
use process::Process;
pub use program::Program;

/// Reads one line of a program as a capture, for fuzzing. Says whether it is one.
#[doc(hidden)]
#[must_use]
pub fn is_capture(line: &[u8]) -> bool {
    answer::read(line).is_ok_and(|answer| answer.result.is_ok())
}
use question::Questions;

/// Cells at once where nobody says: the program, not this machine, does the work.
pub const DEFAULT_JOBS: usize = 64;

/// How long after a cell's deadline its answer may come: the deadline is the agent's, and the program has its own work.
const SLACK: Duration = Duration::from_secs(15);

/// What was being done when something failed.
const STEP: &str = "the external engine";

/// An external engine. The program is started by the first cell, and again by the next one after it has failed.
pub struct External {
    program: Program,
    questions: Questions,
    facts: TargetFacts,
    slack: Duration,
    process: Mutex<Option<Arc<Process>>>,
}

impl std::fmt::Debug for External {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("External").field("program", &self.program).finish_non_exhaustive()
    }
}

impl External {
    /// An engine for the cells of a scenario, which is given with its secrets: the program has to set them.
    #[must_use]
    pub fn new(program: Program, scenario: &Scenario, seed: u64) -> Self {
        Self {
            program,
            questions: Questions::new(scenario, seed),
            facts: TargetFacts { package: package(&scenario.target.source), ..TargetFacts::default() },
            slack: SLACK,
            process: Mutex::new(None),
        }
    }

    /// The running program; a new one where there is none or the last one failed.
    async fn process(&self) -> Result<Arc<Process>, EngineError> {
        let mut running = self.process.lock().await;
        if let Some(process) = &*running {
            if !process.is_over() {
                return Ok(Arc::clone(process));
            }
            let old = running.take();
            if let Some(message) = old.and_then(|old| old.unheard()) {
                return Err(EngineError::Failed { step: STEP, message });
            }
        }
        let process = Arc::new(Process::start(&self.program)?);
        *running = Some(Arc::clone(&process));
        Ok(process)
    }

    async fn ask(&self, job: &Job) -> Result<Capture, EngineError> {
        let failed = |message: String| EngineError::Failed { step: STEP, message };
        let line = self.questions.line(&job.cell, &job.levels);
        let process = self.process().await?;
        let asked = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let waiting = process.ask(&job.cell, line).map_err(failed)?;
        match tokio::time::timeout(job.timeout + self.slack, waiting).await {
            Ok(Ok(Ok(mut capture))) => {
                if capture.started_unix_ms == answer::UNKNOWN_START {
                    capture.started_unix_ms = i64::try_from(asked.as_millis()).unwrap_or(i64::MAX);
                }
                Ok(capture)
            }
            Ok(Ok(Err(message))) => Err(failed(message)),
            Ok(Err(_)) => Err(failed(format!("`{}` was ended before it answered {}", self.program, job.cell))),
            Err(_) => {
                process.give_up(&job.cell);
                let seconds = (job.timeout + self.slack).as_secs_f64();
                Err(failed(format!("`{}` did not answer {} within {seconds:.1} s", self.program, job.cell)))
            }
        }
    }
}

/// What a target is called where nothing is looked up: as the scenario asks for it.
fn package(source: &Source) -> String {
    match source {
        Source::Npm { package, version } => format!("pkg:npm/{}@{version}", package.replace('@', "%40")),
        Source::Pypi { package, version } => format!("pkg:pypi/{package}@{version}"),
        Source::Image { reference } => reference.clone(),
        Source::Local { .. } => String::from("a program of the external engine's"),
    }
}

impl Engine for External {
    fn describe(&self) -> String {
        self.program.describe()
    }

    fn target(&self) -> TargetFacts {
        self.facts.clone()
    }

    fn run<'a>(&'a self, _slot: usize, job: &'a Job) -> BoxFuture<'a, Result<Capture, EngineError>> {
        Box::pin(self.ask(job))
    }

    fn run_canary<'a>(
        &'a self,
        _slot: usize,
        _arguments: &'a [String],
    ) -> BoxFuture<'a, Result<(String, Traffic), EngineError>> {
        Box::pin(async { Err(EngineError::Canary(String::from("an external engine has no pods of ours"))) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Some(process) = self.process.lock().await.take() {
                process.end().await;
            }
        })
    }
}

#[cfg(test)]
mod tests;
