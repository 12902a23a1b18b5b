//! The scenario **document**: the TOML shape, before any check. Its JSON Schema is generated from these types.

/// The JSON Schema of a scenario document.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    serde_json::Value::Null
}
