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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::evidence::Run;
    use crate::cell::{Cell, CellId, Phase};
    use crate::feature::ValueId;

    fn evidence(cells: impl Iterator<Item = [u16; 3]>, agent: impl Fn([u16; 3]) -> u32) -> Evidence {
        let mut evidence = Evidence::default();
        for (n, levels) in cells.enumerate() {
            let row = vec![Some(ValueId(agent(levels)))];
            let levels = Assignment(levels.to_vec());
            let cell = Cell { id: CellId::nth(n), round: 0, phase: Phase::Cover, levels, replicate: 0 };
            evidence.push(Run { cell, row });
        }
        evidence
    }

    fn told(evidence: &Evidence, factors: &[usize], cell: [u16; 3]) -> Option<u32> {
        let projected = Projected::onto(factors, evidence, 0, Some(ValueId(0)));
        projected.told(&Assignment(cell.to_vec())).map(|value| value.unwrap().0)
    }

    fn all() -> impl Iterator<Item = [u16; 3]> {
        (0..18).map(|n| [n % 3, n / 3 % 3, n / 9])
    }

    #[test]
    fn cells_that_share_levels_tell_what_another_would_show() {
        let both = evidence(all(), |[a, b, _]| u32::from(a == 1 && b != 0));
        assert_eq!(told(&both, &[0, 1], [1, 2, 0]), Some(1));
        assert_eq!(told(&both, &[0, 1], [2, 2, 0]), Some(0));
        let one = evidence(all(), |[a, ..]| u32::from(a));
        assert_eq!(told(&one, &[0], [2, 0, 0]), Some(2));
    }

    #[test]
    fn where_they_differ_or_are_few_nothing_is_told() {
        let three = evidence(all(), |[a, b, c]| u32::from(a == 1) ^ u32::from(b == 1) ^ u32::from(c == 1));
        assert_eq!(told(&three, &[0, 1], [1, 2, 0]), None, "a third factor matters");
        let once = evidence(all().filter(|[.., c]| *c == 0), |[a, b, _]| u32::from(a == 1 && b != 0));
        assert_eq!(told(&once, &[0, 1], [1, 2, 0]), None, "no cell shares its levels with another");
        let few = evidence(all().filter(|[a, b, _]| *a != 2 || *b == 0), |[a, ..]| u32::from(a));
        assert_eq!(told(&few, &[0], [2, 0, 0]), None, "two cells of that level");
        assert_eq!(told(&few, &[0], [1, 0, 0]), Some(1));
    }
}
