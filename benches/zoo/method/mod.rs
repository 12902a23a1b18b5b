//! The methods that are compared. Each sees an agent only through runs, and says which features depend on which factors.

pub(crate) mod chi_square;
pub(crate) mod cover_explain_confirm;
pub(crate) mod one_factor;
pub(crate) mod switch_off;

use parallax::attribution::evidence::Value;
use parallax::attribution::rule::RuleList;
use parallax::cell::Assignment;

use super::agent::Agent;
use super::score::Outcome;

/// A method with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// What parallax does, at this strength.
    CoverExplainConfirm(u8),
    OneFactor,
    SwitchOff,
    /// Pairwise array, chi-square, Benjamini–Hochberg.
    Pairwise,
    /// Random cells, chi-square, Benjamini–Hochberg.
    Random,
}

impl Method {
    pub(crate) const ALL: [Self; 5] =
        [Self::CoverExplainConfirm(2), Self::OneFactor, Self::SwitchOff, Self::Pairwise, Self::Random];

    pub(crate) fn name(self) -> String {
        match self {
            Self::CoverExplainConfirm(strength) => format!("Cover–Explain–Confirm, t = {strength}"),
            Self::OneFactor => "one factor at a time, ×3".to_owned(),
            Self::SwitchOff => "vary all, then switch one off, ×10".to_owned(),
            Self::Pairwise => "pairwise array + chi-square + BH".to_owned(),
            Self::Random => "200 random cells + chi-square + BH".to_owned(),
        }
    }

    /// Runs the method on an agent with factors of these numbers of levels.
    pub(crate) fn run(self, agent: &mut Agent, levels: &[u16], seed: u64) -> Outcome {
        match self {
            Self::CoverExplainConfirm(strength) => cover_explain_confirm::run(agent, levels, strength, seed),
            Self::OneFactor => one_factor::run(agent, levels, seed),
            Self::SwitchOff => switch_off::run(agent, levels, seed),
            Self::Pairwise => chi_square::pairwise(agent, levels, seed),
            Self::Random => chi_square::random(agent, levels, seed),
        }
    }
}

/// Runs of an agent: levels and the row of values.
pub(crate) type Table = Vec<(Assignment, Vec<Value>)>;

/// Runs cells in order.
pub(crate) fn execute(agent: &mut Agent, cells: Vec<Assignment>) -> Table {
    cells
        .into_iter()
        .map(|cell| {
            let row = agent.row(&cell.0);
            (cell, row)
        })
        .collect()
}

/// The commonest value, the smallest among equals.
pub(crate) fn commonest(values: impl Iterator<Item = Value>) -> Value {
    parallax::attribution::screen::commonest(values).flatten()
}

/// Rules without any.
pub(crate) fn no_rules(base: Value) -> RuleList {
    RuleList { base, rules: Vec::new() }
}
