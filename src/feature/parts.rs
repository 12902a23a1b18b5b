//! The **parts** of captures: each is taken apart into leaves, several at once. What one asks of those before it is asked
//! again in its turn, so that the leaves are the same on any number of cores.

use std::collections::VecDeque;
use std::ops::Range;

use rayon::prelude::*;

use super::context::Context;
use super::hash::HashSet;
use super::known::{Asked, Inquiry, Known};
use super::leaf::Leaf;
use super::process;
use super::request::Requests;
use super::transport::Names;
use crate::capture::Capture;

/// Captures that are taken apart at once, and the bytes of their bodies: what they are taken apart into is in memory.
const AT_ONCE: usize = 32;
const AT_ONCE_BYTES: usize = 16 << 20;
/// Captures of one worker, at least: each begins with a copy of what is known.
const OF_ONE: usize = 4;

/// What takes captures apart.
#[derive(Debug, Default)]
pub(super) struct Parts {
    fixed: Fixed,
    known: Known,
}

/// What is decided before any capture is taken apart.
#[derive(Debug, Default)]
struct Fixed {
    requests: Requests,
    names: Names,
}

/// A capture that was taken apart.
#[derive(Debug)]
pub(super) struct Taken {
    /// Its leaves, each address once.
    pub(super) leaves: Vec<Leaf>,
    /// What it asked of the captures before it.
    pub(super) asked: Vec<Asked>,
}

/// A capture and what it was made under.
pub(super) type Pair<'a> = (&'a Capture, &'a Context);

impl Parts {
    /// Looks at all captures before any is taken apart.
    pub(super) fn prepare(&mut self, captures: &[Pair<'_>]) {
        self.fixed.requests.prepare(captures.iter().copied());
        self.fixed.names.prepare(captures.iter().copied());
    }

    /// The leaves of one capture. Nothing of it stays known.
    pub(super) fn peek(&self, pair: Pair<'_>) -> Vec<Leaf> {
        self.fixed.take(pair, Inquiry::new(&mut self.known.clone())).leaves
    }

    /// Takes captures apart as if one came after the other.
    pub(super) fn in_turn(&mut self, captures: &[Pair<'_>], mut each: impl FnMut(usize, Taken)) {
        let Self { fixed, known } = self;
        for batch in batches(captures) {
            if batch.len() == 1 {
                each(batch.start, fixed.take(captures[batch.start], Inquiry::noting(known, VecDeque::new())));
                continue;
            }
            let before = &*known;
            let ahead = captures[batch.clone()]
                .par_iter()
                .with_min_len(OF_ONE)
                .map_init(|| before.clone(), |known, pair| fixed.take(*pair, Inquiry::noting(known, VecDeque::new())));
            let ahead: Vec<Taken> = ahead.collect();
            for (n, taken) in batch.zip(ahead) {
                let changed = known.again(&taken.asked).err();
                let anew = |given| fixed.take(captures[n], Inquiry::noting(known, given));
                each(n, changed.map_or(taken, anew));
            }
        }
    }

    /// Takes a capture apart that was taken apart before and asked this. `None` where nothing of it is another now.
    pub(super) fn again(&mut self, pair: Pair<'_>, asked: &[Asked]) -> Option<Taken> {
        let given = self.known.again(asked).err()?;
        Some(self.fixed.take(pair, Inquiry::noting(&mut self.known, given)))
    }
}

impl Fixed {
    fn take(&self, (capture, context): Pair<'_>, mut inquiry: Inquiry<'_>) -> Taken {
        let mut leaves = Vec::new();
        process::leaves(capture, &mut leaves);
        self.requests.leaves(capture, context, &mut inquiry, &mut leaves);
        self.names.leaves(capture, context, &mut leaves);
        let mut seen: HashSet<&str> =
            HashSet::with_capacity_and_hasher(leaves.len(), foldhash::fast::RandomState::default());
        let first: Vec<bool> = leaves.iter().map(|leaf| seen.insert(&leaf.address)).collect();
        if first.contains(&false) {
            let mut first = first.into_iter();
            leaves.retain(|_| first.next().unwrap_or(true));
        }
        Taken { leaves, asked: inquiry.end() }
    }
}

/// Captures in groups that are not too large.
fn batches(captures: &[Pair<'_>]) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (n, (capture, _)) in captures.iter().enumerate() {
        let own: usize = capture.exchanges.iter().map(|exchange| exchange.body.bytes.len()).sum();
        match out.last_mut() {
            Some(last) if last.len() < AT_ONCE && bytes + own <= AT_ONCE_BYTES => {
                last.end = n + 1;
                bytes += own;
            }
            _ => {
                out.push(n..n + 1);
                bytes = own;
            }
        }
    }
    out
}
