//! A **sighting**: whether captures of one version show what a finding says, at its place, with an exact test; and what
//! covert differences they show that no known finding accounts for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::sides::Sides;
use crate::capture::Capture;
use crate::cell::Assignment;
use crate::feature::{Extractor, Feature, Observation, Row};
use crate::finding::classify::classify;
use crate::finding::{Class, Finding};
use crate::scenario::Scenario;

/// Cells that each side must have before anything is said.
pub const EACH: usize = 6;
/// The largest p (over all places that are looked at) at which a finding counts as seen.
pub const SEEN: f64 = 0.01;
/// The p above which what little differs is taken for chance, once no more cells are to be had.
const CHANCE: f64 = 0.2;

/// Whether a version behaves as a finding says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The difference is there.
    Seen,
    /// It is not.
    NotSeen,
    /// These cells do not tell.
    Unclear,
}

/// What the captures of one version say of a finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sighting {
    /// Whether it is there.
    pub standing: Standing,
    /// Cells on the baseline's side.
    pub baseline_cells: usize,
    /// Those of them that agree.
    pub agree: usize,
    /// Cells on the variant's side.
    pub variant_cells: usize,
    /// Those of them whose value is another than the baseline's.
    pub differ: usize,
    /// One-sided exact test of "it differs on the variant's side no more often than on the baseline's", times the number
    /// of patterns that were looked at.
    pub p_value: f64,
    /// The place where that is so.
    pub place: Option<String>,
    /// An excerpt of a cell on the baseline's side.
    pub baseline: Option<String>,
    /// An excerpt of a cell on the variant's side.
    pub variant: Option<String>,
    /// Why it is unclear.
    pub why: Option<String>,
}

impl Sighting {
    /// Whether it is there, where these cells tell.
    #[must_use]
    pub fn verdict(&self) -> Option<bool> {
        match self.standing {
            Standing::Seen => Some(true),
            Standing::NotSeen => Some(false),
            Standing::Unclear => None,
        }
    }
}

/// A covert difference that no known finding accounts for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where.
    pub place: String,
    /// The environments in which it differs from the baseline.
    pub cells: Vec<Assignment>,
}

/// The captures of one version, taken apart.
#[derive(Debug)]
pub struct Reading {
    extractor: Extractor,
    cells: Vec<(Assignment, Arc<Capture>)>,
    rows: Vec<Row>,
}

/// How a feature's values lie on a finding's sides.
struct Pattern {
    feature: usize,
    agree: usize,
    differ: usize,
    /// A cell of each side to show.
    shown: (usize, usize),
    p: f64,
}

impl Reading {
    /// Takes them apart.
    #[must_use]
    pub fn new(scenario: Arc<Scenario>, cells: Vec<(Assignment, Arc<Capture>)>) -> Self {
        let mut extractor = Extractor::new(scenario);
        for (levels, capture) in &cells {
            extractor.learn(Observation { levels, capture });
        }
        extractor.freeze();
        let rows = cells.iter().map(|(levels, capture)| extractor.extract(Observation { levels, capture })).collect();
        Self { extractor, cells, rows }
    }

    /// The cells that were read.
    #[must_use]
    pub fn cells(&self) -> Vec<Assignment> {
        self.cells.iter().map(|(levels, _)| levels.clone()).collect()
    }

    fn value(&self, cell: usize, feature: usize) -> Option<&str> {
        self.rows[cell].get(feature).copied().flatten().map(|value| self.extractor.value(value))
    }

    /// Whether a finding is seen here. With `last`, no more cells are to be had, and chance is called chance.
    #[must_use]
    pub fn sight(&self, finding: &Finding, sides: &Sides, last: bool) -> Sighting {
        let (variants, bases): (Vec<usize>, Vec<usize>) =
            (0..self.cells.len()).partition(|cell| sides.rule(&self.cells[*cell].0).is_some());
        let silent = bases.iter().filter(|cell| self.cells[**cell].1.exchanges.is_empty()).count();
        let mut sighting = Sighting {
            standing: Standing::Unclear,
            baseline_cells: bases.len(),
            agree: bases.len(),
            variant_cells: variants.len(),
            differ: 0,
            p_value: 1.0,
            place: None,
            baseline: None,
            variant: None,
            why: None,
        };
        if bases.len() < EACH || variants.len() < EACH {
            sighting.why = Some(String::from("too few cells could be run"));
            return sighting;
        }
        if silent * 2 > bases.len() {
            sighting.why = Some(String::from("the agent sent no request"));
            return sighting;
        }
        let patterns = self.patterns(finding, sides, &bases, &variants);
        // What is the same everywhere was no chance to be wrong.
        let vary = patterns.iter().filter(|pattern| pattern.differ > 0 || pattern.agree < bases.len());
        let looked: BTreeSet<Vec<Option<&str>>> = vary.map(|pattern| self.column(pattern.feature)).collect();
        let Some(best) = patterns.iter().min_by(|a, b| a.p.total_cmp(&b.p)) else {
            sighting.standing = Standing::NotSeen;
            return sighting;
        };
        let p = (best.p * count(looked.len().max(1))).min(1.0);
        let features = self.extractor.features();
        let excerpt = |cell: usize| {
            let (levels, capture) = &self.cells[cell];
            self.extractor.excerpt(best.feature, Observation { levels, capture })
        };
        (sighting.agree, sighting.differ, sighting.p_value) = (best.agree, best.differ, p);
        sighting.place = features.get(best.feature).map(|feature| feature.place.clone());
        (sighting.baseline, sighting.variant) = (excerpt(best.shown.0), excerpt(best.shown.1));
        sighting.standing = if p <= SEEN {
            Standing::Seen
        } else if best.differ == 0 || last && p > CHANCE {
            Standing::NotSeen
        } else {
            sighting.why = Some(String::from("it differs in some cells only"));
            Standing::Unclear
        };
        sighting
    }

    /// The values of a feature in every cell.
    fn column(&self, feature: usize) -> Vec<Option<&str>> {
        (0..self.cells.len()).map(|cell| self.value(cell, feature)).collect()
    }

    /// Every feature that could be the finding's: at its place, or with its values.
    fn patterns(&self, finding: &Finding, sides: &Sides, bases: &[usize], variants: &[usize]) -> Vec<Pattern> {
        let stems: BTreeSet<String> = finding.places.iter().map(|place| stem(place)).collect();
        let covert = finding.class == Class::Covert && finding.explained_by.is_none();
        let mut patterns = Vec::new();
        for (index, feature) in self.extractor.features().iter().enumerate() {
            let known = feature.channel == finding.channel || finding.channels.contains(&feature.channel);
            if !known {
                continue;
            }
            let usual = self.usual(index, bases);
            let at_place = stems.contains(&stem(&feature.place));
            if !(at_place || covert && self.has_values(finding, sides, index, variants)) {
                continue;
            }
            // Where chance plays a part, either side has many values: what counts is where a rule's own is commoner. Long
            // ones are told by their beginning, which others may share.
            let told = |cell: &usize| {
                let value = self.value(*cell, index);
                finding.rule.iter().any(|rule| is_told(rule.value.as_deref(), value)).then_some(value)
            };
            let own: BTreeSet<Option<&str>> = if at_place && finding.support.disagree > 0 {
                variants.iter().filter_map(told).collect()
            } else {
                BTreeSet::new()
            };
            for value in &own {
                let having = |cells: &[usize]| cells.iter().filter(|cell| self.value(**cell, index) == *value).count();
                let (differ, stray) = (having(variants), having(bases));
                let first = |cells: &[usize], has: bool| {
                    cells.iter().find(|cell| (self.value(**cell, index) == *value) == has).copied().unwrap_or(cells[0])
                };
                let p = (exact(bases.len(), stray, variants.len(), differ) * count(own.len())).min(1.0);
                let shown = (first(bases, false), first(variants, true));
                patterns.push(Pattern { feature: index, agree: bases.len() - stray, differ, shown, p });
            }
            let other = |cell: &usize| {
                let value = self.value(*cell, index);
                value != usual && (!covert || classify(&feature.kind, feature.channel, usual, value) == Class::Covert)
            };
            let differ = variants.iter().filter(|cell| other(cell)).count();
            let stray = bases.iter().filter(|cell| self.value(**cell, index) != usual).count();
            let shown = (
                bases.iter().find(|cell| self.value(**cell, index) == usual).copied().unwrap_or(bases[0]),
                variants.iter().find(|cell| other(cell)).copied().unwrap_or(variants[0]),
            );
            let p = exact(bases.len(), stray, variants.len(), differ);
            if own.is_empty() {
                patterns.push(Pattern { feature: index, agree: bases.len() - stray, differ, shown, p });
            }
        }
        patterns
    }

    /// The commonest value in these cells.
    fn usual(&self, feature: usize, cells: &[usize]) -> Option<&str> {
        let mut counts: BTreeMap<Option<&str>, usize> = BTreeMap::new();
        for cell in cells {
            *counts.entry(self.value(*cell, feature)).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(_, count)| *count).and_then(|(value, _)| value)
    }

    /// Whether a feature has the very values that the finding's rules name, wherever it stands: a line may have moved.
    fn has_values(&self, finding: &Finding, sides: &Sides, feature: usize, variants: &[usize]) -> bool {
        variants.iter().all(|cell| {
            let rule = sides.rule(&self.cells[*cell].0).and_then(|rule| finding.rule.get(rule));
            let told =
                rule.and_then(|rule| rule.value.as_deref()).filter(|told| !told.is_empty() && !told.ends_with('…'));
            told.is_some() && self.value(*cell, feature) == told
        })
    }

    /// Covert differences from the baseline that no known finding accounts for, nor something that comes or goes in the
    /// same text under the same environments.
    #[must_use]
    pub fn candidates(&self, known: &[&Sides]) -> Vec<Candidate> {
        let level_zero = |cell: &usize| self.cells[*cell].0.0.iter().all(|level| *level == 0);
        let baselines: Vec<usize> = (0..self.cells.len()).filter(level_zero).collect();
        if baselines.len() < 2 {
            return Vec::new();
        }
        let accounted: BTreeSet<Vec<bool>> = known
            .iter()
            .map(|sides| self.cells.iter().map(|(levels, _)| sides.rule(levels).is_some()).collect())
            .collect();
        let (mut open, mut structural) = (Vec::new(), BTreeSet::new());
        for (index, feature) in self.extractor.features().iter().enumerate() {
            let usual = self.value(baselines[0], index);
            if baselines.iter().any(|cell| self.value(*cell, index) != usual) {
                continue;
            }
            let differs: Vec<bool> = (0..self.cells.len()).map(|cell| self.value(cell, index) != usual).collect();
            if !differs.contains(&true) || self.is_chance(index) {
                continue;
            }
            let value = |cell: usize| self.value(cell, index);
            let mut values = (0..self.cells.len()).filter(|cell| differs[*cell]).map(value);
            if values.any(|value| classify(&feature.kind, feature.channel, usual, value) == Class::Covert) {
                open.push((feature, differs));
            } else {
                structural.insert((text_of(feature), differs));
            }
        }
        let free = open.into_iter().filter(|(feature, differs)| {
            !accounted.contains(differs) && !structural.contains(&(text_of(feature), differs.clone()))
        });
        let cells = |differs: &[bool]| {
            let differing = self.cells.iter().zip(differs).filter(|(_, differs)| **differs);
            differing.map(|((levels, _), _)| levels.clone()).collect()
        };
        free.map(|(feature, differs)| Candidate { place: stem(&feature.place), cells: cells(&differs) }).collect()
    }

    /// Whether one environment gives a feature two values.
    fn is_chance(&self, feature: usize) -> bool {
        let mut seen: BTreeMap<&Assignment, Option<&str>> = BTreeMap::new();
        (0..self.cells.len()).any(|cell| {
            let value = self.value(cell, feature);
            *seen.entry(&self.cells[cell].0).or_insert(value) != value
        })
    }
}

/// Whether a value is the one that a rule tells, which may be told by its beginning.
fn is_told(told: Option<&str>, value: Option<&str>) -> bool {
    match (told, value) {
        (Some(told), Some(value)) => match told.strip_suffix('…') {
            Some(beginning) => value.starts_with(beginning),
            None => told == value,
        },
        (told, value) => told == value,
    }
}

/// A place without what may move from one version to the next: the number of its line.
fn stem(place: &str) -> String {
    let parts = place.split(" · ").filter(|part| !part.starts_with("line "));
    parts.collect::<Vec<_>>().join(" · ")
}

/// The text that a feature stands in.
fn text_of(feature: &Feature) -> String {
    let within = [" · line ", " · after ", " · white space"];
    let end = within.iter().filter_map(|part| feature.place.find(part)).min().unwrap_or(feature.place.len());
    feature.place[..end].to_owned()
}

#[allow(clippy::cast_precision_loss, reason = "a number of cells")]
fn count(n: usize) -> f64 {
    n as f64
}

/// Fisher's exact test, one-sided: the probability that as many of the values that differ, or more, fall on the
/// variant's side if each cell is as likely to have one. Where all of one side differ and none of the other, that is
/// 1 / C(n + m, m).
fn exact(bases: usize, stray: usize, variants: usize, differ: usize) -> f64 {
    let (all, differing) = (bases + variants, stray + differ);
    let ways = |of: usize, take: usize| -> f64 {
        if take > of { 0.0 } else { (0..take).map(|n| count(of - n) / count(n + 1)).product() }
    };
    let tail: f64 = (differ..=differing.min(variants)).map(|n| ways(variants, n) * ways(bases, differing - n)).sum();
    (tail / ways(all, differing)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::super::sides::tests::{finding, rule, scenario};
    use super::*;
    use crate::capture::{Body, Exchange};

    /// Captures of an agent whose second line is what `line` makes of a cell.
    fn reading(line: impl Fn(&[u16], usize) -> String) -> Reading {
        let mut cells = Vec::new();
        for n in 0..2 {
            for (a, b, c) in (0..18).map(|n| (n % 3, n / 3 % 3, n / 9)) {
                let text = format!("You are an agent.\n{}\nBe brief.", line(&[a, b, c], cells.len() + n));
                let body = serde_json::json!({ "system": text }).to_string();
                let exchange = Exchange {
                    method: "POST".into(),
                    target: "/v1/messages".into(),
                    host: "a".into(),
                    body: Body::new(body.into_bytes()),
                    ..Exchange::default()
                };
                let capture = Capture { exchanges: vec![exchange], ..crate::run::testing::capture() };
                cells.push((Assignment(vec![a, b, c]), Arc::new(capture)));
            }
        }
        Reading::new(Arc::new(scenario()), cells)
    }

    fn marked() -> (Finding, Sides) {
        let place = "POST /v1/messages · system · line 9 · after \"Don\"";
        let marked = finding(&["base_url"], place, vec![rule(&[("base_url", &["http://b", "http://c"])], "\u{2019}")]);
        let sides = Sides::of(&marked, &scenario()).unwrap();
        (marked, sides)
    }

    fn apostrophe(on: bool) -> String {
        format!("Don{}t guess.", if on { '\u{2019}' } else { '\'' })
    }

    #[test]
    fn the_test_is_exact() {
        assert!((exact(6, 0, 6, 6) - 1.0 / 924.0).abs() < 1e-12);
        // As R's fisher.test(matrix(c(5, 1, 1, 5), 2), alternative = "greater") has it.
        assert!((exact(6, 1, 6, 5) - 37.0 / 924.0).abs() < 1e-12);
        assert!((exact(6, 0, 6, 0) - 1.0).abs() < 1e-12 && exact(6, 6, 6, 0) > 0.99);
    }

    #[test]
    fn a_marker_is_seen_where_it_is_and_nowhere_else() {
        let (marked, sides) = marked();
        let there = reading(|levels, _| apostrophe(levels[1] != 0)).sight(&marked, &sides, false);
        assert_eq!((there.standing, there.agree, there.differ), (Standing::Seen, 12, 24), "{there:?}");
        assert_eq!(there.variant.as_deref(), Some("Don\u{2019}t guess."));
        let gone = reading(|_, _| apostrophe(false)).sight(&marked, &sides, false);
        assert_eq!(gone.standing, Standing::NotSeen, "{gone:?}");
        // On another line, behind another word, it is known by its values.
        let moved = reading(|levels, _| format!("Never mind it{}s", if levels[1] != 0 { '\u{2019}' } else { '\'' }));
        assert_eq!(moved.sight(&marked, &sides, false).standing, Standing::Seen);
        // What differs openly at the same place is another thing.
        let open = reading(|levels, _| String::from(if levels[1] != 0 { "Don x t guess." } else { "Don't guess." }));
        assert_eq!(open.sight(&marked, &sides, true).standing, Standing::NotSeen);
    }

    #[test]
    fn noise_is_not_taken_for_it() {
        let (marked, sides) = marked();
        let mut seen = 0;
        for seed in 0..100 {
            let mut chance = crate::design::randomise::generator(seed, "noise");
            let coins: Vec<bool> = (0..200).map(|_| crate::design::randomise::below(11, &mut chance) < 5).collect();
            let noisy = reading(|_, n| apostrophe(coins[n]));
            seen += u32::from(noisy.sight(&marked, &sides, false).standing == Standing::Seen);
        }
        // By the bar for a single look: one in a hundred.
        assert!(seen <= 4, "{seen} of 100 are taken for it");
        let few = Reading::new(Arc::new(scenario()), Vec::new()).sight(&marked, &sides, true);
        assert_eq!((few.standing, few.why.is_some()), (Standing::Unclear, true));
    }

    #[test]
    fn what_chance_plays_with_is_told_by_how_common_the_rules_value_is() {
        let (mut marked, sides) = marked();
        marked.class = Class::Overt;
        marked.support.disagree = 30;
        marked.rule[0].value = Some("lef…".into());
        // Both sides have both values, one side one of them oftener.
        let side = |left: bool| String::from(if left { "Don left t guess." } else { "Don right t guess." });
        let place = |reading: &Reading| {
            let varies = |index: &usize| reading.column(*index).contains(&Some("left"));
            let features = reading.extractor.features();
            (0..features.len()).find(varies).map(|index| features[index].place.clone())
        };
        let there = reading(|levels, n| side(if levels[1] == 0 { n % 6 == 0 } else { n % 6 != 0 }));
        marked.places = place(&there).into_iter().collect();
        let seen = there.sight(&marked, &sides, true);
        assert_eq!(seen.standing, Standing::Seen, "{seen:?}");
        let same = reading(|_, n| side(n % 2 == 0)).sight(&marked, &sides, true);
        assert_eq!(same.standing, Standing::NotSeen, "{same:?}");
    }

    #[test]
    fn a_covert_difference_that_is_not_known_is_a_candidate() {
        let (_, sides) = marked();
        // A last word that goes takes the space before it along: that is its own finding's.
        let gone = reading(|levels, _| String::from(if levels[1] == 0 { "Do this now" } else { "Do this" }));
        assert!(gone.candidates(&[]).is_empty(), "{:?}", gone.candidates(&[]));
        let reading = reading(|levels, _| format!("{} There", apostrophe(levels[1] != 0)));
        let candidates = reading.candidates(&[]);
        assert!(candidates.iter().any(|one| one.place.contains("system")), "{candidates:?}");
        assert!(reading.candidates(&[&sides]).is_empty());
    }

    #[test]
    fn what_one_environment_has_both_ways_is_no_candidate() {
        // Every environment is run twice, and now and then the second run differs. The baseline's runs agree.
        let chance = reading(|levels, n| apostrophe(levels[1] != 0 && n % 36 < 18));
        assert!(chance.candidates(&[]).is_empty());
        let (_, sides) = marked();
        let marked = reading(|levels, _| apostrophe(levels[1] != 0));
        let one = marked.candidates(&[]).remove(0);
        assert!(one.cells.len() == 24 && one.cells.iter().all(|cell| sides.rule(cell).is_some()));
    }
}
