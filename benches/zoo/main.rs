//! The zoo: simulated agents with known truth, run through the whole procedure. `cargo bench --bench zoo` prints, for each
//! kind of marker, how often it was found (recall), found with the exact factors and the exact trigger table (exact),
//! false discoveries and runs; then the same for clean agents.
//!
//! `ZOO_SEEDS=4 ZOO_FROM=1000 ZOO_KIND=and2 cargo bench --bench zoo` narrows or widens it.

#![allow(missing_docs, clippy::print_stdout, reason = "a program of its own")]

mod agent;
mod kinds;
mod noise;
mod score;

use std::collections::BTreeMap;

use rayon::prelude::*;

use agent::Agent;
use score::Score;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Level counts of the simulated scenarios: 4, 8, 12 and 20 factors.
fn spaces() -> Vec<Vec<u16>> {
    vec![
        vec![8, 5, 4, 3],
        vec![8, 5, 4, 4, 3, 3, 2, 2],
        vec![8, 5, 4, 4, 3, 3, 3, 3, 2, 2, 2, 2],
        [vec![8, 5, 4, 4], vec![3; 8], vec![2; 8]].concat(),
    ]
}

fn main() {
    let (seeds, from) = (number("ZOO_SEEDS", 2), number("ZOO_FROM", 1));
    let strength = u8::try_from(number("ZOO_STRENGTH", 2)).unwrap_or(2);
    let only = std::env::var("ZOO_KIND").ok();
    let mut jobs = Vec::new();
    for (number, levels) in spaces().into_iter().enumerate() {
        for kind in kinds::ALL {
            if only.as_deref().is_some_and(|only| only != kind.name) {
                continue;
            }
            for seed in from..from + seeds {
                jobs.push((number, levels.clone(), *kind, seed));
            }
        }
    }
    let mut scores: Vec<(usize, &str, bool, Score)> = jobs
        .into_par_iter()
        .map(|(number, levels, kind, seed)| {
            let agent = Agent::new(&levels, kind, seed);
            (number, kind.name, kind.hard, score::run(agent, &levels, strength, seed))
        })
        .collect();
    scores.sort_by_key(|(number, name, ..)| (*number, *name));
    let mut by_kind: BTreeMap<&str, Vec<&Score>> = BTreeMap::new();
    for (_, name, _, score) in &scores {
        by_kind.entry(name).or_default().push(score);
    }
    println!("{:<28} {:>6} {:>6} {:>6} {:>6} {:>8} {:>8}", "kind", "agents", "recall", "exact", "false", "runs", "max");
    for (name, scores) in &by_kind {
        println!("{name:<28} {}", score::summary(scores));
    }
    let markers: Vec<&Score> = scores.iter().filter(|(_, name, ..)| !name.starts_with("clean")).map(|s| &s.3).collect();
    let clean: Vec<&Score> = scores.iter().filter(|(_, name, ..)| name.starts_with("clean")).map(|s| &s.3).collect();
    println!("{:<28} {}", "ALL WITH MARKERS", score::summary(&markers));
    println!("{:<28} {}", "ALL CLEAN", score::summary(&clean));
    for (number, levels) in spaces().iter().enumerate() {
        let some: Vec<&Score> =
            scores.iter().filter(|s| s.0 == number && !s.1.starts_with("clean")).map(|s| &s.3).collect();
        println!("{:<28} {}", format!("{} factors", levels.len()), score::summary(&some));
    }
}
