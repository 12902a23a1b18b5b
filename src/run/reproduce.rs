//! How findings are **seen again**: the command of the whole run, with everything that its command line changed, and plain
//! commands for those who trust neither. The campaign cannot know either: they are of the manifest.

use std::collections::HashMap;

use super::{by_hand, dummies};
use crate::cell::{Assignment, Cell};
use crate::finding::{Findings, severity};
use crate::store::Manifest;

/// Says of each finding how it is seen again. `cells` are those of the run. The same arguments always give the same, and
/// what is complete already stays as it is.
pub fn complete<'a>(findings: &mut Findings, manifest: &Manifest, cells: impl IntoIterator<Item = &'a Cell>) {
    let levels: HashMap<&str, &Assignment> = cells.into_iter().map(|cell| (cell.id.0.as_str(), &cell.levels)).collect();
    severity::judge(&mut findings.findings, &manifest.scenario);
    let command = format!("{} --seed {}", command(manifest), manifest.seed);
    for finding in &mut findings.findings {
        finding.reproduce.command.clone_from(&command);
        let cell = |id: &String| levels.get(id.as_str()).copied();
        let sides = cell(&finding.reproduce.baseline_cell).zip(cell(&finding.reproduce.variant_cell));
        if let Some((baseline, variant)) = sides {
            finding.reproduce.by_hand = by_hand::by_hand(manifest, finding, baseline, variant);
        }
    }
}

/// `parallax run PATH` with what the command line changed in the scenario.
#[must_use]
pub fn command(manifest: &Manifest) -> String {
    with_settings(&manifest.scenario_path, &manifest.overrides)
}

/// `parallax run PATH --set …`, for a shell.
#[must_use]
pub fn with_settings(path: &str, overrides: &[String]) -> String {
    let settings = overrides.iter().map(|setting| format!(" --set {}", by_hand::quote(&dummies::dummy(setting))));
    format!("parallax run {}{}", by_hand::quote(path), settings.collect::<String>())
}
