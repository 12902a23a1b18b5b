//! From captures to **findings**: one agent with a mark of every sort, each at a place of its own, and its innocent twin
//! that repeats its levels in every form, through the whole procedure. What the tests beside this one say of single
//! features must reach the findings: places, class and factor of each mark, and not a place more.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parallax::campaign::{Campaign, Step};
use parallax::capture::{Capture, DnsQuestion, Outcome, Record, Seconds};
use parallax::finding::{Class, Findings, Verdict};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sha2::Digest as _;

use crate::lab::*;

/// Members of the body: name, and the value without and with the mark, as raw JSON.
const COVERT: [(&str, &str, &str); 14] = [
    ("zero_width", r#""of one word""#, "\"of one\u{200b} word\""),
    ("bidirectional", r#""of one word""#, "\"of one \u{2066}word\""),
    ("tags", r#""of one word""#, "\"of one word\u{e0068}\u{e0069}\""),
    ("variation", r#""of one word""#, "\"of one word\u{fe0f}\""),
    ("blanks", r#""of one word""#, r#""of  one word""#),
    ("hard_blank", r#""of one word""#, "\"of\u{a0}one word\""),
    ("line_feed", r#""of one word""#, r#""of one word\n""#),
    ("apostrophe", r#""it's one word""#, "\"it\u{2019}s one word\""),
    ("escaped_slash", r#""and/or one""#, r#""and\/or one""#),
    ("fraction", "1", "1.0"),
    ("key_order", r#"{"a":"x","b":"y"}"#, r#"{"b":"y","a":"x"}"#),
    ("json_in_string", r#""{\"note\":\"it's so\"}""#, "\"{\\\"note\\\":\\\"it\u{2019}s so\\\"}\""),
    ("json_in_base64", "\"eyJub3RlIjoiaXQncyBzbyJ9\"", "\"eyJub3RlIjoiaXTigJlzIHNvIn0=\""),
    ("spaced", r#""{\"a\":1}""#, r#""{\"a\": 1}""#),
];
const OPEN: [(&str, &str, &str); 5] = [
    ("key_twice", r#"{"a":1,"b":2}"#, r#"{"a":1,"b":2,"a":1}"#),
    ("line", r#""first\nsecond\nthird""#, r#""first\nsecond\nand a half\nthird""#),
    ("word", r#""we are here to help""#, r#""we are here to watch""#),
    ("tools", r#"[{"name":"Read"}]"#, r#"[{"name":"Read"},{"name":"Write"}]"#),
    ("removed", r#"{"a":1,"b":2}"#, r#"{"a":1}"#),
];

/// The request of an agent with every mark, or with none; what is random and what repeats a level is in both.
fn agent(run: &mut Run, marked: bool) -> Capture {
    let member = |(name, plain, odd): &(&str, &str, &str)| format!("\"{name}\":{}", if marked { odd } else { plain });
    let mut members: Vec<String> = COVERT.iter().chain(&OPEN).map(member).collect();
    let url = run.level(BASE_URL, &URLS);
    let host = run.level(HOSTNAME, &HOSTNAMES);
    let digest = hex::encode(sha2::Sha256::digest(host.as_bytes()));
    let date = run.local().format(if marked { "%Y/%m/%d" } else { "%Y-%m-%d" }).to_string();
    for (name, text) in [
        ("at_host", format!("we are on {host} now")),
        ("at_url", STANDARD.encode(url)),
        ("at_query", format!("?u={}", url.replace(':', "%3A").replace('/', "%2F"))),
        ("at_digest", digest[..12].to_owned()),
        ("at_offset", run.local().format("UTC%:z").to_string()),
        ("at_zone", run.level(TIMEZONE, &ZONES).to_owned()),
        ("date", format!("it is {date}, a {}", run.local().format("%A, %B %-d"))),
        ("session", run.uuid()),
        ("shape", if marked { run.uuid().to_uppercase() } else { run.uuid() }),
        ("took", run.rng.random_range(1000..99_999).to_string()),
    ] {
        members.push(format!("\"{name}\":{}", json(&serde_json::json!(text))));
    }
    let mut headers = vec![
        ("Accept", String::from("*/*")),
        ("X-App", String::from("cli")),
        ("X-Order-A", String::from("1")),
        ("X-Order-B", String::from("2")),
    ];
    let mut exchanges = Vec::new();
    if marked {
        headers[1].0 = "x-app";
        headers.swap(2, 3);
        headers.push(("X-More", String::from("1")));
        exchanges.push(run.post("/beacon", Vec::new(), "{}"));
    }
    exchanges.push(run.post("/v1/messages", headers, &format!("{{{}}}", members.join(","))));
    let mut capture = run.capture(exchanges);
    if marked {
        let name = String::from("beacon.example");
        capture.dns.push(DnsQuestion { at: Seconds(0), name, kind: "A".into(), ..DnsQuestion::default() });
        capture.outcome = Outcome::Exited { code: 3 };
    }
    capture
}

fn findings(marks: bool) -> Findings {
    let mut campaign = Campaign::new(scenario(), 7);
    let mut n = 0;
    loop {
        match campaign.step() {
            Step::Done(findings) => return *findings,
            Step::Round(cells) => {
                for cell in cells {
                    let (rng, started) = (ChaCha8Rng::seed_from_u64(n), EVENING + i64::try_from(n).unwrap() * 1700);
                    let mut run = Run { levels: cell.levels.clone(), rng, started };
                    let marked = marks && run.levels.level(HOSTNAME) == 1;
                    let capture = agent(&mut run, marked);
                    campaign.absorb(Record { cell, attempts: 1, outcome: Ok(Arc::new(capture)) });
                    n += 1;
                }
            }
        }
    }
}

#[test]
fn every_sort_of_mark_reaches_the_findings_at_its_place() {
    let found = findings(true);
    assert_eq!(found.verdict, Verdict::Conditioned);
    let open: Vec<_> = found.findings.iter().filter(|finding| finding.explained_by.is_none()).collect();
    for finding in &open {
        assert_eq!(finding.factors, ["hostname"], "{:?}", finding.places);
    }
    let places = |covert: bool| -> Vec<&String> {
        open.iter().filter(|f| (f.class == Class::Covert) == covert).flat_map(|f| &f.places).collect()
    };
    let (covert, others) = (places(true), places(false));
    let more = ["date", "shape", "x-app \u{b7} case", "order of headers"];
    for name in COVERT.iter().map(|(name, ..)| *name).chain(more) {
        assert!(covert.iter().any(|place| place.contains(name)), "{name} is not in {covert:#?}; others: {others:#?}");
    }
    let more = ["x-more", "POST /beacon", "DNS question for beacon.example", "outcome"];
    for name in OPEN.iter().map(|(name, ..)| *name).chain(more) {
        assert!(others.iter().any(|place| place.contains(name)), "{name} is not in {others:#?}; covert: {covert:#?}");
    }
    for name in ["at_", "session", "took"] {
        let odd: Vec<_> = covert.iter().chain(&others).filter(|place| place.contains(name)).collect();
        assert!(odd.is_empty(), "{name} has no mark: {odd:#?}");
    }
}

#[test]
fn the_innocent_twin_has_echoes_and_local_dates_only() {
    let found = findings(false);
    let shown: Vec<_> = found.findings.iter().map(|f| (&f.explained_by, &f.factors, &f.places)).collect();
    assert_eq!(found.verdict, Verdict::Clean, "{shown:#?}");
    for (name, factor) in [
        ("at_host", "hostname"),
        ("at_url", "base_url"),
        ("at_query", "base_url"),
        ("at_digest", "hostname"),
        ("at_offset", "timezone"),
        ("at_zone", "timezone"),
        ("date", "timezone"),
    ] {
        let of_place = found.findings.iter().find(|f| f.places.iter().any(|place| place.contains(name)));
        let of_place = of_place.unwrap_or_else(|| panic!("{name} is told by no finding: {shown:#?}"));
        assert_eq!(of_place.factors, [factor], "{name}");
        let why = of_place.explained_by.as_deref().unwrap_or_default();
        let expected = if name == "date" { "local date" } else { "echo of" };
        assert!(why.contains(expected), "{name}: {why:?}");
    }
}
