//! Every design covers what it says, checked by brute force: the rows' combinations are gathered anew for every set of
//! factors, and what can be covered is found by trying every cell. Nothing of the production code's bookkeeping is used.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use parallax::cell::Assignment;
use parallax::design::coverage::Strength;
use parallax::design::covering::{self, CoveringArray, Effort};
use parallax::design::feasible::Constraints;
use parallax::design::{self, CoverDesign, Space, randomise};
use parallax::scenario::{DesignOptions, Forbidden, Matrix, MatrixKind, Stronger};
use proptest::prelude::*;

/// Every cell, allowed or not.
fn every_cell(levels: &[u16]) -> Vec<Vec<u16>> {
    levels.iter().fold(vec![Vec::new()], |cells, levels| {
        cells.iter().flat_map(|cell| (0..*levels).map(|level| [&cell[..], &[level]].concat())).collect()
    })
}

fn is_allowed(cell: &[u16], forbidden: &[Forbidden]) -> bool {
    !forbidden.iter().any(|one| one.when.iter().all(|(factor, set)| set.contains(&cell[*factor])))
}

/// Every set of `size` of these factors.
fn sets(factors: &[usize], size: usize) -> Vec<Vec<usize>> {
    (0_u32..1 << factors.len())
        .filter(|mask| mask.count_ones() as usize == size)
        .map(|mask| (0..factors.len()).filter(|at| mask >> at & 1 == 1).map(|at| factors[at]).collect())
        .collect()
}

fn combinations<'a>(rows: impl IntoIterator<Item = &'a Vec<u16>>, set: &[usize]) -> BTreeSet<Vec<u16>> {
    rows.into_iter().map(|row| set.iter().map(|factor| row[*factor]).collect()).collect()
}

/// Combinations of `strength` of these factors that rows have, and that any allowed cell has.
fn count(rows: &[Vec<u16>], every: &[Vec<u16>], among: &[usize], strength: usize) -> (usize, usize) {
    sets(among, strength).iter().fold((0, 0), |(covered, total), set| {
        (covered + combinations(rows, set).len(), total + combinations(every, set).len())
    })
}

/// A space, what is asked of it, and cells that must be there.
#[derive(Clone, Debug)]
struct Task {
    levels: Vec<u16>,
    forbidden: Vec<Forbidden>,
    strength: usize,
    stronger: Option<(Vec<usize>, usize)>,
    given: Vec<Vec<u16>>,
}

impl Task {
    fn space(&self) -> Space {
        Space {
            constraints: Constraints::new(self.levels.clone(), self.forbidden.clone()),
            levels: self.levels.clone(),
        }
    }

    fn every(&self) -> Vec<Vec<u16>> {
        every_cell(&self.levels).into_iter().filter(|cell| is_allowed(cell, &self.forbidden)).collect()
    }

    fn array(&self, changes: usize, seed: u64) -> CoveringArray {
        let strength = Strength { base: self.strength, extra: self.stronger.iter().cloned().collect() };
        let given: Vec<Assignment> = self.given.iter().cloned().map(Assignment).collect();
        let effort = Effort { changes, enough: 1, most: usize::MAX };
        covering::array(&self.space(), &strength, &given, effort, &mut randomise::generator(seed, "test"))
    }

    fn options(&self, budget: u32) -> DesignOptions {
        let strength = u8::try_from(self.strength).unwrap();
        DesignOptions { strength, budget, replicates: 3, minimum_rows: 40, alpha: 0.05 }
    }

    fn matrix(&self, kind: MatrixKind) -> Matrix {
        let stronger = self.stronger.iter().map(|(factors, strength)| Stronger {
            factors: factors.clone(),
            strength: u8::try_from(*strength).unwrap(),
        });
        Matrix { kind, stronger: stronger.collect(), given: self.given.iter().cloned().map(Assignment).collect() }
    }

    fn cover(&self, kind: MatrixKind, budget: u32, seed: u64) -> CoverDesign {
        design::cover(&self.space(), self.options(budget), &self.matrix(kind), seed)
    }
}

fn rows(assignments: &[Assignment]) -> Vec<Vec<u16>> {
    assignments.iter().map(|row| row.0.clone()).collect()
}

/// A task of strength 4, over all factors or over some of them beside 2 or 3 elsewhere: five or six factors of two or three
/// levels, so that every cell can be gone through. There is always a constraint, and mostly a given row.
fn wide_tasks() -> impl Strategy<Value = Task> {
    prop::collection::vec(2_u16..4, 5..7).prop_flat_map(|levels| {
        let factors = levels.len();
        let literal = |factor: usize, levels: u16| (Just(factor), 1..levels);
        let constraint = (literal(0, levels[0]), literal(2, levels[2]), literal(4, levels[4]), prop::bool::ANY);
        let cell: Vec<_> = levels.iter().map(|levels| 0..*levels).collect();
        let among = prop::sample::subsequence((0..factors).collect::<Vec<_>>(), 4..=factors);
        let parts = (
            Just(levels),
            prop::collection::vec(constraint, 1..3),
            among,
            prop::collection::vec(cell, 1..4),
            2..5_usize,
        );
        parts.prop_map(|(levels, constraints, among, given, strength)| {
            let forbidden: Vec<Forbidden> = constraints
                .into_iter()
                .map(|(a, b, c, wide)| {
                    let literals = if wide { vec![a, b, c] } else { vec![a, b] };
                    Forbidden { when: literals.into_iter().map(|(factor, level)| (factor, vec![level])).collect() }
                })
                .collect();
            let mut kept: Vec<Vec<u16>> = Vec::new();
            for mut cell in given {
                // What is forbidden has the baseline's level of the first factor no more.
                if !is_allowed(&cell, &forbidden) {
                    cell[0] = 0;
                }
                if cell.iter().any(|level| *level > 0) && !kept.contains(&cell) {
                    kept.push(cell);
                }
            }
            let stronger = (strength < 4).then_some((among, 4));
            Task { levels, forbidden, strength, stronger, given: kept }
        })
    })
}

/// Two to six factors of two to five levels; up to three constraints that leave the baseline; a higher strength over some
/// factors; up to three given cells.
fn tasks() -> impl Strategy<Value = Task> {
    let literal = |levels: Vec<u16>| {
        (0..levels.len(), prop::collection::btree_set(0_u16..5, 1..3)).prop_map(move |(factor, set)| {
            let set: BTreeSet<u16> = set.into_iter().map(|level| level % levels[factor]).collect();
            (factor, set.into_iter().collect::<Vec<u16>>())
        })
    };
    prop::collection::vec(2_u16..6, 2..7).prop_flat_map(move |levels| {
        let factors = levels.len();
        let constraint = prop::collection::vec(literal(levels.clone()), 2..4);
        let cell: Vec<_> = levels.iter().map(|levels| 0..*levels).collect();
        (
            Just(levels),
            prop::collection::vec(constraint, 0..4),
            1..factors.min(3) + 1,
            prop::option::of((prop::sample::subsequence((0..factors).collect::<Vec<_>>(), 2..=factors), 2_usize..5)),
            prop::collection::vec(cell, 0..4),
        )
            .prop_map(|(levels, constraints, strength, stronger, given)| {
                let mut forbidden = Vec::new();
                for mut when in constraints {
                    when.sort();
                    when.dedup_by_key(|(factor, _)| *factor);
                    let one = Forbidden { when };
                    if is_allowed(&vec![0; levels.len()], std::slice::from_ref(&one)) {
                        forbidden.push(one);
                    }
                }
                let stronger = stronger
                    .map(|(among, higher): (Vec<usize>, usize)| (among.clone(), higher.min(among.len())))
                    .filter(|(_, higher)| *higher > strength);
                let mut kept: Vec<Vec<u16>> = Vec::new();
                for cell in given {
                    if is_allowed(&cell, &forbidden) && cell.iter().any(|level| *level > 0) && !kept.contains(&cell) {
                        kept.push(cell);
                    }
                }
                Task { levels, forbidden, strength, stronger, given: kept }
            })
    })
}

/// Whether an array of the task has every combination that it must have, none that it must not, and the given rows.
fn is_covered(task: &Task, seed: u64) -> Result<(), TestCaseError> {
    let (every, everything) = (task.every(), (0..task.levels.len()).collect::<Vec<_>>());
    let array = task.array(1_000, seed);
    let found = rows(&array.rows);
    prop_assert!(found.iter().all(|row| is_allowed(row, &task.forbidden)));
    prop_assert_eq!(&found[..task.given.len()], &task.given[..], "given rows come first");
    let mut most = 0;
    let wanted = std::iter::once((everything, task.strength)).chain(task.stronger.clone());
    for (among, strength) in wanted {
        for set in sets(&among, strength) {
            let all = combinations(&every, &set);
            most = most.max(all.len());
            prop_assert_eq!(combinations(&found, &set), all, "{:?}", set);
        }
    }
    prop_assert_eq!(array.tuples_covered, array.tuples_total);
    prop_assert_eq!(array.lower_bound, most);
    prop_assert!(found.len() >= most);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn an_array_has_every_combination_that_any_allowed_cell_has(task in tasks(), seed in any::<u64>()) {
        is_covered(&task, seed)?;
    }

    #[test]
    fn more_search_never_costs_rows_or_coverage_and_chance_comes_from_the_seed(task in tasks(), seed in any::<u64>()) {
        let greedy = task.array(0, seed);
        let searched = task.array(2_000, seed);
        prop_assert!(searched.rows.len() <= greedy.rows.len());
        prop_assert_eq!(searched.tuples_covered, greedy.tuples_total);
        prop_assert_eq!(rows(&searched.rows), rows(&task.array(2_000, seed).rows));
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn strength_four_is_covered_over_all_factors_and_over_some_with_constraints_and_given_rows(
        task in wide_tasks(), seed in any::<u64>(),
    ) {
        prop_assert!(task.strength == 4 || task.stronger.as_ref().is_some_and(|(_, strength)| *strength == 4));
        is_covered(&task, seed)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn a_design_of_any_kind_counts_its_own_coverage_right(
        task in tasks(), kind in prop::sample::select(MatrixKind::ALL.to_vec()), budget in 4_u32..400, seed in any::<u64>(),
    ) {
        let (every, everything) = (task.every(), (0..task.levels.len()).collect::<Vec<_>>());
        // A scenario whose full factorial or given cells are above its budget is refused.
        let budget = match kind {
            MatrixKind::FullFactorial => budget.max(u32::try_from(every.len()).unwrap() + 2),
            _ => budget.max(u32::try_from(task.given.len()).unwrap() + 3),
        };
        let design = task.cover(kind, budget, seed);
        let cells = rows(&design.cells);
        prop_assert!(cells.len() <= budget as usize);
        prop_assert!(cells.iter().all(|cell| is_allowed(cell, &task.forbidden)));
        prop_assert!(cells.iter().filter(|cell| cell.iter().all(|level| *level == 0)).count() >= 3, "replicates");
        let wanted = match kind {
            MatrixKind::Covering => std::iter::once((everything, task.strength)).chain(task.stronger.clone()).collect(),
            MatrixKind::FullFactorial => vec![(everything.clone(), everything.len())],
            MatrixKind::OneFactor => vec![(everything, 1)],
        };
        prop_assert_eq!(design.requirements.len(), wanted.len());
        for ((among, strength), said) in wanted.iter().zip(&design.requirements) {
            let (covered, total) = count(&cells, &every, among, *strength);
            prop_assert_eq!((said.covered, said.total), (covered as u64, total as u64));
            prop_assert_eq!((&said.factors, usize::from(said.strength)), (among, *strength));
            if design.left_out == 0 && kind != MatrixKind::OneFactor {
                prop_assert_eq!(covered, total);
            }
        }
        for given in &task.given {
            prop_assert!(design.left_out > 0 || cells.contains(given), "{:?} is not there", given);
        }
        prop_assert_eq!(&cells, &rows(&task.cover(kind, budget, seed).cells), "the same seed, another plan");
    }
}

/// What kind of design, and what it must have: rows, and cells in all.
#[test]
fn kinds_have_just_the_rows_that_their_names_promise() {
    let task = Task {
        levels: vec![4, 3, 2],
        forbidden: vec![Forbidden { when: vec![(0, vec![3]), (2, vec![1])] }],
        strength: 2,
        stronger: None,
        given: vec![vec![2, 2, 1]],
    };
    let options = DesignOptions { minimum_rows: 0, replicates: 5, ..task.options(100) };
    let sizes = MatrixKind::ALL.map(|kind| {
        let design = design::cover(&task.space(), options, &task.matrix(kind), 1);
        (design.rows, design.lower_bound, design.cells.len())
    });
    let [(covering, 12, _), full, one] = sizes else { panic!("{sizes:?}") };
    assert!((12..=14).contains(&covering), "{covering}");
    // 4 · 3 · 2 less three forbidden; the baseline is one of them.
    assert_eq!(full, (21, 21, 25));
    // The baseline, 3 + 2 + 1 levels alone, one given cell.
    assert_eq!(one, (8, 8, 12));
}

#[test]
fn a_design_that_the_budget_cuts_says_so_and_keeps_given_cells_and_replicates() {
    let task = Task {
        levels: vec![6, 6, 4, 3],
        forbidden: Vec::new(),
        strength: 2,
        stronger: Some((vec![0, 1, 2], 3)),
        given: vec![vec![5, 5, 3, 2], vec![1, 0, 0, 0]],
    };
    let design = task.cover(MatrixKind::Covering, 50, 7);
    assert_eq!((design.rows, design.lower_bound, design.left_out), (47, 144, 97), "not built whole");
    let whole = task.cover(MatrixKind::Covering, 147, 7);
    assert!(whole.rows >= 144 && whole.cells.len() <= 147, "{} {}", whole.rows, whole.cells.len());
    assert_eq!(whole.left_out, if whole.cells.len() == 147 { whole.rows - 144 } else { 0 }, "built whole, and cut");
    assert_eq!(design.cells.len(), 50);
    let cells = rows(&design.cells);
    assert!(task.given.iter().all(|given| cells.contains(given)));
    assert!(design.requirements.iter().all(|said| 0 < said.covered && said.covered < said.total), "{design:?}");
    assert_eq!(task.cover(MatrixKind::Covering, 400, 7).left_out, 0);
}

/// Ninety thousand pairs, and room for fifty rows: the work is bounded by the room, and each row covers what it can.
#[test]
fn an_array_far_above_the_budget_is_not_built_whole() {
    let task =
        Task { levels: vec![300, 300, 3], forbidden: vec![], strength: 2, stronger: None, given: vec![vec![7, 7, 2]] };
    let design = task.cover(MatrixKind::Covering, 53, 1);
    assert_eq!((design.cells.len(), design.rows, design.lower_bound), (53, 50, 90_000));
    assert_eq!(design.left_out, 89_950);
    assert!(rows(&design.cells).contains(&task.given[0]));
    // Fifty rows have fifty pairs of each two factors at best; the baselines add three.
    let [said] = &design.requirements[..] else { panic!("{design:?}") };
    assert!((140..=153).contains(&said.covered), "{}", said.covered);
}

#[test]
fn a_tuple_that_is_taken_away_is_missed() {
    let task = Task { levels: vec![3; 4], forbidden: vec![], strength: 2, stronger: None, given: vec![] };
    let found = rows(&task.array(20_000, 1).rows);
    let (every, all) = (task.every(), [0, 1, 2, 3]);
    assert_eq!(count(&found, &every, &all, 2), (54, 54));
    let fewer: Vec<Vec<u16>> = found.into_iter().filter(|row| row[..2] != [1, 2]).collect();
    assert!(count(&fewer, &every, &all, 2).0 < 54, "the check itself must be able to fail");
}

/// The plan is bounded by work, not by the clock: on every machine the same seed gives this very array.
#[test]
fn the_same_seed_gives_the_same_array_on_every_machine() {
    let task = Task {
        levels: vec![4, 3, 3, 2],
        forbidden: vec![Forbidden { when: vec![(0, vec![1]), (1, vec![2])] }],
        strength: 2,
        stronger: Some((vec![1, 2, 3], 3)),
        given: vec![vec![3, 2, 1, 0]],
    };
    let array = task.array(20_000, 5);
    let text: Vec<String> = array.rows.iter().map(|row| row.0.iter().map(u16::to_string).collect::<String>()).collect();
    assert_eq!(
        text.join(" "),
        "3210 1111 2011 0000 0211 3001 2200 1020 3120 2121 0100 0221 1101 0201 2220 1010 3110 2021"
    );
}
