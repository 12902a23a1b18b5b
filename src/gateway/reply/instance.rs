//! Makes up a small **instance** of a JSON Schema, for requests whose answer must follow one.

use serde_json::{Map, Number, Value};

/// How deep a schema is followed.
const DEEPEST: usize = 12;

/// The smallest plausible instance of `schema`; strings are `text`. A schema that is none gives an empty object.
pub(in crate::gateway) fn of(schema: &Value, text: &str) -> Value {
    build(schema, schema, text, DEEPEST)
}

fn build(schema: &Value, root: &Value, text: &str, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#')) {
        return root.pointer(target).map_or(Value::Null, |target| build(target, root, text, depth - 1));
    }
    for key in ["const", "default"] {
        if let Some(value) = schema.get(key) {
            return value.clone();
        }
    }
    if let Some(value) = schema.get("enum").and_then(|values| values.get(0)) {
        return value.clone();
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(key).and_then(|choices| choices.get(0)) {
            return build(first, root, text, depth - 1);
        }
    }
    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        kind => kind.and_then(Value::as_str),
    };
    // One dialect writes its types in capitals.
    match kind.map(str::to_ascii_lowercase).as_deref() {
        Some("string") => Value::String(string(schema, text)),
        Some("integer" | "number") => Value::Number(number(schema)),
        Some("boolean") => Value::Bool(false),
        Some("null") => Value::Null,
        Some("array") => array(schema, root, text, depth),
        _ => object(schema, root, text, depth),
    }
}

fn string(schema: &Value, text: &str) -> String {
    let longest = schema.get("maxLength").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok());
    text.chars().take(longest.unwrap_or(usize::MAX)).collect()
}

fn number(schema: &Value) -> Number {
    let least = schema.get("minimum").and_then(Value::as_number).cloned();
    least.unwrap_or_else(|| Number::from(0))
}

fn array(schema: &Value, root: &Value, text: &str, depth: usize) -> Value {
    let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(16);
    let item = schema.get("items").unwrap_or(&Value::Null);
    Value::Array((0..least).map(|_| build(item, root, text, depth - 1)).collect())
}

fn object(schema: &Value, root: &Value, text: &str, depth: usize) -> Value {
    let required = schema.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let properties = schema.get("properties").unwrap_or(&Value::Null);
    let mut members = Map::new();
    for name in required.iter().filter_map(Value::as_str) {
        let value = properties.get(name).map_or(Value::Null, |property| build(property, root, text, depth - 1));
        members.insert(name.to_owned(), value);
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn instances_follow_their_schemas() {
        let schema = json!({
            "type": "object",
            "properties": {
                "isNewTopic": {"type": "boolean"}, "title": {"type": ["string", "null"], "maxLength": 3},
                "n": {"type": "integer", "minimum": 2}, "kind": {"enum": ["a", "b"]}, "unasked": {"type": "string"},
                "list": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/item"}},
                "either": {"anyOf": [{"type": "null"}, {"type": "string"}]}
            },
            "required": ["isNewTopic", "title", "n", "kind", "list", "either"],
            "$defs": {"item": {"type": "object", "properties": {"x": {"const": 1}}, "required": ["x"]}}
        });
        let expected =
            json!({"isNewTopic": false, "title": "Hel", "n": 2, "kind": "a", "list": [{"x": 1}], "either": null});
        assert_eq!(of(&schema, "Hello"), expected);
    }

    #[test]
    fn a_schema_without_end_ends() {
        let schema = json!({"$ref": "#"});
        assert_eq!(of(&schema, "x"), Value::Null);
        let tree = json!({"type": "array", "minItems": 1, "items": {"$ref": "#"}});
        assert!(of(&tree, "x").is_array());
        assert_eq!(of(&Value::Null, "x"), json!({}));
    }
}
