//! **Leaves**: what a capture is taken apart into before anything is compared: addressed texts and sequences.

use super::{Channel, FeatureKind};

/// One addressed piece of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Unique in its capture, the same in every capture.
    pub(super) address: String,
    /// The same for people.
    pub(super) place: String,
    /// Where it lives.
    pub(super) channel: Channel,
    /// What sort of value its text is.
    pub(super) kind: FeatureKind,
    /// What stands there.
    pub(super) content: Content,
}

/// What stands at a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Lines.
    Text(String),
    /// Names in order, each at most once.
    Order(Vec<String>),
}

impl Leaf {
    /// A leaf of text.
    pub(super) fn text(
        channel: Channel,
        kind: FeatureKind,
        address: impl Into<String>,
        place: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        Self { address: address.into(), place: place.into(), channel, kind, content: Content::Text(text.into()) }
    }

    /// A leaf that says that something is there.
    pub(super) fn presence(channel: Channel, address: impl Into<String>, place: impl Into<String>, text: &str) -> Self {
        Self::text(channel, FeatureKind::Presence, address, place, text)
    }

    /// A leaf of names in order. Names that occur again are numbered.
    pub(super) fn order(
        channel: Channel,
        address: impl Into<String>,
        place: impl Into<String>,
        names: impl IntoIterator<Item = String>,
    ) -> Self {
        let content = Content::Order(numbered(names));
        Self { address: address.into(), place: place.into(), channel, kind: FeatureKind::Order, content }
    }
}

/// Numbers what occurs again: `a`, `b`, `a 2`.
pub(super) fn numbered(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut seen = std::collections::HashMap::<String, usize>::new();
    names
        .into_iter()
        .map(|name| {
            let n = seen.entry(name.clone()).or_default();
            *n += 1;
            if *n == 1 { name } else { format!("{name} {n}") }
        })
        .collect()
}

/// The lines of a text. An empty text has none.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let limit = if text.is_empty() { 0 } else { usize::MAX };
    text.split('\n').take(limit)
}
