//! The argument vector of one cell.

use super::surroundings::Surroundings;
use crate::cell::Assignment;
use crate::scenario::{FactorKind, Scenario, Source, placeholder};

/// The command with its placeholders replaced, and the arguments that have no placeholder at its end.
pub(super) fn command(scenario: &Scenario, levels: &Assignment, around: &Surroundings<'_>) -> Vec<String> {
    let target = &scenario.target;
    let arguments: Vec<(&str, Option<&str>)> = scenario
        .factors
        .iter()
        .enumerate()
        .filter(|(_, factor)| factor.kind == FactorKind::Argument)
        .map(|(index, factor)| (factor.name.as_str(), scenario.level(index, levels).value()))
        .collect();
    let mut command: Vec<String> = target
        .command
        .iter()
        .enumerate()
        // An argument that is unset is not there at all; an empty word would be another treatment.
        .filter(|(_, word)| {
            !arguments.iter().any(|(name, value)| value.is_none() && word.as_str() == format!("{{{name}}}"))
        })
        .map(|(index, word)| around.fill(if index == 0 { program(target, word) } else { word }))
        .collect();
    let placed = |name: &str| {
        let texts =
            target.command.iter().chain(target.env.values()).chain(target.files.iter().map(|file| &file.contents));
        texts.into_iter().any(|text| placeholder::mentions(text, name))
    };
    command.extend(arguments.iter().filter(|(name, _)| !placed(name)).filter_map(|(_, value)| value.map(String::from)));
    command
}

/// A local program stands in a folder of the target's, which PATH names first: where it came from on this machine is
/// nothing that the agent may see.
fn program<'a>(target: &crate::scenario::Target, word: &'a str) -> &'a str {
    match target.source {
        Source::Local { .. } => word.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(word),
        _ => word,
    }
}
