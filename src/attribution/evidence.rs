//! **Evidence**: every executed run with its row of values, in the order of the plan.

use std::collections::HashMap;

use crate::cell::{Assignment, Cell};
use crate::feature::{Row, ValueId};

/// One executed run.
#[derive(Clone, Debug)]
pub struct Run {
    /// What was run.
    pub cell: Cell,
    /// What was seen.
    pub row: Row,
}

/// A feature's value in a run: absent is a value like any other.
pub type Value = Option<ValueId>;

/// All runs so far.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    runs: Vec<Run>,
    by_levels: HashMap<Assignment, Vec<usize>>,
    /// Cells that the engine could not run, by assignment.
    lost: HashMap<Assignment, usize>,
    /// By feature: whether it ever had another value than in the first run. Most never have.
    varies: Vec<bool>,
    /// By feature: the one without which it cannot be.
    containers: Vec<Option<usize>>,
}

impl Evidence {
    /// Adds a run.
    pub fn push(&mut self, run: Run) {
        self.by_levels.entry(run.cell.levels.clone()).or_default().push(self.runs.len());
        if let Some(first) = self.runs.first() {
            let length = first.row.len().max(run.row.len());
            self.varies.resize(self.varies.len().max(length), false);
            for (feature, varies) in self.varies.iter_mut().enumerate() {
                let of = |row: &Row| row.get(feature).copied().flatten();
                *varies |= of(&first.row) != of(&run.row);
            }
        }
        self.runs.push(run);
    }

    /// Whether a feature has had more than one value so far.
    #[must_use]
    pub fn varies(&self, feature: usize) -> bool {
        self.varies.get(feature).copied().unwrap_or(false)
    }

    /// Says for each feature which other it stands in: where that one is absent, this one cannot be. Those that are known
    /// stay as they are.
    pub fn contain(&mut self, containers: &[Option<usize>]) {
        if let Some(new) = containers.get(self.containers.len()..) {
            self.containers.extend_from_slice(new);
        }
    }

    /// What a feature stands in.
    #[must_use]
    pub fn container(&self, feature: usize) -> Option<usize> {
        self.containers.get(feature).copied().flatten()
    }

    /// The outermost thing that a feature stands in: a request.
    #[must_use]
    pub fn outermost(&self, feature: usize) -> Option<usize> {
        // A feature is contained in ever larger things; no chain is longer than this.
        let larger = |of: &usize| self.container(*of);
        std::iter::successors(self.container(feature), larger).take(64).last()
    }

    /// Whether a feature could have had a value in a run: what it stands in was there.
    #[must_use]
    pub fn possible(&self, run: usize, feature: usize) -> bool {
        self.container(feature).is_none_or(|container| self.value(run, container).is_some())
    }

    /// Notes a cell that the engine could not run.
    pub fn lose(&mut self, levels: &Assignment) {
        *self.lost.entry(levels.clone()).or_default() += 1;
    }

    /// All runs, in plan order.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Indices of the runs of one assignment, in plan order.
    #[must_use]
    pub fn of(&self, levels: &Assignment) -> &[usize] {
        self.by_levels.get(levels).map_or(&[], Vec::as_slice)
    }

    /// How many assignments were run more than once with a feature's values not all the same.
    #[must_use]
    pub fn disagreements(&self, feature: usize) -> usize {
        self.by_levels
            .values()
            .filter(|runs| runs.iter().any(|run| self.value(*run, feature) != self.value(runs[0], feature)))
            .count()
    }

    /// How often an assignment was lost to the engine.
    #[must_use]
    pub fn lost(&self, levels: &Assignment) -> usize {
        self.lost.get(levels).copied().unwrap_or(0)
    }

    /// A feature's value in a run.
    #[must_use]
    pub fn value(&self, run: usize, feature: usize) -> Value {
        self.runs[run].row.get(feature).copied().flatten()
    }

    /// A feature's values over all runs, renumbered by first appearance: equal patterns mean equal partitions of the
    /// runs, whatever the values are.
    #[must_use]
    pub fn pattern(&self, feature: usize) -> Vec<u32> {
        let mut numbers: HashMap<Value, u32> = HashMap::new();
        (0..self.runs.len())
            .map(|run| {
                let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                *numbers.entry(self.value(run, feature)).or_insert(next)
            })
            .collect()
    }
}
