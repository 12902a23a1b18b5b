//! The **controls**, through the whole program: a toy agent with planted tells, each of which must be found with its exact
//! rule, and its innocent twin, in which nothing may be found. On both engines, for several seeds.
//!
//! Where an engine is missing these tests say so and pass, unless `PARALLAX_REQUIRE` names it (`docker,embedded`).

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The factors of both scenarios in which a tell may show, with their levels in order.
const ZONES: [&str; 4] = ["UTC", "America/New_York", "Asia/Tokyo", "Asia/Shanghai"];
const URLS: [&str; 3] = ["http://api.toy.example", "http://gateway.example.com", "http://llm.internal.example:8080"];
const LOCALES: [&str; 3] = ["en_US.UTF-8", "de_DE.UTF-8", "ja_JP.UTF-8"];
const HOSTS: [&str; 3] = ["dev", "laptop", "build-07"];
const REGIONS: [&str; 12] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "sa-east-1",
    "eu-west-1",
    "eu-central-1",
    "eu-north-1",
    "ap-south-1",
    "ap-northeast-1",
    "me-south-1",
];

/// A planted tell.
struct Tell {
    factors: &'static [&'static str],
    /// Levels of each factor, baseline first.
    levels: &'static [&'static [&'static str]],
    /// Where it shows.
    shows: fn(&[&str]) -> bool,
    class: &'static str,
    /// What the variant has and the baseline has not.
    mark: &'static str,
    codepoint: Option<&'static str>,
}

const TELLS: [Tell; 4] = [
    Tell {
        factors: &["locale"],
        levels: &[&LOCALES],
        shows: |levels| levels[0] != "en_US.UTF-8",
        class: "overt",
        mark: "Kindly",
        codepoint: None,
    },
    Tell {
        factors: &["timezone", "base_url"],
        levels: &[&ZONES, &URLS],
        shows: |levels| levels[0].starts_with("Asia/") && levels[1] != URLS[0],
        class: "covert",
        mark: "Don\u{2019}t",
        codepoint: Some("U+2019"),
    },
    Tell {
        factors: &["region"],
        levels: &[&REGIONS],
        shows: |levels| levels[0] == "eu-north-1",
        class: "overt",
        mark: "500 words",
        codepoint: None,
    },
    Tell {
        factors: &["hostname"],
        levels: &[&HOSTS],
        shows: |levels| levels[0] == "build-07",
        class: "covert",
        mark: "Keep to\u{200b} the task",
        codepoint: Some("U+200B"),
    },
];

#[test]
fn embedded_finds_every_tell_and_nothing_in_the_twin() {
    if available("embedded") {
        controls("embedded", &[1, 2, 3]);
    }
}

#[test]
fn docker_finds_every_tell_and_nothing_in_the_twin() {
    if available("docker") {
        controls("docker", &[4, 5]);
    }
}

#[test]
fn the_same_seed_gives_the_same_plan_and_the_same_findings() {
    if !available("embedded") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (first, second) = (place.path().join("first"), place.path().join("second"));
    assert_eq!(code(&run("quickstart", "embedded", 11, &first)), 1);
    assert_eq!(code(&run("quickstart", "embedded", 11, &second)), 1);
    let plan = |run: &Path| std::fs::read_to_string(run.join("plan.jsonl")).unwrap();
    assert_eq!(plan(&first), plan(&second));
    let ids = |run: &Path| {
        let findings = findings(run);
        findings.iter().map(|finding| finding["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&first), ids(&second));
    let third = place.path().join("third");
    run("quickstart", "embedded", 12, &third);
    assert_ne!(plan(&first), plan(&third), "another seed plans otherwise");
    let set = |run: &Path| ids(run).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(set(&first), set(&third), "and finds the same");
}

#[test]
fn a_killed_run_goes_on_to_the_same_findings() {
    if !available("embedded") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (whole, killed) = (place.path().join("whole"), place.path().join("killed"));
    run("quickstart", "embedded", 21, &whole);
    let mut child = command("quickstart", "embedded", 21, &killed).spawn().unwrap();
    // Some records are on disk, and some cells are still to come.
    let records = killed.join("cells.jsonl.zst");
    let long_enough = |length: u64| std::fs::metadata(&records).is_ok_and(|file| file.len() > length);
    for _ in 0..600 {
        if long_enough(15_000) || child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!killed.join("findings.json").exists(), "the run was over before it could be killed");
    let analysed = parallax().arg("analyse").arg(&killed).output().unwrap();
    assert_eq!(code(&analysed), 3, "an unfinished run is inconclusive: {}", text(&analysed));
    let resumed = command("quickstart", "embedded", 21, &killed).arg("--resume").output().unwrap();
    assert_eq!(code(&resumed), 1, "{}", text(&resumed));
    assert!(text(&resumed).contains("going on after"), "{}", text(&resumed));
    let bytes = |run: &Path| std::fs::read(run.join("findings.json")).unwrap();
    assert_eq!(bytes(&killed), bytes(&whole));
}

#[test]
fn what_the_command_line_says_of_the_design_is_kept_with_the_run() {
    if !available("embedded") {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let flags = ["--quick", "--budget", "170", "--replicates", "4", "--alpha", "0.1", "--set", "design.minimum_rows=0"];
    let first = command("quickstart", "embedded", 5, &out).args(flags).output().unwrap();
    assert_eq!(code(&first), 1, "{}", text(&first));
    let manifest: Value = serde_json::from_slice(&std::fs::read(out.join("manifest.json")).unwrap()).unwrap();
    let design = &manifest["scenario"]["design"];
    assert_eq!((&design["strength"], &design["budget"], &design["replicates"]), (&1.into(), &170.into(), &4.into()));
    assert_eq!(design["alpha"].as_f64(), Some(0.1));
    // What is the same in every cell, but for what is varied, stands there whole; and what could be seen of it.
    let pinned = &manifest["pinned"];
    let certificate = pinned["variables"]["NODE_EXTRA_CA_CERTS"].as_str().unwrap();
    assert!(pinned["files"][certificate].as_str().unwrap().contains("sha256"), "{pinned:#}");
    assert_eq!((&pinned["variables"]["TZ"], &pinned["user"]), (&"UTC".into(), &"dev".into()), "{pinned:#}");
    assert!(pinned["hostname"].is_string() && pinned["command"].is_array(), "{pinned:#}");
    for flag in ["every_port", "watched", "ipv6"] {
        assert!(manifest["sight"][flag].is_boolean(), "{flag}: {manifest:#}");
    }
    let plan = std::fs::read_to_string(out.join("plan.jsonl")).unwrap();
    // Twelve regions are the most levels of any factor; three more replicates, for one row may be the baseline.
    let cover = plan.lines().filter(|cell| cell.contains("\"cover\"")).count();
    assert!((15..=18).contains(&cover), "{cover} cells in the first phase");
    reanalyse(&out);
    let findings = std::fs::read(out.join("findings.json")).unwrap();
    let same = command("quickstart", "embedded", 5, &out).arg("--resume").output().unwrap();
    assert_eq!(code(&same), 1, "going on needs no option anew: {}", text(&same));
    assert_eq!(std::fs::read(out.join("findings.json")).unwrap(), findings);
    let other = command("quickstart", "embedded", 5, &out).args(["--resume", "--deep"]).output().unwrap();
    assert_eq!(code(&other), 2, "{}", text(&other));
    assert!(text(&other).contains("is of another scenario"), "{}", text(&other));
}

/// Both agents on one engine.
fn controls(engine: &str, seeds: &[u64]) {
    for seed in seeds {
        let place = tempfile::tempdir().unwrap();
        let (agent, twin) = (place.path().join("agent"), place.path().join("twin"));

        let output = run("quickstart", engine, *seed, &agent);
        assert_eq!(code(&output), 1, "{engine} {seed}: {}", text(&output));
        let open = open(&findings(&agent));
        for tell in &TELLS {
            let found: Vec<&Value> = open.iter().filter(|finding| has_mark(finding, tell)).collect();
            assert_eq!(found.len(), 1, "{engine} {seed}: {} in\n{}", tell.mark, shown(&open));
            check(found[0], tell);
        }
        assert_eq!(open.len(), TELLS.len(), "{engine} {seed}: more than was planted:\n{}", shown(&open));
        reanalyse(&agent);
        no_secret_in(&agent);

        let output = run("innocent", engine, *seed, &twin);
        let accused = self::open(&findings(&twin));
        assert!(accused.is_empty(), "{engine} {seed}: the innocent twin is accused:\n{}", shown(&accused));
        assert_eq!(code(&output), 0, "{engine} {seed}: {}", text(&output));
        reanalyse(&twin);
    }
}

/// Whether this finding is about this tell.
fn has_mark(finding: &Value, tell: &Tell) -> bool {
    let side = |side: &str| finding["excerpt"][side].as_str().unwrap_or("").to_owned();
    side("variant").contains(tell.mark) && !side("baseline").contains(tell.mark)
}

/// The finding has the tell's factors, class, code point, and exactly its rule.
fn check(finding: &Value, tell: &Tell) {
    let factors: Vec<&str> = finding["factors"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(factors, tell.factors, "{finding:#}");
    assert_eq!(finding["order"], tell.factors.len(), "{finding:#}");
    assert_eq!(finding["class"], tell.class, "{finding:#}");
    assert_eq!(finding["channel"], "body", "{finding:#}");
    if let Some(codepoint) = tell.codepoint {
        let points = finding["excerpt"]["codepoints"].as_array().unwrap();
        let variant = points.iter().filter(|point| point["side"] == "variant");
        let seen: Vec<&Value> = variant.map(|point| &point["codepoint"]).collect();
        assert_eq!(seen, [codepoint], "{finding:#}");
    }
    let baseline = value(finding, tell, &tell.levels.iter().map(|levels| levels[0]).collect::<Vec<_>>());
    let mut variants = BTreeSet::new();
    for combination in combinations(tell.levels) {
        let value = value(finding, tell, &combination);
        assert_eq!(value != baseline, (tell.shows)(&combination), "at {combination:?}: {finding:#}");
        if value != baseline {
            variants.insert(value);
        }
    }
    assert_eq!(variants.len(), 1, "one value where the tell shows: {finding:#}");
    assert!(finding["q_value"].as_f64().unwrap() <= 0.05, "{finding:#}");
    assert_eq!(finding["support"]["disagree"], 0, "{finding:#}");
}

/// What the finding's rule says at these levels: the last line that matches, `None` where none does.
fn value(finding: &Value, tell: &Tell, levels: &[&str]) -> Option<String> {
    let rule = finding["rule"].as_array().unwrap();
    let matches = |line: &&Value| {
        line["when"].as_object().unwrap().iter().all(|(factor, allowed)| {
            let level = levels[tell.factors.iter().position(|name| name == factor).unwrap()];
            allowed.as_array().unwrap().iter().any(|allowed| allowed == level)
        })
    };
    rule.iter().rev().find(matches).map(|line| line["value"].to_string())
}

fn combinations<'a>(levels: &[&[&'a str]]) -> Vec<Vec<&'a str>> {
    levels.iter().fold(vec![Vec::new()], |combinations, levels| {
        let extend = |combination: &Vec<&'a str>| {
            let combination = combination.clone();
            levels.iter().map(move |level| combination.iter().copied().chain([*level]).collect()).collect::<Vec<_>>()
        };
        combinations.iter().flat_map(extend).collect()
    })
}

/// `analyse` on the stored folder, without any engine, writes the same bytes.
fn reanalyse(run: &Path) {
    let path = run.join("findings.json");
    let before = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let output = parallax().arg("analyse").arg(run).env("PATH", "/nowhere").output().unwrap();
    assert!([0, 1].contains(&code(&output)), "{}", text(&output));
    assert_eq!(std::fs::read(&path).unwrap(), before, "analysing again gives other findings");
}

/// The scenario's key, which the agent sends in a header, is nowhere in the folder.
fn no_secret_in(run: &Path) {
    let (mut open, mut files) = (vec![run.to_owned()], 0);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let mut bytes = std::fs::read(&path).unwrap();
            if path.extension().is_some_and(|extension| extension == "zst") {
                bytes = zstd::decode_all(&bytes[..]).unwrap();
            }
            files += 1;
            assert!(!String::from_utf8_lossy(&bytes).contains("toy-dummy-key"), "{}", path.display());
        }
    }
    assert!(files > 10, "the folder has hardly anything in it");
}

fn findings(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("findings.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["cells"]["failed"], 0, "{document:#}");
    document["findings"].as_array().unwrap().clone()
}

/// Findings in a few words each.
fn shown(findings: &[Value]) -> String {
    let line = |finding: &Value| {
        let part = |name: &str| finding[name].to_string();
        format!("{} {} {} {} {}", part("class"), part("channel"), part("factors"), part("places"), part("rule"))
    };
    findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Findings that are neither explained nor disclosed.
fn open(findings: &[Value]) -> Vec<Value> {
    let open = |finding: &&Value| finding["explained_by"].is_null() && finding["disclosed"].is_null();
    findings.iter().filter(open).cloned().collect()
}

fn run(scenario: &str, engine: &str, seed: u64, out: &Path) -> Output {
    command(scenario, engine, seed, out).output().unwrap()
}

fn command(scenario: &str, engine: &str, seed: u64, out: &Path) -> Command {
    let scenario = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("scenarios/{scenario}.toml"));
    let mut command = parallax();
    command.arg("run").arg(scenario).args(["--engine", engine, "--seed", &seed.to_string()]).arg("--out").arg(out);
    command
}

fn parallax() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parallax"));
    command.env("COLUMNS", "160").env_remove("PARALLAX_ENGINE").env_remove("PARALLAX_JOBS");
    command
}

/// Whether this machine has the engine. Says so where it has not, and fails where it must have.
fn available(engine: &str) -> bool {
    let output = parallax().arg("doctor").output().unwrap();
    let table = String::from_utf8_lossy(&output.stdout).to_lowercase();
    let row = table.lines().find(|line| line.contains(&format!(" {engine} engine"))).unwrap_or("not asked for");
    let there = row.contains(" ok ") || row.contains(" degraded ");
    let required = std::env::var("PARALLAX_REQUIRE").unwrap_or_default();
    assert!(there || !required.split(',').any(|name| name == engine), "{engine} is required: {table}");
    if !there {
        eprintln!("skipped: no {engine} engine here: {row}");
    }
    there
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
