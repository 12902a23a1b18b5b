//! The compiled program, and finished runs of the toy agent, for tests of what comes after a run.

#![allow(dead_code, reason = "each test uses what it needs")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

pub(crate) fn parallax(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parallax"));
    command.args(arguments).env("COLUMNS", "160").env("NO_COLOR", "1").env_remove("PARALLAX_ENGINE").output().unwrap()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub(crate) fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Whether this engine is here, by what `doctor` says.
pub(crate) fn available(engine: &str) -> bool {
    let output = parallax(&["doctor"]);
    let table = String::from_utf8_lossy(&output.stdout).to_lowercase();
    let row = table.lines().find(|line| line.contains(&format!(" {engine} engine"))).unwrap_or("not asked for");
    let there = row.contains(" ok ") || row.contains(" degraded ");
    there || missing(engine, row)
}

/// Says that a test is skipped, or fails where `PARALLAX_REQUIRE` names what it lacks.
pub(crate) fn missing(what: &str, why: &str) -> bool {
    let required = std::env::var("PARALLAX_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| name == what), "{what} is required: {why}");
    eprintln!("skipped: no {what} here: {why}");
    false
}

/// Runs a scenario of the toy agent into `place/NAME-SEED`. `None` where the engine is missing.
pub(crate) fn toy_run(scenario: &str, seed: u64, place: &Path) -> Option<PathBuf> {
    if !available("embedded") {
        return None;
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(format!("{scenario}.toml"));
    let out = place.join(format!("{scenario}-{seed}"));
    let (path, seed, folder) = (text(&path), seed.to_string(), text(&out));
    let output = parallax(&["run", &path, "--engine", "embedded", "--seed", &seed, "--out", &folder, "-q"]);
    assert!([0, 1].contains(&code(&output)), "{}", shown(&output));
    Some(out)
}

/// A folder with this scenario as `scenario.toml` and the simulator that `docs/external-engine.md` shows as
/// `simulator.py`. `None` where there is no Python to run it.
pub(crate) fn simulated(scenario: &str) -> Option<tempfile::TempDir> {
    let python = Command::new("python3").arg("--version").output().is_ok();
    if !python && !missing("python", "there is no python3") {
        return None;
    }
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/external-engine.md");
    let text = std::fs::read_to_string(document).unwrap();
    let (_, rest) = text.split_once("<!-- simulator.py -->\n```python\n").unwrap();
    let (simulator, _) = rest.split_once("\n```\n").unwrap();
    assert!(simulator.lines().count() <= 40, "the example is to stay short");
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("scenario.toml"), scenario).unwrap();
    std::fs::write(place.path().join("simulator.py"), format!("{simulator}\n")).unwrap();
    Some(place)
}
