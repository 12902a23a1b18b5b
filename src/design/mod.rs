//! **Design**: which cells to run and in which order, decided from a seed. Takes level counts and constraints, gives rows
//! of level indices; refuses to know what a factor is or what a cell shows.

mod cover;
pub mod coverage;
pub mod covering;
pub mod factorial;
pub mod feasible;
pub mod randomise;
mod tabu;

use std::sync::Arc;

use crate::cell::Assignment;
use crate::scenario::Scenario;
pub use cover::{CoverDesign, Requirement, cover};
use feasible::Constraints;

/// What the design must know of a scenario's factors: how many levels each has and what may not be combined.
#[derive(Clone, Debug)]
pub struct Space {
    /// Levels of each factor.
    pub levels: Vec<u16>,
    /// What may not be combined.
    pub constraints: Constraints,
}

impl Space {
    /// The space of a scenario.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Arc<Self> {
        let levels: Vec<u16> =
            scenario.factors.iter().map(|factor| u16::try_from(factor.levels.len()).unwrap_or(u16::MAX)).collect();
        let constraints = Constraints::new(levels.clone(), scenario.forbidden.clone());
        Arc::new(Self { levels, constraints })
    }

    /// How many factors.
    #[must_use]
    pub fn factors(&self) -> usize {
        self.levels.len()
    }

    /// The cell in which every factor has its baseline level.
    #[must_use]
    pub fn baseline(&self) -> Assignment {
        Assignment::baseline(self.factors())
    }

    /// Whether a cell may be run.
    #[must_use]
    pub fn allows(&self, levels: &Assignment) -> bool {
        self.constraints.allows(levels)
    }
}
