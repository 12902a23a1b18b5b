//! Reads a body's **JSON**, less what others than the model say in its conversation: that is most of a prompt, and no
//! reader looks at it.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Members of a message that hold what it says.
const CONTENTS: [&str; 2] = ["content", "parts"];

/// Reads a body. A message whose `role` comes before what it says, and is not the model's, loses what it says.
///
/// # Errors
/// When it is not JSON.
pub fn parse(body: &[u8]) -> serde_json::Result<Value> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = reader.deserialize_any(Level::Body)?;
    reader.end()?;
    Ok(value)
}

/// How deep a value stands in a body.
#[derive(Clone, Copy)]
enum Level {
    /// The whole.
    Body,
    /// A member of the whole: where it is an array, it may be one of messages.
    Member,
    /// What may be a message.
    Item,
    /// Anything deeper.
    Deep,
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self {
            Self::Deep => Value::deserialize(deserializer),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any valid JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = if matches!(self, Self::Body) { Self::Member } else { Self::Deep };
        let (mut map, mut others) = (Map::new(), false);
        while let Some(key) = members.next_key::<String>()? {
            if others && CONTENTS.contains(&key.as_str()) {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = members.next_value_seed(inner)?;
            if matches!(self, Self::Item) && key == "role" {
                others = value.as_str().is_some_and(|role| !matches!(role, "assistant" | "model"));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = if matches!(self, Self::Member) { Self::Item } else { Self::Deep };
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_bool<E: Error>(self, bool: bool) -> Result<Value, E> {
        Ok(Value::from(bool))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_others_say_is_left_out() {
        let body = json!({
            "model": "m", "n": [1, -1, 0.1, true, null, "x\n"], "system": [{"role": "system", "text": "kept"}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a\n\"b\""}], "more": {"content": 1}},
                {"role": "assistant", "content": "said", "parts": [1]},
                {"role": "model", "parts": [{"text": "said"}]},
                {"content": "before its role", "role": "user"},
                {"content": "without"}, "text", 7
            ],
            "tools": [{"name": "t", "schema": {"role": "user", "content": {"type": "string"}}}]
        });
        let mut expected = body.clone();
        expected["messages"][0].as_object_mut().unwrap().remove("content");
        assert_eq!(parse(body.to_string().as_bytes()).unwrap(), expected);
    }

    #[test]
    fn what_is_no_message_is_read_as_it_is() {
        for text in
            ["null", "3", "-3", "1.5", "\"x\"", "[]", "[[{\"role\":\"user\",\"content\":1}]]", "{\"a\":{\"b\":[]}}"]
        {
            assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
        for text in ["", "{", "{} x", "{\"messages\":[{\"role\":\"user\",\"content\":\"x}]}", "nul"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
