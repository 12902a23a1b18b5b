//! The command line, through the compiled program: exit codes, messages, and the folder of a run.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn parallax() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parallax"));
    command.env("COLUMNS", "120").env("NO_COLOR", "1").env_remove("PARALLAX_ENGINE").env_remove("PARALLAX_JOBS");
    command
}

fn call(arguments: &[&str]) -> Output {
    parallax().args(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn scenario(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name).display().to_string()
}

/// A scenario file of this text, with a program beside it.
fn written(place: &Path, text: &str) -> String {
    let agent = place.join("agent.sh");
    std::fs::write(&agent, "#!/bin/sh\necho OK\n").unwrap();
    std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = place.join("scenario.toml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

const GOOD: &str = r#"name = "x"
[target]
command = ["./agent.sh"]
[factors.timezone]
levels = ["UTC", "Asia/Tokyo"]
"#;

#[test]
fn help_and_version_are_no_errors() {
    for arguments in [&["--help"][..], &["run", "--help"], &["--version"]] {
        let output = call(arguments);
        assert_eq!(code(&output), 0, "{arguments:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{arguments:?}");
    }
    let help = stdout(&call(&["--help"]));
    for line in ["Exit codes:", "70  a bug", "analyse", "doctor"] {
        assert!(help.contains(line), "{line} is missing in {help}");
    }
    assert!(!help.contains("pod-agent") && !help.contains("gateway "), "hidden subcommands are not for people: {help}");
}

#[test]
fn a_wrong_command_line_is_2() {
    for arguments in [&["fly"][..], &["run"], &["run", "x.toml", "--jobs", "0"], &["run", "x.toml", "--resume"], &[]] {
        assert_eq!(code(&call(arguments)), 2, "{arguments:?}");
    }
}

#[test]
fn a_bad_scenario_is_2_and_underlines_the_place() {
    let bad = [
        ("an unknown zone", "Asia/Tokyo\"]", "Asia/Tokio\"]", "Asia/Tokio"),
        ("a level twice", "Asia/Tokyo\"]", "UTC\"]", "UTC"),
        ("an unknown key", "[target]\n", "[target]\ncolour = 1\n", "colour"),
        ("nothing to vary", "[factors.timezone]\nlevels = [\"UTC\", \"Asia/Tokyo\"]\n", "", "name"),
        ("an empty command", "[\"./agent.sh\"]", "[]", "[]"),
        ("an empty image", "command =", "image = \"\"\ncommand =", "image"),
    ];
    for (what, from, to, place) in bad {
        let folder = tempfile::tempdir().unwrap();
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{what}");
        let path = written(folder.path(), &text);
        for command in ["run", "plan"] {
            let output = call(&[command, &path]);
            let message = stderr(&output);
            assert_eq!(code(&output), 2, "{what}: {message}");
            assert!(message.contains(place), "{what}: {message}");
            assert!(message.contains('│') || message.contains("─"), "{what}: no place is shown: {message}");
        }
    }
}

#[test]
fn a_missing_scenario_says_so() {
    let output = call(&["plan", "/nowhere/x.toml"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("/nowhere/x.toml cannot be read"), "{}", stderr(&output));
}

#[test]
fn a_target_that_nobody_has_is_underlined_too() {
    // Only an engine can know: this one has no images at all, and says so without a network.
    let place = tempfile::tempdir().unwrap();
    let text = GOOD.replace("command = [\"./agent.sh\"]", "image = \"no-such-image:1\"\ncommand = [\"agent\"]");
    let path = written(place.path(), &text);
    let out = place.path().join("out").display().to_string();
    let output = call(&["run", &path, "--engine", "embedded", "--out", &out]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("image = \"no-such-image:1\"") && said.contains("not to be had"), "{said}");
}

#[test]
fn a_folder_that_is_not_empty_is_refused_before_anything_is_done() {
    let place = tempfile::tempdir().unwrap();
    let path = written(place.path(), GOOD);
    let output = call(&["run", &path, "--out", &place.path().display().to_string()]);
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).contains("--resume"), "{}", stderr(&output));
    let resumed = call(&["run", &path, "--resume", "--out", &place.path().display().to_string()]);
    assert_eq!(code(&resumed), 2, "what stands there is no run: {}", stderr(&resumed));
}

#[test]
fn a_plan_is_a_function_of_scenario_and_seed() {
    let plan = |seed: &str, more: &[&str]| {
        let scenario = scenario("quickstart.toml");
        let output = call(&[&["plan", &scenario, "--seed", seed][..], more].concat());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stdout(&output)
    };
    assert_eq!(plan("7", &["--json"]), plan("7", &["--json"]));
    assert_ne!(plan("7", &["--json"]), plan("8", &["--json"]));
    let cells = plan("7", &["--json"]);
    let first: serde_json::Value = serde_json::from_str(cells.lines().next().unwrap()).unwrap();
    assert_eq!(first["id"], "c0000");
    assert!(cells.lines().count() >= 64, "{cells}");
    let table = plan("7", &[]);
    for part in ["timezone", "region", "eu-north-1", "strength 2", "seed 7"] {
        assert!(table.contains(part), "{part} is missing in {table}");
    }
    assert!(plan("7", &["--budget", "99"]).contains("99 at most"));
    assert!(plan("7", &["--set", "design.strength=1"]).contains("strength 1"));
}

#[test]
fn options_of_the_design_go_before_the_scenario_and_must_not_contradict_each_other() {
    let scenario = scenario("quickstart.toml");
    let plan = |more: &[&str]| call(&[&["plan", &scenario, "--seed", "7"][..], more].concat());
    let cells = |more: &[&str]| {
        let output = plan(&[more, &["--json"]].concat());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stdout(&output)
    };
    assert_eq!(cells(&["--quick"]), cells(&["--set", "design.strength=1"]));
    assert_eq!(cells(&["--deep"]), cells(&["--strength", "3"]));
    // 12 · 4 · 3 combinations of the three largest factors, and 8 replicates.
    assert!(cells(&["--deep"]).lines().count() >= 150);
    let baselines = |cells: &str| cells.lines().filter(|line| line.contains("[0,0,0,0,0,0]")).count();
    assert!(baselines(&cells(&["--replicates", "20"])) >= 20 && baselines(&cells(&[])) < 20);
    for (wrong, said) in [
        (&["--quick", "--deep"][..], "cannot be used with"),
        (&["--quick", "--strength", "2"], "cannot be used with"),
        (&["--deep", "--strength", "2"], "cannot be used with"),
        (&["--strength", "5"], "5 is not in 1..=4"),
        (&["--alpha", "0.5"], "must be between 0 and 0.5"),
        (&["--alpha", "few"], "not a number"),
        (&["--replicates", "1"], "1 is not in"),
        (&["--budget", "9", "--set", "design.budget=8"], "both decide design.budget"),
        (&["--deep", "--set", "design.strength = 2"], "both decide design.strength"),
        (&["--deep", "--set", "design.kind=one_factor"], "`strength` goes with a covering array"),
        (&["--budget", "5"], "a budget of 5 cells is too small"),
        (&["--set", "design.kind=full_factorial"], "has 2592 cells, and with"),
        (&["--cell-seconds", "0"], "must be above 0"),
        (&["--csv", "-", "--json"], "cannot be used with"),
    ] {
        for command in ["plan", "run"] {
            if command == "run" && (wrong[0] == "--csv" || wrong[0] == "--cell-seconds") {
                continue;
            }
            let output = call(&[&[command, &scenario][..], wrong].concat());
            assert_eq!(code(&output), 2, "{wrong:?}");
            let message = stderr(&output).split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(message.contains(said), "{wrong:?}: {message}");
        }
    }
}

#[test]
fn a_plan_says_what_is_covered_and_what_it_costs_at_any_width() {
    let path = scenario("quickstart.toml");
    for width in ["60", "80", "200"] {
        let given = "design.given=[{ timezone = \"Asia/Tokyo\", region = \"eu-north-1\" }]";
        let stronger = "design.stronger=[{ factors = [\"timezone\", \"base_url\", \"proxy\"], strength = 3 }]";
        let output = parallax()
            .args([
                "plan",
                &path,
                "--seed",
                "7",
                "--set",
                given,
                "--set",
                stronger,
                "--cell-seconds",
                "3",
                "--jobs",
                "4",
            ])
            .env("COLUMNS", width)
            .output()
            .unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let cells = call(&["plan", &path, "--seed", "7", "--set", given, "--set", stronger, "--json"]);
        let cover = stdout(&cells).lines().count();
        let text = stdout(&output);
        assert!(text.lines().all(|line| line.chars().count() <= width.parse().unwrap()), "{width}: {text}");
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        // To explain, three sweeps of the 12, 4 and 3 levels of the widest factors; then coins. Each phase waits for the one
        // before.
        let expected = format!("cover {cover} · explain about 48 · confirm about 30: about {} in all", cover + 78);
        assert!(words.contains(&expected), "{expected} is missing at {width} in {text}");
        assert_eq!((3 * (cover.div_ceil(4) + 12 + 8) + 30) / 60, 2);
        assert!(words.contains("about 2 min, at 3 s a cell (--cell-seconds) and 4 cells at once (--jobs)"), "{text}");
        for part in [
            "none of this strength has fewer than 48",
            "269 of 269 combinations of 2 levels (100 %), over all factors",
            "24 of 24 combinations of 3 levels (100 %), over timezone × base_url × proxy",
            "An estimate",
            "The budget allows 400 at most",
            "at 3 s a cell (--cell-seconds) and 4 cells at once",
            "http://llm.internal.example:8080",
        ] {
            assert!(words.contains(part), "{part} is missing at {width} in {text}");
        }
    }
    // The estimate is within the budget, and half of what the cover phase leaves is kept for coins.
    let little = ["plan", &path, "--budget", "80", "--seed", "7", "--jobs", "1", "--cell-seconds", "60"];
    let cover = stdout(&call(&[&little[..], &["--json"]].concat())).lines().count();
    let (confirm, text) = ((80 - cover) / 2, stdout(&call(&little)));
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let explain = 80 - cover - confirm;
    let expected = format!("cover {cover} · explain about {explain} · confirm about {confirm}: about 80 in all");
    assert!(explain > 0 && confirm > 0 && words.contains(&expected), "{expected} is missing in {text}");
    assert!(words.contains("about 80 min, at 60 s a cell (--cell-seconds) and 1 cell at once"), "{text}");
    let cut = stdout(&call(&["plan", &path, "--deep", "--budget", "147", "--seed", "7"]));
    let words = cut.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("has no room for") && !words.contains("(100 %)"), "{cut}");
}

#[test]
fn a_plan_as_csv_has_a_record_a_cell_and_no_formula() {
    let place = tempfile::tempdir().unwrap();
    let factor =
        "[factors.x]\nkind = \"argument\"\nlevels = [\"=1+1\", \"a,b\", \"say \\\"hi\\\"\", { unset = true }]\n";
    let path = written(place.path(), &format!("{GOOD}{factor}"));
    let arguments = ["plan", &path, "--seed", "3"];
    let output = call(&[&arguments[..], &["--csv", "-"]].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = stdout(&output);
    let (head, records) = text.split_once("\r\n").unwrap();
    assert_eq!(head, "cell,phase,replicate,timezone,x");
    let cells = stdout(&call(&[&arguments[..], &["--json"]].concat()));
    assert_eq!(records.lines().count(), cells.lines().count());
    for (record, cell) in records.lines().zip(cells.lines()) {
        let cell: serde_json::Value = serde_json::from_str(cell).unwrap();
        let zone = ["UTC", "Asia/Tokyo"][usize::try_from(cell["levels"][0].as_u64().unwrap()).unwrap()];
        let x = ["\"'=1+1\"", "\"a,b\"", "\"say \"\"hi\"\"\"", "(unset)"]
            [usize::try_from(cell["levels"][1].as_u64().unwrap()).unwrap()];
        assert_eq!(record, format!("{},cover,{},{zone},{x}", cell["id"].as_str().unwrap(), cell["replicate"]));
    }
    let file = place.path().join("plan.csv");
    let shown = call(&[&arguments[..], &["--csv", &file.display().to_string()]].concat());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    assert!(stdout(&shown).contains("coverage") && stderr(&shown).contains("plan.csv"));
    let nowhere = call(&[&arguments[..], &["--csv", "/nowhere/plan.csv"]].concat());
    assert_eq!(code(&nowhere), 2, "{}", stderr(&nowhere));
}

#[test]
fn reading_a_folder_that_holds_no_run_is_2() {
    let place = tempfile::tempdir().unwrap();
    for command in ["analyse", "report"] {
        let output = call(&[command, &place.path().display().to_string()]);
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        assert!(stderr(&output).contains("holds no run"), "{}", stderr(&output));
    }
}

#[test]
fn the_schema_is_the_committed_one() {
    let output = call(&["schema"]);
    assert_eq!(code(&output), 0);
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let committed = std::fs::read_to_string(scenario("scenario.schema.json")).unwrap();
    let committed: serde_json::Value = serde_json::from_str(&committed).unwrap();
    assert_eq!(printed, committed, "write it anew: parallax schema > scenarios/scenario.schema.json");
}

#[test]
fn completions_are_shell_scripts() {
    for shell in ["bash", "zsh", "fish"] {
        let output = call(&["completions", shell]);
        assert_eq!(code(&output), 0);
        assert!(stdout(&output).contains("analyse"), "{shell}");
    }
}

#[test]
fn doctor_says_what_there_is_in_a_table() {
    let output = call(&["doctor"]);
    assert!([0, 4].contains(&code(&output)), "{}", stderr(&output));
    let table = stdout(&output);
    for row in ["Docker engine", "embedded engine", "npm", "strace", "how to mend it"] {
        assert!(table.contains(row), "{row} is missing in {table}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let script = format!("'{}' schema | head -c 10", env!("CARGO_BIN_EXE_parallax"));
    let output = Command::new("bash").args(["-o", "pipefail", "-c", &script]).output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}
