//! **Severities**: how much attention a difference asks for, and what a scenario says of it by class.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much attention a difference asks for. A scale for sorting and for gates: it says nothing of intent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing is to be done: it is explained or disclosed.
    #[default]
    None,
    /// To be known.
    Low,
    /// To be looked at.
    Medium,
    /// To be looked at first.
    High,
}

/// Severities by class, each in place of what the table says, however many bits a finding has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Severities {
    /// Of covert findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covert: Option<Severity>,
    /// Of overt findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overt: Option<Severity>,
    /// Of structural findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structural: Option<Severity>,
    /// Of behavioural findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavioural: Option<Severity>,
}

impl Severities {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}
