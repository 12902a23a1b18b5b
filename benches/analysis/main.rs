//! How fast cells go through the whole program, and how time and memory of an analysis grow with the cells: 1,000, 3,000
//! and 10,000 cells of 20 KB through the external engine, and of 100 KB analysed from disk; and how long a page takes that
//! is made again from what the run stored of its observations, beside one for which the records are read again.
//! `cargo bench --bench analysis` prints the tables; numbers behind it choose other counts of cells (`-- 500 1000`).

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and fails by panicking")]

mod simulator;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Cells of the explain and confirm phases, at most.
const BEHIND_COVER: usize = 520;
/// Bodies of the run that is timed, in kilobytes, and of the run that is analysed.
const RUN_KB: usize = 20;
const ANALYSE_KB: usize = 100;

const SCENARIO: &str = r#"
name = "bench"
[target]
npm = "@nobody/agent"
version = "1.0.0"
command = ["agent"]
prompt = "Say OK."
timeout = "60s"
[stub]
script = [{ text = "OK" }]
[factors.timezone]
levels = ["UTC", "America/New_York", "Asia/Tokyo", "Asia/Shanghai"]
[factors.base_url]
variable = "AGENT_BASE_URL"
levels = ["http://api.vendor.example", "http://gateway.example.com", "http://llm.internal.example"]
[factors.region]
kind = "env"
variable = "REGION"
levels = ["r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12"]
[factors.locale]
levels = ["en_US.UTF-8", "de_DE.UTF-8", "ja_JP.UTF-8"]
[factors.user]
levels = ["dev", "ada"]
"#;

/// What one invocation of the program took.
struct Measured {
    wall: f64,
    cpu: f64,
    peak: f64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [word, kilobytes] = &arguments[..]
        && word == "simulate"
    {
        return simulator::simulate(kilobytes.parse().unwrap()).unwrap();
    }
    let counts: Vec<usize> = arguments.iter().map(|count| count.parse().unwrap()).collect();
    let counts = if counts.is_empty() { vec![1000, 3000, 10_000] } else { counts };
    // Nothing is removed before the end: some file systems are slow to make files where many were just removed.
    let place = tempfile::tempdir().unwrap();
    println!("| cells | bodies | step | wall, s | CPU, s | cells/s | peak memory, MB |");
    println!("|---:|---:|---|---:|---:|---:|---:|");
    for (kilobytes, steps) in [(RUN_KB, &["run"][..]), (ANALYSE_KB, &["run", "analyse", "page", "page anew"])] {
        for count in &counts {
            let folder = place.path().join(format!("{kilobytes}-{count}"));
            for step in steps {
                let measured = match *step {
                    "run" => run(place.path(), &folder, *count, kilobytes),
                    "analyse" => analyse(&folder),
                    _ => page(&folder, *step == "page"),
                };
                let cells = cells(&folder);
                let Measured { wall, cpu, peak } = measured;
                #[allow(clippy::cast_precision_loss, reason = "cells are few")]
                let rate = cells as f64 / wall;
                println!("| {cells} | {kilobytes} KB | {step} | {wall:.2} | {cpu:.2} | {rate:.0} | {peak:.0} |");
            }
        }
    }
}

fn run(place: &Path, folder: &Path, count: usize, kilobytes: usize) -> Measured {
    let scenario = place.join("bench.toml");
    let design = format!("[design]\nbudget = {}\nminimum_rows = {}\n", count + BEHIND_COVER, count - 8);
    std::fs::write(&scenario, format!("{SCENARIO}{design}")).unwrap();
    let simulator = std::env::current_exe().unwrap();
    let engine = format!("exec:'{}' simulate {kilobytes}", simulator.display());
    let arguments = ["run", scenario.to_str().unwrap(), "--engine", &engine, "--seed", "1", "--quiet", "--out"];
    measured(&[&arguments[..], &[folder.to_str().unwrap()]].concat(), folder)
}

fn analyse(folder: &Path) -> Measured {
    measured(&["analyse", folder.to_str().unwrap()], folder)
}

/// Makes the page again; both ways must give the same bytes.
fn page(folder: &Path, stored: bool) -> Measured {
    let page = folder.join("report.html");
    let before = std::fs::read(&page).unwrap();
    if !stored {
        std::fs::remove_file(folder.join("observed.json.zst")).unwrap();
    }
    let (status, measured) = timed(&["report", folder.to_str().unwrap(), "--format", "html"]);
    assert!(status.success());
    assert!(std::fs::read(&page).unwrap() == before, "another page");
    measured
}

/// Runs the program, and checks that it found the marker and nothing else that is not explained.
fn measured(arguments: &[&str], folder: &Path) -> Measured {
    let (status, measured) = timed(arguments);
    assert_eq!(status.code(), Some(1), "{arguments:?} should find the marker");
    let findings: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("findings.json")).unwrap()).unwrap();
    let open: Vec<&serde_json::Value> =
        findings["findings"].as_array().unwrap().iter().filter(|finding| finding["explained_by"].is_null()).collect();
    assert!(!open.is_empty(), "nothing was found");
    for finding in open {
        assert_eq!(finding["factors"], serde_json::json!(["timezone", "base_url"]), "{finding}");
    }
    measured
}

/// Runs the program and watches it.
fn timed(arguments: &[&str]) -> (std::process::ExitStatus, Measured) {
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_parallax"))
        .args(arguments)
        .stdout(Stdio::null())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let path = format!("/proc/{}/status", child.id());
    let (mut peak, mut cpu) = (0.0_f64, 0.0_f64);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if let Ok(text) = std::fs::read_to_string(&path) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
            let kilobytes: f64 = line.split_whitespace().next().unwrap().parse().unwrap();
            peak = peak.max(kilobytes / 1024.0);
        }
        if let Ok(text) = std::fs::read_to_string(path.replace("status", "stat")) {
            // Behind the name, which may have anything in it: user and system ticks are the 12th and 13th.
            let fields: Vec<&str> = text.rsplit(')').next().unwrap_or("").split_whitespace().collect();
            let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
            cpu = cpu.max((ticks(11) + ticks(12)) / 100.0);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    let wall = began.elapsed().as_secs_f64();
    (status, Measured { wall, cpu, peak })
}

fn cells(folder: &Path) -> u64 {
    let findings: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("findings.json")).unwrap()).unwrap();
    findings["cells"]["observed"].as_u64().unwrap()
}
