//! How long one capture of a 100 KB body takes, once the extractor has learned.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use parallax::capture::{Body, Capture, Exchange, Outcome, Seconds, Via};
use parallax::cell::Assignment;
use parallax::feature::{Extractor, Observation};
use parallax::scenario::{DesignOptions, Factor, FactorKind, Level, Limits, Matrix, Scenario, Source, Stub, Target};

fn main() {
    divan::main();
}

fn scenario() -> Arc<Scenario> {
    let levels = ["UTC", "Asia/Tokyo"].map(Level::set).to_vec();
    Arc::new(Scenario {
        name: "bench".into(),
        target: Target {
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
        },
        stub: Stub { script: Vec::new(), ..Stub::default() },
        factors: vec![Factor { name: "timezone".into(), kind: FactorKind::Timezone, levels }],
        forbidden: Vec::new(),
        design: DesignOptions { strength: 2, budget: 200, replicates: 8, minimum_rows: 64, alpha: 0.05 },
        matrix: Matrix::default(),
        disclosed: Vec::new(),
        severity: parallax::scenario::Severities::default(),
    })
}

/// A prompt of 300 lines and 60 tools with five leaves each; `n` makes it differ in a few places.
fn capture(n: u64) -> Capture {
    let mut prompt = String::new();
    for line in 0..300 {
        let _ = writeln!(
            prompt,
            "{line}. A rule that an agent is told about how to do the {line}th thing, run {}",
            n * (line % 100 / 99)
        );
    }
    let _ = write!(prompt, "Session {:032x}", u128::from(n) * 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C834);
    let mut tools = Vec::new();
    for tool in 0..60 {
        let text = format!("Tool {tool} does something that takes a while to describe in all detail. ").repeat(14);
        tools
            .push(format!(r#"{{"name":"Tool{tool}","description":"{text}","strict":true,"limit":{tool},"kind":"x"}}"#));
    }
    let prompt = prompt.replace('\n', "\\n");
    let body =
        format!(r#"{{"model":"m","system":[{{"type":"text","text":"{prompt}"}}],"tools":[{}]}}"#, tools.join(","));
    let exchange = Exchange {
        at: Seconds::from_f64(0.4),
        scheme: "https".into(),
        host: "api.example.com".into(),
        port: 443,
        dialled: "240.0.0.1:443".into(),
        via: Via::Direct,
        version: "1.1".into(),
        method: "POST".into(),
        target: "/v1/messages".into(),
        headers: vec![("Host".into(), "api.example.com".into())],
        body: Body::new(body.into_bytes()),
        status: 200,
        ..Exchange::default()
    };
    Capture {
        started_unix_ms: 1_795_291_200_000,
        wall: Seconds::from_f64(1.0),
        cpu: None,
        outcome: Outcome::Exited { code: 0 },
        stdout: Body::default(),
        stderr: Body::default(),
        exchanges: vec![exchange],
        dns: Vec::new(),
        tls: Vec::new(),
        connections: Vec::new(),
        files: Vec::new(),
        left_open: 0,
        ..Capture::default()
    }
}

fn learned() -> Extractor {
    let mut extractor = Extractor::new(scenario());
    let levels = Assignment::baseline(1);
    for n in 0..8 {
        extractor.learn(Observation { levels: &levels, capture: &capture(n) });
    }
    extractor.freeze();
    extractor
}

#[divan::bench(sample_count = 20)]
fn extract_100_kb(bencher: divan::Bencher<'_, '_>) {
    let mut extractor = learned();
    let levels = Assignment::baseline(1);
    let mut n = 100;
    bencher
        .with_inputs(|| {
            n += 1;
            capture(n)
        })
        .bench_local_values(|capture| extractor.extract(Observation { levels: &levels, capture: &capture }));
}

#[divan::bench(sample_count = 3)]
fn learn_8_and_freeze() -> Extractor {
    learned()
}
