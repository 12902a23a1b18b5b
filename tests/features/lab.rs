//! The **lab**: cells of synthetic agents, their captures, and what the extractor makes of these.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parallax::capture::{Body, Capture, Exchange, Outcome, Seconds, Via};
use parallax::cell::Assignment;
use parallax::feature::{Extractor, Feature, FeatureKind, Observation, Row};
use parallax::scenario::{DesignOptions, Factor, FactorKind, Level, Limits, Matrix, Scenario, Source, Stub, Target};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// 2026-11-21 20:00 UTC: the 22nd in Tokyo and Shanghai, the 21st in New York.
pub(crate) const EVENING: i64 = 1_795_291_200_000;
pub(crate) const TIMEZONE: usize = 0;
pub(crate) const BASE_URL: usize = 1;
pub(crate) const USER: usize = 2;
pub(crate) const HOSTNAME: usize = 3;

pub(crate) const ZONES: [&str; 4] = ["UTC", "America/New_York", "Asia/Tokyo", "Asia/Shanghai"];
pub(crate) const URLS: [&str; 4] = [
    "http://api.vendor.example",
    "http://gateway.example.com",
    "http://lab.example.org:8080/v9",
    "http://relay.example.cn",
];
pub(crate) const USERS: [&str; 2] = ["dev", "alice"];
pub(crate) const PROXY: &str = "http://proxy.corp.example:3128";
pub(crate) const HOSTNAMES: [&str; 2] = ["devbox", "build-7"];

pub(crate) fn scenario() -> Arc<Scenario> {
    scenario_of(&[])
}

/// The scenario, with levels of the base URL that are unset and a proxy factor where asked for.
pub(crate) fn scenario_of(unset: &[usize]) -> Arc<Scenario> {
    let factor = |name: &str, kind, levels: &[&str]| Factor {
        name: name.to_owned(),
        kind,
        levels: levels.iter().map(|level| Level::set(*level)).collect(),
    };
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
    let mut factors = vec![
        factor("timezone", FactorKind::Timezone, &ZONES),
        factor("base_url", FactorKind::BaseUrl { variable: None }, &URLS),
        factor("user", FactorKind::User, &USERS),
        factor("hostname", FactorKind::Hostname, &HOSTNAMES),
    ];
    for level in unset {
        factors[BASE_URL].levels[*level] = Level(None);
    }
    if !unset.is_empty() {
        factors[HOSTNAME] =
            Factor { name: "proxy".into(), kind: FactorKind::Proxy, levels: vec![Level(None), Level::set(PROXY)] };
    }
    Arc::new(Scenario {
        name: "synthetic".into(),
        target,
        stub: Stub { script: Vec::new(), ..Stub::default() },
        factors,
        forbidden: Vec::new(),
        design: DesignOptions { strength: 2, budget: 200, replicates: 8, minimum_rows: 64, alpha: 0.05 },
        matrix: Matrix::default(),
        disclosed: Vec::new(),
        severity: parallax::scenario::Severities::default(),
    })
}

/// One cell of a synthetic agent.
pub(crate) struct Run {
    pub(crate) levels: Assignment,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) started: i64,
}

impl Run {
    pub(crate) fn level<'a>(&self, factor: usize, levels: &[&'a str]) -> &'a str {
        levels[usize::from(self.levels.level(factor))]
    }

    pub(crate) fn local(&self) -> chrono::DateTime<chrono_tz::Tz> {
        let zone: chrono_tz::Tz = self.level(TIMEZONE, &ZONES).parse().unwrap();
        chrono::DateTime::from_timestamp_millis(self.started).unwrap().with_timezone(&zone)
    }

    pub(crate) fn uuid(&mut self) -> String {
        let n: u128 = self.rng.random();
        let hex = format!("{n:032x}");
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
    }

    /// A request to the base URL.
    pub(crate) fn post(&self, path: &str, mut headers: Vec<(&str, String)>, body: &str) -> Exchange {
        let url = url::Url::parse(self.level(BASE_URL, &URLS)).unwrap();
        let host = url.host_str().unwrap();
        let authority = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
        headers.push(("content-length", body.len().to_string()));
        let mut all = vec![("Host".to_owned(), authority)];
        all.extend(headers.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let port = url.port_or_known_default().unwrap();
        Exchange {
            at: Seconds::from_f64(0.5),
            scheme: "http".into(),
            host: host.to_owned(),
            port,
            dialled: format!("240.1.2.3:{port}"),
            via: Via::Direct,
            version: "1.1".into(),
            method: "POST".into(),
            target: format!("{}{path}", url.path().trim_end_matches('/')),
            headers: all,
            body: Body::new(body.as_bytes()),
            status: 200,
            ..Exchange::default()
        }
    }

    pub(crate) fn capture(&self, exchanges: Vec<Exchange>) -> Capture {
        Capture {
            started_unix_ms: self.started,
            wall: Seconds::from_f64(1.5),
            cpu: None,
            outcome: Outcome::Exited { code: 0 },
            stdout: Body::new(&b"OK\n"[..]),
            stderr: Body::default(),
            exchanges,
            dns: Vec::new(),
            tls: Vec::new(),
            connections: Vec::new(),
            files: Vec::new(),
            left_open: 0,
            ..Capture::default()
        }
    }
}

/// Runs an agent in `replicates` baseline cells and `random` others.
pub(crate) fn runs(
    seed: u64,
    replicates: usize,
    random: usize,
    agent: impl Fn(&mut Run) -> Capture,
) -> Vec<(Assignment, Capture)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let sizes = [ZONES.len(), URLS.len(), USERS.len(), HOSTNAMES.len()];
    (0..replicates + random)
        .map(|i| {
            let level = |n: &usize| if i < replicates { 0 } else { u16::try_from(rng.random_range(0..*n)).unwrap() };
            let levels = Assignment(sizes.iter().map(level).collect());
            let started = EVENING + i64::try_from(i).unwrap() * 1700;
            let mut run = Run { levels, rng: ChaCha8Rng::seed_from_u64(rng.random()), started };
            let capture = agent(&mut run);
            (run.levels, capture)
        })
        .collect()
}

pub(crate) struct Extracted {
    pub(crate) extractor: Extractor,
    pub(crate) rows: Vec<Row>,
    pub(crate) levels: Vec<Assignment>,
}

pub(crate) fn extract(captures: &[(Assignment, Capture)]) -> Extracted {
    extract_under(scenario(), captures)
}

pub(crate) fn extract_under(scenario: Arc<Scenario>, captures: &[(Assignment, Capture)]) -> Extracted {
    let mut extractor = Extractor::new(scenario);
    let observations = || captures.iter().map(|(levels, capture)| Observation { levels, capture });
    observations().for_each(|o| extractor.learn(o));
    extractor.freeze();
    let mut rows: Vec<Row> = observations().map(|o| extractor.extract(o)).collect();
    let width = extractor.features().len();
    for row in &mut rows {
        row.resize(width, None);
    }
    Extracted { extractor, rows, levels: captures.iter().map(|(levels, _)| levels.clone()).collect() }
}

impl Extracted {
    pub(crate) fn text(&self, feature: usize, run: usize) -> Option<&str> {
        self.rows[run][feature].map(|id| self.extractor.value(id))
    }

    pub(crate) fn varying(&self) -> Vec<(usize, &Feature)> {
        let varies = |f: &usize| self.rows.iter().any(|row| row[*f] != self.rows[0][*f]);
        (0..self.extractor.features().len()).filter(varies).map(|f| (f, &self.extractor.features()[f])).collect()
    }

    /// Whether the feature's value is a function of these factors' levels.
    pub(crate) fn follows(&self, feature: usize, factors: &[usize]) -> bool {
        let mut seen = HashMap::new();
        self.rows.iter().zip(&self.levels).all(|(row, levels)| {
            let key: Vec<u16> = factors.iter().map(|f| levels.level(*f)).collect();
            *seen.entry(key).or_insert(row[feature]) == row[feature]
        })
    }

    /// Varying features that no echo and no local date accounts for.
    pub(crate) fn unexplained(&self) -> Vec<(usize, &Feature)> {
        let plain = |kind: &FeatureKind| !matches!(kind, FeatureKind::Echo { .. } | FeatureKind::LocalDate);
        self.varying().into_iter().filter(|(_, feature)| plain(&feature.kind)).collect()
    }

    /// What each run has: the value by level of one factor.
    pub(crate) fn by_level(&self, feature: usize, factor: usize) -> BTreeMap<u16, BTreeSet<Option<&str>>> {
        let mut out: BTreeMap<u16, BTreeSet<Option<&str>>> = BTreeMap::new();
        for (run, levels) in self.levels.iter().enumerate() {
            out.entry(levels.level(factor)).or_default().insert(self.text(feature, run));
        }
        out
    }
}

pub(crate) fn json(value: &serde_json::Value) -> String {
    serde_json::to_string(value).unwrap()
}

/// An agent that sends just this text.
pub(crate) fn saying(text: impl Fn(&mut Run) -> String) -> impl Fn(&mut Run) -> Capture {
    move |run| {
        let text = text(run);
        let body = json(&serde_json::json!({"messages": [{"role": "user", "content": text}]}));
        run.capture(vec![run.post("/v1/messages", Vec::new(), &body)])
    }
}
