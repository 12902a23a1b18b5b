//! The **cover** phase's cells: the rows of the design that was asked for, and replicates of the baseline, in one uniform
//! shuffle.

use super::coverage::{self, Strength};
use super::covering::{self, Effort};
use super::{Space, factorial, randomise};
use crate::cell::Assignment;
use crate::scenario::{DesignOptions, Matrix, MatrixKind};

/// The cover phase's cells. Deterministic in scenario and seed.
#[derive(Clone, Debug)]
pub struct CoverDesign {
    /// Cells in run order.
    pub cells: Vec<Assignment>,
    /// Rows of the design itself, before it was repeated or cut; fewer than the bound where it was not built whole.
    pub rows: usize,
    /// No design that has what was asked for has fewer rows.
    pub lower_bound: usize,
    /// Rows, at least, that the budget had no room for.
    pub left_out: usize,
    /// What was asked to be covered, and how much of it the cells have: the strength over all factors first, then the
    /// higher ones over some.
    pub requirements: Vec<Requirement>,
    /// Combinations of `strength` levels that the cells have.
    pub tuples_covered: u64,
    /// Combinations of `strength` levels that the constraints allow.
    pub tuples_total: u64,
    /// The strength that could be realised: never more than there are factors.
    pub strength: u8,
}

/// A strength over factors, and how much of it is realised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// Factor indices.
    pub factors: Vec<usize>,
    /// Of how many of them every combination of levels is asked for.
    pub strength: u8,
    /// Combinations that the cells have.
    pub covered: u64,
    /// Combinations that the constraints allow.
    pub total: u64,
}

/// Single changes that the search for a smaller array may evaluate: of the order of two seconds.
const CHANGES: usize = 2_000_000;
/// Combinations that it may look at for that: a change of one factor touches every set of factors that it is in.
const LOOKS: usize = 200_000_000;

/// Designs the cover phase: the design's rows, repeated up to the least number of rows (a covering array in another
/// labelling each time), and cut to what the budget leaves beside the replicates of the baseline.
#[must_use]
pub fn cover(space: &Space, options: DesignOptions, matrix: &Matrix, seed: u64) -> CoverDesign {
    let (budget, replicates) = (options.budget as usize, options.replicates as usize);
    let room = budget.saturating_sub(replicates);
    let minimum = (options.minimum_rows as usize).min(room);
    let strength = usize::from(options.strength).clamp(1, space.factors().max(1));
    let extra = matrix.stronger.iter().map(|one| (one.factors.clone(), usize::from(one.strength)));
    let wanted = Strength { base: strength, extra: extra.collect() };
    let array = |turn: usize, given: &[Assignment]| {
        let effort = Effort {
            changes: CHANGES.min(LOOKS / sets_of_a_factor(space.factors(), &wanted)),
            enough: minimum,
            most: room,
        };
        let mut generator = randomise::generator(seed, &format!("covering array {turn}"));
        covering::array(space, &wanted, given, effort, &mut generator)
    };
    let (once, lower_bound) = match matrix.kind {
        MatrixKind::Covering => {
            let array = array(0, &matrix.given);
            (array.rows, array.lower_bound)
        }
        MatrixKind::FullFactorial => with_bound(factorial::full(space, room.saturating_add(2))),
        MatrixKind::OneFactor => {
            let mut rows = factorial::one_factor(space);
            let further: Vec<Assignment> = matrix.given.iter().filter(|row| !rows.contains(row)).cloned().collect();
            rows.extend(further);
            with_bound(rows)
        }
    };
    let mut rows = once.clone();
    let mut turn = 1;
    while rows.len() < minimum && !rows.is_empty() {
        let again = if matrix.kind == MatrixKind::Covering {
            array(turn, &[]).rows
        } else {
            let mut again = once.clone();
            randomise::shuffle(&mut again, &mut randomise::generator(seed, &format!("repetition {turn}")));
            again
        };
        let missing = minimum - rows.len();
        rows.extend(again.into_iter().take(missing));
        turn += 1;
    }
    let baseline = space.baseline();
    let missing = |rows: &[Assignment]| replicates.saturating_sub(rows.iter().filter(|row| **row == baseline).count());
    let mut left_out = 0;
    if rows.len() + missing(&rows) > budget {
        left_out = rows.len().saturating_sub(room);
        rows.truncate(room);
    }
    // An array that no budget of this size can hold was not built whole.
    left_out = left_out.max(lower_bound.saturating_sub(once.len()));
    let missing = missing(&rows);
    rows.extend(std::iter::repeat_n(baseline, missing));
    randomise::shuffle(&mut rows, &mut randomise::generator(seed, "run order"));
    let requirements = match matrix.kind {
        MatrixKind::Covering => std::iter::once(((0..space.factors()).collect(), strength))
            .chain(wanted.extra.iter().cloned())
            .map(|(factors, strength)| Requirement::measured(space, factors, strength, &rows))
            .collect(),
        MatrixKind::OneFactor => vec![Requirement::measured(space, (0..space.factors()).collect(), 1, &rows)],
        // Every allowed cell is a row, each once: there is nothing to count anew.
        MatrixKind::FullFactorial => vec![Requirement {
            factors: (0..space.factors()).collect(),
            strength: narrow(space.factors()),
            covered: once.len().saturating_sub(left_out) as u64,
            total: once.len() as u64,
        }],
    };
    let (tuples_covered, tuples_total, strength) =
        requirements.first().map_or((0, 0, 1), |first| (first.covered, first.total, first.strength));
    CoverDesign {
        cells: rows,
        rows: once.len(),
        lower_bound,
        left_out,
        requirements,
        tuples_covered,
        tuples_total,
        strength,
    }
}

/// Rows that are what was asked for, neither more nor fewer.
fn with_bound(rows: Vec<Assignment>) -> (Vec<Assignment>, usize) {
    let bound = rows.len();
    (rows, bound)
}

/// Sets of factors that one factor is in, at most.
fn sets_of_a_factor(factors: usize, wanted: &Strength) -> usize {
    let choose =
        |n: usize, k: usize| (0..k).fold(1_usize, |all, at| all.saturating_mul(n.saturating_sub(at)) / (at + 1));
    let everywhere = choose(factors.saturating_sub(1), wanted.base.saturating_sub(1));
    let among =
        |(among, strength): &(Vec<usize>, usize)| choose(among.len().saturating_sub(1), strength.saturating_sub(1));
    wanted.extra.iter().map(among).fold(everywhere, usize::saturating_add).max(1)
}

fn narrow(strength: usize) -> u8 {
    u8::try_from(strength).unwrap_or(u8::MAX)
}

impl Requirement {
    fn measured(space: &Space, factors: Vec<usize>, strength: usize, rows: &[Assignment]) -> Self {
        let just = Strength { base: 0, extra: vec![(factors.clone(), strength)] };
        let (covered, total) = coverage::measure(space, &just, rows);
        Self { factors, strength: narrow(strength), covered, total }
    }
}
