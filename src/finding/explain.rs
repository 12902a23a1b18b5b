//! **Explaining** a difference that is expected: what merely repeats a level, or follows from it as anyone would expect.

use crate::feature::FeatureKind;
use crate::scenario::{FactorKind, Scenario};

/// Why a difference in a feature of this kind, attributed to these factors (by index), is expected; `None` where it is not.
#[must_use]
pub fn explain(kind: &FeatureKind, scenario: &Scenario, factors: &[usize]) -> Option<String> {
    let [factor] = factors else { return None };
    let name = &scenario.factors.get(*factor)?.name;
    match kind {
        FeatureKind::Echo { factor: echoed } if echoed == factor => Some(format!("echo of {name}")),
        FeatureKind::LocalDate if scenario.factors[*factor].kind == FactorKind::Timezone => {
            Some(String::from("local date or time in the level's zone"))
        }
        _ => None,
    }
}
