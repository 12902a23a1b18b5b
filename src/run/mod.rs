//! **Running**: bounded concurrency, retries, cancellation, redaction before disk. Takes a scenario and a place to keep
//! the run, gives findings; it decides nothing about what to run.

pub mod bisect;
pub mod by_hand;
pub mod driver;
pub mod dummies;
pub mod event;
pub mod fold;
mod pinned;
pub mod redact;
pub mod replay;
pub mod reproduce;
pub mod session;
mod stock;
pub mod trial;
pub mod usage;

#[cfg(test)]
pub(crate) mod testing;

use crate::engine::EngineError;
use crate::store::StoreError;

impl From<fold::FoldError> for RunError {
    fn from(error: fold::FoldError) -> Self {
        match error {
            fold::FoldError::Diverged(error) => error.into(),
            fold::FoldError::Store(error) => error.into(),
        }
    }
}

/// Why a run did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The engine, or the machine under it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The run's folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The records on disk are not those of the plan.
    #[error(transparent)]
    Diverged(#[from] fold::Diverged),
    /// The folder holds another run than the one that was asked for.
    #[error("{0}")]
    OtherRun(String),
    /// Too many cells of a round could not be run.
    #[error("the engine could not run {failed} of the {cells} cells of round {round}; the last time: {message}")]
    Lost {
        /// Cells that failed.
        failed: usize,
        /// Cells in the round.
        cells: usize,
        /// The round.
        round: u32,
        /// What the engine said last.
        message: String,
    },
    /// Someone interrupted it.
    #[error("interrupted")]
    Interrupted,
}
