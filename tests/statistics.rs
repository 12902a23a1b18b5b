//! The crate's statistics against numbers of scipy and statsmodels (`tests/fixtures/statistics/make.py` made them).

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parallax::attribution::confirm::{Claim, Confirmation};
use parallax::attribution::evidence::{Evidence, Run};
use parallax::attribution::procedure::{Need, Procedure};
use parallax::attribution::rule::{Literal, Rule, RuleList};
use parallax::attribution::screen::Signal;
use parallax::attribution::{correction, effect, permutation, power};
use parallax::cell::{Assignment, Cell, CellId, Phase};
use parallax::design::feasible::Constraints;
use parallax::design::{Space, randomise};
use parallax::feature::ValueId;
use parallax::scenario::{DesignOptions, Forbidden};
use serde_json::Value as Json;

fn fixture() -> Json {
    serde_json::from_str(include_str!("fixtures/statistics/statistics.json")).unwrap()
}

fn list<'a>(fixture: &'a Json, name: &str) -> &'a Vec<Json> {
    let list = fixture[name].as_array().unwrap();
    assert!(!list.is_empty());
    list
}

fn pair(json: &Json) -> (f64, f64) {
    (json[0].as_f64().unwrap(), json[1].as_f64().unwrap())
}

fn close(ours: f64, theirs: &Json, tolerance: f64, what: &str) {
    let theirs = theirs.as_f64().unwrap();
    assert!((ours - theirs).abs() <= tolerance, "{what}: {ours}, not {theirs}");
}

fn space(levels: &[usize]) -> Space {
    let levels = levels.iter().map(|count| u16::try_from(*count).unwrap()).collect();
    Space { levels, constraints: Constraints::default() }
}

/// Evidence of one feature: (levels, value) of each run.
fn evidence(runs: impl IntoIterator<Item = (Vec<u16>, u32)>) -> Evidence {
    let mut evidence = Evidence::default();
    for (n, (levels, value)) in runs.into_iter().enumerate() {
        let (id, levels) = (CellId::nth(n), Assignment(levels));
        let cell = Cell { id, round: 0, phase: Phase::Cover, levels, replicate: 0 };
        evidence.push(Run { cell, row: vec![Some(ValueId(value))] });
    }
    evidence
}

#[test]
fn cramers_v_is_scipys_association() {
    for table in list(&fixture(), "tables") {
        let mut runs = Vec::new();
        for (level, row) in (0_u16..).zip(table["counts"].as_array().unwrap()) {
            for (value, count) in (0_u32..).zip(row.as_array().unwrap()) {
                runs.extend((0..count.as_u64().unwrap()).map(|_| (vec![level], value)));
            }
        }
        let evidence = evidence(runs);
        let v = effect::cramers_v(&evidence, &[0], 0);
        close(v, &table["cramers_v"], 1e-9, &table["counts"].to_string());
        let smaller = table["counts"].as_array().unwrap().len().min(table["counts"][0].as_array().unwrap().len());
        let [runs, smaller] = [evidence.runs().len(), smaller].map(|n| f64::from(u32::try_from(n).unwrap()));
        close(v * v * runs * (smaller - 1.0), &table["chi_squared"], 1e-9, &table["counts"].to_string());
    }
}

/// Rules that say the value of each cell, one by one.
fn table(cells: impl IntoIterator<Item = (Vec<u16>, u32)>) -> RuleList {
    let rules = cells.into_iter().map(|(cell, value)| {
        let when = cell.into_iter().enumerate();
        let when = when.map(|(factor, level)| Literal { factor, levels: BTreeSet::from([level]) }).collect();
        Rule { when, value: Some(ValueId(value)) }
    });
    RuleList { base: Some(ValueId(99)), rules: rules.collect() }
}

#[test]
fn bits_shares_and_interaction_are_scipys_entropies() {
    for function in list(&fixture(), "functions") {
        let values: Vec<Vec<u32>> = serde_json::from_value(function["table"].clone()).unwrap();
        let space = space(&[values.len(), values[0].len()]);
        let cells = (0_u16..).zip(&values).flat_map(|(a, row)| (0_u16..).zip(row).map(move |(b, v)| (vec![a, b], *v)));
        let distribution = effect::Distribution::new(&table(cells), &space);
        let name = function["name"].as_str().unwrap();
        close(distribution.bits(), &function["bits"], 1e-9, name);
        for (factor, share) in distribution.shares() {
            close(share, &function["own"][factor], 1e-9, name);
        }
        close(distribution.interaction().unwrap(), &function["interaction"], 1e-9, name);
    }
}

#[test]
fn interaction_of_three_factors_and_of_factors_that_constraints_tie_is_scipys() {
    for function in list(&fixture(), "functions_of_more") {
        let name = function["name"].as_str().unwrap();
        let sizes: Vec<u16> = serde_json::from_value(function["sizes"].clone()).unwrap();
        let cells: Vec<Vec<u16>> = serde_json::from_value(function["cells"].clone()).unwrap();
        let values: Vec<u32> = serde_json::from_value(function["values"].clone()).unwrap();
        let forbidden: Vec<Vec<u16>> = serde_json::from_value(function["forbidden"].clone()).unwrap();
        let forbid = |cell: &Vec<u16>| Forbidden { when: cell.iter().map(|level| vec![*level]).enumerate().collect() };
        let constraints = Constraints::new(sizes.clone(), forbidden.iter().map(forbid).collect());
        let space = Space { levels: sizes, constraints };
        let rules = table(cells.into_iter().zip(values.iter().copied()));
        // In their canonical form levels are taken together; the numbers must not notice.
        let canonical = Some(rules.canonical(&space)).filter(|canonical| canonical.factors() == rules.factors());
        for rules in canonical.into_iter().chain([rules]) {
            let distribution = effect::Distribution::new(&rules, &space);
            close(distribution.bits(), &function["bits"], 1e-9, name);
            let shares = distribution.shares();
            assert_eq!(shares.len(), space.factors(), "{name}");
            for (factor, share) in &shares {
                close(*share, &function["own"][factor], 1e-9, name);
            }
            close(distribution.interaction().unwrap(), &function["interaction"], 1e-9, name);
            assert_eq!(distribution.groups(), values.iter().collect::<BTreeSet<_>>().len(), "{name}");
        }
    }
}

#[test]
fn effects_of_many_levels_are_exact_and_of_very_many_near() {
    // 600 × 150 combinations are more than are gone through one by one; of their kinds there are four.
    let literal = |factor, levels: std::ops::Range<u16>| Literal { factor, levels: levels.collect() };
    let when = vec![literal(0, 0..60), literal(1, 50..150)];
    let rules = RuleList { base: None, rules: vec![Rule { when, value: Some(ValueId(1)) }] };
    let distribution = effect::Distribution::new(&rules, &space(&[600, 150]));
    let entropy = |p: f64| -p * p.log2() - (1.0 - p) * (1.0 - p).log2();
    let bits = entropy(0.1 * 2.0 / 3.0);
    assert!((distribution.bits() - bits).abs() < 1e-9, "{} not {bits}", distribution.bits());
    let own = bits - 0.1 * entropy(2.0 / 3.0);
    assert!((distribution.information(&[0]) - own).abs() < 1e-9, "{} not {own}", distribution.information(&[0]));

    // Seventeen factors of two levels, each of which gives a value of its own: drawn, not counted.
    let rule = |factor: usize| Rule {
        when: vec![literal(factor, 1..2)],
        value: Some(ValueId(u32::try_from(factor).unwrap())),
    };
    let rules = RuleList { base: None, rules: (0..17).map(rule).collect() };
    let distribution = effect::Distribution::new(&rules, &space(&[2; 17]));
    assert!((distribution.bits() - 2.0).abs() < 0.02, "{}", distribution.bits());
    assert!((distribution.information(&[16]) - 1.0).abs() < 0.02, "{}", distribution.information(&[16]));
    assert_eq!(distribution.interaction(), None);
}

#[test]
fn the_likelihood_ratio_is_half_of_scipys_g() {
    for case in list(&fixture(), "ratios") {
        let ratio = permutation::likelihood_ratio(pair(&case["inside"]), pair(&case["outside"]));
        close(ratio, &case["ratio"], 1e-9, &case.to_string());
    }
}

#[test]
fn the_scan_over_factors_is_near_exact_enumeration() {
    for case in list(&fixture(), "scans") {
        let levels: Vec<Vec<u16>> = serde_json::from_value(case["levels"].clone()).unwrap();
        let hits: BTreeSet<usize> = serde_json::from_value(case["hits"].clone()).unwrap();
        let runs = levels.into_iter().enumerate().map(|(run, cell)| (cell, u32::from(hits.contains(&run))));
        let evidence = evidence(runs);
        let all: Vec<usize> = (0..evidence.runs().len()).collect();
        let signal = Signal { features: vec![0], base: Some(ValueId(0)), deterministic: false, values: 2 };
        let mut generator = randomise::generator(11, "permutations");
        let p = permutation::first(&evidence, &space(&[3, 3]), &signal, &all, &mut generator).unwrap().p;
        // Four standard errors where 120 permutations as good end the count, at which the others are many more.
        let exact = case["p"].as_f64().unwrap();
        close(p, &case["p"], exact * 4.0 / 120.0_f64.sqrt(), &case.to_string());
    }
}

#[test]
fn what_no_permutation_reaches_passes_every_bar_however_many_values_were_tried() {
    let scan = |value: fn(u16) -> u32| {
        let evidence = evidence((0..64_u16).map(|run| (vec![run % 2], value(run))));
        let signal = Signal { features: vec![0], base: Some(ValueId(0)), deterministic: false, values: 4 };
        let all: Vec<usize> = (0..64).collect();
        permutation::first(&evidence, &space(&[2]), &signal, &all, &mut randomise::generator(3, "permutations"))
            .unwrap()
    };
    // Three values beside the base one: the p-value of a perfect split is thrice 1/4000.
    let clear = scan(|run| if run % 2 == 1 { 1 } else { [0, 0, 2, 3][usize::from(run / 2 % 4)] });
    assert!((clear.p - 3.0 / 4000.0).abs() < 1e-9, "{}", clear.p);
    assert!(clear.reaches(1e-6));
    let chance = scan(|run| u32::from(run / 2 % 4));
    assert!(chance.p > 0.05 && !chance.reaches(0.05), "{}", chance.p);
    assert!(chance.reaches(chance.p), "its own p is a bar that it reaches");
}

/// The p-value of the scan for one factor of two levels.
fn permutation_p(inside: (f64, f64), outside: (f64, f64), seed: u64) -> f64 {
    let mut runs = Vec::new();
    for (level, (hits, total)) in [(1_u16, inside), (0, outside)] {
        let mut left = hits;
        let mut done = 0.0;
        while done < total {
            runs.push((vec![level], u32::from(left > 0.0)));
            left -= 1.0;
            done += 1.0;
        }
    }
    let evidence = evidence(runs);
    let signal = Signal { features: vec![0], base: Some(ValueId(0)), deterministic: false, values: 2 };
    let all: Vec<usize> = (0..evidence.runs().len()).collect();
    let mut generator = randomise::generator(seed, "permutations");
    permutation::first(&evidence, &space(&[2]), &signal, &all, &mut generator).unwrap().p
}

#[test]
fn permutation_p_values_are_near_the_exact_ones() {
    for case in list(&fixture(), "permutations") {
        let exact = case["p"].as_f64().unwrap();
        // 999 permutations: four standard errors, and the 1 in (1 + #) / (B + 1).
        let tolerance = 4.0 * (exact * (1.0 - exact) / 999.0).sqrt() + 0.0011;
        close(
            permutation_p(pair(&case["inside"]), pair(&case["outside"]), 7),
            &case["p"],
            tolerance,
            &case.to_string(),
        );
    }
}

#[test]
fn the_least_permutation_p_value_is_scipys_and_never_zero() {
    let ours = permutation_p((30.0, 30.0), (0.0, 30.0), 3);
    // However many permutations there are: that of one of scipy's.
    let fixture = fixture();
    let least: Vec<f64> =
        list(&fixture, "least_permutation_p").iter().map(|case| case["p"].as_f64().unwrap()).collect();
    assert!(least.iter().any(|p| (p - ours).abs() < 1e-12), "{ours}, not one of {least:?}");
}

#[test]
fn what_a_design_may_have_missed_is_clopper_and_pearsons_bound() {
    for case in list(&fixture(), "missed") {
        let runs = case["runs"].as_u64().unwrap();
        // The rarer of two levels has so many runs.
        let runs = (0..2 * runs + 3).map(|n| (vec![u16::from(n < runs)], 0));
        let rate = power::smallest_rate(&evidence(runs), &space(&[2]), 1);
        close(rate, &case["rate"], 1e-9, &case.to_string());
        close(rate, &case["statsmodels"], 1e-9, &case.to_string());
        close(0.95, &case["power"], 1e-9, &case.to_string());
        assert_eq!(power::seen_rate(u32::try_from(case["runs"].as_u64().unwrap()).unwrap()), Some(rate));
    }
}

#[test]
fn adjusted_p_values_are_statsmodels() {
    for case in list(&fixture(), "corrections") {
        let p = case["p"].as_array().unwrap();
        for (p, adjusted) in p.iter().zip(case["adjusted"].as_array().unwrap()) {
            let e = 1.0 / p.as_f64().unwrap();
            let ours = correction::bonferroni(correction::anytime_p(e), case["p"].as_array().unwrap().len());
            close(ours, adjusted, 1e-12, &case.to_string());
        }
    }
}

/// E of a claim on the one factor of two levels after each of all sequences of five coins that seeds give.
fn processes(agent: impl Fn(&[u16]) -> u32, hedged: bool) -> BTreeMap<Vec<u16>, f64> {
    let space = space(&[2]);
    let when = vec![Literal { factor: 0, levels: BTreeSet::from([1]) }];
    let rules = RuleList { base: Some(ValueId(0)), rules: vec![Rule { when, value: Some(ValueId(1)) }] };
    let history = evidence((0..9).map(|n| (vec![u16::from(n >= 6)], u32::from(n >= 6))));
    let mut seen = BTreeMap::new();
    for seed in 0.. {
        // A bar that five coins cannot reach: all of them are flipped.
        let claim = Claim::new(0, rules.clone(), hedged, &history);
        let mut confirmation = Confirmation::new(vec![claim], 1e-6, 5, randomise::generator(seed, "coins"));
        let mut coins: Vec<u16> = Vec::new();
        while coins.len() < 5 {
            let round = confirmation.plan(&space);
            assert!(!round.is_empty(), "the plan ended after {coins:?}");
            for cell in round {
                let value = agent(&coins);
                confirmation.absorb(Some(&|_| Some(ValueId(value))));
                coins.push(cell.level(0));
            }
        }
        seen.insert(coins, confirmation.claims()[0].e);
        if seen.len() == 32 {
            break;
        }
        assert!(seed < 2000, "coins that are not fair: {:?}", seen.keys());
    }
    seen
}

#[test]
fn e_is_what_exact_fractions_give_and_its_mean_over_all_coins_is_1() {
    for case in list(&fixture(), "processes") {
        let agent = |coins: &[u16]| match case["agent"].as_str().unwrap() {
            "always 1" => 1,
            "turns to 1" => u32::from(coins.len() >= 2),
            "as the coin before" => coins.last().map_or(0, |coin| u32::from(*coin)),
            "against the coin before" => coins.last().map_or(1, |coin| 1 - u32::from(*coin)),
            "a value of its own" => 2 * u32::from(coins.iter().sum::<u16>() % 2 == 1),
            other => panic!("{other}"),
        };
        let ours = processes(agent, case["hedged"].as_bool().unwrap());
        for sequence in case["sequences"].as_array().unwrap() {
            let coins: Vec<u16> = serde_json::from_value(sequence["coins"].clone()).unwrap();
            let e = sequence["e"].as_f64().unwrap();
            close(ours[&coins], &sequence["e"], 1e-9 * e, &format!("{} {coins:?}", case["agent"]));
        }
        let mean = ours.values().sum::<f64>() / 32.0;
        assert!((mean - 1.0).abs() < 1e-9, "{mean} for {}", case["agent"]);
    }
}

#[test]
fn the_chance_of_confirmation_is_that_of_all_sequences_of_coins() {
    for case in list(&fixture(), "confirmations") {
        let coins = u32::try_from(case["coins"].as_u64().unwrap()).unwrap();
        let (rate, bar) = (case["rate"].as_f64().unwrap(), case["bar"].as_f64().unwrap());
        close(power::confirmation_chance(rate, coins, bar), &case["chance"], 1e-8, &case.to_string());
    }
    for case in list(&fixture(), "without_chance") {
        let coins = power::coins_needed(case["e"].as_f64().unwrap());
        assert_eq!(u64::from(coins), case["coins"].as_u64().unwrap(), "{case}");
    }
}

/// The share of confirmations that end with a claim on all of `order` factors, each by its own coins, where the value shows
/// at `rate` with the trigger and never elsewhere.
fn confirmed(order: u32, rate: f64, coins: u32, e: f64) -> f64 {
    let space = space(&vec![2; order as usize]);
    let when = (0..order as usize).map(|factor| Literal { factor, levels: BTreeSet::from([1]) });
    let rules =
        RuleList { base: Some(ValueId(0)), rules: vec![Rule { when: when.collect(), value: Some(ValueId(1)) }] };
    let mut confirmed = 0;
    for seed in 0..400 {
        let mut chance = randomise::generator(seed, "agent");
        let mut agent = |levels: &[u16]| {
            let shows = levels.iter().all(|level| *level == 1) && randomise::below(10_000, &mut chance) < rate_in(rate);
            u32::from(shows)
        };
        let cells = (0..96_u16).map(|n| (0..order).map(|factor| n >> factor & 1).collect::<Vec<u16>>());
        let history = evidence(cells.map(|cell| {
            let value = agent(&cell);
            (cell, value)
        }));
        let claim = Claim::new(0, rules.clone(), rate < 1.0, &history);
        let generator = randomise::generator(seed, "coins");
        let mut confirmation = Confirmation::new(vec![claim], 1.0 / e, coins as usize, generator);
        loop {
            let round = confirmation.plan(&space);
            if round.is_empty() {
                break;
            }
            for cell in round {
                let value = agent(&cell.0);
                confirmation.absorb(Some(&|_| Some(ValueId(value))));
            }
        }
        let claim = &confirmation.claims()[0];
        let all = claim.confirmed_factors(e).iter().all(|confirmed| *confirmed);
        confirmed += u32::from(claim.e >= e && all);
    }
    f64::from(confirmed) / 400.0
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
fn rate_in(rate: f64) -> usize {
    (rate * 10_000.0) as usize
}

#[test]
fn the_smallest_rate_that_is_confirmed_is_what_the_confirmation_itself_confirms() {
    for (order, coins, e) in [(1, 120, 25.0), (1, 40, 150.0), (2, 120, 75.0), (3, 120, 75.0)] {
        let rate = power::confirmed_rate(order, coins, e).unwrap();
        let (at, below) = (confirmed(order, rate, coins, e), confirmed(order, rate / 2.0, coins, e));
        println!("order {order}, {coins} coins, E {e}: rate {rate:.3}, confirmed {at}, at half of it {below}");
        assert!(at >= 0.9, "{at} of confirmations at rate {rate} with {coins} coins of {order} factors, E {e}");
        assert!(below < 0.6, "{below} of confirmations at half of rate {rate}, {order} factors");
    }
    // Without chance: exactly where there are coins enough.
    for (order, e) in [(1, 25.0), (1, 275.0), (2, 25.0)] {
        let enough = (1..99).find(|coins| power::confirmed_rate(order, *coins, e).is_some()).unwrap();
        assert!(confirmed(order, 1.0, 2 * enough, e) > 0.95, "{enough} coins twice for {order} factors, E {e}");
        assert!(confirmed(order, 1.0, enough - 1, e) < 0.05, "{enough} coins less one for {order} factors, E {e}");
    }
}

#[test]
fn what_power_takes_for_granted_is_what_the_procedure_does() {
    // Values of their own make; one factor of many decides over a value that shows at a rate near what can be confirmed.
    let mut most = 0;
    for seed in 0..6 {
        let mut chance = randomise::generator(seed, "agent");
        let options = DesignOptions { strength: 1, budget: 900, replicates: 8, minimum_rows: 64, alpha: 0.05 };
        let mut procedure = Procedure::new(Arc::new(space(&[2, 2, 3])), options, seed);
        while let Need::Cells(cells) = procedure.step() {
            for cell in cells {
                let shows = cell.levels.level(0) == 1 && randomise::below(100, &mut chance) < 38;
                procedure.absorb(Some(vec![Some(ValueId(u32::from(shows)))]));
            }
        }
        for judged in procedure.judged() {
            // The first confirmation's share of α, or the second's, which is smaller.
            assert!(judged.threshold >= power::e_needed(judged.claims - 1, 0.05) - 1e-9, "{}", judged.threshold);
            most = most.max(judged.claim.coins.iter().sum());
        }
    }
    assert!(most > 0, "nothing was confirmed or refuted");
    assert!(most <= power::coins_available(usize::MAX, 0), "{most} coins");
}

#[test]
fn exposure_counts_the_combinations_that_constraints_allow() {
    let cells = [[0, 0, 0], [0, 1, 0], [1, 0, 1], [1, 0, 1], [2, 0, 0], [2, 0, 0], [2, 1, 1], [2, 1, 1]];
    let evidence = evidence(cells.map(|cell| (cell.to_vec(), 0)));
    let free = space(&[3, 2, 2]);
    let exposure = |space: &Space, order| power::exposure(&evidence, space, order).unwrap();
    assert_eq!(exposure(&free, 1), power::Exposure { covered: 7, total: 7, least: 2 });
    assert_eq!(exposure(&free, 2), power::Exposure { covered: 13, total: 16, least: 0 });
    assert_eq!(exposure(&free, 3), power::Exposure { covered: 5, total: 12, least: 0 });
    assert!(power::exposure(&evidence, &free, 4).is_none());
    // The three pairs that were not run are the ones that cannot be.
    let forbidden =
        [vec![(0, vec![1]), (1, vec![1])], vec![(0, vec![0]), (2, vec![1])], vec![(0, vec![1]), (2, vec![0])]];
    let constraints = Constraints::new(vec![3, 2, 2], forbidden.map(|when| Forbidden { when }).to_vec());
    let tied = Space { levels: vec![3, 2, 2], constraints };
    assert_eq!(exposure(&tied, 2), power::Exposure { covered: 13, total: 13, least: 1 });
    assert_eq!(exposure(&tied, 3), power::Exposure { covered: 5, total: 7, least: 0 });
}

#[test]
fn the_smallest_rate_promises_nothing_of_what_was_not_run() {
    let cells = [[0, 0, 0], [0, 1, 0], [1, 0, 1], [1, 0, 1], [2, 0, 0], [2, 0, 0], [2, 1, 1], [2, 1, 1]];
    let of = |cells: &[[u16; 3]]| evidence(cells.iter().map(|cell| (cell.to_vec(), 0)));
    let free = space(&[3, 2, 2]);
    let rate = |evidence: &Evidence, space: &Space, strength| power::smallest_rate(evidence, space, strength);
    let exact = |ours: f64, theirs: f64| assert!((ours - theirs).abs() < 1e-12, "{ours}, not {theirs}");
    exact(rate(&of(&cells), &free, 1), power::seen_rate(2).unwrap());
    // Three of sixteen pairs were not run: the rarest of the others is no promise.
    exact(rate(&of(&cells), &free, 2), 1.0);
    // With them forbidden, each that is allowed was run.
    let forbidden =
        [vec![(0, vec![1]), (1, vec![1])], vec![(0, vec![0]), (2, vec![1])], vec![(0, vec![1]), (2, vec![0])]];
    let constraints = Constraints::new(vec![3, 2, 2], forbidden.map(|when| Forbidden { when }).to_vec());
    let tied = Space { levels: vec![3, 2, 2], constraints };
    exact(rate(&of(&cells), &tied, 2), power::seen_rate(1).unwrap());
    // More than there are factors is all of them.
    exact(rate(&of(&cells), &tied, 4), 1.0);
    // Runs of later phases do not count: what they were asked for depends on what was seen.
    let mut later = of(&cells);
    for (n, levels) in [[0, 0, 0], [1, 0, 1], [0, 1, 0], [1, 0, 1]].iter().cycle().take(40).enumerate() {
        let (id, levels) = (CellId::nth(100 + n), Assignment(levels.to_vec()));
        let cell = Cell { id, round: 1, phase: Phase::Explain, levels, replicate: 0 };
        later.push(Run { cell, row: vec![Some(ValueId(0))] });
    }
    exact(rate(&later, &free, 1), power::seen_rate(2).unwrap());
}

#[test]
fn what_would_take_long_to_count_is_not_promised_and_takes_no_time() {
    let began = std::time::Instant::now();
    // Half a million sets of four factors, three hundred runs.
    let mut chance = randomise::generator(1, "rows");
    let mut level = || u16::try_from(randomise::below(2, &mut chance)).unwrap();
    let runs: Vec<(Vec<u16>, u32)> = (0..300).map(|_| ((0..60).map(|_| level()).collect(), 0)).collect();
    let runs = evidence(runs);
    assert!((power::smallest_rate(&runs, &space(&[2; 60]), 4) - 1.0).abs() < 1e-12);
    assert!((power::smallest_rate(&runs, &space(&[2; 60]), 2) - 1.0).abs() > 0.5, "pairs are counted");
    // Constraints that tell all levels of every factor apart.
    let levels = vec![12; 24];
    let forbidden = (0..24_usize).flat_map(|factor| {
        (1..12_u16).map(move |level| Forbidden { when: vec![(factor, vec![level]), ((factor + 1) % 24, vec![level])] })
    });
    let tied = Space { constraints: Constraints::new(levels.clone(), forbidden.collect()), levels };
    let runs = evidence((0..80).map(|n| (vec![n % 12; 24], 0)));
    assert!((power::smallest_rate(&runs, &tied, 4) - 1.0).abs() < 1e-12);
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}
