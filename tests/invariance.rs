//! The answer does not depend on luck of order: factors and levels in another order, other names and other seeds give the
//! same findings on deterministic agents, at strength 2 and 3, with constraints and without.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parallax::attribution::confirm::Standing;
use parallax::attribution::procedure::{Need, Procedure};
use parallax::campaign::{Campaign, Step};
use parallax::capture::{Body, Capture, Exchange, Outcome, Record, Seconds, Via};
use parallax::cell::Assignment;
use parallax::design::Space;
use parallax::design::feasible::Constraints;
use parallax::design::randomise;
use parallax::feature::ValueId;
use parallax::finding::{Class, Finding, Rule};
use parallax::scenario::{DesignOptions, Factor, FactorKind, Forbidden, Level, Limits, Scenario, Source, Stub, Target};
use proptest::prelude::*;

/// An agent: a row of values for a cell, in the agent's own numbering of factors and levels.
type Agent = fn(&[u16]) -> Vec<u32>;

const LEVELS: [u16; 6] = [5, 4, 3, 3, 2, 2];

/// Markers of many forms; none needs a combination that a strength-2 array may lack.
const AGENTS: [(&str, Agent); 12] = [
    ("one level", |c| vec![u32::from(c[0] == 3), 7]),
    ("level set", |c| vec![7, u32::from([1, 4].contains(&c[0]))]),
    ("and", |c| vec![u32::from(c[1] == 2 && c[4] == 1)]),
    ("xor", |c| vec![u32::from((c[2] == 1) != (c[5] == 1))]),
    ("or", |c| vec![u32::from(c[1] == 3 || c[3] == 2)]),
    ("gate", |c| vec![if c[4] == 1 { 1 + u32::from(c[3] != 0) } else { 0 }]),
    ("four values", |c| vec![u32::from(c[0] % 4), u32::from(c[1] != 0 && c[3] != 0)]),
    ("three wide", |c| vec![u32::from(c[0] != 0 && c[1] != 0 && c[2] != 0)]),
    ("nested gates", |c| vec![if c[4] == 1 { if c[5] == 1 { 2 + u32::from(c[3] != 0) } else { 1 } } else { 0 }]),
    ("baseline inside", |c| vec![u32::from(c[1] <= 1 && c[3] == 0)]),
    ("everywhere but at the baseline's pair", |c| vec![u32::from(c[0] != 0 || c[2] != 0)]),
    ("two markers that share a factor", |c| vec![u32::from(c[1] >= 2 && c[4] == 1), u32::from(c[1] >= 2 && c[3] != 0)]),
];

/// Combinations that no cell may have, in the agent's own numbering. They leave no factor of a marker to be told by another.
const FORBIDDEN: [&[(usize, &[u16])]; 3] =
    [&[(0, &[4]), (3, &[1])], &[(2, &[2]), (5, &[1])], &[(1, &[3]), (3, &[2]), (4, &[0])]];

/// Another presentation of the same factors: where each of the agent's factors stands, and which of the agent's levels each
/// level is. The baseline stays the baseline: it is chosen, not an accident of order.
struct Presentation {
    /// Position → the agent's factor.
    factors: Vec<usize>,
    /// Position → level → the agent's level.
    levels: Vec<Vec<u16>>,
}

impl Presentation {
    fn new(seed: u64) -> Self {
        let mut draw = randomise::generator(seed, "presentation");
        let mut factors: Vec<usize> = (0..LEVELS.len()).collect();
        randomise::shuffle(&mut factors, &mut draw);
        let levels = factors
            .iter()
            .map(|factor| {
                let mut others: Vec<u16> = (1..LEVELS[*factor]).collect();
                randomise::shuffle(&mut others, &mut draw);
                std::iter::once(0).chain(others).collect()
            })
            .collect();
        Self { factors, levels }
    }

    fn counts(&self) -> Vec<u16> {
        self.factors.iter().map(|factor| LEVELS[*factor]).collect()
    }

    /// The forbidden combinations as presented.
    fn forbidden(&self) -> Vec<Forbidden> {
        let one = |(factor, levels): &(usize, &[u16])| {
            let at = self.factors.iter().position(|own| own == factor).unwrap();
            let presented = (0_u16..).zip(&self.levels[at]).filter(|(_, own)| levels.contains(own));
            (at, presented.map(|(level, _)| level).collect())
        };
        FORBIDDEN.iter().map(|all| Forbidden { when: all.iter().map(one).collect() }).collect()
    }

    fn space(&self, constrained: bool) -> Space {
        let forbidden = if constrained { self.forbidden() } else { Vec::new() };
        Space { levels: self.counts(), constraints: Constraints::new(self.counts(), forbidden) }
    }

    /// A cell as presented, of the agent's own.
    fn presented(&self, own: &[u16]) -> Vec<u16> {
        let level = |(at, factor): (usize, &usize)| {
            u16::try_from(self.levels[at].iter().position(|level| *level == own[*factor]).unwrap()).unwrap()
        };
        self.factors.iter().enumerate().map(level).collect()
    }

    /// The agent's own cell for a cell as presented.
    fn cell(&self, presented: &[u16]) -> Vec<u16> {
        let mut cell = vec![0; LEVELS.len()];
        for (at, level) in presented.iter().enumerate() {
            cell[self.factors[at]] = self.levels[at][usize::from(*level)];
        }
        cell
    }
}

/// Every cell that the agent knows.
fn cells() -> impl Iterator<Item = Vec<u16>> {
    let count: usize = LEVELS.iter().map(|levels| usize::from(*levels)).product();
    (0..count).map(|mut code| {
        let mut cell = vec![0; LEVELS.len()];
        for at in (0..LEVELS.len()).rev() {
            cell[at] = u16::try_from(code % usize::from(LEVELS[at])).unwrap();
            code /= usize::from(LEVELS[at]);
        }
        cell
    })
}

fn is_forbidden(cell: &[u16]) -> bool {
    FORBIDDEN.iter().any(|all| all.iter().all(|(factor, levels)| levels.contains(&cell[*factor])))
}

/// What is varied of a run beside the presentation.
#[derive(Clone, Copy, Debug)]
struct Conditions {
    strength: u8,
    constrained: bool,
}

/// What is confirmed, in the agent's own terms: features, factors and the value of every cell that may be run.
type Findings = BTreeSet<(Vec<usize>, Vec<usize>, Vec<Option<u32>>)>;

fn findings(agent: Agent, presentation: &Presentation, conditions: Conditions, seed: u64) -> Findings {
    let space = presentation.space(conditions.constrained);
    let options = options(conditions.strength);
    let mut procedure = Procedure::new(Arc::new(space), options, seed);
    while let Need::Cells(cells) = procedure.step() {
        for cell in cells {
            let row = agent(&presentation.cell(&cell.levels.0));
            procedure.absorb(Some(row.into_iter().map(|value| Some(ValueId(value))).collect()));
        }
    }
    let confirmed = procedure.judged().iter().filter(|judged| judged.claim.standing == Standing::Confirmed);
    confirmed
        .map(|judged| {
            let rules = judged.claim.rules.canonical(procedure.space());
            let mut factors: Vec<usize> = rules.factors().iter().map(|at| presentation.factors[*at]).collect();
            factors.sort_unstable();
            let allowed = cells().filter(|cell| !conditions.constrained || !is_forbidden(cell));
            let predict = |cell: Vec<u16>| rules.predict(&Assignment(presentation.presented(&cell)));
            let values = allowed.map(|cell| predict(cell).map(|value| value.0)).collect();
            (judged.features.clone(), factors, values)
        })
        .collect()
}

fn options(strength: u8) -> DesignOptions {
    DesignOptions { strength, budget: 900, replicates: 8, minimum_rows: 64, alpha: 0.05 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 0, ..ProptestConfig::default() })]
    #[test]
    fn another_order_and_another_seed_give_the_same_findings(
        which in 0..AGENTS.len(), order in any::<u64>(), seed in any::<u64>(), strength in 2..=3_u8, constrained: bool,
    ) {
        let (name, agent) = AGENTS[which];
        let conditions = Conditions { strength, constrained };
        let first = findings(agent, &Presentation::new(1), conditions, 1);
        prop_assert!(!first.is_empty(), "{name}: nothing found");
        prop_assert_eq!(first, findings(agent, &Presentation::new(order), conditions, seed), "{} {:?}", name, conditions);
    }
}

#[test]
fn every_agent_is_found_right_under_each_of_three_presentations() {
    for (name, agent) in AGENTS {
        for (seed, constrained, strength) in [(1, false, 2), (2, true, 2), (3, true, 3)] {
            let conditions = Conditions { strength, constrained };
            for (features, _, values) in findings(agent, &Presentation::new(seed), conditions, seed) {
                let allowed: Vec<Vec<u16>> = cells().filter(|cell| !constrained || !is_forbidden(cell)).collect();
                assert_eq!(allowed.len(), values.len());
                for (cell, value) in allowed.iter().zip(&values) {
                    assert_eq!(*value, Some(agent(cell)[features[0]]), "{name}, seed {seed}, cell {cell:?}");
                }
            }
        }
    }
}

/// All agents at once, as one that sends a word for each value: through captures, features, findings and their ids.
fn body(cell: &[u16]) -> String {
    const WORDS: [&str; 4] = ["plain", "amber", "cobalt", "violet"];
    let mut body = serde_json::Map::new();
    for (name, agent) in AGENTS {
        for (n, value) in agent(cell).into_iter().filter(|value| *value < 7).enumerate() {
            let place = format!("{} {n}", name.replace('\'', ""));
            body.insert(place, WORDS[value as usize].into());
        }
    }
    serde_json::Value::Object(body).to_string()
}

fn capture(cell: &[u16], n: usize) -> Capture {
    let body = body(cell);
    let exchange = Exchange {
        at: Seconds::from_f64(0.5),
        scheme: "http".into(),
        host: "api.example.com".into(),
        port: 80,
        dialled: "240.1.2.3:80".into(),
        via: Via::Direct,
        version: "1.1".into(),
        method: "POST".into(),
        target: "/v1/report".into(),
        headers: vec![("Host".into(), "api.example.com".into())],
        body: Body::new(body.into_bytes()),
        status: 200,
        ..Exchange::default()
    };
    Capture {
        started_unix_ms: 1_795_291_200_000 + i64::try_from(n).unwrap() * 1700,
        wall: Seconds::from_f64(1.5),
        cpu: None,
        outcome: Outcome::Exited { code: 0 },
        stdout: Body::default(),
        stderr: Body::default(),
        exchanges: vec![exchange],
        ..Capture::default()
    }
}

/// Names of factors and levels: `names` is another set of names for another number.
fn name(names: &str, factor: usize) -> String {
    format!("{names}{}", ["oak", "elm", "ash", "fir", "yew", "box"][factor])
}

fn label(names: &str, factor: usize, level: u16) -> String {
    format!("{}-{}", name(names, factor), ["one", "two", "three", "four", "five"][usize::from(level)])
}

fn scenario(presentation: &Presentation, names: &str, conditions: Conditions) -> Arc<Scenario> {
    let factors = presentation.factors.iter().zip(&presentation.levels).map(|(factor, levels)| Factor {
        name: name(names, *factor),
        kind: FactorKind::Argument,
        levels: levels.iter().map(|level| Level::set(label(names, *factor, *level))).collect(),
    });
    let target = Target {
        source: Source::Local { include: Vec::new() },
        command: Vec::new(),
        prompt: String::new(),
        env: BTreeMap::new(),
        files: Vec::new(),
        node: String::new(),
        python: None,
        timeout: Duration::from_mins(1),
        limits: Limits { memory_bytes: 0, processes: 0 },
        folder: "/".into(),
    };
    Arc::new(Scenario {
        name: "synthetic".into(),
        target,
        stub: Stub { script: Vec::new(), ..Stub::default() },
        factors: factors.collect(),
        forbidden: if conditions.constrained { presentation.forbidden() } else { Vec::new() },
        design: options(conditions.strength),
        matrix: parallax::scenario::Matrix::default(),
        disclosed: Vec::new(),
        severity: parallax::scenario::Severities::default(),
    })
}

fn report(presentation: &Presentation, names: &str, conditions: Conditions, seed: u64) -> Vec<Finding> {
    let mut campaign = Campaign::new(scenario(presentation, names, conditions), seed);
    let mut n = 0;
    loop {
        match campaign.step() {
            Step::Round(cells) => {
                for cell in cells {
                    let capture = capture(&presentation.cell(&cell.levels.0), n);
                    campaign.absorb(Record { cell, attempts: 1, outcome: Ok(Arc::new(capture)) });
                    n += 1;
                }
            }
            Step::Done(findings) => return findings.findings,
        }
    }
}

/// A finding in the agent's own terms: places, class, factors, what each cell that may be run has by its rule (`None`: as at
/// the baseline), and its effect, in millionths.
type Told = (Vec<String>, Class, Vec<usize>, Vec<Option<String>>, Vec<i64>);

fn told(finding: &Finding, names: &str, constrained: bool) -> Told {
    let factor = |wanted: &String| (0..LEVELS.len()).find(|factor| name(names, *factor) == *wanted).unwrap();
    let mut factors: Vec<usize> = finding.factors.iter().map(factor).collect();
    factors.sort_unstable();
    let allowed = cells().filter(|cell| !constrained || !is_forbidden(cell));
    let values = allowed.map(|cell| {
        let matches = |rule: &&Rule| {
            rule.when.iter().all(|(name, levels)| {
                let factor = factor(name);
                levels.contains(&label(names, factor, cell[factor]))
            })
        };
        finding.rule.iter().rev().find(matches).and_then(|rule| rule.value.clone())
    });
    let mut places = finding.places.clone();
    places.sort();
    let effect = &finding.effect;
    let mut shares: Vec<(usize, f64)> = effect.shares.iter().map(|(name, share)| (factor(name), *share)).collect();
    shares.sort_by_key(|(factor, _)| *factor);
    let numbers = [effect.bits, effect.interaction_bits.unwrap_or(-9.0), f64::from(effect.distinguishable)];
    #[allow(clippy::cast_possible_truncation, reason = "small numbers")]
    let millionths = |number: f64| (number * 1e6).round() as i64;
    let effect = numbers.into_iter().chain(shares.into_iter().map(|(_, share)| share)).map(millionths).collect();
    (places, finding.class, factors, values.collect(), effect)
}

/// Prefixes of the names of factors and levels: another length, another place in the alphabet, signs, spaces, other scripts.
fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,12}",
        "[A-Z][a-z]{0,5} ",
        "[0-9]{1,3}",
        "[а-я]{1,6}-",
        Just(String::from("the ")),
        "[-_.:/=]{1,3}[a-z]?"
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, max_shrink_iters: 0, ..ProptestConfig::default() })]
    #[test]
    fn findings_are_the_same_under_other_orders_names_and_seeds_and_their_ids_under_other_seeds(
        order in any::<u64>(), seed in any::<u64>(), names in names(), strength in 2..=3_u8, constrained: bool,
    ) {
        let conditions = Conditions { strength, constrained };
        let first = report(&Presentation::new(1), "a", conditions, 1);
        let ids = |findings: &[Finding]| findings.iter().map(|finding| finding.id.clone()).collect::<BTreeSet<_>>();
        let all = |findings: &[Finding], names: &str| {
            findings.iter().map(|finding| told(finding, names, constrained)).collect::<BTreeSet<_>>()
        };
        prop_assert!(first.len() >= AGENTS.len(), "{:?}: {} findings", conditions, first.len());
        prop_assert_eq!(ids(&first).len(), first.len(), "{:?}: an id stands twice", conditions);
        let again = report(&Presentation::new(1), "a", conditions, seed);
        prop_assert_eq!(ids(&first), ids(&again), "{:?}: another seed, other ids", conditions);
        prop_assert_eq!(all(&first, "a"), all(&again, "a"), "{:?}: another seed", conditions);
        let other = report(&Presentation::new(order), &names, conditions, seed);
        prop_assert_eq!(all(&first, "a"), all(&other, &names), "{:?}: another order, other names", conditions);
        prop_assert_eq!(ids(&other).len(), ids(&first).len());
        prop_assert!(names == "a" || ids(&other).is_disjoint(&ids(&first)), "other names, the same ids");
    }
}
