//! What was **observed** at the findings' places, cell by cell: read from the stored records with the same extraction
//! as the campaign's, so that a reader can hold every rule against the cells that were run.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::capture::{Ran, Record};
use crate::cell::{Cell, Phase};
use crate::feature::{Extractor, Feature, FeatureKind, Observation, Row, ValueId};
use crate::finding::{Finding, Findings, Rule};
use crate::scenario::Scenario;

/// Values are told short: what was captured is its vendor's.
const LONGEST: usize = 200;
/// Captures that templates are learned from.
const LEARNED: usize = 512;
/// Records in memory at once.
const AT_ONCE: usize = 64;

/// What was seen, run by run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Every recorded cell, in plan order.
    pub runs: Vec<Ran>,
    /// For each finding, for each of its places: what stood there; `None` where the place is not found again.
    pub findings: Vec<Vec<Option<Column>>>,
}

/// What stood at one place, run by run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The different values, in the order in which they were met, each shown short.
    pub values: Vec<String>,
    /// For each run what was seen.
    pub seen: Vec<Seen>,
}

/// What one run showed at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub enum Seen {
    /// The engine could not run the cell: nothing was observed.
    Lost,
    /// Nothing stood there.
    Absent,
    /// This one of the column's values.
    Value(usize),
}

impl From<Seen> for i64 {
    fn from(seen: Seen) -> Self {
        match seen {
            Seen::Lost => -2,
            Seen::Absent => -1,
            Seen::Value(value) => Self::try_from(value).unwrap_or(Self::MAX),
        }
    }
}

impl TryFrom<i64> for Seen {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        match number {
            -2 => Ok(Self::Lost),
            -1 => Ok(Self::Absent),
            _ => usize::try_from(number).map(Self::Value).map_err(|_| format!("{number} stands for nothing")),
        }
    }
}

impl Column {
    /// The text of what was seen; `None` where nothing stood there or nothing was observed.
    #[must_use]
    pub fn text(&self, seen: Seen) -> Option<&str> {
        match seen {
            Seen::Value(index) => self.values.get(index).map(String::as_str),
            Seen::Lost | Seen::Absent => None,
        }
    }
}

impl Observed {
    /// Reads `count` records again, a few at a time: `load` gives those of a range. They must be in plan order and whole.
    ///
    /// # Errors
    /// Those of `load`.
    pub fn read<E>(
        count: usize,
        load: impl Fn(Range<usize>) -> Result<Vec<Record>, E>,
        scenario: &Scenario,
        findings: &Findings,
    ) -> Result<Self, E> {
        let parts = || (0..count).step_by(AT_ONCE).map(|from| from..count.min(from + AT_ONCE));
        let mut extractor = Extractor::new(Arc::new(scenario.clone()));
        let mut learned = 0;
        for part in parts() {
            for record in load(part)?.iter().filter(|record| record.cell.phase == Phase::Cover) {
                if let Ok(capture) = &record.outcome {
                    extractor.learn(Observation { levels: &record.cell.levels, capture });
                    learned += 1;
                }
            }
            if learned >= LEARNED {
                break;
            }
        }
        extractor.freeze();
        let mut gathered = Gathered::new(findings);
        for part in parts() {
            for record in load(part)? {
                let row = record
                    .outcome
                    .as_ref()
                    .ok()
                    .map(|capture| extractor.extract(Observation { levels: &record.cell.levels, capture }));
                gathered.add(Ran::of(&record), row.as_ref(), &extractor);
            }
        }
        Ok(gathered.observed(&extractor, scenario, findings))
    }

    /// From what a campaign has already extracted: `runs` with their rows, in plan order.
    #[must_use]
    pub fn gather(
        runs: &[(&Ran, Option<&Row>)],
        extractor: &Extractor,
        scenario: &Scenario,
        findings: &Findings,
    ) -> Self {
        let mut gathered = Gathered::new(findings);
        for (ran, row) in runs {
            gathered.add((*ran).clone(), *row, extractor);
        }
        gathered.observed(extractor, scenario, findings)
    }

    /// Reads records that are in memory.
    #[cfg(test)]
    pub(super) fn of(records: &[Record], scenario: &Scenario, findings: &Findings) -> Self {
        let load = |part: Range<usize>| Ok::<_, std::convert::Infallible>(records[part].to_vec());
        let Ok(observed) = Self::read(records.len(), load, scenario, findings);
        observed
    }

    /// What stood at a place of a finding.
    #[must_use]
    pub fn column(&self, finding: usize, place: usize) -> Option<&Column> {
        self.findings.get(finding)?.get(place)?.as_ref()
    }
}

/// The values at the findings' places, as they are gathered.
struct Gathered<'a> {
    wanted: HashSet<&'a str>,
    runs: Vec<Ran>,
    values: BTreeMap<usize, HashMap<usize, ValueId>>,
}

impl<'a> Gathered<'a> {
    fn new(findings: &'a Findings) -> Self {
        let wanted = findings.findings.iter().flat_map(|one| &one.places).map(String::as_str).collect();
        Self { wanted, runs: Vec::new(), values: BTreeMap::new() }
    }

    fn add(&mut self, ran: Ran, row: Option<&Row>, extractor: &Extractor) {
        let at = self.runs.len();
        self.runs.push(ran);
        for (feature, value) in row.into_iter().flatten().enumerate() {
            let place = extractor.features().get(feature).map_or("", |feature| feature.place.as_str());
            if let Some(value) = value.filter(|_| self.wanted.contains(place)) {
                self.values.entry(feature).or_default().insert(at, value);
            }
        }
    }

    fn observed(self, extractor: &Extractor, scenario: &Scenario, findings: &Findings) -> Observed {
        let Self { runs, values, .. } = self;
        let mut at_place: HashMap<&str, Vec<(&Feature, Column)>> = HashMap::new();
        for (feature, by_run) in &values {
            if let Some(known) = extractor.features().get(*feature) {
                at_place.entry(&known.place).or_default().push((known, column(extractor, &runs, by_run)));
            }
        }
        let findings = findings
            .findings
            .iter()
            .map(|finding| {
                let labels = labels(finding, &runs, scenario);
                let places = finding.places.iter().enumerate();
                places.map(|(n, place)| choose(at_place.get(place.as_str())?, finding, n == 0, &labels)).collect()
            })
            .collect();
        Observed { runs, findings }
    }
}

fn column(extractor: &Extractor, runs: &[Ran], by_run: &HashMap<usize, ValueId>) -> Column {
    let mut column = Column::default();
    let mut known: HashMap<ValueId, usize> = HashMap::new();
    for (at, run) in runs.iter().enumerate() {
        column.seen.push(match by_run.get(&at) {
            _ if run.failure.is_some() => Seen::Lost,
            None => Seen::Absent,
            Some(value) => Seen::Value(*known.entry(*value).or_insert_with(|| {
                column.values.push(short(extractor.value(*value)));
                column.values.len() - 1
            })),
        });
    }
    column
}

/// Cuts a value that is long.
#[must_use]
pub fn short(value: &str) -> String {
    if value.chars().nth(LONGEST).is_none() {
        return value.to_owned();
    }
    value.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// For each run which of the finding's values the rule says, by its number; `None` for a cell that was lost.
fn labels(finding: &Finding, runs: &[Ran], scenario: &Scenario) -> Vec<Option<usize>> {
    let mut numbers: HashMap<Option<&Option<String>>, usize> = HashMap::new();
    runs.iter()
        .map(|run| {
            let value = matching(finding, &run.cell, scenario).map(|rule| &rule.value);
            let next = numbers.len();
            let number = *numbers.entry(value).or_insert(next);
            run.failure.is_none().then_some(number)
        })
        .collect()
}

/// The line of a finding's rule that holds in a cell: the last that matches.
#[must_use]
pub fn matching<'a>(finding: &'a Finding, cell: &Cell, scenario: &Scenario) -> Option<&'a Rule> {
    finding.rule.iter().rev().find(|rule| {
        rule.when.iter().all(|(name, levels)| {
            level(scenario, cell, name).is_some_and(|level| levels.iter().any(|known| known == level))
        })
    })
}

/// The label of the level that a factor has in a cell.
#[must_use]
pub fn level<'a>(scenario: &'a Scenario, cell: &Cell, factor: &str) -> Option<&'a str> {
    let index = scenario.factors.iter().position(|known| known.name == factor)?;
    let level = usize::from(*cell.levels.0.get(index)?);
    scenario.factors.get(index)?.levels.get(level).map(crate::scenario::Level::label)
}

/// Several features can stand at one place (the text, the format of a date in it): the finding's is the one whose values
/// tell the cells apart as its rule does.
fn choose(features: &[(&Feature, Column)], finding: &Finding, first: bool, labels: &[Option<usize>]) -> Option<Column> {
    let shows_rule = |column: &Column| {
        first && finding.rule.iter().flat_map(|rule| &rule.value).all(|value| column.values.contains(value))
    };
    let best = features.iter().max_by(|(a, left), (b, right)| {
        let score = |column: &Column| (shows_rule(column), likeness(column, labels));
        let (left, right) = (score(left), score(right));
        left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)).then_with(|| rank(b).cmp(&rank(a))).then(b.id.cmp(&a.id))
    })?;
    Some(best.1.clone())
}

/// Text tells a reader more than a form, and a form more than a presence.
fn rank(feature: &Feature) -> u8 {
    match feature.kind {
        FeatureKind::Text => 0,
        FeatureKind::DateFormat | FeatureKind::LocalDate => 1,
        FeatureKind::Echo { .. } => 2,
        _ => 3,
    }
}

/// Normalised mutual information of two partitions of the runs, `I / max(H, H')`: 1 where they are the same.
fn likeness(column: &Column, labels: &[Option<usize>]) -> f64 {
    let mut joint: BTreeMap<(usize, Seen), f64> = BTreeMap::new();
    let (mut left, mut right): (BTreeMap<usize, f64>, BTreeMap<Seen, f64>) = (BTreeMap::new(), BTreeMap::new());
    let mut total = 0.0;
    for (label, seen) in labels.iter().zip(&column.seen) {
        let Some(label) = label else { continue };
        *joint.entry((*label, *seen)).or_default() += 1.0;
        *left.entry(*label).or_default() += 1.0;
        *right.entry(*seen).or_default() += 1.0;
        total += 1.0;
    }
    let entropy = |counts: &mut dyn Iterator<Item = f64>| -> f64 {
        counts.map(|count| count / total).map(|share| -share * share.log2()).sum()
    };
    let (own, other) = (entropy(&mut left.values().copied()), entropy(&mut right.values().copied()));
    let both = entropy(&mut joint.values().copied());
    let most = own.max(other);
    if most > 0.0 { (own + other - both) / most } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing;

    #[test]
    fn the_feature_whose_values_follow_the_rule_is_the_findings() {
        let labels: Vec<Option<usize>> = vec![Some(0), Some(0), Some(1), Some(1), None];
        let of = |seen: [usize; 4]| Column {
            values: vec!["a".into(), "b".into(), "c".into(), "d".into()],
            seen: seen.into_iter().map(Seen::Value).chain([Seen::Lost]).collect(),
        };
        assert!((likeness(&of([1, 1, 0, 0]), &labels) - 1.0).abs() < 1e-9, "names do not matter");
        assert!(likeness(&of([0, 0, 0, 0]), &labels) < 1e-9, "a constant says nothing");
        assert!((likeness(&of([0, 1, 2, 3]), &labels) - 0.5).abs() < 1e-9, "noise says too much");
    }

    #[test]
    fn the_last_line_that_matches_wins() {
        let scenario = testing::manifest().scenario;
        let factor = &scenario.factors[0];
        let mut finding = testing::finding();
        let when =
            |level: usize| BTreeMap::from([(factor.name.clone(), vec![factor.levels[level].label().to_owned()])]);
        finding.rule = vec![
            Rule { when: when(1), value: Some("early".into()) },
            Rule { when: when(1), value: Some("late".into()) },
        ];
        let mut cell = testing::records()[0].cell.clone();
        cell.levels.0[0] = 1;
        assert_eq!(matching(&finding, &cell, &scenario).unwrap().value.as_deref(), Some("late"));
        cell.levels.0[0] = 0;
        assert_eq!(matching(&finding, &cell, &scenario), None);
        // A factor that the scenario lacks matches nothing.
        finding.rule[0].when = BTreeMap::from([("nobody".into(), vec!["x".into()])]);
        finding.rule.truncate(1);
        assert_eq!(matching(&finding, &cell, &scenario), None);
    }

    #[test]
    fn values_are_cut_by_characters() {
        assert_eq!(short("日本"), "日本");
        let cut = short(&"日".repeat(5000));
        assert_eq!(cut.chars().count(), LONGEST);
        assert!(cut.ends_with('…'));
    }

    #[test]
    fn records_are_read_cell_by_cell() {
        let (findings, scenario) = (testing::found(), testing::manifest().scenario);
        let observed = Observed::of(&testing::records(), &scenario, &findings);
        let column = observed.column(0, 0).expect("the place is found again");
        let seen: Vec<Option<&str>> = column.seen.iter().map(|seen| column.text(*seen)).collect();
        for (run, seen) in observed.runs.iter().zip(&seen) {
            let expected = if run.failure.is_some() {
                None
            } else if run.cell.levels.0[0] == 1 {
                Some("variant")
            } else {
                Some("baseline")
            };
            assert_eq!(*seen, expected, "{}", run.cell.id);
        }
        assert!(observed.runs.iter().any(|run| run.failure.is_some()));
        assert_eq!(observed.column(0, 9), None);
    }
}
