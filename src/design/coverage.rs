//! **Coverage**: which combinations of levels rows must have, and how often they have each.

use super::Space;
use crate::cell::Assignment;

/// What must be covered: every combination of `base` factors' levels, and more on named factors (mixed strength).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strength {
    /// Strength over all factors.
    pub base: usize,
    /// Higher strength over some: (factor indices, strength).
    pub extra: Vec<(Vec<usize>, usize)>,
}

impl Strength {
    /// The same strength everywhere.
    #[must_use]
    pub fn uniform(base: usize) -> Self {
        Self { base, extra: Vec::new() }
    }

    /// The factor sets whose combinations must all stand: sorted, distinct, none inside another.
    fn sets(&self, factors: usize) -> Vec<Vec<usize>> {
        let mut sets = subsets(factors, self.base.min(factors));
        for (among, strength) in &self.extra {
            let mut among: Vec<usize> = among.iter().copied().filter(|factor| *factor < factors).collect();
            among.sort_unstable();
            among.dedup();
            sets.extend(
                subsets(among.len(), (*strength).min(among.len()))
                    .into_iter()
                    .map(|set| set.into_iter().map(|at| among[at]).collect::<Vec<_>>()),
            );
        }
        sets.sort();
        sets.dedup();
        // A smaller set is inside a larger one just where a higher strength is asked for over all of its factors.
        let inside = |set: &[usize], among: &[usize], strength: usize| {
            set.len() < strength.min(among.len()) && set.iter().all(|factor| among.contains(factor))
        };
        sets.retain(|set| !self.extra.iter().any(|(among, strength)| inside(set, among, *strength)));
        sets
    }
}

/// How often each combination stands in the rows so far.
#[derive(Clone, Debug)]
pub(super) struct Coverage {
    pub(super) levels: Vec<u16>,
    /// The factor sets, each sorted.
    pub(super) sets: Vec<Vec<usize>>,
    /// Where a set's combinations begin.
    pub(super) offsets: Vec<usize>,
    /// For each factor, the sets that it is in.
    pub(super) member: Vec<Vec<usize>>,
    /// For each factor, the same sets laid out for the search's innermost loop.
    tracks: Vec<Tracks>,
    /// Rows that have each combination; [`FORBIDDEN`] and more where no allowed cell has it, so that it is never open and
    /// never the last.
    pub(super) count: Vec<u32>,
    /// Possible combinations that no row has, and where each stands in that list.
    open: Vec<usize>,
    place: Vec<usize>,
    pub(super) open_in_set: Vec<usize>,
    set_of: Vec<u32>,
    pub(super) total: usize,
}

const NOWHERE: usize = usize::MAX;
const FORBIDDEN: u32 = u32::MAX / 2;

/// One factor's sets: where a set's combination is counted is `offset + Σ level · stride` over its factors, the factor's
/// own term last. Flat, because a search looks here a hundred million times.
#[derive(Clone, Debug, Default)]
struct Tracks {
    /// For each set: its offset and the factor's own stride.
    own: Vec<(u32, u32)>,
    /// For each set, `width` terms of other factors; sets of fewer factors are filled up with stride 0.
    others: Vec<(u32, u32)>,
    width: usize,
}

impl Tracks {
    fn new(factor: usize, member: &[usize], sets: &[Vec<usize>], offsets: &[usize], levels: &[u16]) -> Self {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let width = member.iter().map(|set| sets[*set].len() - 1).max().unwrap_or(0);
        let mut tracks = Self { width, ..Self::default() };
        for set in member {
            let mut stride = 1;
            let (mut own, mut others) = (0, Vec::with_capacity(width));
            for at in sets[*set].iter().rev() {
                if *at == factor {
                    own = stride;
                } else {
                    others.push((narrow(*at), narrow(stride)));
                }
                stride *= usize::from(levels[*at]);
            }
            others.resize(width, (0, 0));
            tracks.own.push((narrow(offsets[*set]), narrow(own)));
            tracks.others.extend(others);
        }
        tracks
    }

    /// For each set, where the row's combination would be counted without the factor's own term, and that term's stride.
    fn places<'a>(&'a self, row: &'a [u16]) -> impl Iterator<Item = (u32, u32)> + 'a {
        self.own.iter().enumerate().map(move |(set, (offset, stride))| {
            let others = &self.others[set * self.width..(set + 1) * self.width];
            let base =
                others.iter().fold(*offset, |sum, (factor, stride)| sum + u32::from(row[*factor as usize]) * stride);
            (base, *stride)
        })
    }
}

impl Coverage {
    pub(super) fn new(space: &Space, strength: &Strength) -> Self {
        let factors = space.factors();
        let sets = strength.sets(factors);
        let mut member = vec![Vec::new(); factors];
        let mut offsets = Vec::with_capacity(sets.len() + 1);
        let mut size = 0;
        let mut set_of = Vec::new();
        for (index, set) in sets.iter().enumerate() {
            offsets.push(size);
            let combinations = set.iter().map(|factor| usize::from(space.levels[*factor])).product::<usize>();
            size += combinations;
            set_of.extend(std::iter::repeat_n(u32::try_from(index).unwrap_or(u32::MAX), combinations));
            for factor in set {
                member[*factor].push(index);
            }
        }
        offsets.push(size);
        let mut coverage = Self {
            levels: space.levels.clone(),
            open_in_set: vec![0; sets.len()],
            tracks: (0..factors)
                .map(|factor| Tracks::new(factor, &member[factor], &sets, &offsets, &space.levels))
                .collect(),
            count: vec![0; size],
            open: Vec::with_capacity(size),
            place: vec![NOWHERE; size],
            set_of,
            sets,
            offsets,
            member,
            total: 0,
        };
        for slot in 0..size {
            if !space.constraints.is_empty() && !space.constraints.feasible(&coverage.partial(slot)) {
                coverage.count[slot] = FORBIDDEN;
            } else {
                coverage.total += 1;
                coverage.reopen(slot);
            }
        }
        coverage
    }

    /// No array has fewer rows than one set of factors has combinations that the constraints allow. Of rows that are yet to
    /// be added: to be asked before any is.
    pub(super) fn lower_bound(&self) -> usize {
        self.open_in_set.iter().copied().max().unwrap_or(0)
    }

    /// Combinations that no row has.
    pub(super) fn open(&self) -> &[usize] {
        &self.open
    }

    /// A partial cell with just this combination.
    pub(super) fn partial(&self, slot: usize) -> Vec<Option<u16>> {
        let set = self.set_of[slot] as usize;
        let mut code = slot - self.offsets[set];
        let mut partial = vec![None; self.levels.len()];
        for factor in self.sets[set].iter().rev() {
            let radix = usize::from(self.levels[*factor]);
            partial[*factor] = u16::try_from(code % radix).ok();
            code /= radix;
        }
        partial
    }

    /// Where the combination of set `set` in a row is counted.
    pub(super) fn slot(&self, set: usize, level_of: impl Fn(usize) -> u16) -> usize {
        let mut code = 0;
        for factor in &self.sets[set] {
            code = code * usize::from(self.levels[*factor]) + usize::from(level_of(*factor));
        }
        self.offsets[set] + code
    }

    fn reopen(&mut self, slot: usize) {
        self.place[slot] = self.open.len();
        self.open.push(slot);
        self.open_in_set[self.set_of[slot] as usize] += 1;
    }

    fn close(&mut self, slot: usize) {
        let place = self.place[slot];
        self.open.swap_remove(place);
        if let Some(moved) = self.open.get(place) {
            self.place[*moved] = place;
        }
        self.place[slot] = NOWHERE;
        self.open_in_set[self.set_of[slot] as usize] -= 1;
    }

    pub(super) fn gain_one(&mut self, slot: usize) {
        self.count[slot] += 1;
        if self.count[slot] == 1 {
            self.close(slot);
        }
    }

    pub(super) fn lose_one(&mut self, slot: usize) {
        self.count[slot] -= 1;
        if self.count[slot] == 0 {
            self.reopen(slot);
        }
    }

    /// Counts a row.
    pub(super) fn add(&mut self, row: &[u16]) {
        for set in 0..self.sets.len() {
            let slot = self.slot(set, |factor| row[factor]);
            self.gain_one(slot);
        }
    }

    /// Forgets a row.
    pub(super) fn remove(&mut self, row: &[u16]) {
        for set in 0..self.sets.len() {
            let slot = self.slot(set, |factor| row[factor]);
            self.lose_one(slot);
        }
    }

    /// Open combinations after one factor of a row takes another level, less those before it.
    pub(super) fn change_cost(&self, row: &[u16], factor: usize, level: u16) -> i32 {
        let (old, new) = (u32::from(row[factor]), u32::from(level));
        self.tracks[factor]
            .places(row)
            .map(|(base, stride)| {
                i32::from(self.count[(base + old * stride) as usize] == 1)
                    - i32::from(self.count[(base + new * stride) as usize] == 0)
            })
            .sum()
    }

    /// Gives one factor of a row that is counted another level.
    pub(super) fn change(&mut self, row: &mut [u16], factor: usize, level: u16) {
        let tracks = std::mem::take(&mut self.tracks[factor]);
        let (old, new) = (u32::from(row[factor]), u32::from(level));
        for (base, stride) in tracks.places(row) {
            self.lose_one((base + old * stride) as usize);
            self.gain_one((base + new * stride) as usize);
        }
        row[factor] = level;
        self.tracks[factor] = tracks;
    }

    /// Combinations that only this row has.
    pub(super) fn only_here(&self, row: &[u16]) -> usize {
        (0..self.sets.len()).filter(|set| self.count[self.slot(*set, |factor| row[factor])] == 1).count()
    }

    /// Combinations that this row would be the first to have.
    pub(super) fn first_here(&self, row: &[u16]) -> usize {
        (0..self.sets.len()).filter(|set| self.count[self.slot(*set, |factor| row[factor])] == 0).count()
    }
}

/// Counts, by themselves, the combinations that rows have and that the constraints allow: (covered, all).
#[must_use]
pub fn measure(space: &Space, strength: &Strength, rows: &[Assignment]) -> (u64, u64) {
    let mut coverage = Coverage::new(space, strength);
    for row in rows {
        coverage.add(&row.0);
    }
    ((coverage.total - coverage.open.len()) as u64, coverage.total as u64)
}

/// All subsets of `0..n` with `size` members, each sorted, in lexicographic order.
#[must_use]
pub fn subsets(n: usize, size: usize) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    let mut current: Vec<usize> = (0..size).collect();
    if size == 0 || size > n {
        return all;
    }
    loop {
        all.push(current.clone());
        let Some(at) = (0..size).rev().find(|at| current[*at] < n - size + at) else { return all };
        current[at] += 1;
        for next in at + 1..size {
            current[next] = current[next - 1] + 1;
        }
    }
}
