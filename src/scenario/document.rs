//! The scenario **document**: the TOML shape, before any check. Its JSON Schema is generated from these types, so the
//! comments on the fields are what an editor shows to an author.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::factor::WELL_KNOWN;
use super::matrix::MatrixKind;
use super::placed::{Entries, Json, LevelDocument, OneOrMany, Placed, Text};

/// A scenario: an agent, what is varied around it, and how much may be spent.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Parallax scenario")]
pub(super) struct Document {
    /// Short name: letters, digits, dots, hyphens and underscores.
    pub(super) name: Placed<String>,
    /// What this scenario is for, in a sentence.
    #[allow(dead_code, reason = "for people; nothing is computed from it")]
    pub(super) description: Option<String>,
    /// What is run in every cell.
    pub(super) target: Placed<TargetDocument>,
    /// How the stub model endpoint answers.
    #[serde(default)]
    pub(super) stub: StubDocument,
    /// What is varied, by name. Well-known names need no `kind`.
    #[serde(default)]
    pub(super) factors: Entries<Placed<FactorDocument>>,
    /// How the matrix is designed and how much may be spent.
    #[serde(default)]
    pub(super) design: DesignDocument,
    /// Combinations of levels that no cell may have.
    #[serde(default)]
    pub(super) constraints: Vec<Placed<ConstraintDocument>>,
    /// What the vendor says openly; findings that it covers are reported as disclosed.
    #[serde(default)]
    pub(super) disclosed: Vec<DisclosedDocument>,
    /// How much attention findings of a class ask for, in place of the table in docs/reports.md.
    #[serde(default)]
    pub(super) severity: super::Severities,
}

/// What is run. Without `npm`, `pypi` and `image` it is a local program: the command's first word.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Target")]
pub(super) struct TargetDocument {
    /// Package of the npm registry.
    pub(super) npm: Option<Placed<String>>,
    /// Package of the Python Package Index.
    pub(super) pypi: Option<Placed<String>>,
    /// Complete container image (docker engine only).
    pub(super) image: Option<Placed<String>>,
    /// Version of the package. Default: `latest`.
    pub(super) version: Option<Placed<Text>>,
    /// Argument vector, with the placeholders {prompt}, {home}, {workspace}, {target} and {FACTOR}.
    #[schemars(required)]
    pub(super) command: Option<Placed<Vec<Placed<Text>>>>,
    /// Text for {prompt}. Default: `Reply with OK.`
    pub(super) prompt: Option<Placed<String>>,
    /// Variables that are the same in every cell.
    #[serde(default)]
    pub(super) env: Entries<Placed<Text>>,
    /// Files that are the same in every cell. A path that is not absolute is below HOME.
    #[serde(default)]
    pub(super) files: FilesDocument,
    /// Major version of Node.js for npm packages. Default: `22`.
    pub(super) node: Option<Placed<Text>>,
    /// Minor version of Python, such as `3.13`, for packages of the Python Package Index and local programs. Default: that of
    /// the base image (docker engine), or the machine's own (embedded engine).
    pub(super) python: Option<Placed<Text>>,
    /// Further files or folders to bring along with a local program, relative to the scenario's folder. With an
    /// empty list the command may be a program that every pod has.
    pub(super) include: Option<Vec<Placed<String>>>,
    /// Deadline of one cell, such as `60s`, `1m30s`. Default: `60s`.
    pub(super) timeout: Option<Placed<Text>>,
    /// Memory of one cell, such as `2GiB`. Default: `2GiB`.
    pub(super) memory: Option<Placed<Text>>,
    /// Processes and threads of one cell. Default: 512.
    pub(super) processes: Option<Placed<i64>>,
}

/// Files: a table of path = "contents", or an array of { path, contents }.
#[derive(Clone, Debug, Default)]
pub(super) struct FilesDocument(pub(super) Vec<FileDocument>);

/// A file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "File")]
pub(super) struct FileDocument {
    /// Absolute, or below HOME.
    pub(super) path: Placed<String>,
    /// Text, with placeholders.
    pub(super) contents: Placed<String>,
}

impl<'de> Deserialize<'de> for FilesDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FilesVisitor;
        impl<'de> Visitor<'de> for FilesVisitor {
            type Value = FilesDocument;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of path = \"contents\", or an array of { path, contents }")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FilesDocument, A::Error> {
                let entries =
                    Entries::<Placed<String>>::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(FilesDocument(
                    entries.0.into_iter().map(|(path, contents)| FileDocument { path, contents }).collect(),
                ))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<FilesDocument, A::Error> {
                let mut files = Vec::new();
                while let Some(file) = seq.next_element()? {
                    files.push(file);
                }
                Ok(FilesDocument(files))
            }
        }
        deserializer.deserialize_any(FilesVisitor)
    }
}

impl JsonSchema for FilesDocument {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Files")
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let file = generator.subschema_for::<FileDocument>();
        json_schema!({
            "description": "A table of path = \"contents\", or an array of { path, contents }.",
            "anyOf": [
                {"type": "object", "additionalProperties": {"type": "string"}},
                {"type": "array", "items": file}
            ]
        })
    }
}

/// The stub model endpoint.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Stub")]
pub(super) struct StubDocument {
    /// The model's turns, one for each request that carries the conversation further; the last one repeats.
    /// Default: one turn, `OK`.
    pub(super) script: Option<Placed<Vec<Placed<TurnDocument>>>>,
    /// Canned answers to requests that are not a model dialect; the first match wins.
    #[serde(default)]
    pub(super) answers: Vec<AnswerDocument>,
    /// What the script's tools are called by this agent, by the name that the script uses: `bash = "run_shell"`, or
    /// `bash = { name = "shell", input = { command = ["bash", "-lc", "{command}"] } }`, where `{member}` stands for that
    /// member of the turn's own input.
    #[serde(default)]
    #[schemars(schema_with = "tools")]
    pub(super) tools: Entries<Placed<Json>>,
    /// What becomes of a WebSocket: `refuse` (with 426, so that a client falls back at once) or `accept`.
    /// Default: `refuse`.
    #[schemars(schema_with = "websocket")]
    pub(super) websocket: Option<Placed<String>>,
}

/// A turn of the model: say a text, call a tool, fail, or break off.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["text"]}, {"required": ["tool"]}, {"required": ["error"]}, {"required": ["cut"]}]))]
#[schemars(rename = "Turn")]
pub(super) struct TurnDocument {
    /// What the model says.
    pub(super) text: Option<String>,
    /// Name of the tool that it calls.
    pub(super) tool: Option<String>,
    /// The tool's input.
    pub(super) input: Option<Placed<Json>>,
    /// HTTP status with which the request fails, once: 400 to 599.
    pub(super) error: Option<Placed<i64>>,
    /// Whether the next turn's answer breaks off in its middle, once.
    pub(super) cut: Option<bool>,
}

/// A canned answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Answer")]
pub(super) struct AnswerDocument {
    /// Method; any if left out.
    pub(super) method: Option<String>,
    /// Host; any if left out.
    pub(super) host: Option<String>,
    /// Path, `*` standing for any run of characters.
    pub(super) path: Placed<String>,
    /// HTTP status. Default: 200.
    pub(super) status: Option<Placed<i64>>,
    /// Body, sent as JSON. Default: `{}`.
    pub(super) json: Option<Json>,
}

/// A factor: one thing of the environment that is varied.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Factor")]
pub(super) struct FactorDocument {
    /// The values that it takes, at least two, or the name of a level set: `timezones:all`, `timezones:cover`,
    /// `locales:common`, `hosts:FILE`. The first is the baseline unless `baseline` says otherwise.
    #[schemars(schema_with = "levels")]
    pub(super) levels: Option<Placed<OneOrMany<LevelDocument>>>,
    /// The level that everything is compared with.
    pub(super) baseline: Option<Placed<LevelDocument>>,
    /// What it is: `env`, `file`, `argument`, or a well-known factor under another name.
    #[serde(default)]
    #[schemars(schema_with = "kinds")]
    pub(super) kind: Option<Placed<String>>,
    /// The environment variable, for `env` and `base_url`.
    pub(super) variable: Option<Placed<String>>,
    /// The file, for `file`. A path that is not absolute is below HOME.
    pub(super) path: Option<Placed<String>>,
}

/// How the matrix is designed and how much may be spent.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Design")]
pub(super) struct DesignDocument {
    /// What is run first: a covering array of `strength`; every combination of levels (`full_factorial`); or the
    /// baseline and every level alone (`one_factor`). Default: `covering`.
    #[serde(default)]
    #[schemars(schema_with = "matrix_kinds")]
    pub(super) kind: Option<Placed<String>>,
    /// Every combination of levels of this many factors is run, 1 to 4. Default: 2.
    pub(super) strength: Option<Placed<i64>>,
    /// A higher strength over some of the factors.
    #[serde(default)]
    pub(super) stronger: Vec<Placed<StrongerDocument>>,
    /// Cells that must be run: factor = level. Factors that are not named have their baseline level.
    #[serde(default)]
    pub(super) given: Vec<Placed<Entries<Placed<LevelDocument>>>>,
    /// Cells at most, over all rounds. Default: 400.
    pub(super) budget: Option<Placed<i64>>,
    /// Replicates of the baseline, at least 2. Default: 8.
    pub(super) replicates: Option<Placed<i64>>,
    /// Rows at least: the design is repeated up to it. Default: 64 for a covering array, else 0.
    pub(super) minimum_rows: Option<Placed<i64>>,
    /// Family-wise error rate, between 0 and 0.5. Default: 0.05.
    pub(super) alpha: Option<Placed<f64>>,
}

/// A higher strength over some of the factors.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Stronger")]
pub(super) struct StrongerDocument {
    /// Names of the factors, at least as many as the strength.
    pub(super) factors: Placed<Vec<Placed<String>>>,
    /// Every combination of levels of so many of them is run, 2 to 4.
    pub(super) strength: Placed<i64>,
}

/// A combination that no cell may have.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Constraint")]
pub(super) struct ConstraintDocument {
    /// Factor = level or levels. A cell is left out when every factor named here has one of its levels.
    pub(super) forbid: Placed<Entries<OneOrMany<LevelDocument>>>,
}

/// What the vendor says openly.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Disclosed")]
pub(super) struct DisclosedDocument {
    /// Names of the factors.
    pub(super) factors: Placed<Vec<Placed<String>>>,
    /// Place, `*` standing for any run of characters.
    pub(super) place: Placed<String>,
    /// What the vendor says.
    pub(super) says: Placed<String>,
    /// The version since which it is so.
    pub(super) since: Option<Placed<String>>,
}

/// A disclosures file: what a vendor says openly that its agent's behaviour depends on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Parallax disclosures")]
pub(super) struct DisclosuresDocument {
    /// Version of this format: 1.
    pub(super) schema_version: Placed<i64>,
    /// The dependences, each with its place.
    #[serde(default)]
    pub(super) disclosed: Vec<DisclosedDocument>,
}

/// The levels of a factor.
fn levels(generator: &mut SchemaGenerator) -> Schema {
    let level = generator.subschema_for::<LevelDocument>();
    json_schema!({
        "anyOf": [
            {"type": "string", "pattern": "^(timezones:(all|cover)|locales:common|hosts:.+)$"},
            {"type": "array", "items": level, "minItems": 2, "uniqueItems": true}
        ]
    })
}

/// What tools are called.
fn tools(_: &mut SchemaGenerator) -> Schema {
    let shaped = json_schema!({
        "type": "object",
        "properties": {"name": {"type": "string"}, "input": {}},
        "required": ["name"],
        "additionalProperties": false
    });
    json_schema!({"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, shaped]}})
}

/// What becomes of a WebSocket.
fn websocket(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["refuse", "accept"]})
}

/// The kinds of factor, by name.
fn kinds(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = WELL_KNOWN.iter().copied().chain(["env", "file", "argument"]).collect();
    json_schema!({"type": "string", "enum": names})
}

/// The kinds of design, by name.
fn matrix_kinds(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": MatrixKind::ALL.map(MatrixKind::name)})
}

/// The JSON Schema of a disclosures file.
#[must_use]
pub fn disclosures_json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(DisclosuresDocument).to_value();
    without_null(&mut schema);
    schema
}

/// The JSON Schema of a scenario document.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Document).to_value();
    without_null(&mut schema);
    schema
}

/// TOML has no null: a key is there or is not.
fn without_null(schema: &mut serde_json::Value) {
    use serde_json::Value;
    match schema {
        Value::Object(map) => {
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = &types[..] {
                    let only = only.clone();
                    map.insert(String::from("type"), only);
                }
            }
            if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
            }
            map.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}
