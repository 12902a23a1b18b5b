//! What the page is **given**: one JSON value with everything that it shows, every text cut to a length that can be read.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use crate::cell::Phase;
use crate::finding::{Finding, Findings, codepoint};
use crate::report::compare::{self, Side};
use crate::report::observed::{Column, Observed, Seen};
use crate::report::{escape, summary};
use crate::store::Manifest;

/// Characters of a text that are shown; `findings.json` has all.
const LONGEST: usize = 400;
/// Places of a finding that are shown.
const PLACES: usize = 300;
/// Lines of a list that are shown.
const LINES: usize = 200;
/// Cells of all places together that the page carries: beyond, a place is named and its cells are not shown.
const CELLS: usize = 2_500_000;
/// One sign a value in a pattern; the values beyond share a sign.
const SIGNS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Patterns of values over the cells, each kept once: places that change together share one.
#[derive(Default)]
struct Patterns {
    known: HashMap<String, usize>,
    all: Vec<String>,
    cells: usize,
}

impl Patterns {
    fn add(&mut self, column: &Column) -> Option<usize> {
        let sign = |seen: &Seen| match seen {
            Seen::Lost => '!',
            Seen::Absent => '-',
            Seen::Value(value) => SIGNS.get(*value).map_or('*', |sign| char::from(*sign)),
        };
        let pattern: String = column.seen.iter().map(sign).collect();
        if let Some(index) = self.known.get(&pattern) {
            return Some(*index);
        }
        self.cells += pattern.len();
        if self.cells > CELLS {
            return None;
        }
        self.all.push(pattern.clone());
        self.known.insert(pattern, self.all.len() - 1);
        Some(self.all.len() - 1)
    }
}

/// Everything that the page shows.
pub(super) fn data(findings: &Findings, manifest: &Manifest, observed: &Observed) -> Value {
    let mut patterns = Patterns::default();
    let shown: Vec<Value> = findings
        .findings
        .iter()
        .enumerate()
        .map(|(index, one)| finding(index, one, manifest, observed, &mut patterns))
        .collect();
    let facts: Vec<Value> =
        summary::facts(findings, manifest).into_iter().map(|(name, value)| json!([name, cut(&value)])).collect();
    let factors: Vec<Value> = manifest
        .scenario
        .factors
        .iter()
        .map(|factor| {
            let levels: Vec<String> = factor.levels.iter().map(|level| cut(level.label())).collect();
            json!({ "name": cut(&factor.name), "levels": levels })
        })
        .collect();
    let lines = |lines: &[String]| -> Vec<String> {
        let mut shown: Vec<String> = lines.iter().take(LINES).map(|line| cut(line)).collect();
        if lines.len() > LINES {
            shown.push(format!("and {} more, in findings.json", lines.len() - LINES));
        }
        shown
    };
    let alpha = findings.power.alpha;
    let value = json!({
        "alpha": alpha,
        "verdict": serde_json::to_value(findings.verdict).unwrap_or_default(),
        "facts": facts,
        "factors": factors,
        "power": summary::power(findings),
        "notVaried": lines(&findings.not_varied),
        "unexplained": lines(&findings.power.unexplained),
        "notes": lines(&findings.notes),
        "runs": runs(observed),
        "findings": shown,
        "patterns": patterns.all,
    });
    named(value)
}

/// The cells, column by column.
fn runs(observed: &Observed) -> Value {
    let runs = &observed.runs;
    let first = runs.iter().filter(|run| run.failure.is_none()).map(|run| run.started_unix_ms).min().unwrap_or(0);
    let phase: String = runs
        .iter()
        .map(|run| match run.cell.phase {
            Phase::Cover => 'c',
            Phase::Explain => 'e',
            Phase::Confirm => 'f',
        })
        .collect();
    let failures: BTreeMap<String, String> = runs
        .iter()
        .enumerate()
        .filter_map(|(at, run)| Some((at.to_string(), cut(run.failure.as_deref()?))))
        .take(LINES)
        .collect();
    json!({
        "id": runs.iter().map(|run| cut(&run.cell.id.0)).collect::<Vec<_>>(),
        "levels": runs.iter().map(|run| run.cell.levels.0.clone()).collect::<Vec<_>>(),
        "phase": phase,
        "lost": runs.iter().map(|run| if run.failure.is_some() { '!' } else { '.' }).collect::<String>(),
        "start": runs.iter().map(|run| run.started_unix_ms.saturating_sub(first).max(0)).collect::<Vec<_>>(),
        "wall": runs.iter().map(|run| run.wall.0 / 1000).collect::<Vec<_>>(),
        "requests": runs.iter().map(|run| run.requests).collect::<Vec<_>>(),
        "failures": failures,
    })
}

fn finding(index: usize, one: &Finding, manifest: &Manifest, observed: &Observed, patterns: &mut Patterns) -> Value {
    let why = one.explained_by.as_ref().or(one.disclosed.as_ref()).map_or("", String::as_str);
    let place = |(at, place): (usize, &String)| {
        let column = observed.column(index, at);
        let pattern = column.and_then(|column| patterns.add(column));
        let values: Vec<String> =
            column.map_or(&[][..], |column| &column.values).iter().take(SIGNS.len()).map(|value| cut(value)).collect();
        json!({ "name": cut(place), "pattern": pattern, "values": values })
    };
    let places: Vec<Value> = one.places.iter().enumerate().take(PLACES).map(place).collect();
    let rule: Vec<Value> =
        summary::rule_lines(one).into_iter().map(|(when, then)| json!([cut(&when), cut(&then)])).collect();
    // The rule as the cells meet it: for each factor the levels that match, by their numbers; the last that matches wins.
    let matching: Vec<Value> = one
        .rule
        .iter()
        .map(|rule| {
            let when: BTreeMap<String, Vec<usize>> = rule
                .when
                .iter()
                .filter_map(|(name, levels)| {
                    let factor = manifest.scenario.factors.iter().position(|known| known.name == *name)?;
                    let known = manifest.scenario.factors[factor].levels.iter().enumerate();
                    let matching = known.filter(|(_, level)| levels.iter().any(|label| label == level.label()));
                    Some((factor.to_string(), matching.map(|(at, _)| at).collect()))
                })
                .collect();
            json!([when, rule.value.as_deref().map(cut)])
        })
        .collect();
    let side = |text: &Option<String>| text.as_deref().map(cut);
    let (baseline, variant) = (side(&one.excerpt.baseline), side(&one.excerpt.variant));
    let pieces: Vec<Value> =
        compare::characters(baseline.as_deref().unwrap_or_default(), variant.as_deref().unwrap_or_default())
            .into_iter()
            .map(|piece| {
                let side = match piece.side {
                    Side::Both => "=",
                    Side::Baseline => "-",
                    Side::Variant => "+",
                };
                json!([side, piece.text])
            })
            .collect();
    let points: Vec<Value> = summary::codepoints(one, "baseline")
        .chain(summary::codepoints(one, "variant"))
        .map(|point| json!([point.side, cut(&point.codepoint), cut(&point.name)]))
        .collect();
    let known = |name: &String| manifest.scenario.factors.iter().position(|factor| factor.name == *name);
    json!({
        "id": cut(&one.id),
        "class": summary::class(one.class),
        "means": summary::class_means(one.class),
        "channel": summary::channel(one),
        "status": summary::status(one),
        "why": cut(why),
        "sentence": summary::sentence(one),
        "factors": one.factors.iter().map(|name| cut(name)).collect::<Vec<_>>(),
        "factorIds": one.factors.iter().filter_map(known).collect::<Vec<_>>(),
        "suggested": summary::suggested(one).map(|text| cut(&text)),
        "rule": rule,
        "reversed": !summary::apart(one),
        "matching": matching,
        "baseline": baseline,
        "variant": variant,
        "pieces": pieces,
        "points": points,
        "severity": summary::severity(one),
        "effect": cut(&summary::effect(one)),
        "course": one.evidence_curve.iter().take(LINES).map(|e| significant(*e)).collect::<Vec<_>>(),
        "claims": if one.p_value > 0.0 { significant(one.q_value / one.p_value) } else { 1.0 },
        "byHand": summary::by_hand(one).map(|commands| {
            commands.into_iter().map(|(what, lines)| json!([what, lines.join("\n")])).collect::<Vec<_>>()
        }),
        "leavesOut": one.reproduce.by_hand.iter().flat_map(|shown| &shown.leaves_out).map(|left| cut(left)).collect::<Vec<_>>(),
        "e": summary::number(if one.p_value > 0.0 { 1.0 / one.p_value } else { f64::INFINITY }),
        "p": summary::number(one.p_value),
        "q": summary::number(one.q_value),
        "bits": summary::number(one.effect.bits),
        "v": summary::number(one.effect.cramers_v),
        "agree": one.support.agree,
        "disagree": one.support.disagree,
        "coins": one.support.coins,
        "cells": [cut(&one.reproduce.baseline_cell), cut(&one.reproduce.variant_cell)],
        "command": cut(&one.reproduce.command),
        "places": places,
        "more": one.places.len().saturating_sub(PLACES),
    })
}

/// Four significant figures: more cannot be drawn.
fn significant(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

fn cut(text: &str) -> String {
    if text.chars().nth(LONGEST).is_none() {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// Adds the names of the characters that no reader could tell or see: the page draws them as boxes.
fn named(mut value: Value) -> Value {
    let mut names: BTreeMap<String, Value> = BTreeMap::new();
    collect(&value, &mut names);
    if let Some(object) = value.as_object_mut() {
        object.insert("names".into(), json!(names));
    }
    value
}

fn collect(value: &Value, names: &mut BTreeMap<String, Value>) {
    match value {
        Value::String(text) => {
            for c in text.chars().filter(|c| !c.is_ascii() || c.is_ascii_control()) {
                // [its name, whether it is drawn as a box]
                names
                    .entry(u32::from(c).to_string())
                    .or_insert_with(|| json!([codepoint::name(c), u8::from(escape::is_hidden(c))]));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        Value::Object(members) => members.values().for_each(|item| collect(item, names)),
        _ => {}
    }
}
