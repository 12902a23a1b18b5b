//! The comparison: parallax and simpler methods on the same agents.

use std::fmt::Write as _;

use serde_json::json;

use super::kinds::{self, Kind};
use super::method::Method;
use super::score::share;
use super::zoo::{self, Trial, sum};

/// Prints the table and writes `results/zoo.md` and `results/zoo.json`.
pub(crate) fn write() -> std::io::Result<()> {
    let from = super::number("ZOO_FROM", super::REPORT_SEED);
    let seeds = super::number("ZOO_SEEDS", 4);
    let clean_seeds = super::number("ZOO_CLEAN_SEEDS", 50);
    let marked: Vec<Kind> = kinds::ALL.iter().copied().filter(|kind| !kind.clean()).collect();
    let clean: Vec<Kind> = kinds::ALL.iter().copied().filter(Kind::clean).collect();
    let mut text = String::from("# Parallax beside simpler methods, on simulated agents\n\n");
    let agents = marked.len() * zoo::spaces().len() * usize::try_from(seeds).unwrap_or(0);
    let _ = writeln!(
        text,
        "`cargo bench --bench zoo -- table` at {}: {} kinds of marker × {} spaces of 4 to 20 factors × seeds {from}–{} = {agents} \
         agents, each with 22 noise features; and seeds {from}–{} of clean agents with 22 everyday and 60 nasty noise \
         features. Every method sees the same agents.\n",
        super::commit(),
        marked.len(),
        zoo::spaces().len(),
        from + seeds - 1,
        from + clean_seeds - 1,
    );
    text.push_str(
        "Recall: markers claimed with no factor that is not theirs. Exact: those whose full trigger table is right. False \
         discoveries: share of claims, over agents with markers, that are false. A/A: share of clean agents with any claim. \
         Base kinds need at most two factors and no chance; hard kinds need three or more, or have chance in them.\n\n",
    );
    text.push_str(
        "| method | recall / exact, base | recall / exact, hard | false discoveries | A/A with any false positive | mean runs | 95 % | A/A mean runs |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let mut methods = Vec::new();
    let mut own = Vec::new();
    for method in Method::ALL {
        let trials = zoo::trials(method, &marked, from..from + seeds);
        let innocent = zoo::trials(method, &clean, from..from + clean_seeds);
        let (base, hard) = (sum(&trials, |trial| !trial.kind.hard), sum(&trials, |trial| trial.kind.hard));
        let (all, none) = (sum(&trials, |_| true), sum(&innocent, |_| true));
        let _ = writeln!(
            text,
            "| {} | {} / {} | {} / {} | {} | {} of {} | {:.0} | {} | {:.0} |",
            method.name(),
            share(base.recall),
            share(base.exact),
            share(hard.recall),
            share(hard.exact),
            share(all.false_discoveries),
            share(none.any_false),
            none.agents,
            all.mean_runs,
            all.p95_runs,
            none.mean_runs,
        );
        methods.push(json!({
            "method": method.name(), "base": base.json(), "hard": hard.json(), "all": all.json(), "clean": none.json(),
        }));
        if method == Method::ALL[0] {
            own = trials;
            own.extend(innocent);
        }
    }
    text.push_str("\n## Parallax, kind by kind\n\n");
    text.push_str(&by_kind(&own));
    let kinds: Vec<_> = kinds::ALL
        .iter()
        .map(|kind| {
            let mut entry = sum(&own, |trial| trial.kind.name == kind.name).json();
            entry["kind"] = json!(kind.name);
            entry["hard"] = json!(kind.hard);
            entry
        })
        .collect();
    let document = json!({
        "command": "cargo bench --bench zoo -- table", "commit": super::commit(), "first_seed": from, "seeds": seeds,
        "clean_seeds": clean_seeds, "methods": methods, "kinds": kinds,
    });
    println!("{text}");
    std::fs::create_dir_all("results")?;
    std::fs::write("results/zoo.md", text)?;
    std::fs::write("results/zoo.json", serde_json::to_string_pretty(&document)? + "\n")
}

/// One line for each kind.
fn by_kind(trials: &[Trial]) -> String {
    let mut text = String::from(
        "| kind | | agents | recall | exact | agents with a false claim | mean runs | 95 % |\n|---|---|---|---|---|---|---|---|\n",
    );
    for kind in kinds::ALL {
        let line = sum(trials, |trial| trial.kind.name == kind.name);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {:.0} | {} |",
            kind.name,
            if kind.clean() {
                "A/A"
            } else if kind.hard {
                "hard"
            } else {
                "base"
            },
            line.agents,
            share(line.recall),
            share(line.exact),
            share(line.any_false),
            line.mean_runs,
            line.p95_runs
        );
    }
    text
}
