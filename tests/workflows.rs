//! The **workflows** in `docs/ci/`: every `parallax` command in them is one that this program has, and their shell steps do
//! what they say, two nights in a row.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use program::{available, code, shown, text};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn workflow(name: &str) -> String {
    std::fs::read_to_string(root().join("docs/ci").join(name)).unwrap()
}

/// The block scalars of a workflow that are shell steps: `run: |` of the one, `- |` of the other.
fn steps(workflow: &str) -> Vec<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut steps = Vec::new();
    let mut lines = workflow.lines().peekable();
    while let Some(line) = lines.next() {
        let opens = line.trim_start();
        if !matches!(opens, "run: |" | "- |") {
            continue;
        }
        let outside = indent(line);
        let mut step = String::new();
        while let Some(line) = lines.next_if(|line| line.trim().is_empty() || indent(line) > outside) {
            step.push_str(line.trim_start());
            step.push('\n');
        }
        steps.push(step);
    }
    steps
}

/// The arguments of every `parallax` command in a script, as a shell would split them.
fn commands(script: &str) -> Vec<Vec<String>> {
    let lines = script.lines().filter(|line| line.trim_start().starts_with("parallax "));
    let command = |line: &str| {
        let line = line.split(" >").next().unwrap().split(" |").next().unwrap();
        line.split_whitespace().skip(1).map(|word| word.trim_matches('"').to_owned()).collect()
    };
    lines.map(command).collect()
}

#[test]
fn every_command_is_one_that_the_program_has() {
    for name in ["github.yml", "gitlab.yml"] {
        let commands: Vec<Vec<String>> = steps(&workflow(name)).iter().flat_map(|step| commands(step)).collect();
        let names: Vec<&str> = commands.iter().map(|command| command[0].as_str()).collect();
        assert_eq!(names, ["run", "report", "badge", "compare"], "{name}");
        let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
        for command in commands {
            // `--help` comes after everything else was parsed.
            let known = command.iter().filter(|word| word.as_str() != "$SETTINGS");
            let arguments: Vec<&str> = known.map(String::as_str).chain(["--help"]).collect();
            let output = program::parallax(&arguments);
            assert_eq!(code(&output), 0, "{name}: {command:?}: {}", shown(&output));
            let help = shown(&output);
            for flag in command.iter().filter(|word| word.starts_with("--")) {
                assert!(help.contains(flag.as_str()), "{name}: {command:?}: no {flag} in {help}");
            }
            assert!(readme.contains(&format!("`{} ", command[0])), "{name}: {} is not in README", command[0]);
        }
    }
}

#[test]
fn only_what_is_meant_to_be_shared_is_kept() {
    assert!(workflow("github.yml").contains("!nightly/new/raw"));
    assert!(workflow("gitlab.yml").contains("exclude: [nightly/new/raw/**/*]"));
    for name in ["github.yml", "gitlab.yml"] {
        assert!(workflow(name).contains("cache") && workflow(name).contains("schedule"), "{name}");
    }
}

#[test]
fn the_container_recipe_builds_what_is_there() {
    let recipe = workflow("Containerfile");
    assert!(recipe.contains("cargo build --release") && recipe.contains("ENTRYPOINT [\"parallax\"]"));
    assert!(recipe.contains("CMD [\"doctor\"]"));
}

/// A checkout as the workflows see it: the scenarios, and the program where the build step puts it.
fn checkout() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-r").arg(root().join("scenarios")).arg(place.path()).status().unwrap();
    assert!(copied.success());
    std::fs::create_dir(place.path().join("bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_parallax"), place.path().join("bin/parallax")).unwrap();
    place
}

fn step(script: &str, place: &Path) -> Output {
    // As both services run a step: it ends at the first command that fails.
    let mut shell = Command::new("bash");
    shell.args(["-e", "-o", "pipefail", "-c", script]).current_dir(place);
    shell.env("SCENARIO", "scenarios/quickstart.toml").env("SETTINGS", "").env("PARALLAX_ENGINE", "embedded");
    shell.env("GITHUB_STEP_SUMMARY", place.join("summary.md")).env("COLUMNS", "160").output().unwrap()
}

#[test]
fn two_nights_in_a_row() {
    if !available("embedded") {
        return;
    }
    for (name, summary) in [("github.yml", "summary.md"), ("gitlab.yml", "nightly/summary.md")] {
        let place = checkout();
        // Building needs the network and the time of a build; all other steps are run as they stand.
        let steps = steps(&workflow(name));
        let (build, steps) = steps.split_first().unwrap();
        assert!(build.contains("cargo build --release"), "{build}");
        for night in 1..=2 {
            for script in steps {
                let output = step(script, place.path());
                assert_eq!(code(&output), 0, "{name}, night {night}: {script}\n{}", shown(&output));
            }
            let said = std::fs::read_to_string(place.path().join(summary)).unwrap();
            assert!(said.contains("**conditioned: 4 dependences"), "{name}, night {night}: {said}");
            assert_eq!(said.contains("0 new (0 neither"), night == 2, "{name}, night {night}: {said}");
        }
        assert!(std::fs::read_to_string(place.path().join("nightly/badge.svg")).unwrap().starts_with("<svg "));
        // A night on which something new turns up fails at its last step.
        let findings = place.path().join("nightly/old/findings.json");
        let mut document = program::json(&findings);
        document["findings"].as_array_mut().unwrap().retain(|finding| finding["class"] != "covert");
        std::fs::write(&findings, document.to_string()).unwrap();
        let output = step(steps.last().unwrap(), place.path());
        assert_eq!(code(&output), 1, "{name}: {}", shown(&output));
        // A scenario that is wrong fails at its first.
        std::fs::write(place.path().join("scenarios/quickstart.toml"), "name = 1\n").unwrap();
        let output = step(&steps[0], place.path());
        assert_eq!(code(&output), 2, "{name} in {}: {}", text(place.path()), shown(&output));
    }
}
