//! `parallax plan`: the first round's cells.

use std::sync::Arc;

use clap::Args;
use tabled::builder::Builder;

use super::console;
use super::exit::Exit;
use super::failure::Failure;
use super::run::ScenarioArguments;
use crate::campaign::{Campaign, Step};
use crate::cell::{Cell, Phase};
use crate::run::redact::Redactor;
use crate::run::session;
use crate::scenario::Scenario;

/// Arguments of `parallax plan`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: ScenarioArguments,
    /// Decides the plan; default: random
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print the cells as JSON lines, as in plan.jsonl
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let scenario = arguments.source.load()?;
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
    console::print(console::table(table(&scenario, &cells)).as_bytes());
    let baselines = cells.iter().filter(|cell| cell.levels.0.iter().all(|level| *level == 0)).count();
    console::print(
        format!(
            "{} cells in the first round ({baselines} at the baseline), from {} factors of {} levels, strength {}, \
             seed {seed}\nLater rounds depend on what is seen; about {} cells are expected in all, {} at most.\n",
            cells.len(),
            scenario.factors.len(),
            scenario.factors.iter().map(|factor| factor.levels.len().to_string()).collect::<Vec<_>>().join(" · "),
            scenario.design.strength,
            campaign.expected_cells(),
            scenario.design.budget
        )
        .as_bytes(),
    );
    Ok(Exit::Clean)
}

fn table(scenario: &Scenario, cells: &[Cell]) -> Builder {
    let mut table = Builder::default();
    let factors = scenario.factors.iter().map(|factor| factor.name.clone());
    table.push_record(["cell".to_owned(), "phase".to_owned()].into_iter().chain(factors));
    for cell in cells {
        let phase = match cell.phase {
            Phase::Cover => "cover",
            Phase::Explain => "explain",
            Phase::Confirm => "confirm",
        };
        let levels = cell.levels.0.iter().enumerate();
        let labels = levels.map(|(factor, level)| {
            // The baseline is left light, so that what differs stands out.
            if *level == 0 { "·".to_owned() } else { scenario.level_label(factor, *level).to_owned() }
        });
        table.push_record([cell.id.to_string(), phase.to_owned()].into_iter().chain(labels));
    }
    table
}
