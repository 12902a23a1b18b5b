//! `parallax schema`: the JSON Schema of scenarios.

use super::console;
use super::exit::Exit;
use super::failure::Failure;
use crate::scenario;

pub(super) fn run() -> Result<Exit, Failure> {
    let schema = serde_json::to_string_pretty(&scenario::json_schema())
        .map_err(|error| Failure::engine(format!("the schema cannot be written: {error}")))?;
    console::say(&schema);
    Ok(Exit::Clean)
}
