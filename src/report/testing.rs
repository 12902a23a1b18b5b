//! Findings and a manifest for this module's tests, with what a hostile agent would send.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::capture::{Body, Capture, Record};
use crate::cell::Cell;
use crate::engine::target::TargetFacts;
use crate::feature::Channel;
use crate::finding::{
    ByHand, CellCounts, Class, CodePoint, Coins, Effect, Excerpt, Finding, Findings, Power, Reach, Reproduce, Rule,
    Stale, StaleReason, Support, Verdict,
};
use crate::scenario::Severity;
use crate::store::Manifest;

pub(crate) fn finding() -> Finding {
    let point = |side: &str, codepoint: &str, name: &str| CodePoint {
        side: side.into(),
        codepoint: codepoint.into(),
        name: name.into(),
    };
    Finding {
        id: "f0123456789".into(),
        channel: Channel::Body,
        places: (0..5).map(|n| format!("POST /v1/messages · messages[{n}]")).collect(),
        channels: vec![Channel::Body],
        factors: vec!["timezone".into(), "base_url".into()],
        suggested: Vec::new(),
        order: 2,
        rule: vec![Rule {
            when: BTreeMap::from([
                ("base_url".into(), vec!["http://gateway.example".into()]),
                ("timezone".into(), vec!["Asia/Tokyo".into(), "Asia/Seoul".into()]),
            ]),
            value: Some("’".into()),
        }],
        class: Class::Covert,
        severity: Severity::High,
        explained_by: None,
        excerpt: Excerpt {
            baseline: Some("Don't \u{1b}[31mguess".into()),
            variant: Some("Don’t \u{1b}[31mguess".into()),
            codepoints: vec![
                point("baseline", "U+0027", "APOSTROPHE"),
                point("variant", "U+2019", "RIGHT SINGLE QUOTATION MARK"),
            ],
        },
        effect: Effect {
            bits: 0.81,
            shares: BTreeMap::from([("timezone".into(), 0.2), ("base_url".into(), 0.05)]),
            interaction_bits: Some(0.56),
            distinguishable: 2,
            cramers_v: 1.0,
        },
        p_value: 1e-4,
        q_value: 2e-4,
        screen_p: None,
        evidence_curve: (1..=14).map(|n| 2_f64.powi(n)).collect(),
        support: Support { agree: 20, disagree: 1, coins: 14 },
        disclosed: None,
        reproduce: Reproduce {
            baseline_cell: "c0001".into(),
            variant_cell: "c0014".into(),
            command: "parallax run x.toml".into(),
            by_hand: Some(ByHand {
                prepare: vec!["cat > stub.py <<'END'\nprint(1)\nEND".into()],
                baseline: "docker run --env TZ=UTC \\\n  agent > baseline.txt".into(),
                variant: "docker run --env TZ=Asia/Tokyo \\\n  agent > variant.txt".into(),
                compare: "diff baseline.txt variant.txt".into(),
                leaves_out: vec!["TLS".into()],
            }),
        },
    }
}

fn stale() -> Stale {
    Stale {
        factors: vec!["proxy".into()],
        place: "*\u{202e}date*".into(),
        says: "the date | \u{1b}[31mis local".into(),
        why: StaleReason::Contradicted,
        contradicted_by: vec!["f0123456789".into()],
    }
}

pub(crate) fn findings() -> Findings {
    let echo = Finding {
        id: "f1".into(),
        places: vec!["header x-host a|b".into()],
        factors: vec!["hostname".into()],
        class: Class::Overt,
        channel: Channel::HeaderOrder,
        explained_by: Some("echo of a level of hostname".into()),
        severity: Severity::None,
        ..finding()
    };
    Findings {
        schema_version: 1,
        scenario: "test".into(),
        verdict: Verdict::Conditioned,
        notes: vec!["[click](http://evil.example) \u{202e}".into(), "the second note".into()],
        cells: CellCounts { planned: 214, observed: 213, failed: 1, rounds: 9 },
        not_varied: vec!["clock".into(), "cpus".into()],
        power: Power {
            strength: 2,
            tuples_covered: 80,
            tuples_total: 80,
            alpha: 0.05,
            smallest_rate: 0.2117,
            unexplained: vec!["one signal without a factor".into()],
            reach: vec![
                reach(1, 14, (23, 23), Some(0.1926)),
                reach(2, 2, (80, 80), Some(0.7764)),
                reach(3, 0, (61, 120), None),
            ],
            coins: Coins { e_needed: 75.0, needed: 7, available: 96 },
        },
        inconclusive: false,
        stale: vec![stale()],
        findings: vec![finding(), echo],
    }
}

fn reach(order: u32, runs: u32, (covered, total): (u64, u64), seen_rate: Option<f64>) -> Reach {
    let confirmed_rate = (order < 3).then_some(0.25);
    Reach { order, covered, total, runs, seen_rate, confirmed_rate }
}

pub(crate) fn manifest() -> Manifest {
    Manifest {
        schema_version: 1,
        parallax: "0.1.0".into(),
        run: "abcdefgh".into(),
        started: "2024-01-01T00:00:00Z".into(),
        scenario_path: "scenarios/test.toml".into(),
        scenario_text: String::new(),
        scenario_sha256: "00".into(),
        overrides: Vec::new(),
        scenario: crate::run::testing::scenario(),
        seed: 7,
        engine: "fake 1".into(),
        jobs: 2,
        target: TargetFacts {
            package: "pkg:npm/x@1.2.3".into(),
            version: Some("1.2.3".into()),
            ..TargetFacts::default()
        },
        tzdb: "2024a".into(),
        kernel: "6".into(),
        architecture: "x86_64".into(),
        cores: 2,
        pinned: None,
        sight: None,
        usage: None,
    }
}

/// What a hostile agent would send: terminal escapes, markup, script, the ends of scripts and comments and CDATA, formulas,
/// characters that XML forbids, bidirectional overrides, escapes of our own, quotes of every kind.
pub(crate) const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;x\u{7}<img src=x onerror=alert(1)></script><script>alert(2)</script><!--]]>\
     &lt;&#x41;\u{0}\u{8}\u{b}\u{fffe}\u{202e}gnp.exe\u{200b}\u{2028}\u{2029}\u{85}\"'`,;\t\r\n=cmd|' /C calc'!A0\u{feff}⟨U+202E⟩\u{e0041}";

/// [`findings`] with hostile text wherever an agent or an author can put some.
pub(crate) fn hostile() -> Findings {
    let mut findings = findings();
    let line = format!("{HOSTILE}{}", "A".repeat(1 << 20));
    findings.scenario = HOSTILE.into();
    findings.notes.push(HOSTILE.into());
    findings.not_varied.push(HOSTILE.into());
    findings.power.unexplained.push(line.clone());
    for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", HOSTILE] {
        let mut finding = finding();
        finding.id = format!("f{}", findings.findings.len());
        finding.places = vec![formula.into(), line.clone(), HOSTILE.into()];
        finding.factors.push(formula.into());
        finding.suggested = vec![formula.into()];
        finding.rule[0].when.insert(formula.into(), vec![HOSTILE.into()]);
        finding.rule[0].value = Some(line.clone());
        finding.excerpt.baseline = Some(formula.into());
        finding.excerpt.variant = Some(line.clone());
        finding.explained_by = (formula == "+1").then(|| HOSTILE.into());
        finding.disclosed = (formula == "-1").then(|| HOSTILE.into());
        finding.reproduce.command = HOSTILE.into();
        finding.reproduce.by_hand = Some(ByHand {
            prepare: vec![HOSTILE.into()],
            baseline: format!("```\n{HOSTILE}"),
            variant: HOSTILE.into(),
            compare: HOSTILE.into(),
            leaves_out: vec![HOSTILE.into()],
        });
        findings.findings.push(finding);
    }
    findings
}

/// Records of twelve cells, one of them lost, in which a header follows the only factor of [`manifest`]'s scenario.
pub(crate) fn records() -> Vec<Record> {
    let record = |n: usize| {
        if n == 5 {
            return crate::run::testing::failed(n);
        }
        let level = u16::from(n % 2 == 1);
        let known = crate::run::testing::record(n);
        let mut capture: Capture = crate::run::testing::capture();
        capture.started_unix_ms += i64::try_from(n).unwrap_or(0) * 500;
        let mark = if level == 1 { "variant" } else { "baseline" };
        capture.exchanges[0].headers.push(("X-Mark".into(), mark.into()));
        capture.exchanges[0].body = Body::new(format!("{{\"text\":\"hello {mark}\"}}").into_bytes());
        let levels = known.cell.levels.with(0, level);
        Record { cell: Cell { levels, ..known.cell }, outcome: Ok(Arc::new(capture)), ..known }
    };
    (0..12).map(record).collect()
}

/// What is to be found in [`records`].
pub(crate) fn found() -> Findings {
    let mut one = finding();
    one.places = vec!["POST /v1/messages · header x-mark".into()];
    one.factors = vec!["zone".into()];
    one.order = 1;
    one.rule = vec![Rule {
        when: BTreeMap::from([("zone".into(), vec!["Asia/Tokyo".into()])]),
        value: Some("variant".into()),
    }];
    Findings { findings: vec![one], ..findings() }
}
