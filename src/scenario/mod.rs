//! A **scenario**: what the author wrote, checked. Takes a TOML document, gives a [`Scenario`] in which every name,
//! zone and level is known to be good; refuses with the place underlined. Knows nothing of engines or statistics.

mod check;
mod clock;
mod constraint;
mod document;
mod error;
mod factor;
mod facts;
mod levels;
mod matrix;
mod overlay;
pub mod path;
pub mod pattern;
mod placed;
pub mod placeholder;
mod quantity;
mod setting;
mod severity;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use check::{load, load_disclosures, no_target, parse, parse_disclosures};
pub use clock::ClockSetting;
pub use constraint::Forbidden;
pub use document::{disclosures_json_schema, json_schema};
pub use error::ScenarioError;
pub use factor::{Factor, FactorKind, Level, TRUST_VARIABLES, WELL_KNOWN};
pub use matrix::{Matrix, MatrixKind, Stronger};
pub use overlay::target_settings;
pub use severity::{Severities, Severity};

/// A checked scenario. Factors keep the document's order; each factor's level 0 is its baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Short name, `[A-Za-z0-9._-]+`.
    pub name: String,
    /// What is run.
    pub target: Target,
    /// How the stub model endpoint answers.
    pub stub: Stub,
    /// What is varied; at least one factor, each with at least two levels.
    pub factors: Vec<Factor>,
    /// Combinations that no cell may have.
    pub forbidden: Vec<Forbidden>,
    /// How the matrix is designed and how much may be spent.
    pub design: DesignOptions,
    /// Which cells the first phase runs.
    #[serde(default, skip_serializing_if = "Matrix::is_plain")]
    pub matrix: Matrix,
    /// What the vendor says openly.
    pub disclosed: Vec<Disclosed>,
    /// Severities that are not those of the table.
    #[serde(default, skip_serializing_if = "Severities::is_plain")]
    pub severity: Severities,
}

/// Where the agent comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Source {
    /// A package of the npm registry.
    Npm {
        /// Package name.
        package: String,
        /// Exact version, range or tag; the manifest has what it was resolved to.
        version: String,
    },
    /// A package of the Python Package Index.
    Pypi {
        /// Package name.
        package: String,
        /// Exact version, or `latest`.
        version: String,
    },
    /// A container image that is already complete. Docker only.
    Image {
        /// Image reference.
        reference: String,
    },
    /// A program on this machine: `command[0]`, resolved against the scenario's folder where it has a slash in it,
    /// else looked up in the pod.
    Local {
        /// Further files or folders to bring along, resolved against the scenario's folder.
        include: Vec<PathBuf>,
    },
}

/// What is run in every cell. In `command`, `env` values and `files` contents the placeholders `{prompt}`, `{home}`,
/// `{workspace}`, `{target}` and `{NAME}` (level of the factor NAME) are replaced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Where the agent comes from.
    pub source: Source,
    /// Argument vector.
    pub command: Vec<String>,
    /// Text for `{prompt}`.
    pub prompt: String,
    /// Variables that are the same in every cell.
    pub env: BTreeMap<String, String>,
    /// Files that are the same in every cell (but for placeholders). A path that is not absolute is below HOME.
    pub files: Vec<PinnedFile>,
    /// Major version of Node.js to bring for npm packages, such as `22`.
    pub node: String,
    /// Minor version of Python for packages of its index and for local programs, such as `3.13`. `None`: the one that the
    /// engine's pods have anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python: Option<String>,
    /// Deadline of one cell.
    pub timeout: Duration,
    /// Limits of one cell.
    pub limits: Limits,
    /// Folder of the scenario file, for relative paths.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// A file put into every cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedFile {
    /// Absolute, or below HOME.
    pub path: String,
    /// Text, with placeholders.
    pub contents: String,
}

/// What one cell may use at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub processes: u32,
}

/// The stub model endpoint's behaviour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stub {
    /// Turns, one for each model request that carries the conversation further; the last one repeats.
    pub script: Vec<Turn>,
    /// Canned answers to requests that are not a model dialect, first match wins.
    pub answers: Vec<Answer>,
    /// Whether a WebSocket is accepted. Refused with 426 otherwise, so that a client that can falls back at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub websocket: bool,
}

/// One turn of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// Say this and end the turn.
    Text(String),
    /// Call this tool.
    Tool {
        /// Tool name.
        name: String,
        /// Its input.
        input: serde_json::Value,
    },
    /// Fail with this HTTP status, once: a client that asks again gets the turn behind it.
    Error {
        /// 400 to 599.
        status: u16,
    },
    /// Begin what the next turn says and break the connection in the middle of it, once.
    Cut,
}

/// A canned answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Method, or any.
    pub method: Option<String>,
    /// Host, or any.
    pub host: Option<String>,
    /// Path that must match, `*` standing for any run of characters.
    pub path: String,
    /// HTTP status.
    pub status: u16,
    /// Body, sent as `application/json`.
    pub json: serde_json::Value,
}

/// How the matrix is designed and how much may be spent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesignOptions {
    /// Strength t of the covering array, 1 to 4.
    pub strength: u8,
    /// Cells at most, over all rounds.
    pub budget: u32,
    /// Baseline replicates beside the array.
    pub replicates: u32,
    /// Rows at least: the design is repeated up to it (a covering array relabelled).
    pub minimum_rows: u32,
    /// Family-wise error rate.
    pub alpha: f64,
}

/// A dependence that the vendor says openly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disclosed {
    /// Names of the factors.
    pub factors: Vec<String>,
    /// Place pattern, `*` standing for any run of characters.
    pub place: String,
    /// What the vendor says.
    pub says: String,
    /// The version since which it is so, where the vendor says that too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// Version of disclosures files.
pub const DISCLOSURES_VERSION: u32 = 1;
