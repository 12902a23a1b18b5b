//! The findings as **SARIF 2.1.0**, for code-scanning services: one result a finding, known by its id from run to run.
//! What is explained or disclosed is there and suppressed, with the reason.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Report, escape, summary};
use crate::finding::compare::{Change, Compared};
use crate::finding::{Class, Finding, Findings, Verdict};
use crate::scenario::Severity;
use crate::store::Manifest;

/// Signs of a path that stand for themselves in a URI.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');
/// Places of a finding that are told; `findings.json` has all.
const PLACES: usize = 20;
/// Characters of a text.
const LONGEST: usize = 2_000;
const CLASSES: [Class; 4] = [Class::Covert, Class::Overt, Class::Structural, Class::Behavioural];

/// SARIF.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sarif;

impl Report for Sarif {
    fn render(&self, findings: &Findings, manifest: &Manifest) -> Vec<u8> {
        let results: Vec<Value> = findings.findings.iter().map(|one| result(one, manifest)).collect();
        log(findings, manifest, &results)
    }
}

impl Sarif {
    /// The findings of the newer of two runs, each with what became of it since the older one (`baselineState`), and
    /// those that are gone.
    #[must_use]
    pub fn compared(&self, compared: &[Compared], findings: &Findings, manifest: &Manifest) -> Vec<u8> {
        let results = compared.iter().filter_map(|one| {
            let mut result = result(one.latest()?, manifest);
            result.as_object_mut()?.insert("baselineState".into(), json!(state(one.change)));
            result["properties"]["change"] = json!(one.change);
            Some(result)
        });
        log(findings, manifest, &results.collect::<Vec<_>>())
    }
}

/// SARIF's word (§3.27.24). What one run noticed and did not confirm is no sign of a change.
fn state(change: Change) -> &'static str {
    match change {
        Change::New => "new",
        Change::Changed => "updated",
        Change::Gone => "absent",
        Change::Unchanged | Change::Unsettled => "unchanged",
    }
}

/// The whole log around its results.
fn log(findings: &Findings, manifest: &Manifest, results: &[Value]) -> Vec<u8> {
    let rules: Vec<Value> = CLASSES
            .iter()
            .map(|class| {
                json!({
                    "id": summary::class(*class),
                    "name": summary::class(*class),
                    "shortDescription": { "text": format!("Depends on the environment; {}.", summary::class_means(*class)) },
                    "defaultConfiguration": { "level": "warning" },
                })
            })
            .collect();
    let note = |level: &str, text: &str| json!({ "level": level, "message": { "text": message(text) } });
    let mut notifications: Vec<Value> = findings.notes.iter().map(|text| note("warning", text)).collect();
    let seen = findings.power.unexplained.iter().take(100);
    notifications.extend(seen.map(|text| note("note", &format!("Seen and not confirmed: {text}"))));
    notifications.push(note("note", &format!("Power: {}.", summary::power(findings).join("; "))));
    notifications.push(note("note", &format!("Not varied: {}.", findings.not_varied.join(", "))));
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "parallax", "semanticVersion": manifest.parallax, "rules": rules } },
            "automationDetails": { "id": format!("parallax/{}/", utf8_percent_encode(&cut(&findings.scenario), PATH)) },
            "invocations": [{
                "executionSuccessful": findings.verdict != Verdict::Inconclusive,
                "startTimeUtc": manifest.started,
                "toolExecutionNotifications": notifications,
            }],
            "results": results,
            "columnKind": "unicodeCodePoints",
            "properties": {
                "verdict": findings.verdict,
                "cells": findings.cells,
                "seed": manifest.seed,
                "scenarioSha256": manifest.scenario_sha256,
                "target": manifest.target.package,
                "targetSha256": manifest.target.executable_sha256,
            },
        }],
    });
    let mut bytes = escape::json(&log).into_bytes();
    bytes.push(b'\n');
    bytes
}

fn result(finding: &Finding, manifest: &Manifest) -> Value {
    let why = finding.explained_by.as_ref().or(finding.disclosed.as_ref());
    let (effect, evidence) = (summary::effect(finding), summary::evidence(finding));
    let text = format!("{} {effect}. {evidence}.", summary::sentence(finding));
    let artifact = json!({ "uri": utf8_percent_encode(&cut(&manifest.scenario_path), PATH).to_string() });
    let places = finding.places.iter().take(PLACES);
    let logical: Vec<Value> =
        places.map(|place| json!({ "fullyQualifiedName": escape::terminal(&cut(place)), "kind": "member" })).collect();
    let mut result = json!({
        "ruleId": summary::class(finding.class),
        "ruleIndex": CLASSES.iter().position(|class| *class == finding.class),
        "level": level(finding),
        "message": { "text": message(&text) },
        "locations": [{
            "physicalLocation": { "artifactLocation": artifact, "region": { "startLine": 1 } },
            "logicalLocations": logical,
        }],
        "partialFingerprints": { "parallaxFinding/v1": finding.id },
        "properties": {
            "factors": finding.factors,
            "severity": finding.severity,
            "channel": finding.channel,
            "rule": summary::rule_lines(finding).iter().map(|(when, then)| format!("{} → {}", cut(when), cut(then))).collect::<Vec<_>>(),
            "codepoints": finding.excerpt.codepoints,
            "pValue": finding.p_value,
            "qValue": finding.q_value,
            "bits": finding.effect.bits,
            "effect": finding.effect,
            "places": finding.places.len(),
            "reproduce": finding.reproduce,
        },
    });
    if let (Some(why), Some(object)) = (why, result.as_object_mut()) {
        let reason = format!("{}: {}", summary::status(finding), cut(why));
        object.insert(
            "suppressions".into(),
            json!([{ "kind": "external", "status": "accepted", "justification": escape::terminal(&reason) }]),
        );
    }
    result
}

/// How SARIF calls a severity.
fn level(finding: &Finding) -> &'static str {
    match finding.severity {
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::None => "note",
    }
}

/// A plain-text message (SARIF §3.11.5, §3.11.6): no placeholder, no embedded link.
fn message(text: &str) -> String {
    let mut out = String::new();
    for c in escape::terminal(&cut(text)).chars() {
        match c {
            '{' | '}' => out.extend([c, c]),
            '[' | ']' | '\\' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing;

    fn log(findings: &Findings) -> Value {
        serde_json::from_slice(&Sarif.render(findings, &testing::manifest())).unwrap()
    }

    #[test]
    fn a_result_a_finding() {
        let log = log(&testing::findings());
        let results = log["runs"][0]["results"].as_array().unwrap();
        assert_eq!(results.len(), 2);
        assert_eq!(results[0]["ruleId"], "covert");
        assert_eq!(results[0]["ruleIndex"], 0);
        assert_eq!((&results[0]["level"], &results[1]["level"]), (&json!("error"), &json!("note")));
        assert_eq!(results[0]["partialFingerprints"]["parallaxFinding/v1"], "f0123456789");
        assert_eq!(results[0].get("suppressions"), None);
        assert_eq!(results[1]["suppressions"][0]["justification"], "explained: echo of a level of hostname");
        let place = &results[0]["locations"][0]["logicalLocations"][1]["fullyQualifiedName"];
        assert_eq!(place, "POST /v1/messages · messages[1]");
        assert_eq!(results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "scenarios/test.toml");
        let notes = log["runs"][0]["invocations"][0]["toolExecutionNotifications"].to_string();
        assert!(notes.contains("\\\\[click\\\\](http://evil.example)"), "a link is text: {notes}");
    }

    #[test]
    fn what_became_of_a_finding_is_told_and_what_is_gone_is_absent() {
        let findings = testing::findings();
        let mut newer = findings.clone();
        newer.findings.remove(0);
        let compared = crate::finding::compare::compare(&findings, &newer);
        let bytes = Sarif.compared(&compared, &newer, &testing::manifest());
        let log: Value = serde_json::from_slice(&bytes).unwrap();
        let results = log["runs"][0]["results"].as_array().unwrap();
        let told: Vec<(&str, &str)> = results
            .iter()
            .map(|one| {
                let id = one["partialFingerprints"]["parallaxFinding/v1"].as_str().unwrap();
                (id, one["baselineState"].as_str().unwrap())
            })
            .collect();
        assert_eq!(told[0], (findings.findings[0].id.as_str(), "absent"));
        assert_eq!(told[1], (findings.findings[1].id.as_str(), "unchanged"));
    }

    #[test]
    fn a_hostile_agent_changes_nothing_of_the_structure() {
        let hostile = testing::hostile();
        let bytes = Sarif.render(&hostile, &testing::manifest());
        assert!(bytes.is_ascii() && bytes.iter().all(|byte| matches!(byte, b'\n' | b' '..=b'~')));
        assert!(bytes.len() < 500_000, "{} bytes", bytes.len());
        let log = log(&hostile);
        assert_eq!(log["runs"][0]["results"].as_array().unwrap().len(), hostile.findings.len());
        assert_eq!(log["runs"].as_array().unwrap().len(), 1);
    }
}
