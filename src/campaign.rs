//! The **campaign**: the whole adaptive procedure (cover, explain, confirm) as one pure state machine. The driver runs
//! the cells that it is told and absorbs the records; resuming, re-analysing and simulating are the same fold.

use std::sync::Arc;

use crate::capture::Record;
use crate::cell::Cell;
use crate::finding::Findings;
use crate::scenario::Scenario;

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Run these cells (started in this order) and absorb their records (in this order).
    Round(Vec<Cell>),
    /// It is over.
    Done(Box<Findings>),
}

/// The state of a run.
#[derive(Debug)]
pub struct Campaign {
    scenario: Arc<Scenario>,
    seed: u64,
}

impl Campaign {
    /// A run that has not begun.
    #[must_use]
    pub fn new(scenario: Arc<Scenario>, seed: u64) -> Self {
        Self { scenario, seed }
    }

    /// What to do next. Every cell of the last round must have been absorbed.
    pub fn step(&mut self) -> Step {
        let _ = (&self.scenario, self.seed);
        Step::Round(Vec::new())
    }

    /// Takes one record of the current round, in plan order.
    pub fn absorb(&mut self, record: Record) {
        drop(record);
    }

    /// What has been noticed so far, a line each, most telling first.
    #[must_use]
    pub fn noticed(&self) -> Vec<String> {
        Vec::new()
    }

    /// Best estimate of how many cells the whole run will have.
    #[must_use]
    pub fn expected_cells(&self) -> usize {
        0
    }
}
