//! **Hypotheses**: what a run tested. One hypothesis is that nothing of a channel depends on a factor, or on some factors
//! together; its name is `<channel>/<factor>[*<factor>]`. It was tested where the channel carried anything at all and every
//! combination of the factors' levels was observed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::conditions::{Dependence, Standing};
use crate::capture::{Capture, Record};
use crate::cell::Assignment;
use crate::design::Space;
use crate::design::coverage::subsets;
use crate::feature::Channel;
use crate::scenario::Scenario;

/// Every channel.
const CHANNELS: [Channel; 9] = [
    Channel::Body,
    Channel::Header,
    Channel::HeaderOrder,
    Channel::RequestSequence,
    Channel::Dns,
    Channel::Tls,
    Channel::Connection,
    Channel::Process,
    Channel::File,
];

/// What a run's records show of its reach: which cells were observed, and which channels carried anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The environment of every observed cell.
    pub cells: BTreeSet<Assignment>,
    /// Channels that carried something in at least one cell.
    pub channels: BTreeSet<Channel>,
}

impl Seen {
    /// Looks at one more record.
    pub fn look(&mut self, record: &Record) {
        if let Ok(capture) = &record.outcome {
            self.cells.insert(record.cell.levels.clone());
            self.channels.extend(carried(capture));
        }
    }
}

fn carried(capture: &Arc<Capture>) -> impl Iterator<Item = Channel> {
    let capture = Arc::clone(capture);
    let requests = !capture.exchanges.is_empty();
    CHANNELS.into_iter().filter(move |channel| match channel {
        Channel::Body => capture.exchanges.iter().any(|exchange| !exchange.body.bytes.is_empty()),
        Channel::Header | Channel::HeaderOrder | Channel::RequestSequence => requests,
        Channel::Dns => !capture.dns.is_empty(),
        Channel::Tls => !capture.tls.is_empty(),
        // The form of proxying is a request's; a connection without one is a sign by itself.
        Channel::Connection => requests || !capture.connections.is_empty(),
        Channel::Process => true,
        Channel::File => !capture.files.is_empty(),
    })
}

/// What became of one hypothesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was found.
    Passed,
    /// A dependence was found that is disclosed, or the run as a whole is inconclusive.
    Warned,
    /// A dependence was found that is neither explained nor disclosed.
    Failed,
    /// It was not tested.
    Untested,
}

/// Hypotheses by outcome, each list in the order of channels, then of factors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tests {
    /// Nothing was found.
    #[serde(rename = "passedTests", default)]
    pub passed: Vec<String>,
    /// Disclosed, or inconclusive.
    #[serde(rename = "warnedTests", default)]
    pub warned: Vec<String>,
    /// Neither explained nor disclosed.
    #[serde(rename = "failedTests", default)]
    pub failed: Vec<String>,
    /// Not tested. No list of the standard has them: the conditions name them.
    #[serde(skip)]
    pub untested: Vec<String>,
}

/// The channel's name, `header_order`.
#[must_use]
pub(super) fn channel_name(channel: Channel) -> String {
    serde_json::to_value(channel).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The names of all channels.
#[must_use]
pub(super) fn all_channels() -> Vec<String> {
    CHANNELS.map(channel_name).to_vec()
}

/// The names of all hypotheses about these channels and up to `strength` of these factors.
pub(super) fn names<'a>(
    channels: &'a [String],
    factors: &'a [&'a str],
    strength: usize,
) -> impl Iterator<Item = (Vec<usize>, &'a str, String)> {
    let sets: Vec<Vec<usize>> = (1..=strength).flat_map(|size| subsets(factors.len(), size)).collect();
    channels.iter().flat_map(move |channel| {
        let sets = sets.clone();
        sets.into_iter().map(move |set| {
            let names: Vec<&str> = set.iter().map(|factor| factors[*factor]).collect();
            let name = format!("{channel}/{}", names.join("*"));
            (set, channel.as_str(), name)
        })
    })
}

impl Tests {
    /// The outcome of every hypothesis about all channels and up to `strength` factors. A dependence on several factors
    /// speaks against every hypothesis about some of them.
    #[must_use]
    pub fn of(
        scenario: &Scenario,
        space: &Space,
        strength: u8,
        seen: &Seen,
        dependences: &[Dependence],
        inconclusive: bool,
    ) -> Self {
        let channels = all_channels();
        let carried: BTreeSet<String> = seen.channels.iter().map(|channel| channel_name(*channel)).collect();
        let factors: Vec<&str> = scenario.factors.iter().map(|factor| factor.name.as_str()).collect();
        let mut observed: BTreeMap<Vec<usize>, bool> = BTreeMap::new();
        let mut tests = Self::default();
        for (set, channel, name) in names(&channels, &factors, usize::from(strength)) {
            let against = dependences.iter().filter(|dependence| {
                dependence.channels.iter().any(|other| other == channel)
                    && set.iter().all(|factor| dependence.factors.iter().any(|name| name == factors[*factor]))
            });
            let standings: BTreeSet<Standing> = against.map(|dependence| dependence.standing).collect();
            let complete = *observed.entry(set).or_insert_with_key(|set| is_observed(space, &seen.cells, set));
            let outcome = if standings.contains(&Standing::Open) {
                Outcome::Failed
            } else if standings.contains(&Standing::Disclosed) {
                Outcome::Warned
            } else if !complete || !carried.contains(channel) {
                Outcome::Untested
            } else if inconclusive {
                Outcome::Warned
            } else {
                Outcome::Passed
            };
            match outcome {
                Outcome::Passed => tests.passed.push(name),
                Outcome::Warned => tests.warned.push(name),
                Outcome::Failed => tests.failed.push(name),
                Outcome::Untested => tests.untested.push(name),
            }
        }
        tests
    }
}

/// Whether every combination of these factors' levels that the constraints allow was observed.
fn is_observed(space: &Space, cells: &BTreeSet<Assignment>, set: &[usize]) -> bool {
    let combination = |cell: &Assignment| set.iter().map(|factor| cell.level(*factor)).collect::<Vec<u16>>();
    let observed: BTreeSet<Vec<u16>> = cells.iter().map(combination).collect();
    let mut levels = vec![0_u16; set.len()];
    loop {
        let mut partial = vec![None; space.factors()];
        for (factor, level) in set.iter().zip(&levels) {
            partial[*factor] = Some(*level);
        }
        if !observed.contains(&levels) && space.constraints.feasible(&partial) {
            return false;
        }
        // The next combination, like a counter.
        let Some(at) = (0..set.len()).rev().find(|at| levels[*at] + 1 < space.levels[set[*at]]) else { return true };
        levels[at] += 1;
        levels[at + 1..].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Class;

    fn scenario(forbid: &str) -> Scenario {
        let text = format!(
            "name = \"x\"\n[target]\nnpm = \"x\"\ncommand = [\"x\"]\n[factors.user]\nlevels = [\"a\", \"b\"]\n\
             [factors.hostname]\nlevels = [\"c\", \"d\"]\n{forbid}"
        );
        crate::scenario::parse(&text, "x", std::path::Path::new("."), &[]).unwrap()
    }

    fn seen(cells: &[[u16; 2]], channels: &[Channel]) -> Seen {
        Seen {
            cells: cells.iter().map(|cell| Assignment(cell.to_vec())).collect(),
            channels: channels.iter().copied().collect(),
        }
    }

    fn dependence(channel: &str, factors: &[&str], standing: Standing) -> Dependence {
        Dependence {
            finding: "f".into(),
            class: Class::Overt,
            channels: vec![channel.into()],
            factors: factors.iter().map(ToString::to_string).collect(),
            standing,
            says: None,
        }
    }

    fn tests(scenario: &Scenario, seen: &Seen, dependences: &[Dependence], inconclusive: bool) -> Tests {
        Tests::of(scenario, &Space::of(scenario), 2, seen, dependences, inconclusive)
    }

    const ALL: [[u16; 2]; 4] = [[0, 0], [0, 1], [1, 0], [1, 1]];

    #[test]
    fn what_was_observed_and_shows_nothing_has_passed_and_the_rest_is_untested() {
        let tests = tests(&scenario(""), &seen(&ALL, &[Channel::Body]), &[], false);
        assert_eq!(tests.passed, ["body/user", "body/hostname", "body/user*hostname"]);
        assert_eq!(tests.untested.len(), 8 * 3, "channels that carried nothing: {tests:?}");
        assert!(tests.warned.is_empty() && tests.failed.is_empty());
    }

    #[test]
    fn a_combination_that_was_never_observed_is_untested_unless_it_is_forbidden() {
        let three = seen(&ALL[..3], &[Channel::Body]);
        let open = tests(&scenario(""), &three, &[], false);
        assert_eq!(open.passed, ["body/user", "body/hostname"]);
        let forbidden = scenario("[[constraints]]\nforbid = { user = \"b\", hostname = \"d\" }\n");
        assert_eq!(tests(&forbidden, &three, &[], false).passed.len(), 3);
        assert!(tests(&scenario(""), &seen(&[], &[Channel::Body]), &[], false).passed.is_empty());
    }

    #[test]
    fn a_dependence_speaks_against_every_part_of_it() {
        let all = seen(&ALL, &[Channel::Body, Channel::Dns]);
        let both = dependence("body", &["user", "hostname"], Standing::Open);
        let failed = tests(&scenario(""), &all, std::slice::from_ref(&both), false);
        assert_eq!(failed.failed, ["body/user", "body/hostname", "body/user*hostname"]);
        assert_eq!(failed.passed, ["dns/user", "dns/hostname", "dns/user*hostname"]);
        let one = tests(&scenario(""), &all, &[dependence("body", &["user"], Standing::Disclosed)], false);
        assert_eq!((one.warned, one.failed.len()), (vec![String::from("body/user")], 0));
        assert!(one.passed.contains(&String::from("body/user*hostname")), "what both together do is another question");
        let explained = tests(&scenario(""), &all, &[dependence("body", &["user"], Standing::Explained)], false);
        assert_eq!(explained.passed.len(), 6);
    }

    #[test]
    fn an_inconclusive_run_passes_nothing() {
        let tests = tests(&scenario(""), &seen(&ALL, &[Channel::Body]), &[], true);
        assert_eq!((tests.passed.len(), tests.warned.len()), (0, 3));
    }
}
