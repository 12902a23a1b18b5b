//! **Verification**: why a statement is not to be relied on. Every check that fails is named; none is left out because an
//! earlier one failed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::conditions::{Conditions, Standing};
use super::envelope::{Envelope, EnvelopeError};
use super::hypothesis::{Tests, names};
use super::key::VerifyingKey;
use super::policy::Policy;
use super::statement::{ATTRIBUTES, STATEMENT, Statement, TEST_RESULT, TestOutcome, outcome, sha256};
use super::subject::Descriptor;

/// How far a clock may be off before a run from the future is refused.
const SKEW: Duration = Duration::from_mins(10);

/// Factors that a statement may name: a list that never ends must not keep a verifier busy.
const MOST_FACTORS: usize = 64;

/// Why a statement cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unreadable {
    /// The envelope.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Signed, and no statement that this program understands.
    #[error("it is signed, but {0}")]
    Statement(String),
}

/// A statement that its key signed, in the parts that can be checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// As it was signed.
    pub statement: Statement,
    /// The result.
    pub outcome: TestOutcome,
    /// Hypotheses by outcome.
    pub tests: Tests,
    /// Under what conditions.
    pub conditions: Conditions,
    /// Digests of what went into it.
    pub configuration: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Body {
    result: TestOutcome,
    configuration: Vec<Descriptor>,
    #[serde(flatten)]
    tests: Tests,
}

/// Opens an envelope with a key and reads its statement.
///
/// # Errors
/// When the key did not sign it, or it is not of the known types.
pub fn open(bytes: &[u8], key: &VerifyingKey) -> Result<Claim, Unreadable> {
    let payload = Envelope::open(bytes, key)?;
    let unreadable = |error: String| Unreadable::Statement(error);
    let statement: Statement =
        serde_json::from_slice(&payload).map_err(|error| unreadable(format!("it is no statement: {error}")))?;
    if statement.kind != STATEMENT {
        return Err(unreadable(format!("its type is {:?}, not {STATEMENT:?}", statement.kind)));
    }
    let body = match statement.predicate_type.as_str() {
        TEST_RESULT => statement.predicate.clone(),
        ATTRIBUTES => match statement.predicate.pointer("/attributes/0/conditions") {
            Some(conditions) => conditions.clone(),
            None => return Err(unreadable(String::from("its report has no attribute with conditions"))),
        },
        other => return Err(unreadable(format!("its predicate is of the type {other:?}, which is not known here"))),
    };
    let Body { result, configuration, mut tests } = serde_json::from_value(body)
        .map_err(|error| unreadable(format!("its predicate is not as it should be: {error}")))?;
    let conditions = configuration
        .iter()
        .find(|entry| entry.name == "conditions")
        .map(|entry| Value::Object(entry.annotations.clone()))
        .ok_or_else(|| unreadable(String::from("its configuration has no conditions")))?;
    let conditions: Conditions = serde_json::from_value(conditions)
        .map_err(|error| unreadable(format!("its conditions are not as they should be: {error}")))?;
    tests.untested.clone_from(&conditions.untested);
    Ok(Claim { outcome: result, tests, conditions, configuration, statement })
}

/// What of a statement contradicts itself: a test that is in no list, a result that its tests do not bear out, contents
/// that are not what their digests say.
#[must_use]
pub fn contradictions(claim: &Claim) -> Vec<String> {
    let mut problems = Vec::new();
    let Claim { tests, conditions, .. } = claim;
    let factors: Vec<&str> = conditions.factors.iter().map(|factor| factor.name.as_str()).collect();
    let channels: Vec<String> = super::hypothesis::all_channels();
    if factors.len() > MOST_FACTORS {
        return vec![format!("it names {} factors: more than any run has", factors.len())];
    }
    let lists = [&tests.passed, &tests.warned, &tests.failed, &tests.untested];
    let mut listed: Vec<&String> = lists.into_iter().flatten().collect();
    listed.sort();
    let count = listed.len();
    listed.dedup();
    if listed.len() < count {
        problems.push(String::from("a test is listed twice, with one outcome or several"));
    }
    let strength = usize::from(conditions.strength).min(factors.len()).min(4);
    let mut expected: Vec<String> = names(&channels, &factors, strength).map(|(_, _, name)| name).collect();
    expected.sort();
    for name in expected.iter().filter(|name| listed.binary_search(name).is_err()) {
        problems.push(format!("the test {name} is in no list: neither passed, warned, failed nor untested"));
    }
    for name in listed.iter().filter(|name| expected.binary_search(name).is_err()) {
        problems.push(format!("the test {name} is of no factor and channel that the conditions name"));
    }
    let open = conditions.dependences.iter().any(|dependence| dependence.standing == Standing::Open);
    if open == tests.failed.is_empty() {
        problems.push(String::from("the failed tests are not those that its open dependences make fail"));
    }
    let worked_out = outcome(tests, conditions);
    if worked_out != claim.outcome {
        problems.push(format!("its result is {}, and its tests say {}", claim.outcome.word(), worked_out.word()));
    }
    for name in ["scenario", "experiment", "plan", "records", "findings", "disclosures"] {
        let entry = claim.configuration.iter().find(|entry| entry.name == name);
        if entry.is_none_or(|entry| !entry.digest.contains_key("sha256")) {
            problems.push(format!("its configuration has no digest of the {name}"));
        }
    }
    for entry in &claim.configuration {
        let contents = entry.content.as_ref().map(|content| {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.decode(content).unwrap_or_default()
        });
        if contents.is_some_and(|contents| entry.digest.get("sha256") != Some(&sha256(&contents))) {
            problems.push(format!("the contents of the {} are not what their digest says", entry.name));
        }
    }
    if claim.statement.subject.iter().all(|subject| subject.digest.is_empty()) {
        problems.push(String::from("no subject has a digest"));
    }
    problems
}

/// Whether the statement is about this: a package URL or name, or a digest in hex.
#[must_use]
pub fn is_about(claim: &Claim, wanted: &str) -> bool {
    claim.statement.subject.iter().any(|subject| {
        !subject.digest.is_empty()
            && (subject.uri.as_deref() == Some(wanted)
                || subject.name == wanted
                || subject.digest.values().any(|digest| digest.eq_ignore_ascii_case(wanted)))
    })
}

/// What of a policy is not met, at this time.
#[must_use]
pub fn shortfalls(claim: &Claim, policy: &Policy, now: DateTime<Utc>) -> Vec<String> {
    let mut problems = Vec::new();
    let conditions = &claim.conditions;
    if !policy.accept.iter().any(|accepted| accepted.is(claim.outcome)) {
        problems.push(format!("its result is {}, which is not accepted", claim.outcome.word()));
    }
    if let Some(wanted) = policy.subject.as_ref().filter(|wanted| !is_about(claim, wanted)) {
        problems.push(format!("it is not about {wanted}"));
    }
    problems.extend(age(conditions, policy, now));
    let mut least = |what: &str, has: f64, wanted: Option<f64>| {
        // A number that is none meets nothing.
        if let Some(wanted) = wanted.filter(|wanted| has.is_nan() || has < *wanted) {
            problems.push(format!("{what} is {has}, and {wanted} is demanded"));
        }
    };
    let real = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let coverage = if conditions.combinations_total == 0 {
        0.0
    } else {
        real(conditions.combinations_covered) / real(conditions.combinations_total)
    };
    least("the strength", f64::from(conditions.strength), policy.least_strength.map(f64::from));
    least("the coverage", coverage, policy.least_coverage);
    least("the number of replicates", f64::from(conditions.replicates), policy.least_replicates.map(f64::from));
    least("the power", conditions.power, policy.least_power);
    let mut most = |what: &str, has: f64, wanted: Option<f64>| {
        if let Some(wanted) = wanted.filter(|wanted| has.is_nan() || has > *wanted) {
            problems.push(format!("{what} is {has}, and at most {wanted} is demanded"));
        }
    };
    most("the smallest detectable rate", conditions.smallest_detectable_rate, policy.detectable_rate);
    most("alpha", conditions.alpha, policy.most_alpha);
    let unexplained = real(conditions.unexplained as u64);
    most("the number of unexplained signals", unexplained, policy.most_unexplained.map(|n| real(n as u64)));
    for dependence in conditions.dependences.iter().filter(|dependence| policy.refuse.contains(&dependence.class)) {
        if dependence.standing != Standing::Explained {
            problems.push(format!(
                "finding {} depends on {} and is of a class that is refused",
                dependence.finding,
                dependence.factors.join(" and ")
            ));
        }
    }
    for (name, demanded) in &policy.factors {
        let Some(varied) = conditions.factors.iter().find(|factor| factor.name == *name) else {
            problems.push(format!("the factor {name} was not varied"));
            continue;
        };
        for level in demanded.levels.iter().filter(|level| !varied.levels.contains(level)) {
            problems.push(format!("the factor {name} never had the level {level}"));
        }
        // Levels that were planned and never observed leave the factor untested.
        let tested = [&claim.tests.passed, &claim.tests.warned, &claim.tests.failed];
        let alone = |test: &String| test.split_once('/').is_some_and(|(_, factor)| factor == name);
        if !tested.into_iter().flatten().any(alone) {
            problems.push(format!("nothing was tested on the factor {name}"));
        }
    }
    problems
}

fn age(conditions: &Conditions, policy: &Policy, now: DateTime<Utc>) -> Option<String> {
    let Ok(observed) = DateTime::parse_from_rfc3339(&conditions.observed) else {
        return Some(format!("the time of its run, {:?}, is no time", conditions.observed));
    };
    let age = now.signed_duration_since(observed);
    if age < chrono::TimeDelta::zero() && age.abs().to_std().is_ok_and(|ahead| ahead > SKEW) {
        return Some(format!("its run lies in the future: {}", conditions.observed));
    }
    let age = age.to_std().unwrap_or_default();
    let most = policy.max_age.filter(|most| age > *most)?;
    let days = |span: Duration| span.as_secs() / 86_400;
    Some(format!("its run is {} days old ({}), and at most {} are allowed", days(age), conditions.observed, days(most)))
}

/// Where a statement differs from the one that the run itself gives: the paths of all differing parts.
#[must_use]
pub fn differences(claim: &Claim, recomputed: &Statement) -> Vec<String> {
    let mut paths = Vec::new();
    // Both the way through text: a number must not differ from itself by how it was read.
    let stated = serde_json::to_value(&claim.statement).unwrap_or_default();
    let given = serde_json::from_slice(&recomputed.to_json()).unwrap_or_default();
    compare("statement", &stated, &given, &mut paths);
    paths.into_iter().map(|path| format!("{path} is not what the run gives")).collect()
}

fn compare(path: &str, stated: &Value, given: &Value, paths: &mut Vec<String>) {
    match (stated, given) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let path = format!("{path}.{key}");
                compare(&path, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), paths);
            }
        }
        // Lists of named things are compared by name.
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (one, other)) in a.iter().zip(b).enumerate() {
                let name = other.get("name").and_then(Value::as_str).map_or_else(|| at.to_string(), str::to_owned);
                compare(&format!("{path}[{name}]"), one, other, paths);
            }
        }
        (one, other) if one != other => paths.push(path.to_owned()),
        _ => {}
    }
}

/// The disclosures that went into a statement, with their media type.
#[must_use]
pub fn disclosures(claim: &Claim) -> Option<(Vec<u8>, String)> {
    use base64::Engine as _;
    let entry = claim.configuration.iter().find(|entry| entry.name == "disclosures")?;
    let contents = base64::engine::general_purpose::STANDARD.decode(entry.content.as_ref()?).ok()?;
    Some((contents, entry.media_type.clone()?))
}
