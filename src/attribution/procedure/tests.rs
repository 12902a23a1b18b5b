//! The procedure on agents that are functions of their levels.

use super::*;
use crate::attribution::rule::Literal;
use crate::design::feasible::Constraints;
use crate::feature::ValueId;

fn options() -> DesignOptions {
    DesignOptions { strength: 2, budget: 400, replicates: 8, minimum_rows: 64, alpha: 0.05 }
}

/// Runs the procedure on an agent given as a function from levels to a row.
fn run(levels: &[u16], seed: u64, mut agent: impl FnMut(&[u16]) -> Vec<u32>) -> Procedure {
    let space = Arc::new(Space { levels: levels.to_vec(), constraints: Constraints::default() });
    let mut procedure = Procedure::new(space, options(), seed);
    loop {
        match procedure.step() {
            Need::Cells(cells) => {
                for cell in cells {
                    let row = agent(&cell.levels.0).into_iter().map(|value| Some(ValueId(value))).collect();
                    procedure.absorb(Some(row));
                }
            }
            Need::Nothing => return procedure,
        }
    }
}

fn confirmed(procedure: &Procedure) -> Vec<(Vec<usize>, RuleList)> {
    procedure
        .judged()
        .iter()
        .filter(|judged| judged.claim.standing == Standing::Confirmed)
        .map(|judged| (judged.features.clone(), judged.claim.rules.clone()))
        .collect()
}

fn literal(factor: usize, levels: &[u16]) -> Literal {
    Literal { factor, levels: levels.iter().copied().collect() }
}

const LEVELS: [u16; 6] = [8, 5, 2, 4, 3, 3];

#[test]
fn main_effects_interactions_and_needles_are_found_exactly_for_every_seed() {
    for seed in 0..12 {
        let procedure = run(&LEVELS, seed, |c| {
            vec![
                u32::from(matches!(c[1], 2 | 3)) + 2 * u32::from(matches!(c[1], 3 | 4)),
                u32::from(matches!(c[0], 4 | 5) && c[1] != 0),
                u32::from(c[1] != 0),
                u32::from(c[0] == 6 && c[3] == 2),
                u32::from((c[2] == 1) != (c[5] == 1)),
                7,
            ]
        });
        let found = confirmed(&procedure);
        assert_eq!(found.len(), 5, "seed {seed}: {found:?}");
        let of = |feature: usize| {
            found.iter().find(|(features, _)| features.contains(&feature)).map(|(_, rules)| rules.clone()).unwrap()
        };
        assert_eq!(of(0).factors(), [1]);
        assert_eq!(of(0).rules.len(), 3, "four values");
        assert_eq!(of(1).rules.len(), 1);
        assert_eq!(of(1).rules[0].when, [literal(0, &[4, 5]), literal(1, &[1, 2, 3, 4])]);
        assert_eq!(of(2).rules[0].when, [literal(1, &[1, 2, 3, 4])]);
        assert_eq!(of(3).rules[0].when, [literal(0, &[6]), literal(3, &[2])]);
        assert_eq!(of(4).factors(), [2, 5]);
        let (_, cells, _) = procedure.counts();
        assert!(cells <= 250, "{cells} cells");
    }
}

#[test]
fn chance_is_accused_of_nothing() {
    let mut accused = 0;
    for seed in 0..60 {
        let mut chance = randomise::generator(seed, "an innocent agent");
        let procedure = run(&LEVELS, seed, |_| {
            let ten_percent = u32::from(randomise::below(10, &mut chance) == 0);
            (0..12)
                .map(|noise| match noise {
                    0..4 => u32::from(randomise::below(10, &mut chance) == 0),
                    4..8 => u32::from(randomise::coin(&mut chance)),
                    8 | 9 => ten_percent,
                    _ => u32::try_from(randomise::below(100_000, &mut chance)).unwrap(),
                })
                .collect()
        });
        accused += confirmed(&procedure).len();
    }
    assert!(accused <= 1, "{accused} false accusations in 60 runs");
}

#[test]
fn a_tell_stays_exact_beside_noise() {
    for seed in 0..12 {
        let mut chance = randomise::generator(seed, "noise");
        let procedure = run(&LEVELS, seed, |c| {
            vec![
                u32::from(randomise::below(10, &mut chance) == 0),
                u32::from(c[3] == 3),
                u32::from(randomise::coin(&mut chance)),
            ]
        });
        let found = confirmed(&procedure);
        assert_eq!(found.len(), 1, "seed {seed}: {found:?}");
        assert_eq!(found[0].1.rules[0].when, [literal(3, &[3])]);
    }
}

#[test]
fn the_same_seed_asks_for_the_same_cells() {
    let cells = |seed| {
        let procedure = run(&LEVELS, seed, |c| vec![u32::from(c[0] == 6 && c[3] == 2), u32::from(c[4] == 1)]);
        procedure.board().with(|evidence| evidence.runs().iter().map(|run| run.cell.clone()).collect::<Vec<_>>())
    };
    assert_eq!(cells(3), cells(3));
    assert_ne!(cells(3), cells(4));
}

#[test]
fn noise_in_a_request_that_is_not_always_sent_is_no_claim_of_its_own() {
    let space = Arc::new(Space { levels: LEVELS.to_vec(), constraints: Constraints::default() });
    let mut claims = [0, 0];
    for (known, claims) in [false, true].into_iter().zip(&mut claims) {
        for seed in 0..6 {
            let mut chance = randomise::generator(seed, "telemetry");
            let mut procedure = Procedure::new(Arc::clone(&space), options(), seed);
            if known {
                let containers: Vec<_> = std::iter::once(None).chain([Some(0); 12]).collect();
                procedure.board().update(|evidence| evidence.contain(&containers));
            }
            while let Need::Cells(cells) = procedure.step() {
                for cell in cells {
                    let sent = cell.levels.level(1) == 0;
                    let mut row = vec![sent.then_some(ValueId(9))];
                    row.extend((1..12).map(|_| {
                        let value = u32::try_from(randomise::below(2, &mut chance)).unwrap_or(0);
                        sent.then_some(ValueId(value))
                    }));
                    // A tell inside of it.
                    let tell = u32::from(cell.levels.level(0) == 4 && randomise::below(10, &mut chance) < 9);
                    row.push(sent.then_some(ValueId(tell)));
                    procedure.absorb(Some(row));
                }
            }
            let judged = procedure.judged();
            *claims += judged.len();
            let telling = |feature: usize| {
                let mut of = judged.iter().filter(|judged| judged.features.contains(&feature));
                of.any(|judged| judged.claim.standing == Standing::Confirmed)
            };
            assert!(telling(0), "seed {seed}");
            if known {
                let tell = judged.iter().find(|judged| judged.features.contains(&12)).map(|one| &one.claim);
                assert!(tell.is_some_and(|claim| claim.rules.factors().contains(&0)), "seed {seed}: {tell:?}");
            }
        }
    }
    assert!(claims[1] * 2 < claims[0], "{claims:?}");
}

#[test]
fn lost_cells_end_the_run_without_a_claim() {
    let space = Arc::new(Space { levels: vec![2, 2], constraints: Constraints::default() });
    let mut procedure = Procedure::new(space, options(), 1);
    while let Need::Cells(cells) = procedure.step() {
        for _ in cells {
            procedure.absorb(None);
        }
    }
    assert!(procedure.judged().is_empty());
    assert_eq!(procedure.counts().1, procedure.counts().2);
}
