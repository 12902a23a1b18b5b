//! `parallax schema`: the JSON Schema of scenarios, or of disclosures.

use clap::{Args, ValueEnum};

use super::console;
use super::exit::Exit;
use super::failure::Failure;
use crate::scenario;

/// Arguments of `parallax schema`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Of which file
    #[arg(value_enum, default_value_t)]
    of: Document,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Document {
    /// A scenario
    #[default]
    Scenario,
    /// What a vendor says openly
    Disclosures,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let schema = match arguments.of {
        Document::Scenario => scenario::json_schema(),
        Document::Disclosures => scenario::disclosures_json_schema(),
    };
    let schema = serde_json::to_string_pretty(&schema)
        .map_err(|error| Failure::engine(format!("the schema cannot be written: {error}")))?;
    console::say(&schema);
    Ok(Exit::Clean)
}
