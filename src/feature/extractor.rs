//! The **extractor**: learns templates from captures, then turns captures into rows.

use std::sync::Arc;

use super::column::Sample;
use super::container::Containers;
use super::context::{Context, Levels};
use super::hash::{HashMap, HashSet, IndexMap};
use super::leaf::{Content, Leaf};
use super::model::{Lines, Readout, TextModel};
use super::order::OrderModel;
use super::process;
use super::request::Requests;
use super::slot::ColumnId;
use super::table::Table;
use super::token::Tokeniser;
use super::transport::Names;
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
    frozen: bool,
    parts: Parts,
    prepared: Option<Lines>,
    models: HashMap<String, Model>,
    table: Table,
    containers: Containers,
}

/// What takes a capture apart.
#[derive(Clone, Debug, Default)]
struct Parts {
    requests: Requests,
    names: Names,
}

#[derive(Debug)]
enum Model {
    Text(TextModel),
    Order(OrderModel),
}

impl Parts {
    /// All leaves of a capture, each address once.
    fn leaves(&mut self, capture: &Capture, context: &Context) -> Vec<Leaf> {
        let mut out = Vec::new();
        process::leaves(capture, &mut out);
        self.requests.leaves(capture, context, &mut out);
        self.names.leaves(capture, context, &mut out);
        let mut seen: HashSet<&str> =
            HashSet::with_capacity_and_hasher(out.len(), foldhash::fast::RandomState::default());
        let first: Vec<bool> = out.iter().map(|leaf| seen.insert(&leaf.address)).collect();
        if first.contains(&false) {
            let mut first = first.into_iter();
            out.retain(|_| first.next().unwrap_or(true));
        }
        out
    }
}

impl Extractor {
    /// An extractor that has seen nothing.
    #[must_use]
    pub fn new(scenario: Arc<Scenario>) -> Self {
        Self {
            scenario,
            levels: None,
            learned: Vec::new(),
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
        let learned = std::mem::take(&mut self.learned);
        let (Some(levels), Some(prepared)) = (&self.levels, &mut self.prepared) else { return };
        let observations: Vec<Observation<'_>> =
            learned.iter().map(|(levels, capture)| Observation { levels, capture }).collect();
        let contexts: Vec<Context> = observations.iter().map(|o| Context::new(levels, o)).collect();
        let pairs = || learned.iter().map(|(_, capture)| capture).zip(&contexts);
        self.parts.requests.prepare(pairs());
        self.parts.names.prepare(pairs());
        // The fullest capture first, whatever the order of the runs: what is optional has then a place of its own.
        let mut order: Vec<usize> = (0..learned.len()).collect();
        order.sort_by_cached_key(|i| fullness(&learned[*i].1));
        for i in &order {
            self.parts.leaves(&learned[*i].1, &contexts[*i]);
        }
        let mut texts: HashSet<Arc<str>> = HashSet::default();
        let mut gathered: IndexMap<String, Gathered> = IndexMap::default();
        for i in order {
            for leaf in self.parts.leaves(&learned[i].1, &contexts[i]) {
                gathered.entry(leaf.address.clone()).or_insert_with(|| Gathered::of(&leaf)).add(i, leaf, &mut texts);
            }
        }
        for (address, leaf) in gathered {
            let model = leaf.learn(&contexts, prepared, &mut self.table);
            self.models.insert(address, model);
        }
    }

    /// Second pass, and every later capture: this capture's values.
    pub fn extract(&mut self, observation: Observation<'_>) -> Row {
        let levels = self.levels(&observation);
        let context = Context::new(&levels, &observation);
        let mut row = Row::new();
        let Some(prepared) = &mut self.prepared else { return row };
        for leaf in self.parts.leaves(observation.capture, &context) {
            let model = if let Some(model) = self.models.get_mut(&leaf.address) {
                model
            } else {
                let made = Model::unseen(&leaf, &context, prepared, &mut self.table);
                self.models.entry(leaf.address.clone()).or_insert(made)
            };
            for (column, text) in model.read(&leaf.content, &context, prepared, &mut self.table).iter() {
                let plan = &self.table.column(*column).plan;
                if plan.is_plain() {
                    self.table.write_plain(&mut row, *column, text);
                } else {
                    let reading = plan.read(&Sample { text, context: &context }, prepared.tokeniser.window());
                    self.table.write(&mut row, *column, &reading, &context);
                }
            }
        }
        self.containers.update(&self.table.features);
        row
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
        // Taking a capture apart may meet something new, which must not stay.
        let leaves = self.parts.clone().leaves(observation.capture, &context);
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
                let contexts = std::slice::from_ref(context);
                Self::Order(OrderModel::learn(leaf, &[(0, names.clone())], contexts, &prepared.tokeniser, table))
            }
        }
    }

    fn read(&mut self, content: &Content, context: &Context, prepared: &mut Lines, table: &mut Table) -> Readout {
        match (self, content) {
            (Self::Text(model), Content::Text(text)) => model.read(text, context, prepared, table),
            (Self::Order(model), Content::Order(names)) => {
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

/// One leaf over all learned captures.
struct Gathered {
    leaf: Leaf,
    texts: Vec<(usize, Arc<str>)>,
    orders: Vec<(usize, Vec<String>)>,
}

impl Gathered {
    fn of(leaf: &Leaf) -> Self {
        Self { leaf: leaf.clone(), texts: Vec::new(), orders: Vec::new() }
    }

    fn add(&mut self, capture: usize, leaf: Leaf, known: &mut HashSet<Arc<str>>) {
        match leaf.content {
            Content::Text(text) => {
                let shared = if let Some(shared) = known.get(text.as_str()) {
                    Arc::clone(shared)
                } else {
                    let made: Arc<str> = text.into();
                    known.insert(Arc::clone(&made));
                    made
                };
                self.texts.push((capture, shared));
            }
            Content::Order(names) => self.orders.push((capture, names)),
        }
    }

    fn learn(mut self, contexts: &[Context], prepared: &mut Lines, table: &mut Table) -> Model {
        self.texts.sort_by_key(|(capture, _)| *capture);
        self.orders.sort_by_key(|(capture, _)| *capture);
        if self.orders.is_empty() {
            Model::Text(TextModel::learn(&self.leaf, &self.texts, contexts, prepared, table))
        } else {
            Model::Order(OrderModel::learn(&self.leaf, &self.orders, contexts, &prepared.tokeniser, table))
        }
    }
}

/// Orders captures, the fullest first, by nothing but their contents.
fn fullness(capture: &Capture) -> (std::cmp::Reverse<(usize, usize)>, Vec<String>) {
    let bytes = capture.exchanges.iter().map(|exchange| exchange.body.bytes.len()).sum();
    let digests = capture.exchanges.iter().map(|e| format!("{} {} {:?}", e.body.sha256, e.target, e.headers)).collect();
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
