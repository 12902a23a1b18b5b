//! The **external engine**, through the whole program, with the simulator that `docs/external-engine.md` shows: its marker
//! is found exactly, its innocent variant is accused of nothing, and what other engines promise holds for it too.
//!
//! Where Python is missing these tests say so and pass, unless `PARALLAX_REQUIRE` names `python`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::path::{Path, PathBuf};
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
levels = ["http://api.vendor.example", "http://gateway.example.com", "http://llm.internal.example:8080"]
[factors.region]
kind = "env"
variable = "REGION"
levels = ["eu-west-1", { unset = true }]
[factors.locale]
levels = ["en_US.UTF-8", "de_DE.UTF-8", "ja_JP.UTF-8"]
[design]
budget = 400
"#;

fn parallax(place: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parallax"))
        .current_dir(place)
        // Nothing may be installed: a package client that is not there cannot do it.
        .env("NPM_CONFIG_REGISTRY", "http://127.0.0.1:1")
        .args(arguments)
        .output()
        .unwrap()
}

fn run(place: &Path, program: &str, out: &str, more: &[&str]) -> Output {
    let engine = format!("exec:{program}");
    let arguments = ["run", "scenario.toml", "--engine", &engine, "--quiet", "--out", out];
    parallax(place, &[&arguments[..], more].concat())
}

fn read(place: &Path, path: &str) -> Vec<u8> {
    std::fs::read(place.join(path)).unwrap()
}

fn json(place: &Path, path: &str) -> Value {
    serde_json::from_slice(&read(place, path)).unwrap()
}

/// Findings that count.
fn open(place: &Path, run: &str) -> Vec<Value> {
    let findings = json(place, &format!("{run}/findings.json"));
    let all = findings["findings"].as_array().unwrap().clone();
    all.into_iter().filter(|finding| finding["explained_by"].is_null() && finding["disclosed"].is_null()).collect()
}

#[test]
fn the_documents_simulator_is_found_out_exactly_and_its_innocent_variant_is_not() {
    let Some(place) = program::simulated(SCENARIO) else { return };
    let place = place.path();
    let output = run(place, "python3 simulator.py", "marked", &["--seed", "3"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let open = open(place, "marked");
    let [finding] = &open[..] else { panic!("one marker was planted: {open:#?}") };
    assert_eq!(finding["factors"], serde_json::json!(["timezone", "base_url"]));
    assert_eq!(finding["class"], "covert");
    let rule = finding["rule"].as_array().unwrap();
    assert_eq!(rule.len(), 1, "{finding:#}");
    assert_eq!(rule[0]["when"]["timezone"], serde_json::json!(["Asia/Tokyo", "Asia/Shanghai"]), "{finding:#}");
    assert_eq!(
        rule[0]["when"]["base_url"],
        serde_json::json!(["http://gateway.example.com", "http://llm.internal.example:8080"])
    );
    assert_eq!(rule[0]["value"], "\u{2019}", "{finding:#}");
    assert_eq!(finding["excerpt"]["variant"], "Don\u{2019}t guess.");

    let output = run(place, "python3 simulator.py --innocent", "innocent", &["--seed", "3"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(self::open(place, "innocent").is_empty());

    // Nothing was looked up for the target, and the engine is known by its digest.
    let manifest = json(place, "marked/manifest.json");
    assert_eq!(manifest["target"]["package"], "pkg:npm/%40nobody/has-this-package@1.2.3");
    assert_eq!(manifest["jobs"], 64);
    let engine = manifest["engine"].as_str().unwrap();
    let digest = digest(&read(place, "simulator.py"));
    assert!(engine.starts_with("exec:python3 simulator.py (sha256 ") && engine.contains(&digest), "{engine}");
    no_secret_in(&place.join("marked"));
}

#[test]
fn the_same_seed_gives_the_same_bytes_again_and_after_an_end_in_between() {
    let Some(place) = program::simulated(SCENARIO) else { return };
    let place = place.path();
    run(place, "python3 simulator.py", "first", &["--seed", "5"]);
    let findings = read(place, "first/findings.json");
    // Another number of cells at once, another order of answers.
    run(place, "python3 simulator.py", "second", &["--seed", "5", "--jobs", "3"]);
    assert_eq!(read(place, "second/findings.json"), findings);
    assert_eq!(read(place, "second/plan.jsonl"), read(place, "first/plan.jsonl"));
    // Half of the records.
    std::fs::remove_file(place.join("second/findings.json")).unwrap();
    let records = read(place, "second/cells.jsonl.zst");
    std::fs::write(place.join("second/cells.jsonl.zst"), &records[..records.len() / 2]).unwrap();
    let output = run(place, "python3 simulator.py", "second", &["--resume"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(read(place, "second/findings.json"), findings);
    // And without any engine.
    std::fs::remove_file(place.join("second/findings.json")).unwrap();
    assert_eq!(parallax(place, &["analyse", "second"]).status.code(), Some(1));
    assert_eq!(read(place, "second/findings.json"), findings);
}

#[test]
fn a_program_that_fails_is_an_engine_that_failed() {
    let Some(place) = program::simulated(SCENARIO) else { return };
    let place = place.path();
    std::fs::write(place.join("broken.sh"), "read line\necho 'the farm is on fire' >&2\nexit 9\n").unwrap();
    let output = run(place, "sh broken.sh", "broken", &["--jobs", "2"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("exit status: 9") && said.contains("the farm is on fire"), "{said}");
    let output = run(place, "./no-such-program", "none", &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("there is no program `./no-such-program`"), "{said}");
    let output = parallax(place, &["run", "scenario.toml", "--engine", "podman"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("exec:PROGRAM"));
}

fn digest(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(bytes))
}

/// The scenario's secret is in no file of the run.
fn no_secret_in(run: &Path) {
    let mut open: Vec<PathBuf> = vec![run.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let bytes = if path.extension().is_some_and(|extension| extension == "zst") {
                zstd::stream::decode_all(&bytes[..]).unwrap()
            } else {
                bytes
            };
            assert!(!bytes.windows(13).any(|window| window == b"sk-dummy-4711"), "{}", path.display());
        }
    }
}

/// An agent whose prompt has a block that goes when the vendor's host is left, and which then sends no telemetry.
const BLOCKS: &str = r##"
import json, random, sys
mode = sys.argv[1]
vendor = "http://api.vendor.example"
for line in sys.stdin:
    question = json.loads(line)
    cell, levels = question["cell"], question["environment"]
    chance = random.Random(f"{question['seed']} {cell}")
    url = levels["base_url"] or vendor
    region = levels["region"] or "nowhere"
    tone = "terse" if region == "eu-west-1" else "verbose"
    system = ["You are an agent.", "Be brief."]
    if mode == "block" and url == vendor:
        system += ["", "# Memory", "", "Remember what matters.", "  - and why"]
    if mode == "blank" and url != vendor:
        system.insert(1, "")
    system.append(f"Your tone is {tone}.")
    hosts = [("/v1/messages", url, {"model": "m-1", "system": "\n".join(system), "id": f"{chance.getrandbits(128):032x}"})]
    if mode == "block" and url == vendor:
        hosts.append(("/telemetry", url, {"event": "start", "tone": tone, "count": 3}))
    exchanges = [{
        "at": 0.4 + n / 10,
        "scheme": "http",
        "target": target,
        "headers": [["Host", to.split("/")[2]], ["Content-Type", "application/json"]],
        "body": json.dumps(body),
    } for n, (target, to, body) in enumerate(hosts)]
    print(json.dumps({"cell": cell, "exit": 0, "seconds": 1.0, "exchanges": exchanges,
                      "dns": [url.split("/")[2].split(":")[0]]}), flush=True)
"##;

#[test]
fn what_goes_with_a_text_or_a_request_is_told_with_it_and_a_blank_line_alone_is_covert() {
    let Some(place) = program::simulated(SCENARIO) else { return };
    let place = place.path();
    std::fs::write(place.join("blocks.py"), BLOCKS).unwrap();
    let told = |mode: &str| {
        run(place, &format!("python3 blocks.py {mode}"), mode, &["--seed", "11"]);
        let open = open(place, mode);
        open.iter().map(|one| (one["class"].to_string(), one["factors"].to_string())).collect::<Vec<_>>()
    };
    let of = |class: &str, factors: &str| (format!("{class:?}"), format!("[{factors:?}]"));
    // The block's blank lines and the telemetry's own copy of the tone make no findings of their own.
    assert_eq!(told("block"), [of("overt", "region"), of("structural", "base_url")]);
    let all = open(place, "block");
    let tone = all.iter().find(|one| one["factors"] == serde_json::json!(["region"])).unwrap();
    let places = tone["places"].as_array().unwrap();
    assert!(places.iter().any(|place| place.as_str().unwrap().contains("/telemetry")), "{places:?}");
    assert_eq!(told("blank"), [of("covert", "base_url"), of("overt", "region")]);
}

/// An agent with a telemetry of thirty numbers that are coins, and a word in it that some runs in Tokyo have, at the rate
/// that is its argument: a request that is crowded.
const TELEMETRY: &str = r#"
import json, random, sys
rate = float(sys.argv[1])
for line in sys.stdin:
    question = json.loads(line)
    cell, levels = question["cell"], question["environment"]
    chance = random.Random(f"{question['seed']} {cell}")
    values = {f"m{n:02}": chance.choice([10, 20]) for n in range(30)}
    shows = levels["timezone"] == "Asia/Tokyo" and chance.random() < rate
    values["mode"] = "slow" if shows else "fast"
    bodies = [("/v1/messages", {"system": "You are an agent."}), ("/telemetry", values)]
    exchanges = [{
        "at": 0.4 + n / 10,
        "target": target,
        "headers": [["Host", "api.vendor.example"], ["Content-Type", "application/json"]],
        "body": json.dumps(body),
    } for n, (target, body) in enumerate(bodies)]
    print(json.dumps({"cell": cell, "exit": 0, "seconds": 1.0, "exchanges": exchanges}), flush=True)
"#;

#[test]
fn what_shows_seldom_in_a_crowded_request_is_found_or_said_to_be_unexplained() {
    let Some(place) = program::simulated(SCENARIO) else { return };
    let place = place.path();
    std::fs::write(place.join("telemetry.py"), TELEMETRY).unwrap();
    // The place is named by what it is, in the findings and in what the design could have missed.
    let (mut found, mut unexplained) = (0, 0);
    for seed in ["1", "2", "3", "4", "5", "6"] {
        run(place, "python3 telemetry.py 0.35", seed, &["--seed", seed]);
        let is_it = |text: String| text.contains("/telemetry") && text.contains("mode");
        let is_found = open(place, seed).iter().any(|finding| is_it(finding.to_string()));
        let power = json(place, &format!("{seed}/findings.json"))["power"]["unexplained"].clone();
        let is_listed = power.as_array().unwrap().iter().any(|line| is_it(line.to_string()));
        (found, unexplained) = (found + u32::from(is_found), unexplained + u32::from(is_listed && !is_found));
    }
    assert_eq!(found + unexplained, 6, "{found} found, {unexplained} said to be unexplained");
    assert!(unexplained > 0);
}

#[test]
fn what_a_run_stored_of_its_cells_is_what_its_records_show() {
    let Some(place) = program::simulated(SCENARIO) else { return };
    let place = place.path();
    assert_eq!(run(place, "python3 simulator.py", "run", &["--seed", "3"]).status.code(), Some(1));
    let told = |format: &str| {
        let output = parallax(place, &["report", "run", "--format", format, "--out", "-"]);
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let reports = || ["csv", "jsonl", "html"].map(told);
    let stored = place.join("run/observed.json.zst");
    let (page, of_run) = (read(place, "run/report.html"), reports());
    assert!(of_run[2] == page, "the page that the run wrote");
    assert!(of_run[0].split(|byte| *byte == b'\n').count() > 100, "a row a cell and place");
    // Without the bodies the same: nothing else is read for it.
    std::fs::rename(place.join("run/raw"), place.join("raw")).unwrap();
    assert!(of_run == reports(), "the bodies are not needed");
    std::fs::remove_file(&stored).unwrap();
    assert!(told("html") != page, "without both nobody knows what a cell showed");
    std::fs::rename(place.join("raw"), place.join("run/raw")).unwrap();
    assert!(of_run == reports(), "read from the records again");
    assert_eq!(parallax(place, &["analyse", "run"]).status.code(), Some(1));
    assert!(stored.is_file() && of_run == reports(), "analyse stores it again");
    // What was stored of other records is not taken for theirs.
    let records = place.join("run/cells.jsonl.zst");
    let whole = std::fs::read(&records).unwrap();
    std::fs::write(&records, &whole[..whole.len() - 1]).unwrap();
    assert!(of_run[0] != told("csv"), "the last record is gone");
}
