//! Captures of synthetic agents through the extractor: what must vary varies exactly as planted, and nothing else does.

#![allow(clippy::unwrap_used, reason = "a test's helpers may fail the test")]

mod bombs;
mod check;
mod findings;
mod identifiers;
mod lab;
mod levels;
mod structure;
mod text;
#[path = "../bombs/mod.rs"]
mod unfolding;

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use lab::*;
use parallax::capture::{Capture, Change, DnsQuestion, FileChange, Seconds};
use parallax::feature::{Extractor, FeatureKind, Observation, Row};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

/// An agent with rich noise and no tell: uuids, timestamps, header order, an extra request now and then.
fn innocent(run: &mut Run) -> Capture {
    let (session, id, device) = (run.uuid(), run.uuid(), format!("{:064x}", run.rng.random::<u128>()));
    let meta = json(&serde_json::json!({"device": device, "session": session, "at": run.started + 312}));
    let words = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven", "inlet", "jetty"];
    let name: String =
        (0..3).map(|_| *words.iter().collect::<Vec<_>>()[run.rng.random_range(0..words.len())]).collect();
    let body = serde_json::json!({
        "model": "m-1", "session": name, "elapsed": run.rng.random_range(100..99_999),
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": format!("# context\nRun {id} in /dev/null mode, C locale, UTC clock.\n\nBe brief.\n")},
            {"type": "text", "text": "Reply with OK."},
        ]}],
        "metadata": {"user_id": meta}, "nonce": run.rng.random::<u32>(), "stream": true,
    });
    let mut headers = vec![
        ("X-Session", session.clone()),
        ("X-Request", run.uuid()),
        ("Accept", "application/json".into()),
        ("User-Agent", "agent/1.2".into()),
        ("X-Lang", "js".into()),
        ("X-Runtime", "v20".into()),
        (
            "X-Time",
            chrono::DateTime::from_timestamp_millis(run.started)
                .unwrap()
                .to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        ),
    ];
    headers.shuffle(&mut run.rng);
    let mut exchanges = vec![run.post("/v1/messages", headers, &json(&body))];
    if run.rng.random_bool(0.1) {
        let event = serde_json::json!({"event": "started", "id": run.uuid(), "at": run.started});
        exchanges.insert(0, run.post("/telemetry", vec![("Accept", "*/*".into())], &json(&event)));
    }
    run.capture(exchanges)
}

/// A short prompt with today's date in the zone of the cell. The tells: which apostrophe (by base URL), which separator
/// (by zone and base URL together).
fn telling(run: &mut Run) -> Capture {
    let apostrophe = ["'", "\u{2019}", "\u{2bc}", "\u{2b9}"][usize::from(run.levels.level(BASE_URL))];
    let marked = run.levels.level(TIMEZONE) == 3 && run.levels.level(BASE_URL) != 0;
    let date = run.local().format(if marked { "%Y/%m/%d" } else { "%Y-%m-%d" }).to_string();
    let mut messages = vec![serde_json::json!({"role": "user", "content": [
        {"type": "text", "text": "<reminder>\nSkills:\n- one\n- two\n</reminder>"},
        {"type": "text", "text": format!("<reminder>\n# currentDate\nToday{apostrophe}s date is {date}.\n\n  It may be wrong.\n</reminder>")},
        {"type": "text", "text": "Reply with OK."},
    ]})];
    if run.levels.level(BASE_URL) == 0 {
        messages.insert(0, serde_json::json!({"role": "user", "content": "<deferred>\nAsk\nCron\n</deferred>"}));
    }
    let body = serde_json::json!({"model": "m", "messages": messages, "id": run.uuid()});
    let headers = vec![("X-Request", run.uuid())];
    let exchange = run.post("/v1/messages", headers, &json(&body));
    run.capture(vec![exchange])
}

#[test]
fn an_innocent_agents_noise_follows_no_factor() {
    for seed in 0..4 {
        let extracted = extract(&runs(seed, 8, 30, innocent));
        for (feature, known) in extracted.unexplained() {
            for factor in 0..4 {
                assert!(!extracted.follows(feature, &[factor]), "seed {seed}: {known:?} follows factor {factor}");
            }
        }
        // Identifiers, timestamps and header order are constants; what is left is the odd request.
        for (_, known) in extracted.unexplained() {
            assert!(known.id.contains("/telemetry"), "seed {seed}: {known:?}");
        }
    }
}

#[test]
fn both_tells_are_found_with_their_exact_partitions() {
    let extracted = extract(&runs(1, 8, 72, telling));
    let of_kind = |kind: &FeatureKind| -> Vec<usize> {
        extracted.varying().into_iter().filter(|(_, f)| f.kind == *kind).map(|(i, _)| i).collect()
    };
    let texts = of_kind(&FeatureKind::Text);
    let [apostrophe] = texts.iter().filter(|f| extracted.rows.iter().all(|r| r[**f].is_some())).collect::<Vec<_>>()[..]
    else {
        panic!("one text differs everywhere: {:#?}", extracted.unexplained())
    };
    let values = extracted.by_level(*apostrophe, BASE_URL);
    let expected = ["'", "\u{2019}", "\u{2bc}", "\u{2b9}"];
    for (level, set) in &values {
        assert_eq!(set.iter().copied().collect::<Vec<_>>(), [Some(expected[usize::from(*level)])]);
    }
    let [format] = of_kind(&FeatureKind::DateFormat)[..] else { panic!("one date format differs") };
    for (run, levels) in extracted.levels.iter().enumerate() {
        let marked = levels.level(TIMEZONE) == 3 && levels.level(BASE_URL) != 0;
        assert_eq!(extracted.text(format, run), Some(if marked { "%Y/%m/%d" } else { "%Y-%m-%d" }));
    }
    let [date] = of_kind(&FeatureKind::LocalDate)[..] else { panic!("one local date") };
    let values = extracted.by_level(date, TIMEZONE);
    assert_eq!(values[&0], BTreeSet::from([Some("UTC date")]));
    assert_eq!(values[&2], BTreeSet::from([Some("UTC date + 1 day")]));
    // All else is the deferred message that leaves with the vendor's host.
    for (feature, known) in extracted.unexplained() {
        if feature != *apostrophe && feature != format {
            assert!(extracted.follows(feature, &[BASE_URL]), "{known:?}");
            assert!(known.id.contains("user#0"), "{known:?}");
        }
    }
}

#[test]
fn identical_environments_give_identical_rows() {
    let extracted = extract(&runs(2, 8, 40, telling));
    for run in 1..8 {
        assert_eq!(extracted.rows[run], extracted.rows[0]);
    }
}

#[test]
fn captures_after_the_freeze_read_the_same() {
    let all = runs(3, 8, 60, telling);
    let mut extractor = Extractor::new(scenario());
    all[..50].iter().for_each(|(levels, capture)| extractor.learn(Observation { levels, capture }));
    extractor.freeze();
    let rows: Vec<Row> =
        all.iter().map(|(levels, capture)| extractor.extract(Observation { levels, capture })).collect();
    let mut by_levels: HashMap<(u16, u16), &Row> = HashMap::new();
    for ((levels, _), row) in all[..50].iter().zip(&rows) {
        if levels.0[2..] == [0, 0] {
            by_levels.entry((levels.level(0), levels.level(1))).or_insert(row);
        }
    }
    let mut compared = 0;
    for ((levels, _), row) in all[50..].iter().zip(&rows[50..]) {
        if let Some(known) = by_levels.get(&(levels.level(0), levels.level(1))) {
            assert_eq!(known, &row);
            compared += 1;
        }
    }
    assert!(compared > 0);
}

/// An agent whose requests and messages are told apart by what those before them were: events of one kind in any number and
/// order, and a conversation in which messages come and go.
fn talkative(run: &mut Run) -> Capture {
    let texts = ["list the files of this folder", "the date of today, if it matters", "a summary of all that was said"];
    let mut messages = Vec::new();
    for text in texts {
        if run.rng.random_bool(0.7) {
            let role = if run.rng.random_bool(0.5) { "user" } else { "assistant" };
            messages.push(serde_json::json!({"role": role, "content": format!("{text} as {}", run.uuid())}));
        }
    }
    let odd = if run.rng.random_bool(0.2) { "caf\\u00e9" } else { "caf\u{e9}" };
    let body = json(&serde_json::json!({"messages": messages, "note": "NOTE"})).replace("NOTE", odd);
    let mut exchanges = vec![run.post("/v1/messages", Vec::new(), &body)];
    for _ in 0..run.rng.random_range(0..4) {
        let event = ["started the program", "read a file of text", "ended with no error"][run.rng.random_range(0..3)];
        let body = json(&serde_json::json!({"event": event, "id": run.uuid(), "n": run.rng.random_range(0..9)}));
        exchanges.push(run.post("/events", Vec::new(), &body));
    }
    run.capture(exchanges)
}

#[test]
fn many_captures_at_once_read_as_they_do_one_by_one() {
    for (seed, agent) in [innocent as fn(&mut Run) -> Capture, telling, talkative].into_iter().enumerate() {
        let all = runs(seed as u64, 8, 130, agent);
        let observations: Vec<Observation<'_>> =
            all.iter().map(|(levels, capture)| Observation { levels, capture }).collect();
        let learned = |learned: usize| {
            let mut extractor = Extractor::new(scenario());
            observations[..learned].iter().for_each(|o| extractor.learn(*o));
            extractor.freeze();
            extractor
        };
        let shown = |extractor: &Extractor, rows: &[Row]| -> Vec<Vec<Option<String>>> {
            let value = |value: &Option<_>| value.map(|id| extractor.value(id).to_owned());
            rows.iter().map(|row| row.iter().map(value).collect()).collect()
        };
        // Few are learned from: most of what comes later is new.
        for few in [6, 90] {
            let mut one_by_one = learned(few);
            let rows: Vec<Row> = observations.iter().map(|o| one_by_one.extract(*o)).collect();
            let mut at_once = learned(few);
            let mut others = at_once.learned();
            assert_eq!(others.len(), few);
            others.extend(at_once.extract_all(&observations[few..]));
            assert_eq!(one_by_one.features(), at_once.features(), "agent {seed}, {few} learned");
            assert!(
                shown(&one_by_one, &rows) == shown(&at_once, &others),
                "agent {seed}, {few} learned: other values of the same features"
            );
        }
    }
}

#[test]
fn one_inserted_line_is_one_feature() {
    let plain: String = (0..60).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "- rule number {n} says something of its own kind");
        text
    });
    let at = plain.match_indices('\n').nth(30).unwrap().0 + 1;
    let extracted = extract(&runs(
        4,
        4,
        30,
        saying(move |run| {
            let mut text = plain.clone();
            if run.levels.level(HOSTNAME) == 1 {
                text.insert_str(at, "You are on a build machine.\n");
            }
            text
        }),
    ));
    let unexplained = extracted.unexplained();
    assert_eq!(unexplained.len(), 1, "{unexplained:#?}");
    assert_eq!(unexplained[0].1.kind, FeatureKind::Presence);
    assert!(extracted.follows(unexplained[0].0, &[HOSTNAME]));
}

#[test]
fn two_optional_lines_in_one_place_are_two_features() {
    let extracted = extract(&runs(
        5,
        4,
        50,
        saying(|run| {
            let mut text = String::from("head of it all\n");
            if run.levels.level(HOSTNAME) == 1 {
                text.push_str("Build mode: on\n");
            }
            if run.levels.level(USER) == 1 {
                text.push_str("Proxy mode: on\n");
            }
            text + "tail of it all\n"
        }),
    ));
    let unexplained = extracted.unexplained();
    assert_eq!(unexplained.len(), 2, "{unexplained:#?}");
    for (feature, known) in unexplained {
        assert!(extracted.follows(feature, &[HOSTNAME]) || extracted.follows(feature, &[USER]), "{known:?}");
    }
}

#[test]
fn a_level_that_is_a_common_word_is_no_artefact() {
    let constant = extract(&runs(6, 4, 30, saying(|_| "Write to /dev/null, not to dev; the C locale and UTC.".into())));
    let of_text: Vec<_> = constant.varying().into_iter().filter(|(_, f)| f.id.contains("/content")).collect();
    assert!(of_text.is_empty(), "{of_text:#?}");
    // A real echo of the same word is an echo, and leaves no residue.
    let echoed = extract(&runs(
        7,
        4,
        30,
        saying(|run| {
            let user = run.level(USER, &USERS);
            format!("Hello {user}, write to /dev/null.\nHome: /home/{user}/.agent/-home-{user}-work")
        }),
    ));
    assert!(echoed.unexplained().is_empty(), "{:#?}", echoed.unexplained());
    let echoes: Vec<_> =
        echoed.varying().into_iter().filter(|(_, f)| f.kind == FeatureKind::Echo { factor: USER }).collect();
    assert!(!echoes.is_empty());
    for (feature, _) in echoes {
        assert!(echoed.follows(feature, &[USER]));
    }
}

#[test]
fn derived_echoes_leave_no_residue() {
    use sha2::Digest as _;
    let extracted = extract(&runs(
        8,
        4,
        60,
        saying(|run| {
            let host = run.level(HOSTNAME, &HOSTNAMES);
            let digest = hex::encode(sha2::Sha256::digest(host.as_bytes()));
            let offset = run.local().format("%z").to_string();
            let zone = run.level(TIMEZONE, &ZONES);
            format!("machine {host} id {}\nzone {zone} GMT{offset}\nurl {}", &digest[..12], run.level(BASE_URL, &URLS))
        }),
    ));
    assert!(extracted.unexplained().is_empty(), "{:#?}", extracted.unexplained());
}

#[test]
fn an_opaque_value_that_depends_on_a_level_is_found() {
    // Not a form that we know: only that it is constant within a level and differs between them.
    let extracted = extract(&runs(
        9,
        6,
        40,
        saying(|run| {
            let known = if run.levels.level(HOSTNAME) == 0 {
                "9f86d081884c7d659a2feaa0c55ad015"
            } else {
                "60303ae22b998861bce3b28f33eec1be"
            };
            format!("key {known} and {}", run.uuid())
        }),
    ));
    let unexplained = extracted.unexplained();
    assert_eq!(unexplained.len(), 1, "{unexplained:#?}");
    assert!(extracted.follows(unexplained[0].0, &[HOSTNAME]));
}

#[test]
fn a_utc_date_does_not_vary() {
    let extracted = extract(&runs(
        10,
        4,
        40,
        saying(|run| {
            format!("It is {}.", chrono::DateTime::from_timestamp_millis(run.started).unwrap().format("%Y-%m-%d"))
        }),
    ));
    let of_text: Vec<_> = extracted.varying().into_iter().filter(|(_, f)| f.id.contains("/content")).collect();
    assert!(of_text.is_empty(), "{of_text:#?}");
}

#[test]
fn order_of_keys_and_escapes_are_features() {
    let agent = |run: &mut Run| {
        let odd = run.levels.level(HOSTNAME) == 1;
        let (a, b) = (r#""alpha":1"#, r#""beta":"it\u2019s""#);
        let body = if odd { format!("{{{b},{a}}}") } else { format!("{{{a},{b}}}").replace("\\u2019", "\u{2019}") };
        run.capture(vec![run.post("/v1/messages", Vec::new(), &body)])
    };
    let extracted = extract(&runs(11, 4, 30, agent));
    let kinds: BTreeSet<String> = extracted.unexplained().iter().map(|(_, f)| format!("{:?}", f.kind)).collect();
    assert!(kinds.contains("Order") && kinds.contains("Signature"), "{kinds:?}");
    for (feature, known) in extracted.unexplained() {
        assert!(extracted.follows(feature, &[HOSTNAME]), "{known:?}");
    }
}

#[test]
fn an_unset_level_has_the_agents_default_and_a_lone_level_is_an_echo() {
    // Level 0 of the base URL is unset: the agent goes to its vendor's own host. The proxy has one set level.
    let agent = |run: &mut Run| {
        let mut text = String::from("first of all\n");
        if run.levels.level(HOSTNAME) == 1 {
            let _ = writeln!(text, "proxy: {PROXY}");
        }
        text.push_str("last of all");
        let body = json(&serde_json::json!({"messages": [{"role": "user", "content": text}]}));
        let exchange = run.post("/v1/messages", Vec::new(), &body);
        let mut capture = run.capture(vec![exchange]);
        let name = capture.exchanges[0].host.clone();
        for name in [name.as_str(), "telemetry.example.net"] {
            capture.dns.push(DnsQuestion {
                at: Seconds(0),
                name: name.to_owned(),
                kind: "A".into(),
                ..DnsQuestion::default()
            });
        }
        capture
    };
    let extracted = extract_under(scenario_of(&[0]), &runs(13, 6, 60, agent));
    for (feature, known) in extracted.unexplained() {
        // Only the line about the proxy is left: it is there or not, and the very same pattern is told to be an echo.
        assert_eq!(known.kind, FeatureKind::Presence, "{known:?}");
        assert!(extracted.follows(feature, &[HOSTNAME]));
    }
    let echoed = |factor| extracted.varying().iter().any(|(_, f)| f.kind == FeatureKind::Echo { factor });
    assert!(echoed(HOSTNAME), "{:#?}", extracted.varying());
    assert!(echoed(BASE_URL));
}

#[test]
fn files_go_by_role_not_by_name() {
    let agent = |run: &mut Run| {
        let (user, session) = (run.level(USER, &USERS).to_owned(), run.uuid());
        let exchange = run.post("/v1/messages", Vec::new(), "{}");
        let mut capture = run.capture(vec![exchange]);
        let mut paths = vec![
            format!("/home/{user}/.agent/config.json"),
            format!("/home/{user}/.agent/projects/-workspace/{session}.jsonl"),
            String::from("/workspace/.cache"),
        ];
        if run.levels.level(HOSTNAME) == 1 {
            paths.push(format!("/home/{user}/.agent/marker"));
        }
        paths.sort();
        capture.files = paths.into_iter().map(|path| FileChange { path, change: Change::Added }).collect();
        capture
    };
    let extracted = extract(&runs(14, 6, 60, agent));
    let unexplained = extracted.unexplained();
    assert!(!unexplained.is_empty());
    for (feature, known) in unexplained {
        assert!(extracted.follows(feature, &[HOSTNAME]), "{known:?}");
        assert!(known.id.contains("marker"), "{known:?}");
    }
}

#[test]
fn an_excerpt_shows_the_raw_line() {
    let all = runs(12, 4, 40, telling);
    let extracted = extract(&all);
    let (feature, _) =
        extracted.varying().into_iter().find(|(_, f)| f.kind == FeatureKind::DateFormat).expect("a date format");
    for (levels, capture) in &all {
        let excerpt = extracted.extractor.excerpt(feature, Observation { levels, capture }).unwrap();
        assert!(excerpt.starts_with("Today") && excerpt.contains("s date is 2026"), "{excerpt}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_order_of_captures_does_not_matter(seed in 0_u64..1000) {
        let mut all = runs(seed, 5, 25, if seed % 2 == 0 { innocent as fn(&mut Run) -> Capture } else { telling });
        let ids = |extracted: &Extracted| -> BTreeSet<String> {
            extracted.varying().into_iter().map(|(_, f)| f.id.clone()).collect()
        };
        // The first capture's time is the run's reference: it stays first.
        let before = ids(&extract(&all));
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        all[1..].shuffle(&mut rng);
        prop_assert_eq!(before, ids(&extract(&all)));
    }

    #[test]
    fn random_lines_never_follow_a_factor(seed in 0_u64..1000) {
        let extracted = extract(&runs(seed, 8, 40, saying(|run| {
            let word = |run: &mut Run| (0..8).map(|_| char::from(b'a' + run.rng.random_range(0..26))).collect::<String>();
            let (one, two, three) = (word(run), word(run), word(run));
            format!("head\n{one} {two}\nport {} pid {}\n/tmp/{three}/x\ntail", run.rng.random_range(1024..65_000), run.rng.random_range(2..999))
        })));
        for (feature, known) in extracted.unexplained() {
            for factor in 0..4 {
                prop_assert!(!extracted.follows(feature, &[factor]), "{:?} follows {}", known, factor);
            }
        }
    }
}
