//! The **slots** of a kind of request: which is which of those that go by the same method and path. The pairing is by what
//! a request says, not by when it came.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::element;
use super::lcs::likeness;
use crate::capture::Exchange;

/// Requests of one kind must be this much alike (thousandths) to be the same.
const ALIKE: u32 = 300;
/// Requests that are this much alike are as alike as any.
const CERTAIN: u32 = 800;
/// Requests of one kind that are told apart; the rest are counted.
const SLOTS: usize = 12;

/// The requests of one kind that are told apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots(Vec<Slot>);

/// One request among those of its kind.
#[derive(Clone, Debug)]
struct Slot {
    words: Vec<Vec<u64>>,
    digest: u64,
}

/// What a request is paired by.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    digest: u64,
    /// Its words; none where there was nothing to tell it apart from.
    pub(super) words: Option<Vec<u64>>,
}

impl Slots {
    /// The slot of each of these requests; new slots for what is new. And what that was decided by.
    pub(super) fn assign(&mut self, members: &[&Exchange]) -> (Vec<Option<usize>>, Vec<Summary>) {
        // A kind of which there is just one needs no telling apart.
        let alone = self.is_alone(members.len());
        let summary =
            |exchange: &&Exchange| Summary { digest: digest(exchange), words: (!alone).then(|| words(exchange)) };
        let summaries: Vec<Summary> = members.iter().map(summary).collect();
        (self.pairs(&summaries), summaries)
    }

    /// The slots of requests of which no more than this is known; `None` where it is not enough.
    pub(super) fn again(&mut self, summaries: &[Summary]) -> Option<Vec<Option<usize>>> {
        let enough = self.is_alone(summaries.len()) || summaries.iter().all(|summary| summary.words.is_some());
        enough.then(|| self.pairs(summaries))
    }

    fn is_alone(&self, members: usize) -> bool {
        members == 1 && self.0.len() == 1
    }

    fn pairs(&mut self, summaries: &[Summary]) -> Vec<Option<usize>> {
        if self.is_alone(summaries.len()) {
            return vec![Some(0)];
        }
        let slots = &mut self.0;
        let mut pairs: Vec<(u32, usize, usize)> = Vec::new();
        for (j, Summary { digest, words }) in summaries.iter().enumerate() {
            let words = words.as_deref().unwrap_or_default();
            for (i, slot) in slots.iter().enumerate() {
                let alike = slot.words.iter().map(|other| likeness(other, words)).max().unwrap_or(0);
                let same = slot.digest == *digest;
                if same || alike >= ALIKE {
                    // Identifiers make likeness vary a little: where that is all, the order decides.
                    pairs.push((if same { 2000 } else { alike.min(CERTAIN) / 100 }, i, j));
                }
            }
        }
        // The most alike first; among equals, in order.
        pairs.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let mut slot_of: Vec<Option<usize>> = vec![None; summaries.len()];
        let mut taken = vec![false; slots.len()];
        for (_, i, j) in pairs {
            if !taken[i] && slot_of[j].is_none() {
                taken[i] = true;
                slot_of[j] = Some(i);
            }
        }
        for (slot_of, Summary { digest, words }) in slot_of.iter_mut().zip(summaries) {
            match *slot_of {
                Some(i) => {
                    let words = words.as_ref().filter(|w| slots[i].words.len() < 3 && !slots[i].words.contains(w));
                    slots[i].words.extend(words.cloned());
                }
                None if slots.len() < SLOTS => {
                    *slot_of = Some(slots.len());
                    slots.push(Slot { words: vec![words.clone().unwrap_or_default()], digest: *digest });
                }
                None => {}
            }
        }
        slot_of
    }
}

fn digest(exchange: &Exchange) -> u64 {
    let mut hasher = DefaultHasher::new();
    exchange.body.sha256().hash(&mut hasher);
    exchange.headers.hash(&mut hasher);
    hasher.finish()
}

/// The words of a request's headers and body. A body counts by its first part: that is enough to tell roles apart.
fn words(exchange: &Exchange) -> Vec<u64> {
    let mut out = BTreeSet::new();
    for (name, value) in &exchange.headers {
        element::add(&name.to_lowercase(), &mut out);
        element::add(value, &mut out);
    }
    element::add(&exchange.body.text(), &mut out);
    out.into_iter().collect()
}
