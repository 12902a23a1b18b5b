//! Values of a document that remember their **place**, and the loose types that a document may use.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, Range};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

/// A value and where it stands in the sources. Its schema is the value's own.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    /// Byte range over all sources.
    pub(super) span: Range<usize>,
    /// The value.
    pub(super) value: T,
}

impl<T> Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Placed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(deserializer)?;
        Ok(Self { span: spanned.span(), value: spanned.into_inner() })
    }
}

impl<T: JsonSchema> JsonSchema for Placed<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A table whose keys are the author's own, in the order in which they were written.
#[derive(Clone, Debug)]
pub(super) struct Entries<T>(pub(super) Vec<(Placed<String>, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry::<Placed<String>, T>()? {
                    entries.push(entry);
                }
                entries.sort_by_key(|(key, _)| key.span.start);
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Owned(format!("TableOf{}", T::schema_name()))
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({"type": "object", "additionalProperties": value})
    }
}

/// Text. Numbers and booleans are taken as they are written, since variables and arguments are text in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text(pub(super) String);

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Text {
    /// The text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, value: &str) -> Result<Text, E> {
                Ok(Text(value.to_owned()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Text")
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "integer", "boolean"]})
    }
}

/// A level as it is written: text, or `{ unset = true }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LevelDocument {
    /// A value.
    Text(String),
    /// Not there at all.
    Unset,
}

impl<'de> Deserialize<'de> for LevelDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LevelVisitor;
        impl<'de> Visitor<'de> for LevelVisitor {
            type Value = LevelDocument;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a level: a string or { unset = true }")
            }

            fn visit_str<E>(self, value: &str) -> Result<LevelDocument, E> {
                Ok(LevelDocument::Text(value.to_owned()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<LevelDocument, E> {
                Ok(LevelDocument::Text(value.to_string()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<LevelDocument, E> {
                Ok(LevelDocument::Text(value.to_string()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LevelDocument, A::Error> {
                let mut unset = false;
                while let Some(UnsetKey) = map.next_key()? {
                    unset = map.next_value()?;
                }
                if unset {
                    Ok(LevelDocument::Unset)
                } else {
                    Err(A::Error::custom("a level is a string or { unset = true }"))
                }
            }
        }
        deserializer.deserialize_any(LevelVisitor)
    }
}

/// The only key of a level that is a table. A type of its own, so that another key is refused at the key's place.
struct UnsetKey;

impl<'de> Deserialize<'de> for UnsetKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        if key == "unset" { Ok(Self) } else { Err(D::Error::unknown_field(&key, &["unset"])) }
    }
}

impl JsonSchema for LevelDocument {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Level")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A level: text, or `{ unset = true }` for \"not there at all\".",
            "anyOf": [
                {"type": ["string", "integer", "boolean"]},
                {
                    "type": "object",
                    "properties": {"unset": {"const": true}},
                    "required": ["unset"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

/// One or more of a thing: `"a"` or `["a", "b"]`.
#[derive(Clone, Debug)]
pub(super) enum OneOrMany<T> {
    /// Written without brackets.
    One(Placed<T>),
    /// Written as an array.
    Many(Vec<Placed<T>>),
}

impl<T> OneOrMany<T> {
    /// Whichever there are.
    pub(super) fn as_slice(&self) -> &[Placed<T>] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany<LevelDocument> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A list is told from a single level by what it holds; both go through one visitor, so that places survive
        // (serde's untagged enums buffer the value, and the buffer forgets them).
        enum Either {
            One(LevelDocument),
            Many(Vec<Placed<LevelDocument>>),
        }
        struct EitherVisitor;
        impl<'de> Visitor<'de> for EitherVisitor {
            type Value = Either;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a level or an array of levels")
            }

            fn visit_str<E>(self, value: &str) -> Result<Either, E> {
                Ok(Either::One(LevelDocument::Text(value.to_owned())))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Either, E> {
                Ok(Either::One(LevelDocument::Text(value.to_string())))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Either, E> {
                Ok(Either::One(LevelDocument::Text(value.to_string())))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Either, A::Error> {
                LevelDocument::deserialize(serde::de::value::MapAccessDeserializer::new(map)).map(Either::One)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Either, A::Error> {
                let mut levels = Vec::new();
                while let Some(level) = seq.next_element()? {
                    levels.push(level);
                }
                Ok(Either::Many(levels))
            }
        }
        impl<'de> Deserialize<'de> for Either {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(EitherVisitor)
            }
        }
        let Placed { span, value } = Placed::<Either>::deserialize(deserializer)?;
        Ok(match value {
            Either::One(value) => Self::One(Placed { span, value }),
            Either::Many(many) => Self::Many(many),
        })
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> Cow<'static, str> {
        Cow::Owned(format!("OneOrMany{}", T::schema_name()))
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]})
    }
}

/// Any JSON value, its keys in the order in which they were written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Json(pub(super) serde_json::Value);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct JsonVisitor;
        impl<'de> Visitor<'de> for JsonVisitor {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value that JSON has too")
            }

            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json(value.into()))
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
                let number = serde_json::Number::from_f64(value);
                number.map(|number| Json(number.into())).ok_or_else(|| E::custom("JSON has no such number"))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json(value.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
                let mut items = Vec::new();
                while let Some(Json(item)) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Json(items.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Json, A::Error> {
                let entries = Entries::<Json>::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Json(entries.0.into_iter().map(|(key, Json(value))| (key.value, value)).collect()))
            }
        }
        deserializer.deserialize_any(JsonVisitor)
    }
}

impl JsonSchema for Json {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("AnyJson")
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}
