//! Nothing of a pod outlives the cell, the engine or the program.

use std::process::Command;
use std::time::{Duration, Instant};

use parallax::engine::Engine;

use crate::harness::{environment, job, output};

/// How long the kernel may take to clear up.
const SOON: Duration = Duration::from_secs(5);

/// Processes of this machine whose command line holds `text`.
fn processes(text: &str) -> Vec<u32> {
    let pids =
        std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").contains(text)
    })
    .collect()
}

fn parent(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok()).unwrap_or(0)
}

/// Waits until `what` holds.
fn eventually(what: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < SOON {
        if what() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    what()
}

/// A script that can be found again from outside, with stubborn children.
fn marked(mark: &str) -> String {
    format!(
        "trap '' TERM HUP INT; (setsid sleep {mark}) & (exec 3<>/dev/tcp/203.0.113.5/80; sleep {mark}) & sleep {mark}"
    )
}

pub(crate) async fn pods_end_when_they_are_given_up(engine: &dyn Engine) {
    let mark = format!("86400.{:07}", rand::random::<u32>() % 10_000_000);
    let hang = job("c0001", environment(&marked(&mark)));
    let given_up = tokio::time::timeout(Duration::from_millis(500), engine.run(0, &hang)).await;
    assert!(given_up.is_err(), "{given_up:?}");
    assert!(eventually(|| processes(&mark).is_empty()), "still there: {:?}", processes(&mark));
    assert_eq!(output(engine, "echo next").await, "next\n");
}

pub(crate) async fn victim(engine: &dyn Engine) {
    let mark = std::env::var("PARALLAX_MARK").unwrap_or_default();
    let _ = engine.run(1, &job("c0001", environment(&marked(&mark)))).await;
}

pub(crate) fn pods_and_gateways_die_with_the_program() {
    let mark = format!("86400.{:07}", rand::random::<u32>() % 10_000_000);
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "embedded_victim", "--ignored"])
        .env("PARALLAX_MARK", &mark)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let started = eventually(|| processes(&format!("sleep {mark}")).len() >= 3 || victim_has_ended(victim.id()));
    assert!(started, "the victim did not start its cell");
    if victim_has_ended(victim.id()) {
        assert!(victim.wait().unwrap().success());
        return; // Skipped there, with the reason.
    }
    let gateways: Vec<u32> = processes("pod-gateway").into_iter().filter(|pid| parent(*pid) == victim.id()).collect();
    assert_eq!(gateways.len(), 2, "one a slot");
    victim.kill().unwrap();
    victim.wait().unwrap();
    let left = || {
        [processes(&mark), processes("pod-gateway").into_iter().filter(|pid| gateways.contains(pid)).collect()].concat()
    };
    assert!(eventually(|| left().is_empty()), "still there: {:?}", left());
}

fn victim_has_ended(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}
