//! The zoo: simulated agents with known truth.
//!
//! - `cargo bench --bench zoo` prints, for each kind of marker, how often parallax found it (recall), found it with the exact
//!   factors and trigger table (exact), false claims and runs. `ZOO_SEEDS=4 ZOO_FROM=1000 ZOO_KIND=xor2 ZOO_STRENGTH=3`
//!   narrow or widen it.
//! - `cargo bench --bench zoo -- table` compares parallax with simpler methods on the same agents, and writes `results/zoo.md`
//!   and `results/zoo.json`.
//! - `cargo bench --bench zoo -- method` holds the numbers that the method must reach against what it reaches, and writes
//!   `results/method.md`.

#![allow(missing_docs, clippy::print_stdout, reason = "a program of its own")]

mod agent;
mod arrays;
mod commit;
mod kinds;
mod method;
mod noise;
mod promises;
mod score;
mod table;
mod zoo;

use commit::commit;
use method::Method;
use score::{Summary, share};

/// Seeds that reports are made from. Tuning used those below 100, and a report was first looked at with those from 1000.
pub(crate) const REPORT_SEED: u64 = 2000;

pub(crate) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() -> std::io::Result<()> {
    let command = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    match command.as_deref() {
        Some("table") => table::write(),
        Some("method") => promises::write(),
        _ => {
            print_kinds();
            Ok(())
        }
    }
}

fn line(name: &str, sum: &Summary) {
    println!(
        "{name:<28} {:>6} {:>6} {:>6} {:>6} {:>8.1} {:>5} {:>5}",
        sum.agents,
        share(sum.recall),
        share(sum.exact),
        share(sum.any_false),
        sum.mean_runs,
        sum.p95_runs,
        sum.most_runs
    );
}

fn print_kinds() {
    let (seeds, from) = (number("ZOO_SEEDS", 2), number("ZOO_FROM", 1));
    let strength = u8::try_from(number("ZOO_STRENGTH", 2)).unwrap_or(2);
    let only = std::env::var("ZOO_KIND").ok();
    let kinds: Vec<kinds::Kind> =
        kinds::ALL.iter().copied().filter(|kind| only.as_deref().is_none_or(|only| kind.name.contains(only))).collect();
    let trials = zoo::trials(Method::CoverExplainConfirm(strength), &kinds, from..from + seeds);
    println!(
        "{:<28} {:>6} {:>6} {:>6} {:>6} {:>8} {:>5} {:>5}",
        "kind", "agents", "recall", "exact", "false", "runs", "p95", "max"
    );
    for kind in &kinds {
        line(kind.name, &zoo::sum(&trials, |trial| trial.kind.name == kind.name));
    }
    line("ALL WITH MARKERS", &zoo::sum(&trials, |trial| !trial.kind.clean()));
    line("ALL CLEAN", &zoo::sum(&trials, |trial| trial.kind.clean()));
    for (number, levels) in zoo::spaces().iter().enumerate() {
        let name = format!("{} factors", levels.len());
        line(&name, &zoo::sum(&trials, |trial| trial.space == number && !trial.kind.clean()));
    }
}
