//! The procedure on agents that are functions of their levels.

use super::*;
use crate::attribution::rule::{Literal, Rule};
use crate::design::feasible::Constraints;
use crate::feature::ValueId;

fn options() -> DesignOptions {
    DesignOptions { strength: 2, budget: 400, replicates: 8, minimum_rows: 64, alpha: 0.05 }
}

/// Runs the procedure on an agent given as a function from levels to a row.
fn run(levels: &[u16], seed: u64, agent: impl FnMut(&[u16]) -> Vec<u32>) -> Procedure {
    run_without(levels, options(), seed, |_| false, agent)
}

/// The same, where the cover phase has no cell that `never` names: what depends on it can only be met later.
fn run_without(
    levels: &[u16],
    options: DesignOptions,
    seed: u64,
    never: impl Fn(&[u16]) -> bool,
    mut agent: impl FnMut(&[u16]) -> Vec<u32>,
) -> Procedure {
    let space = Arc::new(Space { levels: levels.to_vec(), constraints: Constraints::default() });
    let mut design = design::cover(&space, options, &Matrix::default(), seed);
    design.cells.retain(|cell| !never(&cell.0));
    let mut procedure = Procedure::of_design(space, options, design, seed);
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
fn what_the_cover_phase_tells_by_itself_costs_no_further_cells() {
    for seed in 0..6 {
        let explaining = |agent: fn(&[u16]) -> u32| {
            let procedure = run(&LEVELS, seed, |c| vec![agent(c)]);
            assert_eq!(confirmed(&procedure).len(), 1, "seed {seed}");
            cells_of(&procedure, Phase::Explain).len()
        };
        assert_eq!(explaining(|c| u32::from(matches!(c[0], 2 | 5)) + 2 * u32::from(c[0] == 7)), 0, "seed {seed}");
        // Controls: a needle, and what only most of a factor's runs show.
        assert!(explaining(|c| u32::from(c[0] == 6 && c[3] == 2)) > 0, "seed {seed}");
        assert!(explaining(|c| u32::from(c[3] == 2 && c[1] != 4)) > 0, "seed {seed}");
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
    let (mut claims, mut told) = ([0, 0], 0);
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
                told += u32::from(tell.is_some_and(|claim| claim.rules.factors().contains(&0)));
            }
        }
    }
    assert!(claims[1] * 2 < claims[0], "{claims:?}");
    // It shows in a few cells of the cover phase alone, and in nine of ten runs of these.
    assert!(told >= 5, "{told} of 6");
}

#[test]
fn what_is_clear_beside_much_chance_is_told_and_no_doubt_is_followed_there() {
    let space = Arc::new(Space { levels: LEVELS.to_vec(), constraints: Constraints::default() });
    let (mut cells, mut doubts) = ([0, 0], 0);
    for (crowded, cells) in [false, true].into_iter().zip(&mut cells) {
        for seed in 0..6 {
            let mut chance = randomise::generator(seed, "telemetry");
            let mut procedure = Procedure::new(Arc::clone(&space), options(), seed);
            // Feature 0 is the request, or an empty one that nothing stands in.
            let containers: Vec<_> = std::iter::once(None).chain([crowded.then_some(0); 33]).collect();
            procedure.board().update(|evidence| evidence.contain(&containers));
            while let Need::Cells(cells) = procedure.step() {
                for cell in cells {
                    let mut row = vec![Some(ValueId(9))];
                    // What goes with a factor a little, and what goes with it clearly.
                    let rate = |of: usize| if cell.levels.level(1) == 0 { 5 } else { of };
                    row.extend((0..31).map(|_| Some(ValueId(u32::from(randomise::below(10, &mut chance) < rate(7))))));
                    row.push(Some(ValueId(u32::from(randomise::below(6, &mut chance) < rate(0)))));
                    row.push(Some(ValueId(u32::from(cell.levels.level(0) == 6 && cell.levels.level(3) == 2))));
                    procedure.absorb(Some(row));
                }
            }
            let told: Vec<usize> = confirmed(&procedure).iter().flat_map(|(features, _)| features.clone()).collect();
            assert!(told.contains(&33), "seed {seed}: a needle in the same request");
            assert!(told.contains(&32) || !crowded, "seed {seed}: what is clear, {told:?}");
            *cells += cells_of(&procedure, Phase::Explain).len();
            doubts += if crowded { procedure.unexplained().len() } else { 0 };
        }
    }
    assert!(cells[1] * 4 < cells[0] * 3, "{cells:?}");
    assert!(doubts > 0, "and what was in doubt is said to be unexplained");
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

/// The cells of a phase, in the order in which they were run.
fn cells_of(procedure: &Procedure, phase: Phase) -> Vec<Cell> {
    procedure.board().with(|evidence| {
        let cells = evidence.runs().iter().map(|run| run.cell.clone());
        cells.filter(|cell| cell.phase == phase).collect()
    })
}

/// What a claim that is confirmed a second time has to reach.
fn second_threshold(judged: &Judged) -> f64 {
    f64::from(u32::try_from(judged.claims).unwrap()) / (options().alpha * (1.0 - FIRST_SHARE))
}

fn judged_again(procedure: &Procedure) -> Vec<&Judged> {
    let again = |judged: &&Judged| (judged.threshold - second_threshold(judged)).abs() < 1e-6;
    procedure.judged().iter().filter(again).collect()
}

/// A marker whose exception no cell of the cover phase has, so that coins contradict what was learned of it.
fn with_an_exception(c: &[u16]) -> u32 {
    u32::from(c[1] == 2 && c[3] < 2)
}

fn is_the_exception(c: &[u16]) -> bool {
    c[1] == 2 && c[3] >= 2
}

#[test]
fn two_confirmations_have_no_more_runs_than_one_may_have() {
    let mut twice = 0;
    for seed in 0..8 {
        if twice > 0 {
            break;
        }
        let mut chance = randomise::generator(seed, "an agent");
        let options = DesignOptions { budget: 900, ..options() };
        // Claims that chance has a part in, all on one factor, each of other levels: the first confirmation ends with its
        // runs, not with them.
        let sets: Vec<[u16; 2]> = (1..8).flat_map(|a| (a..8).map(move |b| [a, b])).collect();
        let procedure = run_without(&LEVELS, options, seed, is_the_exception, |c| {
            let mut row = vec![with_an_exception(c)];
            row.extend(sets.iter().map(|set| u32::from(set.contains(&c[0])) & u32::from(randomise::coin(&mut chance))));
            row
        });
        let confirming = cells_of(&procedure, Phase::Confirm).len();
        assert!(confirming <= MOST_CONFIRM, "seed {seed}: {confirming} runs with coins");
        twice += usize::from(confirming == MOST_CONFIRM && !judged_again(&procedure).is_empty());
    }
    assert!(twice > 0, "no agent had claims for both confirmations and used up their runs");
}

#[test]
fn what_is_learned_once_more_has_no_more_runs_than_all_explanations_may_have() {
    let levels = [8; 7];
    let pairs: Vec<(usize, usize)> = (0..7).flat_map(|a| (a + 1..7).map(move |b| (a, b))).collect();
    let mut chance = randomise::generator(1, "tables");
    let tables: Vec<Vec<u32>> =
        pairs.iter().map(|_| (0..64).map(|_| u32::from(randomise::coin(&mut chance))).collect()).collect();
    for seed in 0..2 {
        let options = DesignOptions { budget: 2_000, ..options() };
        // Tables over every two factors need more rules than there may be, and more cells.
        let procedure = run_without(&levels, options, seed, is_the_exception, |c| {
            let mut row = vec![with_an_exception(c)];
            row.extend(pairs.iter().zip(&tables).map(|((a, b), table)| table[usize::from(c[*a] * 8 + c[*b])]));
            row
        });
        let explaining = cells_of(&procedure, Phase::Explain);
        assert_eq!(explaining.len(), MOST_EXPLAIN, "seed {seed}: all were needed, and no more were asked for");
        let contradicted = cells_of(&procedure, Phase::Confirm).iter().any(|cell| is_the_exception(&cell.levels.0));
        assert!(contradicted, "seed {seed}: there was nothing to learn once more");
    }
}

#[test]
fn a_contradicted_claim_is_confirmed_afresh_by_coins_of_its_own_against_the_rest_of_alpha() {
    let mut fresh = 0;
    for seed in 0..6 {
        let procedure =
            run_without(&LEVELS, options(), seed, is_the_exception, |c| vec![with_an_exception(c), u32::from(c[2])]);
        let coins = cells_of(&procedure, Phase::Confirm);
        let explained = cells_of(&procedure, Phase::Explain);
        let Some(last) = explained.last().filter(|last| last.round > coins[0].round) else { continue };
        let (first, second): (Vec<&Cell>, Vec<&Cell>) = coins.iter().partition(|cell| cell.round < last.round);
        let judged = judged_again(&procedure);
        let [again] = &judged[..] else { panic!("seed {seed}: {:?}", procedure.judged()) };
        assert!((again.threshold - 1.0 / (0.05 * 0.2)).abs() < 1e-6, "one claim: {}", again.threshold);
        assert_eq!(again.claim.standing, Standing::Confirmed);
        assert_eq!(again.claim.factors, [1, 3]);
        // What the first confirmation earned is not counted.
        assert!(again.claim.course.len() <= second.len(), "{} of {}", again.claim.course.len(), second.len());
        // The other claim, which nothing contradicted, has had its confirmation.
        let once = procedure.judged().iter().find(|judged| judged.claim.factors == [2]).unwrap();
        assert!((once.threshold - 2.0 / (0.05 * 0.8)).abs() < 1e-6, "two claims: {}", once.threshold);
        // Levels of the factors that neither claim names are drawn first of all: the same coins would draw the same.
        let drawn = |cell: &Cell| [0, 4, 5].map(|factor| cell.levels.level(factor));
        fresh += usize::from(drawn(first[0]) != drawn(second[0]));
    }
    assert!(fresh > 0, "no claim was confirmed twice, or always by the same coins");
}

#[test]
fn more_values_than_there_may_be_rules_are_a_table() {
    // Forty pairs of levels, and no order in their values.
    let table = |c: &[u16]| (u32::from(c[0]) * 7 + u32::from(c[1]) * 11 + u32::from(c[0] * c[0] * c[1])) % 5;
    for seed in 0..3 {
        let procedure = run(&LEVELS, seed, |c| vec![table(c)]);
        let found = confirmed(&procedure);
        let [(_, rules)] = &found[..] else { panic!("seed {seed}: {found:?}") };
        assert_eq!(rules.factors(), [0, 1], "seed {seed}");
        for (a, b) in (0..8).flat_map(|a| (0..5).map(move |b| (a, b))) {
            let cell = [a, b, 1, 2, 1, 0];
            assert_eq!(rules.predict(&Assignment(cell.to_vec())), Some(ValueId(table(&cell))), "seed {seed}, {cell:?}");
        }
    }
}

#[test]
fn a_factor_found_by_accident_beside_chance_is_not_reported() {
    // A confirmation whose runs have ended: the claim as a whole and its first factor are confirmed, its second is not, and
    // no run speaks for it.
    let space = Arc::new(Space { levels: vec![3, 2, 2], constraints: Constraints::default() });
    let mut procedure = Procedure::new(space, options(), 1);
    procedure.board.update(|evidence| {
        for n in 0..48_u16 {
            let levels = Assignment(vec![n % 3, n / 3 % 2, n / 6 % 2]);
            let shows = levels.level(1) == 1 && n % 5 != 0;
            let cell = Cell { id: CellId::nth(n.into()), round: 0, phase: Phase::Cover, levels, replicate: 0 };
            evidence.push(Run { cell, row: vec![Some(ValueId(u32::from(shows)))] });
        }
    });
    let base = Some(ValueId(0));
    let rule = Rule { when: vec![literal(1, &[1]), literal(2, &[1])], value: Some(ValueId(1)) };
    let rules = RuleList { base, rules: vec![rule] };
    let mut claim = procedure.board.with(|evidence| Claim::new(0, rules.clone(), true, evidence));
    (claim.e, claim.e_factor, claim.coins) = (300.0, vec![60.0, 5.0], vec![9, 9]);
    let signal = Signal { features: vec![0], base, deterministic: false, values: 2 };
    procedure.explanations = vec![Explanation { signal, rules, ending: Ending::Noisy, ignored: 0 }];
    procedure.stage = Stage::Confirm {
        confirmation: Box::new(Confirmation::new(vec![claim], 0.04, 0, randomise::generator(1, "coins"))),
        members: vec![vec![0]],
        again: false,
        claimed: 1,
    };
    assert!(matches!(procedure.step(), Need::Nothing));
    let [judged] = procedure.judged() else { panic!("{:?}", procedure.judged()) };
    assert_eq!((judged.claim.standing, judged.claim.factors.as_slice()), (Standing::Confirmed, &[1][..]));
    assert_eq!(judged.claim.confirmed_factors(judged.threshold), [true]);
}

#[test]
fn what_a_run_is_expected_to_cost_is_about_what_runs_cost() {
    let spaces = [vec![8, 5, 4, 3], [vec![8, 5, 4, 4], vec![3; 8], vec![2; 8]].concat()];
    let mut expected = Vec::new();
    for levels in spaces {
        let space = Arc::new(Space { levels: levels.clone(), constraints: Constraints::default() });
        let plan = Procedure::new(space, options(), 1);
        let phases = plan.expected_by_phase();
        assert_eq!(plan.expected_cells(), phases.iter().sum::<usize>());
        expected.push(plan.expected_cells());
        // Between one marker and several.
        let marker = |c: &[u16], n: usize| u32::from(c[n] == 2 && c[n + 1] != 0);
        let cost = |markers: usize| {
            let procedure = run(&levels, 1, |c| (0..3).map(|n| if n < markers { marker(c, n) } else { 0 }).collect());
            assert_eq!(confirmed(&procedure).len(), markers);
            procedure.counts().1
        };
        let (one, several) = (cost(1), cost(3));
        assert!(one / 2 < plan.expected_cells() && plan.expected_cells() < 2 * several, "{one}–{several}: {phases:?}");
    }
    assert_eq!(expected[0], expected[1], "more factors hardly cost more");
}

#[test]
fn a_claim_that_chance_has_a_part_in_says_how_it_was_screened() {
    let mut chance = randomise::generator(1, "an agent");
    let procedure = run(&LEVELS, 1, |c| {
        vec![u32::from(c[1] == 2), u32::from(c[0] >= 4) & u32::from(randomise::below(10, &mut chance) < 8)]
    });
    let screened: Vec<(usize, Option<f64>)> =
        procedure.judged().iter().map(|judged| (judged.claim.feature, judged.screen_p)).collect();
    // None of 3,999 permutations is as good, and one value was tried: 1/4,000. What is certain was not screened.
    assert_eq!(screened, [(0, None), (1, Some(0.00025))]);
}

#[test]
fn what_shows_now_and_then_is_not_swept_as_an_interaction() {
    let mut cells = 0;
    for seed in 0..12 {
        let mut chance = randomise::generator(seed, "now and then");
        let procedure = run(&LEVELS, seed, |c| {
            let inside = c[1] > 1 && c[0] > 2;
            (0..3).map(|_| u32::from(inside && randomise::below(10, &mut chance) < 7)).collect()
        });
        cells += cells_of(&procedure, Phase::Explain).len();
    }
    // Without a second look at the cells that its sweep would start from it was 757.
    assert!(cells <= 660, "{cells} cells of twelve agents");
}

#[test]
fn no_cells_are_asked_for_where_so_many_runs_tell_a_further_factor() {
    let (mut cells, mut both) = (0, 0);
    for seed in 0..12 {
        let mut chance = randomise::generator(seed, "plenty");
        let options = DesignOptions { minimum_rows: 160, ..options() };
        let procedure = run_without(
            &[2, 2, 3, 4, 5],
            options,
            seed,
            |_| false,
            |c| {
                let rate = if c[0] == 1 && c[1] == 1 { 17 } else { 1 };
                vec![u32::from(randomise::below(20, &mut chance) < rate)]
            },
        );
        cells += cells_of(&procedure, Phase::Explain).len();
        both += confirmed(&procedure).iter().filter(|(_, rules)| rules.factors() == [0, 1]).count();
    }
    assert_eq!(both, 12);
    assert!(cells <= 24, "{cells} cells of twelve agents");
}
