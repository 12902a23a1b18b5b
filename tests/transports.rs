//! The **seams**, through the whole program: one and the same agent reached by a plain base URL, a TLS base URL, by
//! interception of its vendor's own host, and through a proxy. One that does not care sends one and the same prompt, and
//! nothing is laid to it; one that does has a single grouped finding.
//!
//! Where namespaces or curl are missing these tests say so and pass, unless `PARALLAX_REQUIRE` names them.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

mod program;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use program::{available, code, json, missing, parallax, shown, text};
use serde_json::Value;

/// The baseline is interception: no base URL, so that the agent dials its vendor over TLS.
const LEVELS: &str = r#"[{ unset = true }, "https://api.vendor.example", "http://api.vendor.example",
          "https://gateway.example.com", "http://gateway.example.com"]"#;
/// None; CONNECT or the absolute form, without and with credentials, and to a proxy that speaks TLS; SOCKS by name and by
/// address.
const PROXIES: &str = "['none', 'http://proxy.corp.example:3128', 'http://me:word@proxy.corp.example:3128',
          'https://proxy.corp.example:3129', 'socks5h://proxy.corp.example:1080', 'socks5://proxy.corp.example:1080']";

fn run(folder: &Path, name: &str, care: &str, factors: &str) -> (i32, Value, String) {
    let agent = format!(
        r#"#!/usr/bin/env bash
base=${{AGENT_BASE_URL:-https://api.vendor.example}}
tools=5
manner=Please
{care}
curl --silent --show-error ${{version---http1.1}} "$base/v1/messages" -H 'Content-Type: application/json' -d @- > /dev/null << END
{{"model":"m","system":"$manner use at most $tools tools.","messages":[{{"role":"user","content":"$1"}}]}}
END
"#
    );
    let path = folder.join(format!("{name}.sh"));
    std::fs::write(&path, agent).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let scenario = folder.join(format!("{name}.toml"));
    let document = format!(
        "name = '{name}'\n[target]\ncommand = ['./{name}.sh', '{{prompt}}']\ntimeout = '20s'\n\
         [stub]\nscript = [{{ text = 'OK' }}]\n[factors.base_url]\nvariable = 'AGENT_BASE_URL'\nlevels = {LEVELS}\n{factors}"
    );
    std::fs::write(&scenario, document).unwrap();
    let out = folder.join(format!("{name}-run"));
    let output =
        parallax(&["run", &text(&scenario), "--engine", "embedded", "--seed", "7", "-q", "--out", &text(&out)]);
    let said = shown(&output);
    assert!([0, 1].contains(&code(&output)), "{said}");
    (code(&output), json(&out.join("findings.json")), said)
}

fn proxies() -> String {
    format!("[factors.proxy]\nlevels = {PROXIES}\n")
}

fn ready() -> bool {
    let curl =
        || Command::new("curl").arg("--version").output().is_ok() || missing("curl", "the program is not installed");
    available("embedded") && curl()
}

fn open(findings: &Value) -> Vec<&Value> {
    let open = |finding: &&Value| finding["explained_by"].is_null() && finding["disclosed"].is_null();
    findings["findings"].as_array().unwrap().iter().filter(open).collect()
}

#[test]
fn an_agent_that_does_not_care_sends_the_same_by_every_way() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (code, findings, said) = run(folder.path(), "calm", "", &proxies());
    assert_eq!((open(&findings).len(), code), (0, 0), "{said}");
    let bodies = findings["findings"].as_array().unwrap().iter().filter(|finding| finding["channel"] == "body").count();
    assert_eq!(bodies, 0, "{said}");
}

#[test]
fn an_agent_that_cares_has_one_finding_however_many_places_it_shows_in() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let care = "case $base in *//api.vendor.example) ;; *) tools=3 manner=Kindly ;; esac";
    let (code, findings, said) = run(folder.path(), "caring", care, &proxies());
    let open = open(&findings);
    assert_eq!((open.len(), code), (1, 1), "{said}");
    assert_eq!(open[0]["factors"], serde_json::json!(["base_url"]), "{said}");
    assert_eq!(open[0]["channel"], "body", "{said}");
}

#[test]
fn the_version_of_http_changes_no_prompt() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let factors = "[factors.http_version]\nlevels = ['1.1', '2']\n";
    // curl offers both versions, and takes what it is given.
    let (code, findings, said) = run(folder.path(), "either", "version=", factors);
    assert_eq!((open(&findings).len(), code), (0, 0), "the form of HTTP/2 is nobody's: {said}");
    let findings = findings["findings"].as_array().unwrap();
    assert!(findings.iter().all(|finding| finding["channel"] != "body"), "{said}");
    // Under TLS alone is there something to agree on.
    let seen = findings.iter().filter(|f| f["factors"] == serde_json::json!(["base_url", "http_version"])).count();
    assert!(seen > 0, "that the level arrived is seen in the requests' form: {said}");
    let cares =
        "version=; curl --silent --output /dev/null --write-out '%{http_version}' $base | grep -qx 2 && tools=4";
    let (code, findings, said) = run(folder.path(), "learns", cares, factors);
    let open = open(&findings);
    assert_eq!(code, 1, "{said}");
    assert!(open.iter().any(|finding| finding["channel"] == "body"), "{said}");
}
