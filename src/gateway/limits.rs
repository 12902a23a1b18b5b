//! **Limits**: how much of one cell is kept. What goes beyond is not lost without a word: it is counted by what it was.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::capture::Dropped;

/// Bytes of all bodies of one cell that are kept.
const MOST_BODY_BYTES: u64 = 256 * 1024 * 1024;

/// Records of one kind that one cell may have.
const MOST_RECORDS: u64 = 100_000;

/// What is counted in one cell.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    body_bytes: u64,
    records: BTreeMap<&'static str, u64>,
    dropped: BTreeMap<&'static str, u64>,
}

impl Limits {
    /// Asks for room for `wanted` bytes of a body; gives how many there is room for.
    pub(super) fn body(&self, wanted: usize) -> usize {
        let mut counts = self.counts();
        let room = MOST_BODY_BYTES - counts.body_bytes;
        let granted = room.min(wanted as u64);
        counts.body_bytes += granted;
        usize::try_from(granted).unwrap_or(wanted)
    }

    /// Counts what was not kept.
    pub(super) fn drop(&self, what: &'static str, count: u64) {
        if count > 0 {
            *self.counts().dropped.entry(what).or_default() += count;
        }
    }

    /// Whether one more record of this kind is kept.
    pub(super) fn record(&self, what: &'static str) -> bool {
        let mut counts = self.counts();
        let seen = counts.records.entry(what).or_default();
        *seen += 1;
        if *seen <= MOST_RECORDS {
            return true;
        }
        *counts.dropped.entry(what).or_default() += 1;
        false
    }

    /// What was not kept, by what it was.
    pub(super) fn dropped(&self) -> Vec<Dropped> {
        let counts = self.counts();
        counts.dropped.iter().map(|(what, count)| Dropped { what: (*what).to_owned(), count: *count }).collect()
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_beyond_is_counted() {
        let limits = Limits::default();
        assert_eq!(limits.body(1 << 20), 1 << 20);
        assert_eq!(limits.body(usize::MAX) as u64, MOST_BODY_BYTES - (1 << 20));
        assert_eq!(limits.body(5), 0);
        limits.drop("bytes of bodies", 5);
        let kept = (0..MOST_RECORDS + 3).filter(|_| limits.record("connections")).count() as u64;
        assert_eq!(kept, MOST_RECORDS);
        let dropped: Vec<_> = limits.dropped().into_iter().map(|d| (d.what, d.count)).collect();
        assert_eq!(dropped, [(String::from("bytes of bodies"), 5), (String::from("connections"), 3)]);
    }
}
