//! **Line templates**: for each text a growing sequence of line slots, so that one inserted line flags one slot.
//!
//! A capture's lines are aligned with the slots by longest common subsequence; inside what was replaced, lines are
//! paired by likeness (half their tokens or more) without crossing; what is left over makes new slots.

use std::sync::Arc;

use super::hash::HashSet;
use super::lcs::{MAX_CELLS, likeness, pair, pair_trimmed};
use super::token::{Sort, Token, Tokeniser};

/// Lines must be this much alike (thousandths) to share a slot.
const ALIKE: u32 = 500;
/// Bags of tokens that a slot remembers; later variants are compared with these.
const BAGS: usize = 6;

/// Lines that a slot remembers word for word, and by their keys: more than templates are learned from. Random lines, of
/// which every capture has another, must not fill the memory.
const VARIANTS: usize = 1024;

/// A line, prepared for alignment.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Its text, without the line feed.
    pub(super) text: Arc<str>,
    key: u64,
    bag: Vec<u64>,
    wordy: bool,
}

impl Line {
    /// Prepares a line.
    pub(super) fn new(text: &str, tokeniser: &Tokeniser) -> Self {
        let tokens = tokeniser.tokens(text);
        let wordy = tokens.iter().any(|token: &Token<'_>| !matches!(token.sort, Sort::Space | Sort::Mark));
        Self { text: text.into(), key: Tokeniser::key(&tokens), bag: Tokeniser::bag(&tokens), wordy }
    }
}

/// One place for a line.
#[derive(Clone, Debug)]
struct Slot {
    /// Never changes, whatever is inserted before it.
    id: usize,
    variants: HashSet<Arc<str>>,
    keys: HashSet<u64>,
    bags: Vec<Vec<u64>>,
    wordy: bool,
    /// Takes any line: its neighbours know that exactly one line always stands here.
    free: bool,
}

impl Slot {
    fn take(&mut self, line: &Line) {
        let new = if self.variants.len() < VARIANTS {
            self.variants.insert(Arc::clone(&line.text))
        } else {
            !self.variants.contains(&line.text)
        };
        if new && self.keys.len() < VARIANTS && self.keys.insert(line.key) && self.bags.len() < BAGS {
            self.bags.push(line.bag.clone());
        }
    }

    fn score_same(&self, line: &Line) -> u32 {
        // Blank and bare-sign lines stand everywhere: they must not decide an alignment.
        let weight = if line.wordy { 8 } else { 1 };
        if self.variants.contains(&line.text) {
            weight * 4
        } else if self.keys.contains(&line.key) {
            weight * 3
        } else {
            0
        }
    }

    fn score_alike(&self, line: &Line) -> u32 {
        if self.wordy != line.wordy && !self.free {
            return 0;
        }
        let best = self.bags.iter().map(|bag| likeness(bag, &line.bag)).max().unwrap_or(0);
        if best >= ALIKE { best } else { u32::from(self.free) }
    }
}

/// The slots of one text, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Template {
    slots: Vec<Slot>,
    next: usize,
}

impl Template {
    /// For each line the position of its slot, if it has one.
    fn positions(&self, lines: &[Line]) -> Vec<Option<usize>> {
        let (n, m) = (self.slots.len(), lines.len());
        let exact = |i: usize, j: usize| self.slots[i].variants.contains(&lines[j].text);
        let mut partner = if n.saturating_mul(m) <= MAX_CELLS {
            pair_trimmed(n, m, exact, |i, j| self.slots[i].score_same(&lines[j]))
        } else {
            self.coarse(lines)
        };
        // Inside each replaced block: pair by likeness.
        let mut j = 0;
        let mut lower = 0;
        while j < m {
            if let Some(i) = partner[j] {
                lower = i + 1;
                j += 1;
                continue;
            }
            let end = (j..m).find(|k| partner[*k].is_some()).unwrap_or(m);
            let upper = partner.get(end).copied().flatten().unwrap_or(n);
            let block = pair(upper - lower, end - j, |a, b| self.slots[lower + a].score_alike(&lines[j + b]));
            for (b, a) in block.into_iter().enumerate() {
                partner[j + b] = a.map(|a| lower + a);
            }
            j = end;
        }
        partner
    }

    /// For texts of thousands of lines: a fast difference, good enough where little differs.
    fn coarse(&self, lines: &[Line]) -> Vec<Option<usize>> {
        let old: Vec<u64> = self.slots.iter().map(|s| s.keys.iter().copied().min().unwrap_or(0)).collect();
        let new: Vec<u64> = lines.iter().map(|line| line.key).collect();
        let mut partner = vec![None; lines.len()];
        for op in similar::capture_diff_slices(similar::Algorithm::Myers, &old, &new) {
            if let similar::DiffOp::Equal { old_index, new_index, len } = op {
                for k in 0..len {
                    partner[new_index + k] = Some(old_index + k);
                }
            }
        }
        partner
    }

    /// For each line the id of its slot, if it has one.
    pub(super) fn align(&self, lines: &[Line]) -> Vec<Option<usize>> {
        self.positions(lines).into_iter().map(|position| position.map(|p| self.slots[p].id)).collect()
    }

    /// Aligns and takes the lines in, with new slots for what has none. Gives the id of each line's slot.
    pub(super) fn grow(&mut self, lines: &[Line]) -> Vec<usize> {
        // Most texts are one line that can only stand in one place.
        if let ([slot], [line]) = (&mut self.slots[..], lines)
            && slot.free
        {
            slot.take(line);
            return vec![slot.id];
        }
        let positions = self.positions(lines);
        let mut ids = Vec::with_capacity(lines.len());
        let mut merged = Vec::with_capacity(self.slots.len() + 4);
        let mut old = std::mem::take(&mut self.slots).into_iter().enumerate().peekable();
        for (line, position) in lines.iter().zip(positions) {
            if let Some(position) = position {
                while let Some((at, mut slot)) = old.next_if(|(at, _)| *at <= position) {
                    if at == position {
                        slot.take(line);
                        ids.push(slot.id);
                    }
                    merged.push(slot);
                }
            } else {
                let id = self.next;
                self.next += 1;
                let (variants, keys) = (HashSet::default(), HashSet::default());
                let mut slot = Slot { id, variants, keys, bags: Vec::new(), wordy: line.wordy, free: false };
                slot.take(line);
                ids.push(id);
                merged.push(slot);
            }
        }
        merged.extend(old.map(|(_, slot)| slot));
        self.slots = merged;
        ids
    }

    /// The ids in order.
    pub(super) fn ids(&self) -> impl Iterator<Item = usize> {
        self.slots.iter().map(|slot| slot.id)
    }

    /// Joins neighbouring slots of which each text has exactly one: then there is one place, and what stands there
    /// differs. `texts` has, for each text, the ids of the slots that it fills.
    pub(super) fn join_alternatives(&mut self, texts: &[Vec<usize>]) {
        let fills: Vec<HashSet<usize>> = texts.iter().map(|ids| ids.iter().copied().collect()).collect();
        let slots = std::mem::take(&mut self.slots);
        let mut at = 0;
        while at < slots.len() {
            let mut count = vec![0_u32; fills.len()];
            let mut end = at;
            let mut full = None;
            while end < slots.len() {
                for (n, fill) in count.iter_mut().zip(&fills) {
                    *n += u32::from(fill.contains(&slots[end].id));
                }
                if count.iter().any(|n| *n > 1) || slots[end].wordy != slots[at].wordy {
                    break;
                }
                end += 1;
                if count.iter().all(|n| *n == 1) {
                    full = Some(end);
                    break;
                }
            }
            let end = full.unwrap_or(at + 1);
            let mut slot = slots[at].clone();
            for other in &slots[at + 1..end] {
                slot.variants.extend(other.variants.iter().cloned());
                slot.keys.extend(&other.keys);
                slot.bags.extend(other.bags.iter().take(BAGS.saturating_sub(slot.bags.len())).cloned());
            }
            slot.free |= end > at + 1;
            self.slots.push(slot);
            at = end;
        }
    }

    /// Lets a template of one slot take any line.
    pub(super) fn free_single(&mut self) {
        if let [slot] = &mut self.slots[..] {
            slot.free = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::tests::tokeniser;
    use super::*;

    fn lines(text: &str) -> Vec<Line> {
        let tokeniser = tokeniser(&[]);
        text.split('\n').map(|line| Line::new(line, &tokeniser)).collect()
    }

    #[test]
    fn a_text_of_one_line_has_one_slot_whatever_comes_later() {
        let mut template = Template::default();
        let texts = ["0.713204", "0.698113", "0.7"].map(lines);
        for text in &texts {
            template.grow(text);
            template.free_single();
        }
        let ids: Vec<Vec<usize>> = texts.iter().map(|text| template.grow(text)).collect();
        template.join_alternatives(&ids);
        assert_eq!(template.grow(&lines("14.2 and other words")), ids[0]);
        assert_eq!(template.ids().count(), 1);
    }

    #[test]
    fn an_inserted_line_makes_one_slot() {
        let mut template = Template::default();
        let first = template.grow(&lines("one fish\ntwo fish\n\nred fish"));
        let second = template.grow(&lines("one fish\nsomething new here\ntwo fish\n\nred fish"));
        assert_eq!(second.iter().filter(|id| !first.contains(id)).count(), 1);
        assert_eq!(template.ids().count(), 5);
    }

    #[test]
    fn a_changed_line_keeps_its_slot() {
        let mut template = Template::default();
        let first = template.grow(&lines("# date\nAgent's date is 2026-11-21.\n\nend"));
        let second = template.grow(&lines("# date\nAgent\u{2019}s date is 2026/11/22.\n\nend"));
        assert_eq!(first, second);
    }

    #[test]
    fn alternatives_share_a_slot_and_options_do_not() {
        let texts = ["head\nalpha beta\ntail", "head\ngamma delta\ntail", "head\nepsilon zeta\ntail"];
        let mut template = Template::default();
        let ids: Vec<_> = texts.iter().map(|t| template.grow(&lines(t))).collect();
        template.join_alternatives(&ids);
        assert_eq!(template.ids().count(), 3);
        assert!(template.align(&lines("head\nunheard of\ntail"))[1].is_some(), "any line fits there now");

        let texts = ["head\nalpha beta\ntail", "head\ngamma delta\ntail", "head\ntail"];
        let mut template = Template::default();
        let ids: Vec<_> = texts.iter().map(|t| template.grow(&lines(t))).collect();
        template.join_alternatives(&ids);
        assert_eq!(template.ids().count(), 4, "both may be missing: two causes");
    }

    proptest::proptest! {
        #[test]
        fn every_line_has_a_slot_in_order(texts in proptest::collection::vec("[ab \n]{0,20}", 1..8)) {
            let mut template = Template::default();
            for text in &texts {
                template.grow(&lines(text));
            }
            let order: Vec<usize> = template.ids().collect();
            for text in &texts {
                let ids = template.grow(&lines(text));
                let places: Vec<usize> = ids.iter().map(|id| order.iter().position(|o| o == id).unwrap_or(usize::MAX)).collect();
                proptest::prop_assert!(places.windows(2).all(|w| w[0] < w[1]), "{places:?}");
            }
        }
    }
}
