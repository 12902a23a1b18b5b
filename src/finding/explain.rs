//! stub
use crate::feature::FeatureKind;
use crate::scenario::Scenario;
/// stub
#[must_use]
pub fn explain(_kind: &FeatureKind, _scenario: &Scenario, _factors: &[usize]) -> Option<String> {
    None
}
