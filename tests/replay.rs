//! A finding **run again**, and a run that tells other programs how far it is: through the whole program, with the simulator
//! that `docs/external-engine.md` shows. Its marked variant reproduces, its innocent one does not.
//!
//! Where Python is missing these tests say so and pass, unless `PARALLAX_REQUIRE` names `python`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const SCENARIO: &str = r#"
name = "simulated"
[target]
npm = "@nobody/has-this-package"
version = "1.2.3"
command = ["agent", "-p", "{prompt}"]
prompt = "Reply with OK."
env = { AGENT_API_KEY = "sk-dummy-4711" }
[stub]
script = [{ text = "OK" }]
[factors.timezone]
levels = ["UTC", "America/New_York", "Asia/Tokyo", "Asia/Shanghai"]
[factors.base_url]
variable = "AGENT_BASE_URL"
levels = ["http://api.vendor.example", "http://gateway.example.com"]
[severity]
covert = "medium"
"#;

fn parallax(place: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parallax"))
        .current_dir(place)
        .env("NPM_CONFIG_REGISTRY", "http://127.0.0.1:1")
        .args(arguments)
        .output()
        .unwrap()
}

fn run(place: &Path, more: &[&str]) -> Output {
    let arguments = ["run", "scenario.toml", "--engine", "exec:python3 simulator.py", "--seed", "3", "--out", "run"];
    let output = parallax(place, &[&arguments[..], more].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    output
}

#[test]
fn a_finding_reproduces_where_it_is_true_and_does_not_where_it_is_not() {
    let Some(place) = program::simulated(SCENARIO) else { return };
    let place = place.path();
    run(place, &["--quiet"]);
    let replay = |engine: &str, more: &[&str]| {
        parallax(place, &[&["replay", "run", "1", "--engine", engine][..], more].concat())
    };
    let again = replay("exec:python3 simulator.py", &["--json"]);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    let told: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&told["reproduces"], &told["agree"]), (&Value::from(true), &Value::from(6)));
    assert!((told["p_value"].as_f64().unwrap() - 0.05).abs() < 1e-12, "one of twenty orders: {told}");
    let innocent = replay("exec:python3 simulator.py --innocent", &["--times", "4"]);
    assert_eq!(innocent.status.code(), Some(3), "{innocent:?}");
    let text = String::from_utf8_lossy(&innocent.stdout).into_owned();
    assert!(text.contains("does not reproduce") && text.contains("4 of 8 fresh runs"), "{text}");
    // Too few to tell, an engine that must be named, and another scenario by the same name.
    assert_eq!(replay("exec:python3 simulator.py", &["--times", "2"]).status.code(), Some(2));
    assert_eq!(parallax(place, &["replay", "run", "1"]).status.code(), Some(2));
    std::fs::write(place.join("other.toml"), SCENARIO.replace("Reply with OK.", "Reply with NO.")).unwrap();
    assert_eq!(replay("exec:python3 simulator.py", &["--scenario", "other.toml"]).status.code(), Some(2));
}

#[test]
fn what_the_command_line_changed_and_what_the_scenario_says_go_with_a_finding() {
    let Some(place) = program::simulated(SCENARIO) else { return };
    let place = place.path();
    run(place, &["--quiet", "--set", "target.prompt=it's OK", "--budget", "300"]);
    let findings: Value = serde_json::from_slice(&std::fs::read(place.join("run/findings.json")).unwrap()).unwrap();
    let covert = findings["findings"].as_array().unwrap().iter().find(|one| one["class"] == "covert").unwrap();
    let command = covert["reproduce"]["command"].as_str().unwrap();
    let expected = "parallax run scenario.toml --set 'target.prompt=it'\\''s OK' --set design.budget=300 --seed 3";
    assert_eq!(command, expected);
    assert_eq!(covert["severity"], "medium", "the table says high");
    let curve: Vec<f64> = serde_json::from_value(covert["evidence_curve"].clone()).unwrap();
    let p = covert["p_value"].as_f64().unwrap();
    assert!((curve.last().unwrap() * p - 1.0).abs() < 1e-9 && curve.len() > 3, "{curve:?} ends where p is 1/E");
    // Read again, it is the same.
    let before = std::fs::read(place.join("run/findings.json")).unwrap();
    parallax(place, &["analyse", "run"]);
    assert_eq!(std::fs::read(place.join("run/findings.json")).unwrap(), before);
}

#[test]
fn a_run_tells_programs_how_far_it_is() {
    let Some(place) = program::simulated(SCENARIO) else { return };
    let output = run(place.path(), &["--progress", "json"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let events: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&events[0]["event"], &events[0]["seed"]), (&Value::from("began"), &Value::from(3)));
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["verdict"], &last["exit"]), (&"ended".into(), &"conditioned".into(), &1.into()));
    let of = |name: &str| events.iter().filter(|event| event["event"] == name).collect::<Vec<_>>();
    assert_eq!(of("started").len(), of("finished").len());
    assert_eq!(of("finished").last().unwrap()["done"], last["cells"]["planned"]);
    let hypotheses = of("hypotheses");
    let sure = hypotheses.last().unwrap()["hypotheses"].as_array().unwrap();
    assert!(sure.iter().any(|one| one["e"].as_f64() >= one["e_needed"].as_f64()), "{sure:?}");
    let documented = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/progress.md")).unwrap();
    for event in &events {
        let name = event["event"].as_str().unwrap();
        assert!(documented.contains(&format!("`{name}`")), "{name} is not documented");
    }
}
