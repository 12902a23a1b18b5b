//! The crate's statistics against numbers of scipy and statsmodels (`tests/fixtures/statistics/make.py` made them).

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use parallax::attribution::evidence::{Evidence, Run};
use parallax::attribution::rule::{Literal, Rule, RuleList};
use parallax::attribution::screen::Signal;
use parallax::attribution::{effect, permutation, power};
use parallax::cell::{Assignment, Cell, CellId, Phase};
use parallax::design::feasible::Constraints;
use parallax::design::{Space, randomise};
use parallax::feature::ValueId;
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
        close(effect::cramers_v(&evidence(runs), &[0], 0), &table["cramers_v"], 1e-9, &table["counts"].to_string());
    }
}

#[test]
fn bits_shares_and_interaction_are_scipys_entropies() {
    for function in list(&fixture(), "functions") {
        let table: Vec<Vec<u32>> = serde_json::from_value(function["table"].clone()).unwrap();
        let space = space(&[table.len(), table[0].len()]);
        let mut rules = RuleList { base: Some(ValueId(99)), rules: Vec::new() };
        for (a, row) in (0_u16..).zip(&table) {
            for (b, value) in (0_u16..).zip(row) {
                let when = [(0, a), (1, b)].map(|(factor, l)| Literal { factor, levels: BTreeSet::from([l]) });
                rules.rules.push(Rule { when: when.to_vec(), value: Some(ValueId(*value)) });
            }
        }
        let name = function["name"].as_str().unwrap();
        close(effect::bits(&rules, &space), &function["bits"], 1e-9, name);
        close(effect::information(&rules, &space, &[0, 1]), &function["bits"], 1e-9, name);
        for factor in 0..2 {
            close(effect::information(&rules, &space, &[factor]), &function["own"][factor], 1e-9, name);
        }
        close(effect::interaction(&rules, &space), &function["interaction"], 1e-9, name);
    }
}

#[test]
fn the_likelihood_ratio_is_half_of_scipys_g() {
    for case in list(&fixture(), "ratios") {
        let ratio = permutation::likelihood_ratio(pair(&case["inside"]), pair(&case["outside"]));
        close(ratio, &case["ratio"], 1e-9, &case.to_string());
    }
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
    permutation::first(&evidence, &space(&[2]), &signal, &all, &mut generator).unwrap().0
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
    close(permutation_p((30.0, 30.0), (0.0, 30.0), 3), &fixture()["least_permutation_p"], 1e-12, "30 of 30 and none");
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
    }
}
