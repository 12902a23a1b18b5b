//! **Severity** of a finding: how much attention it asks for, by its class and by how much the value tells.
//!
//! | class | below 0.1 bits | 0.1 to 1 bit | 1 bit and more |
//! |---|---|---|---|
//! | covert | medium | high | high |
//! | behavioural | medium | medium | high |
//! | structural | low | medium | medium |
//! | overt | low | low | medium |
//!
//! What is explained or disclosed has none. A scenario's `[severity]` sets a class's, whatever the bits.

use super::{Class, Finding};
use crate::scenario::{Scenario, Severities, Severity};

/// Below, a value tells next to nothing.
const LITTLE: f64 = 0.1;
/// From here on it tells at least two equal halves of the environments apart.
const MUCH: f64 = 1.0;

/// Says of each finding how much attention it asks for.
pub fn judge(findings: &mut [Finding], scenario: &Scenario) {
    for finding in findings {
        let expected = finding.explained_by.is_some() || finding.disclosed.is_some();
        finding.severity =
            if expected { Severity::None } else { of(finding.class, finding.effect.bits, scenario.severity) };
    }
}

/// By class and bits, unless the scenario says otherwise.
#[must_use]
pub fn of(class: Class, bits: f64, said: Severities) -> Severity {
    let (said, steps) = match class {
        Class::Covert => (said.covert, [Severity::Medium, Severity::High, Severity::High]),
        Class::Behavioural => (said.behavioural, [Severity::Medium, Severity::Medium, Severity::High]),
        Class::Structural => (said.structural, [Severity::Low, Severity::Medium, Severity::Medium]),
        Class::Overt => (said.overt, [Severity::Low, Severity::Low, Severity::Medium]),
    };
    let [little, some, much] = steps;
    let by_bits = if bits < LITTLE {
        little
    } else if bits < MUCH {
        some
    } else {
        much
    };
    said.unwrap_or(by_bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_bits_never_ask_for_less_and_a_scenario_has_the_last_word() {
        for class in [Class::Covert, Class::Overt, Class::Structural, Class::Behavioural] {
            let steps = [0.01, 0.5, 3.0].map(|bits| of(class, bits, Severities::default()));
            assert!(steps.is_sorted(), "{class:?}");
        }
        assert_eq!(of(Class::Covert, 0.72, Severities::default()), Severity::High);
        assert_eq!(of(Class::Overt, 0.72, Severities::default()), Severity::Low);
        let said = Severities { covert: Some(Severity::Low), ..Severities::default() };
        assert_eq!(of(Class::Covert, 3.0, said), Severity::Low);
        assert_eq!(of(Class::Overt, 3.0, said), Severity::Medium, "other classes are as they were");
    }
}
