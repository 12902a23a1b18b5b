//! **Features**: named, addressable values of a capture. Takes captures with the levels that they were made under,
//! gives a table of values; refuses to know whether a difference matters or which factor made it.
//!
//! Two passes: every capture is [`Extractor::learn`]ed (templates grow), the extractor is frozen, and every capture is
//! [`Extractor::extract`]ed. A capture that comes later is extracted alone; what no template knows becomes a new
//! feature, which all earlier captures lack.

mod align;
mod column;
mod container;
mod context;
mod date;
mod date_names;
mod date_words;
mod date_zone;
mod echo;
mod elapsed;
mod element;
mod escape;
mod extractor;
mod flatten;
mod hash;
mod header;
mod json;
mod kept;
mod known;
mod lcs;
mod leaf;
mod lexeme;
mod mask;
mod model;
mod moment;
mod number_words;
mod order;
mod padding;
mod parts;
mod process;
mod request;
mod signature;
mod slot;
mod slots;
mod spelling;
mod table;
mod token;
mod transport;
mod zone_names;

pub use extractor::Extractor;
pub use signature::invisible;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::capture::Capture;
use crate::cell::Assignment;

/// Where in a capture a feature lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A request's body.
    Body,
    /// A header's value or presence.
    Header,
    /// Order and case of header names.
    HeaderOrder,
    /// Which requests were sent, to whom, in which order.
    RequestSequence,
    /// DNS questions.
    Dns,
    /// TLS hellos.
    Tls,
    /// Connections without a request, the form of proxying.
    Connection,
    /// Exit, output, limits.
    Process,
    /// Files changed.
    File,
}

/// What sort of value a feature has; decides how a difference in it is classed and explained.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FeatureKind {
    /// Text of a slot, echoes, dates and random identifiers already replaced.
    Text,
    /// A JSON value that is not a string, or its type.
    Json,
    /// The *format* of a date or time that was recognised (`%Y-%m-%d`), its value taken out.
    DateFormat,
    /// The *value* of a recognised date: how many days the local date in the cell's zone is from UTC's.
    LocalDate,
    /// The value repeats this factor's own level (the feature's value names the level).
    Echo {
        /// Factor index.
        factor: usize,
    },
    /// Something is there or is not: a request, a header, a JSON member, a line, an array element, a file.
    Presence,
    /// An order that says nothing: of header names, JSON keys.
    Order,
    /// An order that says something: of requests, of the elements of an array.
    Sequence,
    /// How many of something.
    Count,
    /// The form of a random identifier (length, alphabet, version, case), its value taken out.
    Shape,
    /// A property of a string's bytes: its set of non-ASCII code points, invisible characters, white space, escapes.
    Signature,
    /// How JSON is laid out: the white space between its signs.
    Layout,
    /// The way that a request took: its form, the port dialled.
    Route,
    /// How the process ended, or its output.
    Process,
}

/// A named, addressable value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Address, unique and stable across runs of the same scenario on the same agent:
    /// `body POST /v1/messages #0 /messages/0/content/1/text line "…" gap 2`.
    pub id: String,
    /// Where it lives.
    pub channel: Channel,
    /// What a person reads for a place: `POST /v1/messages · messages[0].content[1].text · line 14`.
    pub place: String,
    /// What sort of value.
    pub kind: FeatureKind,
}

/// A value, interned by its extractor: equal ids mean equal values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub u32);

/// One capture's values: `row[feature]`, `None` where the capture lacks it. A row may be shorter than the feature
/// list, when features were found after it was made; what is missing at its end is absent.
pub type Row = Vec<Option<ValueId>>;

/// A capture and what it was made under.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The environment.
    pub levels: &'a Assignment,
    /// What was seen.
    pub capture: &'a Capture,
}
