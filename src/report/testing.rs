//! Findings and a manifest for this module's tests, with what a hostile agent would send.

use std::collections::BTreeMap;

use crate::engine::target::TargetFacts;
use crate::feature::Channel;
use crate::finding::{
    CellCounts, Class, CodePoint, Effect, Excerpt, Finding, Findings, Power, Reproduce, Rule, Stale, StaleReason,
    Support, Verdict,
};
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
        explained_by: None,
        excerpt: Excerpt {
            baseline: Some("Don't \u{1b}[31mguess".into()),
            variant: Some("Don’t \u{1b}[31mguess".into()),
            codepoints: vec![
                point("baseline", "U+0027", "APOSTROPHE"),
                point("variant", "U+2019", "RIGHT SINGLE QUOTATION MARK"),
            ],
        },
        effect: Effect { bits: 0.81, cramers_v: 1.0 },
        p_value: 1e-4,
        q_value: 2e-4,
        support: Support { agree: 20, disagree: 1, coins: 14 },
        disclosed: None,
        reproduce: Reproduce {
            baseline_cell: "c0001".into(),
            variant_cell: "c0014".into(),
            command: "parallax run x.toml".into(),
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
        },
        inconclusive: false,
        stale: vec![stale()],
        findings: vec![finding(), echo],
    }
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
        usage: None,
    }
}
