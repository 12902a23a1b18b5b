//! **Projecting**: the runs by the levels of a few factors alone, whatever the others are. Where runs that share these levels
//! agree, they tell of a cell what it would show, and it need not be run.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::{Evidence, Value};
use crate::cell::Assignment;

/// Cells that must agree about a level of one factor.
const LEAST_OF_A_LEVEL: usize = 3;
/// Of several factors few cells share all levels. It takes so many that share them with another, and are not as the base
/// value says, without one that differs from another, before what a single one shows is believed.
const LEAST_REPEATED: usize = 3;

/// What runs show by the levels of some factors.
pub(super) struct Projected {
    factors: Vec<usize>,
    groups: BTreeMap<Vec<u16>, Group>,
    /// Whether a single cell is believed.
    is_function: bool,
}

#[derive(Default)]
struct Group {
    cells: BTreeSet<Assignment>,
    values: BTreeSet<Value>,
}

impl Projected {
    /// Projects the runs onto some factors.
    pub(super) fn onto(factors: &[usize], evidence: &Evidence, feature: usize, base: Value) -> Self {
        let mut groups: BTreeMap<Vec<u16>, Group> = BTreeMap::new();
        for (index, run) in evidence.runs().iter().enumerate() {
            let key = factors.iter().map(|factor| run.cell.levels.level(*factor)).collect();
            let group = groups.entry(key).or_default();
            group.cells.insert(run.cell.levels.clone());
            group.values.insert(evidence.value(index, feature));
        }
        let repeated: usize = (groups.values())
            .filter(|group| group.cells.len() > 1 && group.values.iter().any(|value| *value != base))
            .map(|group| group.cells.len())
            .sum();
        let is_function = repeated >= LEAST_REPEATED && groups.values().all(|group| group.values.len() == 1);
        Self { factors: factors.to_vec(), groups, is_function }
    }

    /// What a cell shows, if others tell.
    pub(super) fn told(&self, cell: &Assignment) -> Option<Value> {
        let key: Vec<u16> = self.factors.iter().map(|factor| cell.level(*factor)).collect();
        let group = self.groups.get(&key).filter(|group| group.values.len() == 1)?;
        let enough = if self.factors.len() == 1 { group.cells.len() >= LEAST_OF_A_LEVEL } else { self.is_function };
        group.values.first().copied().filter(|_| enough)
    }
}
