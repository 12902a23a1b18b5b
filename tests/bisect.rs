//! **Bisect** and **sweep**, through the compiled program: a simulator whose behaviour depends on its version, told to
//! the external engine.
//!
//! Where Python is missing these tests say so and pass, unless `PARALLAX_REQUIRE` names `python`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;
#[allow(dead_code, reason = "other tests use more of it")]
mod registry;

use std::path::Path;
use std::process::{Command, Output};

use program::{code, missing, shown};
use registry::{Registry, Release};
use serde_json::{Value, json};

const SCENARIO: &str = r#"
name = "simulated"
[target]
npm = "simulated-agent"
version = "1.0.20"
command = ["agent", "-p", "{prompt}"]
[stub]
script = [{ text = "OK" }]
[factors.timezone]
levels = ["UTC", "America/New_York", "Asia/Tokyo", "Asia/Shanghai"]
[factors.base_url]
variable = "AGENT_BASE_URL"
levels = ["http://api.vendor.example", "http://gateway.example.com", "http://llm.internal.example:8080"]
[factors.region]
kind = "env"
variable = "REGION"
levels = ["eu-west-1", { unset = true }]
[design]
budget = 400
"#;

/// `apostrophe=10-29 slash=17-29 broken=5,6`: from which version to which an apostrophe follows the base URL, and a date
/// the time zone together with it; which versions cannot be run; `rare`: in which a blank more stands in a line once in
/// fifty. Everything else that moves is noise, or is the same for all versions.
const SIMULATOR: &str = r#"
import json, random, sys
spans = {name: [tuple(map(int, (one + "-" + one).split("-")[:2])) for one in text.split(",")]
         for name, text in (word.split("=") for word in sys.argv[1:])}
for line in sys.stdin:
    question = json.loads(line)
    cell, levels = question["cell"], question["environment"]
    version = int(question["target"]["source"]["npm"]["version"].split(".")[-1])
    within = lambda name: any(a <= version <= b for a, b in spans.get(name, []))
    if within("broken"):
        print(json.dumps({"cell": cell, "error": "this version cannot be had"}), flush=True)
        continue
    chance = random.Random(f"{question['seed']} {cell} {version}")
    vendor = "http://api.vendor.example"
    url = levels["base_url"] or vendor
    away, asian = url != vendor, (levels["timezone"] or "UTC").startswith("Asia/")
    apostrophe = "\u2019" if within("apostrophe") and away else "'"
    sign = "/" if within("slash") and away and asian else "-"
    system = ["You are an agent.", f"Version {version} is what you are."] + ["Be brief."] * (version % 4)
    if not away:
        system.append("The vendor's own host is used.")
    system.append(f"Today{apostrophe}s date is 2026{sign}11{sign}21.")
    body = {"model": f"m-{version}", "system": "\n".join(system), "id": f"{chance.getrandbits(128):032x}",
            "noise": chance.choice(["a", "b", "c"]), "quote": chance.choice(["it's", "it\u2019s"]),
            "rare": [f"{n}:{' ' * (1 + (within('rare') and chance.random() < 0.02))}here" for n in range(12)]}
    print(json.dumps({"cell": cell, "exit": 0, "seconds": 1.0, "dns": ["h"], "exchanges": [{
        "at": 0.4, "scheme": "http", "target": "/v1/messages", "headers": [["Host", url.split("/")[2]]],
        "body": json.dumps(body)}]}), flush=True)
"#;

struct Place(tempfile::TempDir);

/// A folder with the scenario and the simulator. `None` where there is no Python to run it.
fn place() -> Option<Place> {
    if Command::new("python3").arg("--version").output().is_err() && !missing("python", "there is no python3") {
        return None;
    }
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("scenario.toml"), SCENARIO).unwrap();
    std::fs::write(place.path().join("simulator.py"), SIMULATOR).unwrap();
    Some(Place(place))
}

impl Place {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, arguments: &[&str], simulator: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parallax"));
        command.current_dir(self.path()).env("NPM_CONFIG_REGISTRY", "http://127.0.0.1:1").env("COLUMNS", "200");
        command.args(arguments).args(["--engine", &format!("exec:python3 simulator.py {simulator}"), "--seed", "5"]);
        command
    }

    fn bisect(&self, simulator: &str, versions: &str, more: &[&str]) -> (Output, Value) {
        let arguments =
            [&["bisect", "scenario.toml", "--versions", versions, "--out", "out", "--json"][..], more].concat();
        let output = self.command(&arguments, simulator).output().unwrap();
        let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", shown(&output)));
        (output, document)
    }
}

/// `1.0.0,1.0.1,…`
fn versions(count: usize) -> String {
    (0..count).map(|n| format!("1.0.{n}")).collect::<Vec<_>>().join(",")
}

/// The edges of the finding that depends on these factors: `+10` where it appears, `-30` where it is gone.
fn edges(document: &Value, factors: &[&str]) -> Vec<String> {
    let findings = document["findings"].as_array().unwrap();
    let found: Vec<&Value> = findings.iter().filter(|one| one["finding"]["factors"] == json!(factors)).collect();
    let [found] = found[..] else { panic!("one finding depends on {factors:?}: {document:#}") };
    let number = |version: &Value| version.as_str().unwrap().rsplit('.').next().unwrap().parse::<usize>().unwrap();
    found["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| {
            assert_eq!(edge["confirmed"], true, "{edge:#}");
            let (before, after) = (number(&edge["before"]), number(&edge["after"]));
            let sign = if edge["appears"] == true { "+" } else { "-" };
            if before + 1 == after { format!("{sign}{after}") } else { format!("{sign}{before}..{after}") }
        })
        .collect()
}

#[test]
fn every_finding_has_its_own_edges_and_noise_has_none() {
    let Some(place) = place() else { return };
    let (output, document) = place.bisect("apostrophe=10-29 slash=17-33", &versions(40), &[]);
    assert_eq!(edges(&document, &["base_url"]), ["+10", "-30"]);
    assert_eq!(edges(&document, &["timezone", "base_url"]), ["+17", "-34"]);
    assert_eq!(document["findings"].as_array().unwrap().len(), 2, "{document:#}");
    assert!(document["ran"].as_array().unwrap().len() <= 20);
    assert_eq!(document["installed"], 0, "an external engine has its own targets");
    assert_eq!(code(&output), 0, "neither is in the newest: {}", shown(&output));
    let text = std::fs::read_to_string(place.path().join("out/bisect.md")).unwrap();
    assert!(text.contains("in 1.0.10, not in 1.0.9") && text.contains("in 1.0.30, still in 1.0.29"), "{text}");
}

#[test]
fn what_comes_and_goes_has_four_edges_and_is_told_when_it_is_in_the_newest() {
    let Some(place) = place() else { return };
    let (output, document) = place.bisect("apostrophe=4-13,20-26,35-39", &versions(40), &["--most", "30"]);
    assert_eq!(edges(&document, &["base_url"]), ["+4", "-14", "+20", "-27", "+35"]);
    assert_eq!(code(&output), 1, "{}", shown(&output));
}

#[test]
fn what_the_scenarios_version_does_not_show_is_found_where_it_is() {
    let Some(place) = place() else { return };
    // The scenario's own version is not among them.
    let (output, document) = place.bisect("slash=3-12", &versions(16), &["--sample", "4"]);
    assert_eq!(edges(&document, &["timezone", "base_url"]), ["+3", "-13"]);
    assert_eq!(code(&output), 0, "{}", shown(&output));
}

#[test]
fn nothing_to_find_is_no_finding() {
    let Some(place) = place() else { return };
    let (output, document) = place.bisect("none=0", &versions(24), &["--sample", "3"]);
    assert_eq!(document["findings"], json!([]));
    assert_eq!(code(&output), 0, "{}", shown(&output));
    assert!(document["notes"][0].as_str().unwrap().contains("nothing to search for"), "{document:#}");
}

#[test]
fn no_whole_run_is_spent_on_what_chance_does() {
    let Some(place) = place() else { return };
    // In a look of some thirty cells most of the twelve lines differ somewhere, and hardly one of them does so again.
    let (_, document) = place.bisect("rare=0-99", &versions(24), &["--sample", "4"]);
    assert_eq!(document["findings"], json!([]));
    let ran = document["ran"].as_array().unwrap();
    let whole: Vec<&Value> = ran.iter().filter(|ran| ran["whole"] == true).collect();
    assert!(whole.len() == 1, "the scenario's own version alone is run whole: {document:#}");
}

#[test]
fn a_version_that_cannot_be_run_leaves_its_edge_open() {
    let Some(place) = place() else { return };
    let (output, document) = place.bisect("apostrophe=10-29 broken=9-10,23", &versions(30), &[]);
    assert_eq!(edges(&document, &["base_url"]), ["+8..11"], "{document:#}");
    assert!(document["lost"]["1.0.9"].as_str().unwrap().contains("cannot be had"), "{document:#}");
    assert_eq!(code(&output), 1, "it is in the newest: {}", shown(&output));
    let edge = &document["findings"][0]["edges"][0];
    assert_eq!(edge["between"], json!(["1.0.9", "1.0.10"]));

    let everything =
        place.command(&["bisect", "scenario.toml", "--versions", "1.0.1,1.0.2"], "broken=0-99").output().unwrap();
    assert_eq!(code(&everything), 4, "{}", shown(&everything));
}

#[test]
fn a_stored_run_says_what_to_search_for() {
    let Some(place) = place() else { return };
    let arguments = ["run", "scenario.toml", "--out", "known", "--quiet", "--json"];
    let output = place.command(&arguments, "apostrophe=10-29").output().unwrap();
    let run: Value = serde_json::from_slice(&output.stdout).unwrap();
    let id = run["findings"].as_array().unwrap().iter().find(|one| one["class"] == "covert").unwrap()["id"].clone();
    let more = ["--run", "known", "--finding", id.as_str().unwrap()];
    let (_, document) = place.bisect("apostrophe=10-29", "1.0.8,1.0.9,1.0.10,1.0.11", &more);
    assert_eq!(edges(&document, &["base_url"]), ["+10"]);
    assert!(document["ran"].as_array().unwrap().iter().all(|ran| ran["whole"] == false), "{document:#}");
    let more =
        ["bisect", "scenario.toml", "--versions", "1.0.8,1.0.9", "--run", "known", "--finding", "f0", "--out", "o"];
    let output = place.command(&more, "none=0").output().unwrap();
    assert_eq!(code(&output), 2, "{}", shown(&output));
    assert!(shown(&output).contains("no finding f0"), "{}", shown(&output));
}

#[test]
fn a_range_is_read_from_the_registry_by_the_package_client() {
    let Some(place) = place() else { return };
    if Command::new("npm").arg("--version").output().is_err() && !missing("npm", "there is no npm") {
        return;
    }
    let releases: Vec<Release> = ["1.0.9", "1.0.10", "1.0.11", "1.1.0-rc.1", "1.0.8"]
        .into_iter()
        .map(|version| Release {
            name: "simulated-agent",
            version,
            tags: if version == "1.0.11" { &["latest"] } else { &[] },
            description: json!({}),
            files: &[("agent.js", "", true)],
            forged: false,
        })
        .collect();
    let registry = Registry::serve(&releases);
    let arguments = [
        "bisect",
        "scenario.toml",
        "--set",
        "target.version=1.0.10",
        "--versions",
        "1.0.8..",
        "--out",
        "out",
        "--json",
    ];
    let output =
        place.command(&arguments, "apostrophe=10-29").env("NPM_CONFIG_REGISTRY", &registry.url).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", shown(&output)));
    assert_eq!(document["versions"], json!(["1.0.8", "1.0.9", "1.0.10", "1.0.11"]));
    assert_eq!(edges(&document, &["base_url"]), ["+10"]);
}

#[test]
fn wrong_arguments_are_2() {
    let Some(place) = place() else { return };
    for (arguments, told) in [
        (&["bisect", "scenario.toml", "--versions", "2.0..1.0"][..], "older one first"),
        (&["bisect", "scenario.toml", "--versions", "^1"], "no exact version"),
        (&["sweep", "scenario.toml"], "--versions"),
        (&["sweep", "scenario.toml", "--targets", "scenario.toml"], "belongs into the scenario"),
    ] {
        let output = place.command(arguments, "none=0").output().unwrap();
        assert!(code(&output) == 2 && shown(&output).contains(told), "{}", shown(&output));
    }
}

#[test]
fn a_sweep_makes_one_matrix_and_is_gone_on_with() {
    let Some(place) = place() else { return };
    std::fs::write(
        place.path().join("other.toml"),
        "[target]\nnpm = \"other-agent\"\nversion = \"1.0.25\"\ncommand = [\"other\"]\n",
    )
    .unwrap();
    let sweep = |broken: &str, more: &[&str]| {
        let list =
            ["sweep", "scenario.toml", "--versions", "1.0.9,1.0.10,1.0.12", "--targets", "other.toml", "--out", "all"];
        let simulator = format!("apostrophe=10-29 broken={broken}");
        place.command(&[&list[..], more].concat(), &simulator).output().unwrap()
    };
    let output = sweep("12", &["--json"]);
    let matrix: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", shown(&output)));
    assert_eq!(code(&output), 1, "{}", shown(&output));
    let covert: Vec<&Value> =
        matrix["findings"].as_array().unwrap().iter().filter(|one| one["class"] == "covert").collect();
    let [marker] = covert[..] else { panic!("one marker was planted: {matrix:#}") };
    assert_eq!(
        marker["targets"],
        json!({ "1.0.9": "–", "1.0.10": "open", "1.0.12": "not run", "other": "open" }),
        "{matrix:#}"
    );
    let now = |matrix: &Value| -> Vec<bool> {
        matrix["targets"].as_array().unwrap().iter().map(|one| one["run_now"] == true).collect()
    };
    assert_eq!(now(&matrix), [true; 4]);

    // What was finished is not run again; what could not be run is.
    let output = sweep("0", &["--json"]);
    let matrix: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", shown(&output)));
    assert_eq!(now(&matrix), [false, false, true, false], "{matrix:#}");
    assert!(matrix["targets"].as_array().unwrap().iter().all(|one| one["failure"].is_null()));
    let output = sweep("0", &["--format", "markdown"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("4 targets, 0 run now, 4 before") && said.contains("`open`"), "{said}");
    let output = sweep("0", &[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("conditioned") && said.contains("1.0.12"), "{said}");
}
