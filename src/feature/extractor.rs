//! The **extractor**: learns templates from captures, then turns captures into rows.

use std::sync::Arc;

use super::column::Sample;
use super::container::Containers;
use super::context::{Context, Levels};
use super::hash::{HashMap, IndexMap};
use super::kept::{Kept, Shared};
use super::leaf::{Content, Leaf};
use super::model::{Lines, Readout, TextModel};
use super::order::OrderModel;
use super::parts::{Pair, Parts};
use super::slot::ColumnId;
use super::table::Table;
use super::token::Tokeniser;
use super::{Feature, Observation, Row, ValueId};
use crate::capture::Capture;
use crate::cell::Assignment;
use crate::scenario::Scenario;

/// Longest excerpt, in characters.
const EXCERPT: usize = 160;

/// Turns captures into rows. Deterministic: the same captures in the same order give the same features and values.
#[derive(Debug)]
pub struct Extractor {
    scenario: Arc<Scenario>,
    levels: Option<Arc<Levels>>,
    /// Learned captures, until the extractor is frozen. Bodies are shared with whoever else has them.
    learned: Vec<(Assignment, Capture)>,
    /// Their leaves, until their rows are made.
    kept: Kept,
    frozen: bool,
    parts: Parts,
    prepared: Option<Lines>,
    models: HashMap<String, Model>,
    table: Table,
    containers: Containers,
}

#[derive(Debug)]
enum Model {
    Text(TextModel),
    Order(OrderModel),
}

impl Extractor {
    /// An extractor that has seen nothing.
    #[must_use]
    pub fn new(scenario: Arc<Scenario>) -> Self {
        Self {
            scenario,
            levels: None,
            learned: Vec::new(),
            kept: Kept::default(),
            frozen: false,
            parts: Parts::default(),
            prepared: None,
            models: HashMap::default(),
            table: Table::default(),
            containers: Containers::default(),
        }
    }

    /// First pass: lets templates grow by this capture.
    pub fn learn(&mut self, observation: Observation<'_>) {
        self.levels(&observation);
        if !self.frozen {
            self.learned.push((observation.levels.clone(), observation.capture.clone()));
        }
    }

    /// What is derived from the scenario and the first capture's time.
    fn levels(&mut self, observation: &Observation<'_>) -> Arc<Levels> {
        let made = || Arc::new(Levels::new(Arc::clone(&self.scenario), observation.capture.started_unix_ms));
        let levels = Arc::clone(self.levels.get_or_insert_with(made));
        if self.prepared.is_none() {
            self.prepared = Some(Lines::new(Tokeniser::new(levels.texts(), levels.window())));
        }
        levels
    }

    /// Ends the first pass.
    pub fn freeze(&mut self) {
        if self.frozen {
            return;
        }
        self.frozen = true;
        let (Some(levels), Some(prepared)) = (&self.levels, &mut self.prepared) else { return };
        let contexts = contexts(levels, &self.learned);
        let pairs: Vec<Pair<'_>> = self.learned.iter().map(|(_, capture)| capture).zip(&contexts).collect();
        self.parts.prepare(&pairs);
        // The fullest capture first, whatever the order of the runs: what is optional has then a place of its own.
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by_cached_key(|i| fullness(pairs[*i].0));
        let mut kept = Kept::new(pairs.len());
        let ordered: Vec<Pair<'_>> = order.iter().map(|i| pairs[*i]).collect();
        self.parts.in_turn(&ordered, |n, taken| kept.put(order[n], taken));
        // Once more: what came later may have changed what the first ones are taken for.
        for i in &order {
            if let Some(taken) = self.parts.again(pairs[*i], kept.asked(*i)) {
                kept.put(*i, taken);
            }
        }
        let mut gathered: IndexMap<&str, Gathered<'_>> = IndexMap::default();
        let mut place_of: Vec<Option<usize>> = vec![None; kept.heads()];
        for i in order {
            for (head, content) in kept.leaves(i) {
                let place = *place_of[head].get_or_insert_with(|| {
                    let entry = gathered.entry(&kept.of(head).address);
                    let place = entry.index();
                    entry.or_insert_with(|| Gathered::of(kept.of(head).leaf(&content)));
                    place
                });
                if let Some((_, leaf)) = gathered.get_index_mut(place) {
                    leaf.add(i, content);
                }
            }
        }
        let window = prepared.tokeniser.window().clone();
        for (address, leaf) in gathered {
            let model = leaf.learn(prepared, &mut self.table);
            self.models.insert(address.to_owned(), model);
            self.table.decide_many(&contexts, &window);
        }
        self.table.decide(&contexts, &window);
        self.kept = kept;
    }

    /// The rows of the captures that were learned from, in the order in which they were learned; once.
    pub fn learned(&mut self) -> Vec<Row> {
        let (learned, kept) = (std::mem::take(&mut self.learned), std::mem::take(&mut self.kept));
        let Some(levels) = self.levels.clone().filter(|_| self.frozen) else { return Vec::new() };
        let contexts = contexts(&levels, &learned);
        let mut rows = Vec::with_capacity(learned.len());
        for (i, ((_, capture), context)) in learned.iter().zip(&contexts).enumerate() {
            if let Some(taken) = self.parts.again((capture, context), kept.asked(i)) {
                rows.push(self.row(&taken.leaves, context));
                continue;
            }
            let mut row = Row::new();
            for (head, content) in kept.leaves(i) {
                let head = kept.of(head);
                self.write(&head.address, &Given::kept(&content), context, &mut row, || head.leaf(&content));
            }
            self.containers.update(&self.table.features);
            rows.push(row);
        }
        rows
    }

    /// Second pass, and every later capture: this capture's values.
    pub fn extract(&mut self, observation: Observation<'_>) -> Row {
        self.extract_all(&[observation]).pop().unwrap_or_default()
    }

    /// The same for several captures, in this order.
    pub fn extract_all(&mut self, observations: &[Observation<'_>]) -> Vec<Row> {
        let Some(first) = observations.first() else { return Vec::new() };
        let levels = self.levels(first);
        let contexts: Vec<Context> = observations.iter().map(|o| Context::new(&levels, o)).collect();
        let pairs: Vec<Pair<'_>> = observations.iter().map(|o| o.capture).zip(&contexts).collect();
        let mut rows = Vec::with_capacity(pairs.len());
        let mut parts = std::mem::take(&mut self.parts);
        parts.in_turn(&pairs, |n, taken| rows.push(self.row(&taken.leaves, &contexts[n])));
        self.parts = parts;
        rows
    }

    fn row(&mut self, leaves: &[Leaf], context: &Context) -> Row {
        let mut row = Row::new();
        for leaf in leaves {
            self.write(&leaf.address, &Given::of(&leaf.content), context, &mut row, || leaf.clone());
        }
        self.containers.update(&self.table.features);
        row
    }

    /// Writes what stands at an address into a row.
    fn write(
        &mut self,
        address: &str,
        content: &Given<'_>,
        context: &Context,
        row: &mut Row,
        leaf: impl FnOnce() -> Leaf,
    ) {
        let Self { models, table, prepared: Some(prepared), .. } = self else { return };
        let model = if let Some(model) = models.get_mut(address) {
            model
        } else {
            let made = Model::unseen(&leaf(), context, prepared, table);
            models.entry(address.to_owned()).or_insert(made)
        };
        for (column, text) in model.read(content, context, prepared, table).iter() {
            let plan = &table.column(*column).plan;
            if plan.is_plain() {
                table.write_plain(row, *column, text);
            } else {
                let reading = plan.read(&Sample { text, context }, prepared.tokeniser.window());
                table.write(row, *column, &reading, context);
            }
        }
    }

    /// For each feature the one that is absent where what it stands in (its request) was not sent.
    #[must_use]
    pub fn containers(&self) -> &[Option<usize>] {
        self.containers.of()
    }

    /// The features known so far, in a stable order; indices never change.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.table.features
    }

    /// The text of a value: what a rule or an excerpt shows.
    #[must_use]
    pub fn value(&self, id: ValueId) -> &str {
        self.table.value(id)
    }

    /// A short raw excerpt (at most 160 characters) of the place where `feature` has its value in this capture: the
    /// line of text, the header line, the request line. `None` where the capture lacks it.
    #[must_use]
    pub fn excerpt(&self, feature: usize, observation: Observation<'_>) -> Option<String> {
        let (column, _) = *self.table.origins.get(feature)?;
        let (Some(levels), Some(prepared)) = (&self.levels, &self.prepared) else { return None };
        let (address, model) = self.models.iter().find(|(_, model)| model.has(column))?;
        let context = Context::new(levels, &observation);
        let leaves = self.parts.peek((observation.capture, &context));
        let leaf = leaves.into_iter().find(|leaf| leaf.address == *address)?;
        match (model, leaf.content) {
            (Model::Text(model), Content::Text(text)) => {
                let (line, at) = model.locate(column, &text, prepared)?;
                Some(window(&line, at))
            }
            (Model::Order(_), Content::Order(names)) => Some(window(&names.join(" "), 0)),
            _ => None,
        }
    }
}

impl Model {
    fn unseen(leaf: &Leaf, context: &Context, prepared: &Lines, table: &mut Table) -> Self {
        match &leaf.content {
            Content::Text(_) => Self::Text(TextModel::unseen(leaf, table)),
            Content::Order(names) => {
                let model = OrderModel::learn(leaf, &[(0, names)], table);
                table.decide(std::slice::from_ref(context), prepared.tokeniser.window());
                Self::Order(model)
            }
        }
    }

    fn read(&mut self, content: &Given<'_>, context: &Context, prepared: &mut Lines, table: &mut Table) -> Readout {
        match (self, content) {
            (Self::Text(model), Given::Text(text)) => model.read(text, context, prepared, table),
            (Self::Order(model), Given::Order(names)) => {
                model.read(names, table).into_iter().map(|(column, text)| (column, text.into())).collect()
            }
            _ => Readout::from([]),
        }
    }

    fn has(&self, column: ColumnId) -> bool {
        match self {
            Self::Text(model) => model.columns().any(|own| own == column),
            Self::Order(model) => model.has(column),
        }
    }
}

/// What stands at a leaf, wherever it is kept.
enum Given<'a> {
    Text(&'a str),
    Order(&'a [String]),
}

impl<'a> Given<'a> {
    fn of(content: &'a Content) -> Self {
        match content {
            Content::Text(text) => Self::Text(text),
            Content::Order(names) => Self::Order(names),
        }
    }

    fn kept(content: &Shared<'a>) -> Self {
        match content {
            Shared::Text(text) => Self::Text(text),
            Shared::Order(names) => Self::Order(names),
        }
    }
}

/// One leaf over all learned captures.
struct Gathered<'a> {
    leaf: Leaf,
    texts: Vec<(usize, Arc<str>)>,
    orders: Vec<(usize, &'a [String])>,
}

impl<'a> Gathered<'a> {
    fn of(leaf: Leaf) -> Self {
        Self { leaf, texts: Vec::new(), orders: Vec::new() }
    }

    fn add(&mut self, capture: usize, content: Shared<'a>) {
        match content {
            Shared::Text(text) => self.texts.push((capture, Arc::clone(text))),
            Shared::Order(names) => self.orders.push((capture, names)),
        }
    }

    fn learn(mut self, prepared: &mut Lines, table: &mut Table) -> Model {
        self.texts.sort_by_key(|(capture, _)| *capture);
        self.orders.sort_by_key(|(capture, _)| *capture);
        if self.orders.is_empty() {
            Model::Text(TextModel::learn(&self.leaf, &self.texts, prepared, table))
        } else {
            Model::Order(OrderModel::learn(&self.leaf, &self.orders, table))
        }
    }
}

/// What the learned captures were made under.
fn contexts(levels: &Arc<Levels>, learned: &[(Assignment, Capture)]) -> Vec<Context> {
    let context = |(own, capture): &(Assignment, Capture)| Context::new(levels, &Observation { levels: own, capture });
    learned.iter().map(context).collect()
}

/// Orders captures, the fullest first, by nothing but their contents.
fn fullness(capture: &Capture) -> (std::cmp::Reverse<(usize, usize)>, Vec<String>) {
    let bytes = capture.exchanges.iter().map(|exchange| exchange.body.bytes.len()).sum();
    let digests =
        capture.exchanges.iter().map(|e| format!("{} {} {:?}", e.body.sha256(), e.target, e.headers)).collect();
    (std::cmp::Reverse((capture.exchanges.len(), bytes)), digests)
}

/// At most [`EXCERPT`] characters of a line around a byte.
fn window(line: &str, at: usize) -> String {
    let before = line.get(..at).map_or(0, |head| head.chars().count());
    let length = line.chars().count();
    if length <= EXCERPT {
        return line.to_owned();
    }
    let inner = EXCERPT - 2;
    let start = before.saturating_sub(inner / 2).min(length - inner);
    let middle: String = line.chars().skip(start).take(inner).collect();
    let (head, tail) = (if start > 0 { "\u{2026}" } else { "" }, if start + inner < length { "\u{2026}" } else { "" });
    format!("{head}{middle}{tail}")
}
