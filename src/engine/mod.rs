//! **Engines** run one cell in a *pod* and return one capture. They know nothing of designs, features or statistics.

pub mod canary;
mod debian;
pub mod docker;
pub mod embedded;
pub mod environment;
pub mod external;
pub mod pod;
pub mod probe;
pub mod select;
pub mod target;

use futures_util::future::BoxFuture;

use crate::capture::{Capture, Sight};
use crate::cell::{Assignment, CellId};
use crate::gateway::GatewayError;
use crate::gateway::client::Traffic;
use crate::scenario::Limits;
use environment::Environment;

/// Everything an engine must know to run one cell.
#[derive(Clone, Debug)]
pub struct Job {
    /// The cell's name, for labels and logs.
    pub cell: CellId,
    /// The environment, by level index: what an engine is told that makes it real itself.
    pub levels: Assignment,
    /// The environment made real: variables, files, names, command. Empty for such an engine.
    pub environment: Environment,
    /// What it may use.
    pub limits: Limits,
    /// Its deadline.
    pub timeout: std::time::Duration,
}

/// A thing that runs cells. A *slot* is one of `0..jobs`; a slot runs one cell at a time and keeps its gateways.
pub trait Engine: Send + Sync {
    /// Its name and version, for the manifest: `docker 20.10.24 (API 1.41)`.
    fn describe(&self) -> String;

    /// What was found of the target once its install scripts had run (its executable's digest above all).
    fn target(&self) -> target::TargetFacts;

    /// What can be seen in its pods' networks. `None` where they are not ours, or none has been made yet.
    fn sight(&self) -> Option<Sight> {
        None
    }

    /// Runs one cell in slot `slot`. An agent that crashes, hangs or stays silent is an `Ok`.
    fn run<'a>(&'a self, slot: usize, job: &'a Job) -> BoxFuture<'a, Result<Capture, EngineError>>;

    /// Runs our own program as `canary ARGUMENTS` in slot `slot`, in a pod exactly like an agent's, and returns its
    /// standard output and what the gateway saw of it. For [`canary::run`].
    fn run_canary<'a>(
        &'a self,
        slot: usize,
        arguments: &'a [String],
    ) -> BoxFuture<'a, Result<(String, Traffic), EngineError>>;

    /// Ends every pod and removes whatever the engine made for this run. Idempotent.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// The engine, not the agent, failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The machine lacks something; the message says what and how to mend it.
    #[error("{0}")]
    Missing(String),
    /// There is no such target: the scenario names a package, a version or an image that nobody has.
    #[error("{message}")]
    NoTarget {
        /// The key of the scenario's `[target]` that is wrong: `npm`, `version`, `image`, …
        key: &'static str,
        /// What was asked for, what came of it, and the remedy.
        message: String,
    },
    /// The canary saw something reachable that must not be, or its positive control failed: nothing may run.
    #[error("the isolation check failed: {0}")]
    Canary(String),
    /// A step failed and may be tried again.
    #[error("{step}: {message}")]
    Failed {
        /// What was being done, `starting the agent container`.
        step: &'static str,
        /// What went wrong.
        message: String,
    },
    /// The run was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl From<GatewayError> for EngineError {
    fn from(error: GatewayError) -> Self {
        Self::Failed { step: "talking to the gateway", message: error.to_string() }
    }
}
