//! The **model** of a text leaf: its line template and the readers of its slots, learned from every capture's text.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use super::align::{Line, Template};
use super::context::Context;
use super::hash::HashMap;
use super::leaf::{Leaf, lines};
use super::mask;
use super::slot::{ColumnId, Skeleton, SlotReader, skeleton};
use super::table::Table;
use super::token::{Sort, Tokeniser};
use super::{Channel, FeatureKind};

/// Bytes of lines that are kept prepared. What is random in every capture must not fill the memory.
const KEPT_LINES: usize = 64 << 20;
/// Texts of a leaf whose readouts are kept.
const KEPT_READOUTS: usize = 2048;

/// Prepared lines, each prepared once.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) tokeniser: Tokeniser,
    known: HashMap<Box<str>, Line>,
    bytes: usize,
}

impl Lines {
    /// Nothing prepared yet.
    pub(super) fn new(tokeniser: Tokeniser) -> Self {
        Self { tokeniser, known: HashMap::default(), bytes: 0 }
    }

    fn of(&mut self, text: &str) -> Vec<Line> {
        lines(text)
            .map(|line| {
                if let Some(known) = self.known.get(line) {
                    known.clone()
                } else {
                    let made = Line::new(line, &self.tokeniser);
                    // The text twice, and about as much again for its tokens.
                    if self.bytes < KEPT_LINES {
                        self.bytes += 4 * line.len() + 128;
                        self.known.insert(line.into(), made.clone());
                    }
                    made
                }
            })
            .collect()
    }
}

/// What a text said, column by column.
pub(super) type Readout = Arc<[(ColumnId, Arc<str>)]>;

/// The model of one text leaf.
#[derive(Debug)]
pub(super) struct TextModel {
    head: Head,
    template: Template,
    readers: HashMap<usize, SlotReader>,
    /// Says that the leaf is there, whatever stands in it.
    presence: ColumnId,
    /// Readouts of texts that were met, by digest.
    cache: HashMap<u64, Readout>,
}

/// What all columns of a leaf share.
#[derive(Clone, Debug)]
struct Head {
    address: String,
    place: String,
    channel: Channel,
    kind: FeatureKind,
}

impl Head {
    fn of(leaf: &Leaf) -> Self {
        let Leaf { address, place, channel, kind, .. } = leaf.clone();
        Self { address, place, channel, kind }
    }

    /// What is a property of a text is no part of the structure: that it is there is told as what it is.
    fn presence(&self, table: &mut Table) -> ColumnId {
        let kind = if self.kind == FeatureKind::Signature { self.kind.clone() } else { FeatureKind::Presence };
        self.add(table, " presence", "", kind)
    }

    fn add(&self, table: &mut Table, suffix: &str, place: &str, kind: FeatureKind) -> ColumnId {
        table.add(format!("{}{suffix}", self.address), format!("{}{place}", self.place), self.channel, kind)
    }
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn label(text: &str) -> String {
    let masked = mask::masked(text.trim());
    let mut label: String = masked.chars().take(40).collect();
    if label.len() < masked.len() {
        label.push('\u{2026}');
    }
    label
}

/// What a slot's lines were over the learned captures.
struct Seen<'a> {
    /// Line text → captures (by index into the samples).
    variants: BTreeMap<Arc<str>, Vec<usize>>,
    samples: &'a [(usize, Arc<str>)],
}

impl Seen<'_> {
    fn captures(&self) -> usize {
        self.variants.values().map(Vec::len).sum()
    }

    /// What decides a column's plan: its text in each variant, capture by capture.
    fn texts(&self, texts: &BTreeMap<&Arc<str>, Arc<str>>) -> Vec<(Arc<str>, usize)> {
        let of_variant = |(line, captures): (&Arc<str>, &Vec<usize>)| {
            let text = &texts[line];
            captures.iter().map(|i| (Arc::clone(text), self.samples[*i].0)).collect::<Vec<_>>()
        };
        self.variants.iter().flat_map(of_variant).collect()
    }
}

impl TextModel {
    /// Learns a leaf from all captures that have it: `samples` are (number of the capture, text). The table has then the
    /// columns, whose plans are still to be decided.
    pub(super) fn learn(leaf: &Leaf, samples: &[(usize, Arc<str>)], prepared: &mut Lines, table: &mut Table) -> Self {
        let head = Head::of(leaf);
        let presence = head.presence(table);
        let mut users: HashMap<&Arc<str>, Vec<usize>> = HashMap::default();
        for (i, (_, text)) in samples.iter().enumerate() {
            users.entry(text).or_default().push(i);
        }
        // The fullest text first: options then have slots of their own before a text lacks one of them.
        let mut texts: Vec<(&Arc<str>, Vec<Line>)> = users.keys().map(|text| (*text, prepared.of(text))).collect();
        texts.sort_by(|(a, x), (b, y)| y.len().cmp(&x.len()).then_with(|| a.cmp(b)));
        let mut template = Template::default();
        let single = texts.iter().all(|(_, lines)| lines.len() <= 1);
        for _pass in 0..2 {
            for (_, lines) in &texts {
                template.grow(lines);
                if single {
                    // A text of one line is one place, whatever stands there.
                    template.free_single();
                }
            }
        }
        if texts.len() > 1 {
            let ids: Vec<Vec<usize>> =
                texts.iter().map(|(_, l)| template.align(l).into_iter().flatten().collect()).collect();
            template.join_alternatives(&ids);
        }
        let mut seen: HashMap<usize, BTreeMap<Arc<str>, Vec<usize>>> = HashMap::default();
        for (text, lines) in &texts {
            for (line, id) in lines.iter().zip(template.grow(lines)) {
                let captures = seen.entry(id).or_default().entry(Arc::clone(&line.text)).or_default();
                captures.extend(&users[*text]);
            }
        }
        let mut model = Self { head, template, readers: HashMap::default(), presence, cache: HashMap::default() };
        let order: Vec<usize> = model.template.ids().collect();
        for (n, id) in order.iter().enumerate() {
            let Some(variants) = seen.remove(id) else { continue };
            let slot = Seen { variants, samples };
            let line = (order.len() > 1).then_some(n + 1);
            let reader = model.head.reader(&slot, line, &prepared.tokeniser, table);
            model.readers.insert(*id, reader);
        }
        model
    }

    /// A model for a leaf that no learned capture had.
    pub(super) fn unseen(leaf: &Leaf, table: &mut Table) -> Self {
        let head = Head::of(leaf);
        let presence = head.presence(table);
        let (template, readers, cache) = (Template::default(), HashMap::default(), HashMap::default());
        Self { head, template, readers, presence, cache }
    }

    /// Reads a text. Lines that no slot takes make new ones.
    pub(super) fn read(&mut self, text: &str, context: &Context, prepared: &mut Lines, table: &mut Table) -> Readout {
        let key = digest(text);
        if let Some(known) = self.cache.get(&key) {
            return Arc::clone(known);
        }
        let lines = prepared.of(text);
        let mut out: Vec<(ColumnId, Arc<str>)> = vec![(self.presence, "present".into())];
        let first = self.template.ids().next().is_none();
        let ids = self.template.grow(&lines);
        if first && lines.len() == 1 {
            self.template.free_single();
        }
        for (n, (line, id)) in lines.iter().zip(ids).enumerate() {
            let reader = if let Some(reader) = self.readers.get(&id) {
                reader
            } else {
                // Met after the learning: this capture alone says how it is read.
                let variants = BTreeMap::from([(Arc::clone(&line.text), vec![0])]);
                let samples = [(0, Arc::clone(&line.text))];
                let slot = Seen { variants, samples: &samples };
                let number = (lines.len() > 1).then_some(n + 1);
                let reader = self.head.reader(&slot, number, &prepared.tokeniser, table);
                table.decide(std::slice::from_ref(context), prepared.tokeniser.window());
                self.readers.entry(id).or_insert(reader)
            };
            match reader {
                SlotReader::Whole(column) => out.push((*column, Arc::clone(&line.text))),
                SlotReader::Gaps(skeleton) => out.extend(skeleton.read(&line.text, &prepared.tokeniser)),
            }
        }
        let readout: Readout = out.into();
        if self.cache.len() < KEPT_READOUTS {
            self.cache.insert(key, Arc::clone(&readout));
        }
        readout
    }

    /// The raw line in which a column has its value, with the byte where that begins. `None` if the text has none.
    pub(super) fn locate(&self, column: ColumnId, text: &str, prepared: &Lines) -> Option<(String, usize)> {
        let list: Vec<Line> = lines(text).map(|line| Line::new(line, &prepared.tokeniser)).collect();
        if column == self.presence {
            return Some((list.iter().find(|l| !l.text.trim().is_empty()).map_or("", |l| &l.text).to_owned(), 0));
        }
        for (line, id) in list.iter().zip(self.template.align(&list)) {
            match id.and_then(|id| self.readers.get(&id)) {
                Some(SlotReader::Whole(own)) if *own == column => return Some((line.text.to_string(), 0)),
                Some(SlotReader::Gaps(skeleton)) => {
                    if skeleton.rest == column {
                        return Some((line.text.to_string(), 0));
                    }
                    if let Some(gap) = skeleton.columns.iter().position(|c| *c == Some(column)) {
                        let at = skeleton.cut(&line.text, &prepared.tokeniser).gaps[gap].0;
                        return Some((line.text.to_string(), at));
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Whether a column is this leaf's.
    pub(super) fn columns(&self) -> impl Iterator<Item = ColumnId> {
        let of_reader = |reader: &SlotReader| match reader {
            SlotReader::Whole(column) => vec![*column],
            SlotReader::Gaps(skeleton) => skeleton.columns.iter().flatten().copied().chain([skeleton.rest]).collect(),
        };
        self.readers.values().flat_map(of_reader).chain([self.presence])
    }
}

impl Head {
    /// Makes the reader of a slot, with its columns and their plans.
    fn reader(&self, seen: &Seen<'_>, line: Option<usize>, tokeniser: &Tokeniser, table: &mut Table) -> SlotReader {
        let variants: Vec<Arc<str>> = seen.variants.keys().cloned().collect();
        let alone = seen.captures() <= 1;
        let optional = seen.captures() < seen.samples.len();
        let unstable = |sort: Sort| sort == Sort::Moment || alone && matches!(sort, Sort::Opaque(_));
        let cut_up = variants.len() > 1 || tokeniser.tokens(&variants[0]).iter().any(|t| unstable(t.sort));
        // A number is one thing: its digits are no tokens.
        let numeric = self.kind == FeatureKind::Json && variants.iter().all(|text| mask::is_number(text));
        let common = if cut_up && !numeric { skeleton(&variants, tokeniser, alone) } else { Vec::new() };
        let numbered = line.map(|n| format!(" \u{b7} line {n}")).unwrap_or_default();
        if !common.iter().any(|token| token.chars().any(char::is_alphanumeric)) {
            let suffix = line.map(|_| format!(" line {:?}", label(&variants[0]))).unwrap_or_default();
            let kind = if optional && variants.len() == 1 { FeatureKind::Presence } else { self.kind.clone() };
            let column = self.add(table, &suffix, &numbered, kind);
            let texts = seen.variants.keys().map(|line| (line, Arc::clone(line))).collect();
            table.plan(column, seen.texts(&texts));
            return SlotReader::Whole(column);
        }
        let cuts: BTreeMap<&Arc<str>, _> =
            seen.variants.keys().map(|line| (line, super::slot::cut(line, &common, tokeniser))).collect();
        let gap = |line: &Arc<str>, k: usize| -> Arc<str> { cuts[line].gaps[k].1.as_str().into() };
        let usual: Vec<Arc<str>> = (0..=common.len()).map(|k| gap(&variants[0], k)).collect();
        let joined: String = common.iter().map(|t| &**t).collect();
        let suffix = line.map(|_| format!(" line {:?}", label(&joined))).unwrap_or_default();
        // Says that the line is there and, should that ever happen, how it departs from all lines seen before.
        let rest_kind = if optional { FeatureKind::Presence } else { self.kind.clone() };
        let rest = self.add(table, &format!("{suffix} otherwise"), &numbered, rest_kind);
        let mut skeleton = Skeleton::new(common, usual, rest);
        let mut ordinal = 0;
        for k in 0..skeleton.columns.len() {
            let texts: BTreeMap<&Arc<str>, Arc<str>> = seen.variants.keys().map(|line| (line, gap(line, k))).collect();
            let moving = |text: &Arc<str>| tokeniser.tokens(text).iter().any(|t| unstable(t.sort));
            let first = &texts[&variants[0]];
            if texts.values().all(|text| text == first) && !moving(first) {
                continue;
            }
            let after = skeleton.word_before(k).map(|word| format!(" \u{b7} after {word:?}")).unwrap_or_default();
            let column =
                self.add(table, &format!("{suffix} gap {ordinal}"), &format!("{numbered}{after}"), self.kind.clone());
            table.plan(column, seen.texts(&texts));
            skeleton.columns[k] = Some(column);
            ordinal += 1;
        }
        SlotReader::Gaps(skeleton)
    }
}
