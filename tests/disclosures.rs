//! **Disclosures**: what a vendor's file may say, and what becomes of a run's findings with it, through the compiled
//! program.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::path::{Path, PathBuf};

use miette::Diagnostic as _;
use parallax::scenario::{Factor, Scenario, parse, parse_disclosures};
use program::{code, json, parallax, shown, text, toy_run};
use serde_json::Value;

const SCENARIO: &str = r#"
name = "x"
[target]
npm = "x"
command = ["x"]
[factors.timezone]
levels = ["UTC", "Asia/Tokyo"]
[factors.region]
kind = "env"
variable = "REGION"
levels = ["a", "b"]
"#;

fn scenario() -> Scenario {
    parse(SCENARIO, "x.toml", Path::new("."), &[]).unwrap()
}

fn factors() -> Vec<Factor> {
    scenario().factors
}

fn entry(factors: &str, place: &str, says: &str) -> String {
    format!("schema_version = 1\n[[disclosed]]\nfactors = {factors}\nplace = {place}\nsays = {says}\n")
}

#[track_caller]
fn refused(text: &str, message: &str, underlined: &str, help: &str) {
    let error = parse_disclosures(text, "d.toml", &factors()).expect_err("a refusal");
    assert!(error.to_string().contains(message), "the message is: {error}");
    assert_eq!(error.underlined(), Some(underlined), "{error}");
    let given = error.help().map(|help| help.to_string()).unwrap_or_default();
    assert!(given.contains(help), "the help is: {given}");
}

#[test]
fn a_good_file_is_read_whole() {
    let text = entry("[\"timezone\", \"region\"]", "\"*date*\"", "\"so\"") + "since = \"1.2\"\n";
    let entries = parse_disclosures(&text, "d.toml", &factors()).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].factors.len(), entries[0].place.as_str()), (2, "*date*"));
    assert_eq!((entries[0].says.as_str(), entries[0].since.as_deref()), ("so", Some("1.2")));
    // A vendor's file is about the agent: it may name what this scenario does not vary.
    parse_disclosures(&entry("[\"proxy\"]", "\"*date*\"", "\"so\""), "d.toml", &factors()).unwrap();
    parse_disclosures(&entry("[\"tenant_id\"]", "\"*date*\"", "\"so\""), "d.toml", &factors()).unwrap();
    assert!(parse_disclosures("schema_version = 1\n", "d.toml", &[]).unwrap().is_empty());
}

#[test]
fn mistakes_are_underlined_where_they_stand() {
    let good = entry("[\"timezone\"]", "\"*date*\"", "\"so\"");
    refused(&good.replace("= 1", "= 2"), "schema version 2", "2", "schema_version = 1");
    refused(&good.replace("schema_version = 1\n", ""), "the key `schema_version` is missing", "", "");
    refused(&good.replace("says", "say"), "unknown key `say`", "say", "did you mean `says`");
    refused(&entry("[]", "\"*date*\"", "\"so\""), "names no factor", "[]", "name the factors");
    refused(&entry("[\"timezon\"]", "\"*date*\"", "\"so\""), "no factor `timezon`", "\"timezon\"", "`timezone`");
    refused(&entry("[\"regiom\"]", "\"*date*\"", "\"so\""), "no factor `regiom`", "\"regiom\"", "`region`");
    refused(&entry("[\"a b\"]", "\"*date*\"", "\"so\""), "no name of a factor", "\"a b\"", "");
    refused(&entry("[\"user\", \"user\"]", "\"*date*\"", "\"so\""), "named twice", "\"user\"", "");
    refused(&entry("[\"timezone\"]", "\" \"", "\"so\""), "`place` is empty", "\" \"", "");
    refused(&entry("[\"timezone\"]", "\"*date*\"", "\"\""), "`says` is empty", "\"\"", "");
    refused("schema_version = ", "not TOML", "", "");
}

#[test]
fn what_covers_everything_is_refused() {
    for wide in ["\"*\"", "\"POST *\"", "\"*header*\"", "\"DNS question for *\"", "\"POST /v1/*\""] {
        refused(&entry("[\"timezone\"]", wide, "\"so\""), "so wide", wide, "name the request");
    }
    let all = "[\"timezone\", \"region\", \"proxy\", \"user\", \"locale\"]";
    refused(&entry(all, "\"*date*\"", "\"so\""), "names 5 factors at once", all, "by itself");
    // In a scenario too.
    let own = format!("{SCENARIO}[[disclosed]]\nfactors = [\"timezone\"]\nplace = \"*\"\nsays = \"so\"\n");
    let error = parse(&own, "x.toml", Path::new("."), &[]).unwrap_err();
    assert!(error.to_string().contains("so wide"), "{error}");
}

#[test]
fn the_schema_is_the_committed_one() {
    let printed = parallax(&["schema", "disclosures"]);
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios/disclosures.schema.json");
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(printed, committed, "write it anew: parallax schema disclosures > scenarios/disclosures.schema.json");
    assert_eq!(printed["required"], serde_json::json!(["schema_version"]));
}

#[test]
fn a_draft_of_a_run_discloses_what_it_found() {
    let place = tempfile::tempdir().unwrap();
    let Some(run) = toy_run("quickstart", 1, place.path()) else { return };
    let findings = |run: &Path| json(&run.join("findings.json"));
    let draft = place.path().join("draft.toml");
    let written = parallax(&["disclose", &text(&run), "--out", &text(&draft)]);
    assert_eq!(code(&written), 0, "{}", shown(&written));
    let again = parallax(&["disclose", &text(&run), "--out", &text(&draft)]);
    assert_eq!(code(&again), 2, "a file that is there is never written over");

    let before = findings(&run);
    assert_eq!(before["verdict"], "conditioned");
    assert!(before.get("stale").is_none(), "without disclosures there is nothing to be stale");
    let analysed = parallax(&["analyse", &text(&run), "--disclosures", &text(&draft)]);
    assert_eq!(code(&analysed), 0, "{}", shown(&analysed));
    let after = findings(&run);
    assert_eq!(after["verdict"], "clean");
    assert!(after.get("stale").is_none(), "{after:#}");
    let disclosed = after["findings"].as_array().unwrap().iter().filter(|finding| !finding["disclosed"].is_null());
    assert_eq!(disclosed.count(), 4, "{after:#}");
    // What was given is kept with the run: reading it again says the same.
    let bytes = std::fs::read(run.join("findings.json")).unwrap();
    assert_eq!(code(&parallax(&["analyse", &text(&run)])), 0);
    assert_eq!(std::fs::read(run.join("findings.json")).unwrap(), bytes);

    // Half of the truth: what is left out is open, what is said too much is stale.
    let half = place.path().join("half.toml");
    let text_of_half = "schema_version = 1
[[disclosed]]
factors = [\"locale\"]
place = \"POST /v1/messages · system*\"
says = \"the greeting follows the locale\"
[[disclosed]]
factors = [\"locale\"]
place = \"GET /nothing/like/it\"
says = \"never so\"
[[disclosed]]
factors = [\"user\"]
place = \"*home directory*\"
says = \"not varied here\"
";
    std::fs::write(&half, text_of_half).unwrap();
    let analysed = parallax(&["analyse", &text(&run), "--disclosures", &text(&half)]);
    assert_eq!(code(&analysed), 1, "{}", shown(&analysed));
    let findings = findings(&run);
    let reasons: Vec<&str> =
        findings["stale"].as_array().unwrap().iter().map(|stale| stale["why"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["contradicted", "not_seen", "not_varied"], "{findings:#}");
    let report = std::fs::read_to_string(run.join("report.md")).unwrap();
    for report in [report, shown(&analysed)] {
        assert!(report.contains("Disclosed, and not borne out") && report.contains("never so"), "{report}");
    }
}
