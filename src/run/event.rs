//! **Events**: what reporters and progress bars hear while a run goes on.

use crate::campaign::Hypothesis;
use crate::cell::{CellId, Phase};

/// One thing that happened in a run.
#[derive(Clone, Debug)]
pub enum Event {
    /// Something slow that is not a cell began: `installing @scope/agent 1.2.3`.
    Preparing(String),
    /// A round was planned.
    Planned {
        /// Round number, from 0.
        round: u32,
        /// Its phase (of its first cell).
        phase: Phase,
        /// Cells in it.
        cells: usize,
        /// Best estimate of cells in the whole run.
        expected_total: usize,
    },
    /// This many cells of the run were already on disk.
    Resumed(usize),
    /// A cell began.
    Started(CellId),
    /// A cell ended.
    Finished {
        /// Which.
        cell: CellId,
        /// Whether the engine could run it.
        observed: bool,
    },
    /// The campaign noticed something while it goes on: `2 places depend on base_url`.
    Noticed(String),
    /// The hypotheses as they stand after a round.
    Hypotheses(Vec<Hypothesis>),
    /// Something that a person should know now: a cell that hangs, a retry, what a failing agent says. May hold text
    /// of the agent's own: whoever shows it must escape it.
    Warning(String),
}

/// Where events go. Called from many threads.
pub type Listener = std::sync::Arc<dyn Fn(Event) + Send + Sync>;
