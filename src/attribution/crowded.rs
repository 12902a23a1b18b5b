//! **Crowded**: requests in which chance plays with many values, as it does in telemetry. Some of those seem to go with a
//! factor a little, by accident or because everything there goes with how long things took; each such doubt costs some
//! forty runs to look into and as many coins. There only what is clear is followed; what is in doubt is said to vary.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::Evidence;
use super::screen::Signal;

/// Signals of one request that chance plays with, from which on it is crowded.
const CROWD: usize = 16;

/// The requests that are crowded, by their features.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crowded(BTreeSet<usize>);

impl Crowded {
    /// Finds them among all signals.
    #[must_use]
    pub fn of(signals: &[Signal], evidence: &Evidence) -> Self {
        let mut crowds = BTreeMap::<usize, usize>::new();
        for signal in signals.iter().filter(|signal| !signal.deterministic) {
            if let Some(request) = evidence.outermost(signal.lead()) {
                *crowds.entry(request).or_default() += 1;
            }
        }
        Self(crowds.into_iter().filter(|(_, crowd)| *crowd >= CROWD).map(|(request, _)| request).collect())
    }

    /// Whether a feature stands in one, or, like the order of requests, in none because it is about all of them.
    #[must_use]
    pub fn around(&self, feature: usize, evidence: &Evidence) -> bool {
        evidence.outermost(feature).map_or(!self.0.is_empty(), |request| self.0.contains(&request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_crowded_by_signals_that_chance_plays_with() {
        // Requests are features 0 to 3; what stands in request n are the features n + 4, n + 8, …
        let containers: Vec<Option<usize>> = (0..200).map(|at| (at >= 4).then_some(at % 4)).collect();
        let mut evidence = Evidence::default();
        evidence.contain(&containers);
        let signal = |feature, deterministic| Signal { features: vec![feature], base: None, deterministic, values: 2 };
        let mut signals: Vec<Signal> = (1..=CROWD).map(|n| signal(4 * n, false)).collect();
        signals.extend((1..CROWD).map(|n| signal(4 * n + 1, false)));
        signals.extend((1..=CROWD).map(|n| signal(4 * n + 2, true)));
        signals.extend((0..4).map(|request| signal(request, false)));
        let crowded = Crowded::of(&signals, &evidence);
        assert_eq!(crowded, Crowded(BTreeSet::from([0])));
        assert_eq!([4, 8, 5, 6, 3].map(|feature| crowded.around(feature, &evidence)), [true, true, false, false, true]);
        let none = Crowded::of(&signals[1..], &evidence);
        assert_eq!([4, 5, 3].map(|feature| none.around(feature, &evidence)), [false; 3]);
    }
}
