//! **Design**: which cells to run and in which order, decided from a seed. Takes level counts and constraints, gives rows
//! of level indices; refuses to know what a factor is or what a cell shows.

pub mod coverage;
pub mod covering;
pub mod feasible;
pub mod randomise;
mod tabu;

use std::sync::Arc;

use crate::cell::Assignment;
use crate::scenario::Scenario;
use coverage::Strength;
use covering::Effort;
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

/// The cover phase's cells: a covering array, repeated in other labellings up to `minimum_rows`, and `replicates`
/// baselines, in one uniform shuffle. Deterministic in `seed`.
#[derive(Clone, Debug)]
pub struct CoverDesign {
    /// Cells in run order.
    pub cells: Vec<Assignment>,
    /// Combinations of `strength` levels that the cells have.
    pub tuples_covered: u64,
    /// Combinations of `strength` levels that the constraints allow.
    pub tuples_total: u64,
    /// The strength that could be realised: never more than there are factors.
    pub strength: u8,
}

/// Single changes that the search for a smaller array may evaluate: of the order of two seconds.
const CHANGES: usize = 2_000_000;

/// Designs the cover phase.
#[must_use]
pub fn cover(space: &Space, strength: u8, minimum_rows: usize, replicates: usize, seed: u64) -> CoverDesign {
    let strength = usize::from(strength).clamp(1, space.factors().max(1));
    let wanted = Strength::uniform(strength);
    let effort = Effort { changes: CHANGES, enough: minimum_rows };
    let first = covering::array(space, &wanted, &[], effort, &mut randomise::generator(seed, "covering array 0"));
    let mut rows = first.rows;
    let mut turn = 1;
    while rows.len() < minimum_rows && !rows.is_empty() {
        let mut generator = randomise::generator(seed, &format!("covering array {turn}"));
        let missing = minimum_rows - rows.len();
        rows.extend(covering::array(space, &wanted, &[], effort, &mut generator).rows.into_iter().take(missing));
        turn += 1;
    }
    let baseline = space.baseline();
    let here = rows.iter().filter(|row| **row == baseline).count();
    rows.extend(std::iter::repeat_n(baseline, replicates.saturating_sub(here)));
    randomise::shuffle(&mut rows, &mut randomise::generator(seed, "run order"));
    CoverDesign {
        cells: rows,
        tuples_covered: first.tuples_covered,
        tuples_total: first.tuples_total,
        strength: u8::try_from(strength).unwrap_or(u8::MAX),
    }
}
