//! **Identifiers**: values that are random by kind never vary; the form of each is a feature.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use parallax::finding::Class::Covert;
use rand::RngExt as _;

use crate::check::{mark, quiet, say, send};
use crate::lab::*;

fn bytes<const N: usize>(run: &mut Run) -> [u8; N] {
    std::array::from_fn(|_| run.rng.random())
}

fn letters(run: &mut Run, n: usize) -> String {
    (0..n).map(|_| char::from(b'a' + run.rng.random_range(0..26))).collect()
}

/// The classes.
const CLASSES: [&str; 18] = [
    "uuid",
    "upper-case uuid",
    "hex",
    "long hex",
    "base64",
    "short base64",
    "url-safe base64",
    "prefixed base64",
    "seconds",
    "milliseconds",
    "date-time",
    "date-time with a space",
    "identifier",
    "port",
    "pid",
    "temporary path",
    "temporary name",
    "duration",
];

/// A random value of each class.
fn values(run: &mut Run) -> Vec<String> {
    let started = run.started;
    let time = chrono::DateTime::from_timestamp_millis(started + 400).unwrap();
    let all = vec![
        run.uuid(),
        run.uuid().to_uppercase(),
        hex::encode(bytes::<8>(run)),
        hex::encode(bytes::<32>(run)),
        STANDARD.encode(bytes::<32>(run)),
        STANDARD.encode(bytes::<16>(run)),
        URL_SAFE_NO_PAD.encode(bytes::<24>(run)),
        format!("msg_{}", URL_SAFE_NO_PAD.encode(bytes::<18>(run)).replace(['-', '_'], "x")),
        (started / 1000).to_string(),
        (started + 311).to_string(),
        time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        time.format("%Y-%m-%d %H:%M:%S").to_string(),
        run.rng.random_range(10_000_000..4_000_000_000_u64).to_string(),
        run.rng.random_range(32_768..61_000).to_string(),
        run.rng.random_range(300..32_000).to_string(),
        format!("/tmp/tmp.{}/work", letters(run, 8)),
        format!("/tmp/agent-{}", letters(run, 6)),
        format!("{:.3}", run.rng.random_range(0.1..9.0)),
    ];
    assert_eq!(all.len(), CLASSES.len());
    all
}

#[test]
fn random_values_of_every_class_never_vary() {
    for (i, class) in CLASSES.into_iter().enumerate() {
        let value = |run: &mut Run| values(run).swap_remove(i);
        quiet(&format!("{class} in a line"), |run| {
            let value = value(run);
            say(run, &format!("head\nThe value {value} stands here.\ntail"))
        });
        quiet(&format!("{class} as a member"), |run| {
            let value = value(run);
            send(run, &json(&serde_json::json!({"value": value, "x": 1})))
        });
        quiet(&format!("{class} in a header"), |run| {
            let value = value(run);
            run.capture(vec![run.post("/v1/messages", vec![("X-Value", value)], "{}")])
        });
    }
}

#[test]
fn the_form_of_a_random_value_is_a_feature() {
    let in_member = |what: &str, value: &dyn Fn(&mut Run, bool) -> String| {
        mark(what, Covert, "value", |run, marked| {
            let value = value(run, marked);
            send(run, &json(&serde_json::json!({"value": value, "x": 1})))
        });
        mark(what, Covert, "content", |run, marked| {
            let value = value(run, marked);
            say(run, &format!("head\nThe value {value} stands here.\ntail"))
        });
    };
    in_member("version of a uuid", &|run, marked| {
        let mut id = run.uuid();
        if marked {
            id.replace_range(14..15, "7");
        }
        id
    });
    in_member("case of a uuid", &|run, marked| {
        let id = run.uuid();
        if marked { id.to_uppercase() } else { id }
    });
    in_member("hyphens of a uuid", &|run, marked| {
        let id = run.uuid();
        if marked { id.replace('-', "") } else { id }
    });
    in_member("length of hex", &|run, marked| {
        if marked { hex::encode(bytes::<20>(run)) } else { hex::encode(bytes::<16>(run)) }
    });
    in_member("case of hex", &|run, marked| {
        let id = hex::encode(bytes::<16>(run));
        if marked { id.to_uppercase() } else { id }
    });
    in_member("length of base64", &|run, marked| {
        if marked { STANDARD.encode(bytes::<48>(run)) } else { STANDARD.encode(bytes::<36>(run)) }
    });
    in_member("padding of base64", &|run, marked| {
        let id = STANDARD.encode(bytes::<32>(run));
        if marked { id.replace('=', "") } else { id }
    });
    in_member("seconds for milliseconds", &|run, marked| {
        if marked { (run.started / 1000).to_string() } else { (run.started + 200).to_string() }
    });
}

#[test]
fn the_alphabet_of_base64_is_a_feature() {
    // Not every value has a sign of its alphabet: the mark is seen in most, and nothing else varies.
    let extracted = extract(&runs(5, 8, 60, |run| {
        let id = STANDARD.encode(bytes::<48>(run));
        let id = if run.levels.level(HOSTNAME) == 1 { id.replace('+', "-").replace('/', "_") } else { id };
        send(run, &json(&serde_json::json!({"value": id, "x": 1})))
    }));
    let found = extracted.unexplained();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].1.place.contains("alphabet"), "{found:#?}");
    let values = extracted.by_level(found[0].0, HOSTNAME);
    assert!(values[&0].contains(&Some("+/")) && !values[&0].contains(&Some("-_")), "{values:?}");
    assert!(values[&1].contains(&Some("-_")) && !values[&1].contains(&Some("+/")), "{values:?}");
}
