//! The **search**: at which versions to look, so that every edge is found between a version that shows a finding and a
//! neighbour that does not. A coarse sample over the whole range comes first, as a finding may come and go; then each
//! interval whose ends differ is halved.

use std::collections::{BTreeMap, BTreeSet};

/// What was seen at which versions, by their place in the series.
#[derive(Clone, Debug)]
pub struct Search {
    versions: usize,
    /// Places of the coarse sample, in the order in which they are looked at.
    sample: Vec<usize>,
    /// Places that were looked at.
    looked: BTreeSet<usize>,
    /// Places that could not be judged.
    lost: BTreeSet<usize>,
    /// Of each finding, whether it was seen, by place.
    seen: Vec<BTreeMap<usize, bool>>,
}

/// Where a finding comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The last place before.
    pub before: usize,
    /// The first place after.
    pub after: usize,
    /// Whether it is seen after it.
    pub appears: bool,
}

impl Search {
    /// Of so many versions, of which at least `sample` are looked at.
    #[must_use]
    pub fn new(versions: usize, sample: usize) -> Self {
        let last = versions.saturating_sub(1);
        let points = sample.clamp(2, versions.max(2));
        let spread: BTreeSet<usize> = (0..points).map(|n| n * last / (points - 1)).collect();
        // The ends first, then the point that is farthest from all before it: a sample that is cut short is still spread.
        let mut left: Vec<usize> = spread.into_iter().collect();
        let mut order: Vec<usize> = Vec::new();
        while !left.is_empty() {
            let far =
                |place: usize| order.iter().map(|at: &usize| at.abs_diff(place)).min().unwrap_or(usize::MAX - place);
            let Some(nth) = (0..left.len()).max_by_key(|n| (far(left[*n]), std::cmp::Reverse(*n))) else { break };
            order.push(left.remove(nth));
        }
        Self { versions, sample: order, looked: BTreeSet::new(), lost: BTreeSet::new(), seen: Vec::new() }
    }

    /// Adds a finding to be searched for; gives its number.
    pub fn add(&mut self) -> usize {
        self.seen.push(BTreeMap::new());
        self.seen.len() - 1
    }

    /// A place was looked at.
    pub fn look(&mut self, place: usize) {
        self.looked.insert(place);
    }

    /// A place is to be looked at again, as one of the coarse sample.
    pub fn again(&mut self, place: usize) {
        self.looked.remove(&place);
    }

    /// A place cannot be judged at all: nothing there could be run.
    pub fn lose(&mut self, place: usize) {
        self.lost.insert(place);
    }

    /// Whether a finding was seen at a place; `None` takes back what was said.
    pub fn judge(&mut self, finding: usize, place: usize, seen: Option<bool>) {
        let Some(known) = self.seen.get_mut(finding) else { return };
        match seen {
            Some(seen) => known.insert(place, seen),
            None => known.remove(&place),
        };
    }

    /// Whether a finding was seen at each place that was judged.
    #[must_use]
    pub fn seen(&self, finding: usize) -> Option<&BTreeMap<usize, bool>> {
        self.seen.get(finding)
    }

    /// Whether a place is still to be looked at as one of the coarse sample.
    #[must_use]
    pub fn is_sample(&self, place: usize) -> bool {
        self.sampling().contains(&place)
    }

    /// What of the coarse sample is still to be looked at: where a place is lost, its nearest neighbour stands in.
    fn sampling(&self) -> Vec<usize> {
        let stand_in = |place: &usize| {
            let alive = (0..self.versions).filter(|other| !self.lost.contains(other));
            alive.min_by_key(|other| (other.abs_diff(*place), *other))
        };
        let mut out = Vec::new();
        for place in self.sample.iter().filter_map(stand_in) {
            if !self.looked.contains(&place) && !out.contains(&place) {
                out.push(place);
            }
        }
        out
    }

    /// Places to look at, the next one first, whatever is seen at those before.
    #[must_use]
    pub fn wanted(&self) -> Vec<usize> {
        let mut out = self.sampling();
        let mut halves: Vec<(usize, usize)> = Vec::new();
        for known in &self.seen {
            let judged: Vec<(usize, bool)> = known.iter().map(|(place, seen)| (*place, *seen)).collect();
            for pair in judged.windows(2) {
                if pair[0].1 != pair[1].1 {
                    let open = self.open(pair[0].0, pair[1].0);
                    halves.extend(open.get(open.len().saturating_sub(1) / 2).map(|middle| (open.len(), *middle)));
                }
            }
        }
        // The widest interval first: the edges come near together, and while one is looked at the next is known.
        halves.sort_by_key(|(width, place)| (std::cmp::Reverse(*width), *place));
        for (_, place) in halves {
            if !out.contains(&place) {
                out.push(place);
            }
        }
        out
    }

    /// The place that is likely wanted after `place`, where nothing else is: the middle of an interval that it will leave.
    #[must_use]
    pub fn guess(&self, place: usize) -> Option<usize> {
        self.seen.iter().find_map(|known| {
            let before = known.range(..place).next_back()?;
            let after = known.range(place + 1..).next()?;
            let open = if before.1 == after.1 { return None } else { self.open(*before.0, place) };
            open.get(open.len().saturating_sub(1) / 2).copied()
        })
    }

    /// Places between two that can still be looked at.
    fn open(&self, before: usize, after: usize) -> Vec<usize> {
        (before + 1..after).filter(|place| !self.looked.contains(place) && !self.lost.contains(place)).collect()
    }

    /// Where a finding comes and goes, as far as is known.
    #[must_use]
    pub fn edges(&self, finding: usize) -> Vec<Edge> {
        let judged: Vec<(usize, bool)> =
            self.seen.get(finding).into_iter().flatten().map(|(place, seen)| (*place, *seen)).collect();
        let pairs = judged.windows(2).filter(|pair| pair[0].1 != pair[1].1);
        pairs.map(|pair| Edge { before: pair[0].0, after: pair[1].0, appears: pair[1].1 }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks until nothing is wanted; gives the edges and how many places were looked at.
    fn run(truth: &[Option<bool>], sample: usize) -> (Vec<Edge>, usize) {
        let mut search = Search::new(truth.len(), sample);
        let finding = search.add();
        let mut looks = 0;
        while let Some(place) = search.wanted().first().copied() {
            looks += 1;
            assert!(looks <= truth.len(), "a place was looked at twice");
            search.look(place);
            match truth[place] {
                Some(seen) => search.judge(finding, place, Some(seen)),
                None => search.lose(place),
            }
        }
        (search.edges(finding), looks)
    }

    fn truth(text: &str) -> Vec<Option<bool>> {
        text.chars().map(|c| (c != '?').then_some(c == '#')).collect()
    }

    #[test]
    fn both_edges_are_exact_in_few_looks() {
        for (from, to) in [(10_usize, 85), (1, 2), (0, 100), (37, 38), (50, 99)] {
            let all: Vec<Option<bool>> = (0..200).map(|n| Some((from..to).contains(&n))).collect();
            let (edges, looks) = run(&all, 7);
            if to - from > 34 {
                let known: Vec<(usize, usize)> = edges.iter().map(|edge| (edge.before, edge.after)).collect();
                let expected = [(from.wrapping_sub(1), from), (to - 1, to)];
                assert!(known.iter().all(|edge| expected.contains(edge)) && !known.is_empty(), "{known:?}");
            }
            assert!(looks <= 20, "{looks} looks");
        }
    }

    #[test]
    fn what_comes_and_goes_has_four_edges() {
        let (edges, _) = run(&truth(".....#######.........########......"), 7);
        let told: Vec<(usize, usize, bool)> =
            edges.iter().map(|edge| (edge.before, edge.after, edge.appears)).collect();
        assert_eq!(told, [(4, 5, true), (11, 12, false), (20, 21, true), (28, 29, false)]);
    }

    #[test]
    fn a_place_that_cannot_be_judged_is_left_out_of_its_edge() {
        let (edges, _) = run(&truth("......??######"), 3);
        assert_eq!(edges, [Edge { before: 5, after: 8, appears: true }]);
        // A lost end of the series has its neighbour stand in.
        let (edges, looks) = run(&truth("?...####?"), 2);
        assert_eq!(edges, [Edge { before: 3, after: 4, appears: true }]);
        assert!(looks <= 7);
        assert_eq!(run(&truth("???"), 3).0, []);
        assert_eq!(run(&truth("#"), 7).0, []);
    }

    #[test]
    fn the_ends_come_first_and_the_sample_is_spread() {
        let search = Search::new(101, 5);
        assert_eq!(search.wanted(), [0, 100, 50, 25, 75]);
        assert!(search.is_sample(25) && !search.is_sample(26));
        assert_eq!(Search::new(2, 7).wanted(), [0, 1]);
    }
}
