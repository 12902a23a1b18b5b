//! What the method promises, beside what it does: recall, error rates, cost, and the same answer for every seed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use parallax::attribution::confirm::Standing;
use rayon::prelude::*;

use super::agent::Agent;
use super::arrays::Sizes;
use super::kinds::{self, Kind};
use super::method::{Method, cover_explain_confirm};
use super::score::share;
use super::zoo::{self, sum};

/// One promise.
struct Line {
    section: &'static str,
    what: String,
    wanted: String,
    reached: String,
    kept: bool,
}

/// Prints the table and writes `results/method.md`.
pub(crate) fn write() -> std::io::Result<()> {
    let from = super::number("ZOO_FROM", super::REPORT_SEED);
    let seeds = super::number("ZOO_SEEDS", 12);
    let clean_seeds = super::number("ZOO_CLEAN_SEEDS", 100);
    let deep_seeds = super::number("ZOO_DEEP_SEEDS", 8);
    let named = |pick: &dyn Fn(&Kind) -> bool| kinds::ALL.iter().copied().filter(pick).collect::<Vec<Kind>>();
    let parallax = Method::CoverExplainConfirm(2);
    let trials = zoo::trials(parallax, &named(&|kind| !kind.clean()), from..from + seeds);
    let clean = zoo::trials(parallax, &named(&Kind::clean), from..from + clean_seeds);
    let deep = zoo::trials(
        Method::CoverExplainConfirm(3),
        &named(&|kind| kind.name == "and3 narrow"),
        from..from + deep_seeds,
    );
    let chance = |name: &'static str| zoo::trials(parallax, &named(&|kind| kind.name == name), from..from + 4 * seeds);
    let mut lines = Vec::new();
    let mut line = |section, what: &str, wanted: &str, reached: String, kept| {
        lines.push(Line { section, what: what.to_owned(), wanted: wanted.to_owned(), reached, kept });
    };
    let all = sum(&trials, |_| true);
    let two_way = sum(&trials, |trial| trial.kind.two_way());
    line("1", "recall, t = 2", "≥ .95", share(all.recall), all.recall >= 0.95);
    line("1", "exact", "≥ .95", share(all.exact), all.exact >= 0.95);
    line("1", "false discoveries", "≤ .05", share(all.false_discoveries), all.false_discoveries <= 0.05);
    line("1", "mean runs", "≤ 230", format!("{:.0}", all.mean_runs), all.mean_runs <= 230.0);
    line("1", "95th percentile of runs", "≤ 320", all.p95_runs.to_string(), all.p95_runs <= 320);
    line("1", "recall of markers visible two-way", "≥ .97", share(two_way.recall), two_way.recall >= 0.97);
    let none = sum(&clean, |_| true);
    line(
        "2",
        &format!("any false positive, {} clean agents", none.agents),
        "≤ .01",
        share(none.any_false),
        none.any_false <= 0.01,
    );
    for kind in named(&Kind::clean) {
        let one = sum(&clean, |trial| trial.kind.name == kind.name);
        let what = format!("mean runs, {} ({} agents)", kind.name, one.agents);
        line("2", &what, "≤ 160", format!("{:.0}", one.mean_runs), one.mean_runs <= 160.0);
    }
    let last = zoo::spaces().len() - 1;
    let ratio = sum(&trials, |trial| trial.space == last).mean_runs / sum(&trials, |trial| trial.space == 0).mean_runs;
    line("3", "runs with 20 factors / with 4", "≤ 1.10", format!("{ratio:.2}"), ratio <= 1.1);
    let narrow = sum(&deep, |_| true);
    let what = format!("recall of narrow three-way, t = 3 ({} agents, {:.0} runs)", narrow.agents, narrow.mean_runs);
    line("4", &what, "≥ .95", share(narrow.recall), narrow.recall >= 0.95);
    for (name, least) in [("probabilistic .5", 0.9), ("probabilistic .3", 0.8)] {
        let some = sum(&chance(name), |_| true);
        let what = format!("recall, {name} ({} agents)", some.agents);
        line("4", &what, &format!("≥ {}", share(least)), share(some.recall), some.recall >= least);
    }
    let arrays = std::fs::read_to_string("results/covering.md").ok().and_then(|text| Sizes::read(&text));
    line(
        "5",
        "covering arrays against PICT and the best published (covering.md)",
        "all; all that were promised",
        arrays.map_or_else(|| "no table".to_owned(), Sizes::told),
        arrays.is_some_and(Sizes::kept),
    );
    let (same, agents) = agreement(from);
    line(
        "6",
        &format!("deterministic agents with the same findings under 5 seeds ({agents} agents)"),
        "all",
        format!("{same} of {agents}"),
        same == agents,
    );
    let mut text = String::from("# What the method promises, and what it does\n\n");
    let _ = writeln!(
        text,
        "`cargo bench --bench zoo -- method` at {}: {} agents with markers (seeds {from}–{}), {} clean ones (seeds {from}–{}), \
         none of which were used while tuning.\n\n| | | wanted | reached | |\n|---|---|---|---|---|",
        super::commit(),
        all.agents,
        from + seeds - 1,
        none.agents,
        from + clean_seeds - 1,
    );
    for line in &lines {
        let verdict = if line.kept { "yes" } else { "**no**" };
        let _ = writeln!(text, "| {} | {} | {} | {} | {verdict} |", line.section, line.what, line.wanted, line.reached);
    }
    println!("{text}");
    std::fs::create_dir_all("results")?;
    std::fs::write("results/method.md", text)
}

/// How many deterministic agents have the same findings under five seeds of the procedure: features, canonical rules.
/// Narrow three-way triggers are left out: whether a strength-2 array has their combination is luck by design.
fn agreement(from: u64) -> (usize, usize) {
    let spaces = zoo::spaces();
    let mut jobs = Vec::new();
    for levels in &spaces {
        for kind in kinds::ALL.iter().filter(|kind| kind.deterministic() && kind.two_way()) {
            jobs.push((levels, *kind));
        }
    }
    let agents = jobs.len();
    let same = jobs
        .into_par_iter()
        .filter(|(levels, kind)| {
            let answers: BTreeSet<String> = (from..from + 5)
                .map(|seed| {
                    let mut agent = Agent::quiet(levels, *kind, from);
                    let procedure = cover_explain_confirm::procedure(&mut agent, levels, 2, seed);
                    let mut findings: Vec<String> = procedure
                        .judged()
                        .iter()
                        .filter(|judged| judged.claim.standing == Standing::Confirmed)
                        .map(|judged| {
                            format!("{:?} {:?}", judged.features, judged.claim.rules.canonical(procedure.space()))
                        })
                        .collect();
                    findings.sort();
                    findings.join("\n")
                })
                .collect();
            if answers.len() > 1 {
                let answers = answers.iter().map(|answer| format!("- {}", answer.replace('\n', "\n  ")));
                println!(
                    "{} in a space of {} factors, seed {from}:\n{}",
                    kind.name,
                    levels.len(),
                    answers.collect::<Vec<_>>().join("\n")
                );
            }
            answers.len() == 1
        })
        .count();
    (same, agents)
}
