//! `parallax plan`: the matrix that a scenario and a seed make, what it covers, and what a run would cost.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::exit::Exit;
use super::failure::Failure;
use super::run::ScenarioArguments;
use super::{console, csv, grid};
use crate::campaign::{Campaign, Step};
use crate::cell::{Assignment, Cell, Phase};
use crate::report::escape;
use crate::run::redact::Redactor;
use crate::run::session;
use crate::scenario::{MatrixKind, Scenario};

/// Arguments of `parallax plan`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: ScenarioArguments,
    /// Decides the plan; default: random
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Write the cells as CSV, to a file or (-) to standard output in place of the table
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    csv: Option<PathBuf>,
    /// Print the cells as JSON lines, as in plan.jsonl
    #[arg(long)]
    json: bool,
    /// How long one cell takes, for the expected time; an agent on Node.js takes about 2 seconds of a core
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    cell_seconds: f64,
    /// Cells at once, for the expected time; default: as many as there are processors
    #[arg(long, value_name = "N", env = "PARALLAX_JOBS", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| String::from("not a number"))?;
    // A day is the longest that a cell may take.
    if seconds > 0.0 && seconds <= 86_400.0 {
        Ok(seconds)
    } else {
        Err(String::from("must be above 0, and a day at most"))
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let scenario = arguments.source.load(&arguments.source.overrides()?)?;
    let scenario = Arc::new(Redactor::new(&scenario).scenario(&scenario));
    let seed = arguments.seed.unwrap_or_else(session::random_seed);
    let mut campaign = Campaign::new(scenario.clone(), seed);
    let Step::Round(cells) = campaign.step() else {
        return Err(Failure::usage("there is nothing to run"));
    };
    if arguments.json {
        let lines = cells.iter().map(|cell| serde_json::to_string(cell).unwrap_or_default() + "\n");
        console::print(lines.collect::<String>().as_bytes());
        return Ok(Exit::Clean);
    }
    if let Some(file) = &arguments.csv {
        let records = records(&scenario, &cells);
        if file.as_os_str() == "-" {
            console::print(records.as_bytes());
            return Ok(Exit::Clean);
        }
        fs_err::write(file, records).map_err(|error| Failure::usage(format!("the plan cannot be written: {error}")))?;
    }
    let jobs = arguments.jobs.map_or_else(session::cores, usize::from);
    let width = console::width();
    let table = grid::tables(&scenario, &cells, width);
    let summary = summary(&scenario, &campaign, &cells, seed, arguments.cell_seconds, jobs);
    console::print(format!("{table}\n{}", console::list(&summary, width)).as_bytes());
    if let Some(file) = &arguments.csv {
        console::note(&format!("the {} cells are in {}", cells.len(), file.display()));
    }
    Ok(Exit::Clean)
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Cover => "cover",
        Phase::Explain => "explain",
        Phase::Confirm => "confirm",
    }
}

fn records(scenario: &Scenario, cells: &[Cell]) -> String {
    let factors = scenario.factors.iter().map(|factor| factor.name.as_str());
    let mut records = csv::record(["cell", "phase", "replicate"].into_iter().chain(factors));
    for cell in cells {
        let (id, replicate) = (cell.id.to_string(), cell.replicate.to_string());
        let levels = cell.levels.0.iter().enumerate().map(|(factor, level)| scenario.level_label(factor, *level));
        records += &csv::record([id.as_str(), phase(cell.phase), replicate.as_str()].into_iter().chain(levels));
    }
    records
}

/// What the matrix is, what it covers, and what a run would cost: a name and a sentence each.
fn summary(
    scenario: &Scenario,
    campaign: &Campaign,
    cells: &[Cell],
    seed: u64,
    cell_seconds: f64,
    jobs: usize,
) -> Vec<(&'static str, String)> {
    let design = campaign.design();
    let names = |factors: &[usize]| {
        factors.iter().map(|factor| scenario.factors[*factor].name.as_str()).collect::<Vec<_>>().join(" × ")
    };
    let mut lines = Vec::new();
    let counts: Vec<String> = scenario.factors.iter().map(|factor| factor.levels.len().to_string()).collect();
    let kind = match scenario.matrix.kind {
        MatrixKind::Covering => format!("covering array of strength {}", design.strength),
        MatrixKind::FullFactorial => String::from("full factorial"),
        MatrixKind::OneFactor => String::from("one factor at a time"),
    };
    lines.push((
        "design",
        format!(
            "{kind} over {} factor{} of {} levels, seed {seed}",
            counts.len(),
            plural(counts.len()),
            counts.join(" · ")
        ),
    ));
    let baseline: Vec<String> = scenario
        .factors
        .iter()
        .map(|factor| format!("{} {}", factor.name, factor.levels.first().map_or("", |level| level.label())))
        .collect();
    lines.push(("baseline", format!("{} (· in the table)", escape::terminal(&baseline.join(" · ")))));
    let baselines = cells.iter().filter(|cell| cell.levels.0.iter().all(|level| *level == 0)).count();
    let rows = design.rows;
    let array = if scenario.matrix.kind == MatrixKind::Covering {
        let bound = design.lower_bound;
        if rows < bound {
            format!("an array of this strength has {bound} rows at least")
        } else {
            format!("the array has {rows} row{}, and none of this strength has fewer than {bound}", plural(rows))
        }
    } else {
        format!("the design has {rows} row{}", plural(rows))
    };
    let least = scenario.design.minimum_rows;
    let repeated = if rows < least as usize && design.left_out == 0 {
        format!("; it is repeated up to {least} rows (design.minimum_rows)")
    } else {
        String::new()
    };
    let size = format!("{} cells in random order, {baselines} of them at the baseline; {array}{repeated}", cells.len());
    lines.push(("size", size));
    if !scenario.matrix.given.is_empty() {
        let place =
            |given: &Assignment| cells.iter().find(|cell| cell.levels == *given).map(|cell| cell.id.to_string());
        let ids: Vec<String> = scenario.matrix.given.iter().filter_map(place).collect();
        lines.push(("given", ids.join(", ")));
    }
    for requirement in &design.requirements {
        let among = if requirement.factors.len() == scenario.factors.len() {
            String::from("all factors")
        } else {
            names(&requirement.factors)
        };
        lines.push((
            "coverage",
            format!(
                "{} of {} combinations of {} level{} ({}), over {among}",
                requirement.covered,
                requirement.total,
                requirement.strength,
                plural(usize::from(requirement.strength)),
                percent(requirement.covered, requirement.total),
            ),
        ));
    }
    if design.left_out > 0 {
        lines.push((
            "cut short",
            format!(
                "the budget of {} cells has no room for {} rows or more: what they cover is not run; raise --budget, or lower \
                 --strength",
                scenario.design.budget, design.left_out
            ),
        ));
    }
    let [cover, explain, confirm] = campaign.expected_by_phase();
    let all = cover + explain + confirm;
    lines.push((
        "cells",
        format!(
            "cover {cover} · explain about {explain} · confirm about {confirm}: about {all} in all. An estimate: later \
             cells depend on what is seen, and where nothing is there are few. The budget allows {} at most",
            scenario.design.budget
        ),
    ));
    if explain + confirm == 0 {
        let none = "the budget leaves no cell to explain and confirm with, so nothing can be found: raise --budget";
        lines.push(("no room", none.to_owned()));
    }
    let turns: usize = [cover, explain, confirm].iter().map(|cells| cells.div_ceil(jobs.max(1))).sum();
    lines.push((
        "time",
        format!(
            "about {}, at {cell_seconds} s a cell (--cell-seconds) and {jobs} cell{} at once (--jobs)",
            duration(turns, cell_seconds),
            plural(jobs)
        ),
    ));
    lines
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

/// Never rounded up to the whole.
#[allow(clippy::cast_precision_loss, reason = "a percentage")]
fn percent(part: u64, whole: u64) -> String {
    if part == whole {
        return String::from("100 %");
    }
    format!("{:.1} %", (part as f64 / whole.max(1) as f64 * 1000.0).floor() / 10.0)
}

#[allow(clippy::cast_precision_loss, reason = "a number of cells")]
fn duration(turns: usize, seconds: f64) -> String {
    let seconds = turns as f64 * seconds;
    match seconds {
        ..90.0 => format!("{seconds:.0} s"),
        ..5400.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.1} h", seconds / 3600.0),
        _ => format!("{:.1} days", seconds / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_spans_of_time_are_readable_and_never_flatter() {
        assert_eq!((percent(321, 321).as_str(), percent(9999, 10_000).as_str()), ("100 %", "99.9 %"));
        assert_eq!(percent(0, 0), "100 %");
        let spans = [(40, 2.0), (100, 2.0), (3000, 2.0), (100_000, 2.0)].map(|(turns, each)| duration(turns, each));
        assert_eq!(spans, ["80 s", "3 min", "1.7 h", "2.3 days"]);
    }
}
