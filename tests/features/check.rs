//! A **check** of one sort of mark: an agent that makes it where the host has its second name. Without the mark nothing
//! may vary, whatever is random; with it all that varies must be one group, of the right class, at a place with a name.

use std::collections::BTreeSet;

use parallax::capture::Capture;
use parallax::finding::Class;
use parallax::finding::classify::classify;

use crate::lab::*;

/// Runs an agent that never makes its mark, and one that does where the host has its second name.
pub fn mark(what: &str, class: Class, place: &str, agent: impl Fn(&mut Run, bool) -> Capture) {
    let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| mark_(what, class, place, agent)));
    if tried.is_err() {
        println!("FAILED mark {what}");
    }
}
pub fn quiet(what: &str, agent: impl Fn(&mut Run) -> Capture) {
    let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| quiet_(what, agent)));
    if tried.is_err() {
        println!("FAILED quiet {what}");
    }
}
pub fn mark_(what: &str, class: Class, place: &str, agent: impl Fn(&mut Run, bool) -> Capture) {
    quiet_(what, |run| agent(run, false));
    for seed in [31, 32] {
        let extracted = extract(&runs(seed, 8, 56, |run| {
            let marked = run.levels.level(HOSTNAME) == 1;
            agent(run, marked)
        }));
        let found = extracted.unexplained();
        assert!(!found.is_empty(), "{what}: nothing was found");
        let mut classes = BTreeSet::new();
        for (feature, known) in &found {
            let values = extracted.by_level(*feature, HOSTNAME);
            assert!(extracted.follows(*feature, &[HOSTNAME]), "{what}: another group: {known:?} {values:?}");
            let value = |level: u16| values[&level].iter().next().copied().flatten();
            classes.insert(classify(&known.kind, known.channel, value(0), value(1)));
        }
        let shown: Vec<_> = found.iter().map(|(f, known)| (known, extracted.by_level(*f, HOSTNAME))).collect();
        assert_eq!(classes, BTreeSet::from([class]), "{what}: {shown:#?}");
        assert!(found.iter().any(|(_, known)| known.place.contains(place)), "{what}: no {place:?} in {shown:#?}");
    }
}

/// Runs an agent in which nothing depends on the environment: nothing may vary.
pub fn quiet_(what: &str, agent: impl Fn(&mut Run) -> Capture) {
    for seed in [21, 22] {
        let extracted = extract(&runs(seed, 8, 56, &agent));
        let shown: Vec<_> =
            extracted.unexplained().into_iter().map(|(f, known)| (known, extracted.by_level(f, HOSTNAME))).collect();
        assert!(shown.is_empty(), "{what}: varies without a mark: {shown:#?}");
    }
}

/// The capture of an agent that says this text.
pub fn say(run: &Run, text: &str) -> Capture {
    send(run, &json(&serde_json::json!({"messages": [{"role": "user", "content": text}]})))
}

/// The capture of an agent that sends this body.
pub fn send(run: &Run, body: &str) -> Capture {
    run.capture(vec![run.post("/v1/messages", Vec::new(), body)])
}
