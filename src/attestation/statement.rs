//! The **statement** (in-toto v1) and its two predicates: a test result, for gates, and an attribute report (SCAI), the
//! claim with its conditions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::Digest as _;

use super::conditions::Conditions;
use super::hypothesis::{Seen, Tests};
use super::subject::{Descriptor, subjects};
use crate::cell::Cell;
use crate::design::Space;
use crate::finding::{Findings, StaleReason};
use crate::scenario::Scenario;
use crate::store::Manifest;

/// The statement's type.
pub const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The test result's type.
pub const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// The attribute report's type.
pub const ATTRIBUTES: &str = "https://in-toto.io/attestation/scai/v0.3";

/// An in-toto statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// [`STATEMENT`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What was run.
    pub subject: Vec<Descriptor>,
    /// [`TEST_RESULT`] or [`ATTRIBUTES`].
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// Of that type.
    pub predicate: Value,
}

/// Which predicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// `test-result`: for gates.
    TestResult,
    /// `scai`: the claim with its conditions.
    Attributes,
}

/// The run in one word of the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TestOutcome {
    /// Everything that was tested showed nothing but what is expected of any agent.
    Passed,
    /// Dependences are disclosed, the run is inconclusive, or a disclosure is not borne out.
    Warned,
    /// A dependence is neither explained nor disclosed.
    Failed,
}

impl TestOutcome {
    /// The standard's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "PASSED",
            Self::Warned => "WARNED",
            Self::Failed => "FAILED",
        }
    }

    /// The attribute that says the same.
    fn attribute(self, conditions: &Conditions) -> &'static str {
        match self {
            Self::Passed => "ENV_INVARIANT_OUTBOUND_PROMPT",
            Self::Failed => "ENV_CONDITIONED_OUTBOUND_PROMPT",
            Self::Warned if conditions.inconclusive => "ENV_UNDETERMINED_OUTBOUND_PROMPT",
            Self::Warned => "ENV_DISCLOSED_OUTBOUND_PROMPT",
        }
    }
}

/// A finished run, read again.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// What was run.
    pub manifest: &'a Manifest,
    /// What was found, with `disclosures`.
    pub findings: &'a Findings,
    /// The cells of every round, as they were planned again from the seed.
    pub plan: &'a [Cell],
    /// What the records show of the run's reach.
    pub seen: &'a Seen,
    /// SHA-256 of `cells.jsonl.zst`, lower-case hex.
    pub records_sha256: &'a str,
    /// The disclosures and their media type.
    pub disclosures: (&'a [u8], &'a str),
}

/// Media type of disclosures as a vendor writes them.
pub const DISCLOSURES_TOML: &str = "application/toml";
/// Media type of disclosures as a run keeps them.
pub const DISCLOSURES_JSON: &str = "application/json";

/// Why nothing can be stated.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "nothing about the target has a digest, so a statement about it could be laid to any other: run a package, or a \
     program of your own, or an image by its digest"
)]
pub struct NoSubject;

/// What both predicates say.
struct Facts {
    subject: Vec<Descriptor>,
    outcome: TestOutcome,
    tests: Tests,
    conditions: Conditions,
    configuration: Vec<Descriptor>,
}

impl Statement {
    /// States what a run showed. `certified` is the time, RFC 3339.
    ///
    /// # Errors
    /// When nothing about the target has a digest.
    pub fn of(evidence: Evidence<'_>, predicate: Predicate, certified: &str) -> Result<Self, NoSubject> {
        let Facts { subject, outcome, tests, conditions, configuration } = facts(evidence, certified)?;
        let (predicate_type, predicate) = match predicate {
            Predicate::TestResult => {
                let body = json!({
                    "result": outcome,
                    "configuration": configuration,
                    "passedTests": tests.passed,
                    "warnedTests": tests.warned,
                    "failedTests": tests.failed,
                });
                (TEST_RESULT, body)
            }
            Predicate::Attributes => {
                let evidence = configuration.iter().find(|entry| entry.name == "records").cloned();
                let producer = configuration.iter().find(|entry| entry.name == "parallax").cloned();
                let body = json!({
                    "attributes": [{
                        "attribute": outcome.attribute(&conditions),
                        "target": subject.first(),
                        "conditions": {
                            "result": outcome,
                            "run": conditions,
                            "configuration": configuration,
                            "passedTests": tests.passed,
                            "warnedTests": tests.warned,
                            "failedTests": tests.failed,
                        },
                        "evidence": evidence,
                    }],
                    "producer": producer,
                });
                (ATTRIBUTES, body)
            }
        };
        Ok(Self { kind: STATEMENT.to_owned(), subject, predicate_type: predicate_type.to_owned(), predicate })
    }

    /// The bytes that are signed.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn facts(evidence: Evidence<'_>, certified: &str) -> Result<Facts, NoSubject> {
    let Evidence { manifest, findings, seen, .. } = evidence;
    let subject = subjects(&manifest.target);
    if subject.is_empty() {
        return Err(NoSubject);
    }
    let dependences: Vec<_> = findings.findings.iter().map(super::Dependence::of).collect();
    let space = Space::of(&manifest.scenario);
    let strength = findings.power.strength;
    let tests = Tests::of(&manifest.scenario, &space, strength, seen, &dependences, findings.inconclusive);
    let conditions = Conditions::of(manifest, findings, seen, &tests, certified.to_owned());
    let outcome = outcome(&tests, &conditions);
    let configuration = configuration(evidence, &conditions);
    Ok(Facts { subject, outcome, tests, conditions, configuration })
}

/// The whole in one word: as bad as its worst part, and nothing where nothing was tested.
pub(super) fn outcome(tests: &Tests, conditions: &Conditions) -> TestOutcome {
    // What this run did not vary is no sign against a disclosure.
    let stale = conditions.stale.iter().any(|stale| stale.why != StaleReason::NotVaried);
    if !tests.failed.is_empty() {
        TestOutcome::Failed
    } else if !tests.warned.is_empty() || tests.passed.is_empty() || conditions.inconclusive || stale {
        TestOutcome::Warned
    } else {
        TestOutcome::Passed
    }
}

fn configuration(evidence: Evidence<'_>, conditions: &Conditions) -> Vec<Descriptor> {
    let Evidence { manifest, findings, plan, records_sha256, disclosures, .. } = evidence;
    let annotated = |mut descriptor: Descriptor, notes: Value| {
        if let Value::Object(notes) = notes {
            descriptor.annotations = notes;
        }
        descriptor
    };
    let bare = Scenario { disclosed: Vec::new(), ..manifest.scenario.clone() };
    let mut lines = Vec::new();
    for cell in plan {
        lines.extend(serde_json::to_vec(cell).unwrap_or_default());
        lines.push(b'\n');
    }
    let conditions = serde_json::to_value(conditions).unwrap_or_default();
    let conditions_sha256 = sha256(conditions.to_string().as_bytes());
    let (text, media_type) = disclosures;
    vec![
        annotated(
            Descriptor::sha256("scenario", manifest.scenario_sha256.clone()),
            json!({ "name": manifest.scenario.name, "overrides": manifest.overrides }),
        ),
        Descriptor::sha256("experiment", bare.digest()),
        annotated(
            Descriptor::sha256("plan", sha256(&lines)),
            json!({ "seed": manifest.seed.to_string(), "cells": plan.len() }),
        ),
        Descriptor::sha256("records", records_sha256.to_owned()),
        Descriptor::sha256("findings", sha256(&serde_json::to_vec(findings).unwrap_or_default())),
        Descriptor {
            content: Some(STANDARD.encode(text)),
            media_type: Some(media_type.to_owned()),
            ..Descriptor::sha256("disclosures", sha256(text))
        },
        Descriptor {
            name: String::from("parallax"),
            uri: Some(format!("pkg:generic/parallax@{}", manifest.parallax)),
            ..Descriptor::default()
        },
        annotated(Descriptor::sha256("conditions", conditions_sha256), conditions),
    ]
}

/// Lower-case hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(sha2::Sha256::digest(bytes))
}
