//! From document to [`Scenario`](super::Scenario): every check, each refusal with its place underlined.

use std::path::Path;

use super::Scenario;

/// A scenario that was refused, with the place in its source.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{message}")]
pub struct ScenarioError {
    message: String,
}

/// Reads and checks a scenario file. `overrides` are `--set` arguments such as `target.version=2.1.91`.
///
/// # Errors
/// When the file cannot be read or the scenario is refused.
pub fn load(path: &Path, overrides: &[String]) -> Result<Scenario, Box<ScenarioError>> {
    let _ = (path, overrides);
    Err(Box::new(ScenarioError { message: String::from("not read") }))
}

/// Checks a scenario given as text. `name` is what messages call the source; `folder` is what relative paths are
/// resolved against.
///
/// # Errors
/// When the scenario is refused.
pub fn parse(text: &str, name: &str, folder: &Path, overrides: &[String]) -> Result<Scenario, Box<ScenarioError>> {
    let _ = (text, name, folder, overrides);
    Err(Box::new(ScenarioError { message: String::from("not read") }))
}
