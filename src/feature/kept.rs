//! **Kept leaves** of the captures that are learned from: each address and each text once, so that a capture is taken
//! apart once for all passes, unless a later one has changed what an address means.

use std::sync::Arc;

use super::hash::{HashMap, IndexSet};
use super::known::Asked;
use super::leaf::{Content, Leaf};
use super::parts::Taken;
use super::{Channel, FeatureKind};

/// The leaves of several captures.
#[derive(Debug, Default)]
pub(super) struct Kept {
    heads: Vec<Head>,
    by_address: HashMap<Arc<str>, Vec<u32>>,
    texts: IndexSet<Arc<str>>,
    orders: IndexSet<Vec<String>>,
    captures: Vec<One>,
}

/// A leaf without what stands there.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) address: Arc<str>,
    place: String,
    channel: Channel,
    kind: FeatureKind,
    is_text: bool,
}

/// One capture's leaves: numbers of heads and of contents.
#[derive(Debug, Default)]
struct One {
    leaves: Vec<(u32, u32)>,
    asked: Vec<Asked>,
}

/// What stands at a kept leaf.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shared<'a> {
    /// Lines.
    Text(&'a Arc<str>),
    /// Names in order.
    Order(&'a Vec<String>),
}

impl Kept {
    /// Nothing yet of so many captures.
    pub(super) fn new(captures: usize) -> Self {
        let captures = std::iter::repeat_with(One::default).take(captures).collect();
        Self { captures, ..Self::default() }
    }

    /// Keeps a capture's leaves in the place of those that it had.
    pub(super) fn put(&mut self, capture: usize, taken: Taken) {
        let mut asked = taken.asked;
        asked.iter_mut().for_each(Asked::shorten);
        let leaves = taken.leaves.into_iter().map(|leaf| (self.head(&leaf), self.content(leaf.content))).collect();
        self.captures[capture] = One { leaves, asked };
    }

    fn head(&mut self, leaf: &Leaf) -> u32 {
        let is_text = matches!(leaf.content, Content::Text(_));
        let known = self.by_address.get(leaf.address.as_str()).into_iter().flatten().find(|n| {
            let head = &self.heads[**n as usize];
            head.place == leaf.place
                && head.channel == leaf.channel
                && head.kind == leaf.kind
                && head.is_text == is_text
        });
        if let Some(known) = known {
            return *known;
        }
        let (address, number) = (Arc::<str>::from(leaf.address.as_str()), number(self.heads.len()));
        self.by_address.entry(Arc::clone(&address)).or_default().push(number);
        let Leaf { place, channel, kind, .. } = leaf.clone();
        self.heads.push(Head { address, place, channel, kind, is_text });
        number
    }

    fn content(&mut self, content: Content) -> u32 {
        number(match content {
            Content::Text(text) => {
                let known = self.texts.get_index_of(text.as_str());
                known.unwrap_or_else(|| self.texts.insert_full(text.into()).0)
            }
            Content::Order(names) => self.orders.insert_full(names).0,
        })
    }

    /// What a capture asked of those before it.
    pub(super) fn asked(&self, capture: usize) -> &[Asked] {
        &self.captures[capture].asked
    }

    /// The leaves of a capture: the number of each one's head, and what stands there.
    pub(super) fn leaves(&self, capture: usize) -> impl Iterator<Item = (usize, Shared<'_>)> {
        self.captures[capture].leaves.iter().map(|(head, content)| {
            let (head, content) = (*head as usize, *content as usize);
            let shared = if self.heads[head].is_text {
                Shared::Text(&self.texts[content])
            } else {
                Shared::Order(&self.orders[content])
            };
            (head, shared)
        })
    }

    /// How many different heads there are.
    pub(super) fn heads(&self) -> usize {
        self.heads.len()
    }

    /// The head of this number.
    pub(super) fn of(&self, head: usize) -> &Head {
        &self.heads[head]
    }
}

impl Head {
    /// The leaf again.
    pub(super) fn leaf(&self, content: &Shared<'_>) -> Leaf {
        let content = match content {
            Shared::Text(text) => Content::Text(text.to_string()),
            Shared::Order(names) => Content::Order((*names).clone()),
        };
        let (address, place) = (self.address.to_string(), self.place.clone());
        Leaf { address, place, channel: self.channel, kind: self.kind.clone(), content }
    }
}

/// There are not so many leaves that this would not do; were there, the last would stand for all.
fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
