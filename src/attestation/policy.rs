//! A **policy**: what a buyer demands of a statement before relying on it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::statement::TestOutcome;
use crate::finding::Class;

/// Version of policies.
pub const SCHEMA_VERSION: u32 = 1;

/// A policy file. What is left out is not demanded, but for `accept`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// [`SCHEMA_VERSION`].
    #[serde(deserialize_with = "known_version")]
    pub schema_version: u32,
    /// The package URL, name or digest that the statement must be about.
    pub subject: Option<String>,
    /// Results that will do. Default: `passed` alone.
    #[serde(default = "passed")]
    pub accept: Vec<Accepted>,
    /// How old the run may be: `30d`, `12h`.
    #[serde(default, deserialize_with = "span")]
    pub max_age: Option<Duration>,
    /// The least strength of the design.
    pub least_strength: Option<u8>,
    /// The least share of combinations that were run, 0 to 1.
    pub least_coverage: Option<f64>,
    /// The least number of replicates of the baseline.
    pub least_replicates: Option<u32>,
    /// A marker that shows at this rate or more must have been detectable, with `least_power`.
    pub detectable_rate: Option<f64>,
    /// The least probability of seeing a marker at the detectable rate.
    pub least_power: Option<f64>,
    /// The largest family-wise error rate.
    pub most_alpha: Option<f64>,
    /// Signals that may have stayed unexplained.
    pub most_unexplained: Option<usize>,
    /// Classes of dependence that are not accepted even where they are disclosed.
    #[serde(default)]
    pub refuse: Vec<Class>,
    /// Factors that must have been varied, and levels that must have been among theirs.
    #[serde(default)]
    pub factors: BTreeMap<String, Demanded>,
}

/// A result that will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accepted {
    /// PASSED.
    Passed,
    /// WARNED.
    Warned,
    /// FAILED: only that the statement is genuine is of interest.
    Failed,
}

impl Accepted {
    /// Whether it is this one.
    #[must_use]
    pub fn is(self, outcome: TestOutcome) -> bool {
        matches!(
            (self, outcome),
            (Self::Passed, TestOutcome::Passed)
                | (Self::Warned, TestOutcome::Warned)
                | (Self::Failed, TestOutcome::Failed)
        )
    }
}

/// What is demanded of a factor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demanded {
    /// Levels that must be among those that were varied; `(unset)` is one.
    #[serde(default)]
    pub levels: Vec<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            subject: None,
            accept: passed(),
            max_age: None,
            least_strength: None,
            least_coverage: None,
            least_replicates: None,
            detectable_rate: None,
            least_power: None,
            most_alpha: None,
            most_unexplained: None,
            refuse: Vec::new(),
            factors: BTreeMap::new(),
        }
    }
}

impl Policy {
    /// Reads a policy. The message of a refusal shows the place.
    ///
    /// # Errors
    /// When it is refused.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())
    }
}

fn passed() -> Vec<Accepted> {
    vec![Accepted::Passed]
}

fn known_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = u32::deserialize(deserializer)?;
    if version == SCHEMA_VERSION {
        return Ok(version);
    }
    Err(D::Error::custom(format!("this parallax reads policies of schema version {SCHEMA_VERSION}")))
}

fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || D::Error::custom(format!("`{text}` is no age: write days or hours, such as 30d or 12h"));
    let mut end = text.chars();
    let unit = match end.next_back() {
        Some('d') => 86_400_u64,
        Some('h') => 3_600,
        _ => return Err(wrong()),
    };
    let number: u64 = end.as_str().parse().map_err(|_| wrong())?;
    number.checked_mul(unit).map(|seconds| Some(Duration::from_secs(seconds))).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_and_a_slip_is_shown_at_its_place() {
        let text = "schema_version = 1\nmax_age = \"30d\"\naccept = [\"passed\", \"warned\"]\nrefuse = [\"covert\"]\n\
                    [factors.timezone]\nlevels = [\"Asia/Tokyo\"]\n";
        let policy = Policy::parse(text).unwrap();
        assert_eq!(policy.max_age, Some(Duration::from_hours(30 * 24)));
        assert_eq!((policy.accept.len(), policy.refuse[0]), (2, Class::Covert));
        assert_eq!(policy.factors["timezone"].levels, ["Asia/Tokyo"]);
        assert_eq!(Policy::parse("schema_version = 1").unwrap(), Policy::default());
        for (from, to, message) in [
            ("30d", "30y", "is no age"),
            ("max_age", "maximal_age", "unknown field"),
            ("= 1", "= 2", "schema version 1"),
            ("passed", "past", "unknown variant"),
            ("schema_version = 1", "", "missing field"),
        ] {
            let error = Policy::parse(&text.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
        assert!(Policy::parse(&text.replace("30d", "30y")).unwrap_err().contains("^^^"));
    }
}
