//! stub
use super::Class;
use crate::feature::{Channel, FeatureKind};
/// stub
#[must_use]
pub fn classify(_kind: &FeatureKind, _channel: Channel, _baseline: Option<&str>, _variant: Option<&str>) -> Class {
    Class::Overt
}
