//! How the matrix is designed, on the command line: what stands here goes before what the scenario says.

use clap::Args;

use super::failure::Failure;

const HEADING: &str = "Design (each goes before what the scenario says)";

/// The options of the design.
#[derive(Clone, Debug, Args)]
pub(super) struct DesignArguments {
    /// Strength 1: every level at least once. Combinations are met by chance only
    #[arg(help_heading = HEADING, long, conflicts_with_all = ["deep", "strength"])]
    quick: bool,
    /// Strength 3: every combination of levels of three factors
    #[arg(help_heading = HEADING, long, conflicts_with = "strength")]
    deep: bool,
    /// Every combination of levels of so many factors, 1 to 4; changes design.strength
    #[arg(help_heading = HEADING, long, value_name = "T", value_parser = clap::value_parser!(u8).range(1..=4))]
    strength: Option<u8>,
    /// Rate of false findings that is put up with, over the whole run; changes design.alpha
    #[arg(help_heading = HEADING, long, value_name = "RATE", value_parser = rate)]
    alpha: Option<f64>,
    /// Cells at most; changes design.budget
    #[arg(help_heading = HEADING, long, value_name = "N")]
    budget: Option<u32>,
    /// Replicates of the baseline, at least 2; changes design.replicates
    #[arg(help_heading = HEADING, long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    replicates: Option<u32>,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| String::from("not a number"))?;
    if rate > 0.0 && rate < 0.5 { Ok(rate) } else { Err(String::from("must be between 0 and 0.5; 0.05 is usual")) }
}

impl DesignArguments {
    /// What is changed in the scenario, after `settings` (those of `--set`), as further settings.
    ///
    /// # Errors
    /// When one of the settings says the same.
    pub(super) fn overrides(&self, settings: &[String]) -> Result<Vec<String>, Failure> {
        let strength = match (self.quick, self.deep, self.strength) {
            (true, ..) => Some(("--quick", 1)),
            (_, true, _) => Some(("--deep", 3)),
            (.., strength) => strength.map(|strength| ("--strength", strength)),
        };
        let strength = strength.map(|(flag, strength)| (flag, "strength", strength.to_string()));
        let alpha = self.alpha.map(|alpha| ("--alpha", "alpha", format!("{alpha:?}")));
        let budget = self.budget.map(|budget| ("--budget", "budget", budget.to_string()));
        let replicates = self.replicates.map(|replicates| ("--replicates", "replicates", replicates.to_string()));
        let mut overrides = Vec::new();
        for (flag, key, value) in strength.into_iter().chain(alpha).chain(budget).chain(replicates) {
            let same = |setting: &&String| {
                setting.split_once('=').is_some_and(|(set, _)| set.trim() == format!("design.{key}"))
            };
            if let Some(setting) = settings.iter().find(same) {
                return Err(Failure::usage(format!(
                    "{flag} and --set {setting} both decide design.{key}: leave one of them out"
                )));
            }
            overrides.push(format!("design.{key}={value}"));
        }
        Ok(overrides)
    }
}
