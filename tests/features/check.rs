//! A **check** of one sort of mark: an agent that makes it where the host has its second name. Without the mark nothing
//! may vary, whatever is random; with it all that varies must be one group, of the right class, at a place with a name.

use std::collections::BTreeSet;

use parallax::capture::Capture;
use parallax::finding::Class;
use parallax::finding::classify::classify;

use crate::lab::*;

/// Runs an agent that never makes its mark, and one that does where the host has its second name.
pub(crate) fn mark(what: &str, class: Class, place: &str, agent: impl Fn(&mut Run, bool) -> Capture) {
    quiet(what, |run| agent(run, false));
    let extracted = extract(&runs(31, 8, 40, |run| {
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
    // As findings are grouped: what is covert stands alone, what changes most names the rest.
    let order = [Class::Structural, Class::Behavioural, Class::Overt];
    let group = if classes == BTreeSet::from([Class::Covert]) {
        Some(&Class::Covert)
    } else {
        order.iter().find(|class| classes.contains(class)).filter(|_| !classes.contains(&Class::Covert))
    };
    assert_eq!(group, Some(&class), "{what}: {shown:#?}");
    assert!(found.iter().any(|(_, known)| known.place.contains(place)), "{what}: no {place:?} in {shown:#?}");
}

/// Runs an agent in which nothing depends on the environment: nothing may vary.
pub(crate) fn quiet(what: &str, agent: impl Fn(&mut Run) -> Capture) {
    let extracted = extract(&runs(21, 8, 40, &agent));
    let shown: Vec<_> =
        extracted.unexplained().into_iter().map(|(f, known)| (known, extracted.by_level(f, HOSTNAME))).collect();
    assert!(shown.is_empty(), "{what}: varies without a mark: {shown:#?}");
}

/// The capture of an agent that says this text.
pub(crate) fn say(run: &Run, text: &str) -> Capture {
    send(run, &json(&serde_json::json!({"messages": [{"role": "user", "content": text}]})))
}

/// The capture of an agent that sends this body.
pub(crate) fn send(run: &Run, body: &str) -> Capture {
    run.capture(vec![run.post("/v1/messages", Vec::new(), body)])
}
