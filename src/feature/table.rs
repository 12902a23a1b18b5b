//! The **table**'s head: columns, the features that they give, and interned values.

use std::sync::Arc;

use rayon::prelude::*;

use super::column::{Plan, Reading, Sample};
use super::context::Context;
use super::date::Window;
use super::hash::HashMap;
use super::signature::Part;
use super::slot::ColumnId;
use super::{Channel, Feature, FeatureKind, Row, ValueId};

/// One place that is read from every capture.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) address: String,
    pub(super) place: String,
    pub(super) channel: Channel,
    pub(super) kind: FeatureKind,
    pub(super) plan: Plan,
    /// Features that were met so far.
    features: Vec<(Aspect, usize)>,
}

/// What of a reading a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aspect {
    /// The text that is left.
    Text,
    /// The formats of dates.
    Format,
    /// The values of dates.
    Shift,
    /// A level that stands there.
    Echo(usize),
    /// The form of what is random.
    Shape,
    /// A part of the text's signature.
    Signature(Part),
}

/// Samples of columns whose plans are decided at once.
const AT_ONCE: usize = 1 << 18;

/// A column's texts, each with the number of its capture, until its plan is decided.
#[derive(Debug)]
struct Undecided {
    column: ColumnId,
    samples: Vec<(Arc<str>, usize)>,
}

/// Columns, features and values. A feature is made when its first value is met.
#[derive(Debug, Default)]
pub(super) struct Table {
    columns: Vec<Column>,
    undecided: Vec<Undecided>,
    pub(super) features: Vec<Feature>,
    /// The column and the aspect of each feature.
    pub(super) origins: Vec<(ColumnId, Aspect)>,
    values: Vec<String>,
    ids: HashMap<String, ValueId>,
    addresses: HashMap<String, usize>,
}

impl Table {
    /// Adds a column. An address that is taken is numbered.
    pub(super) fn add(&mut self, address: String, place: String, channel: Channel, kind: FeatureKind) -> ColumnId {
        let n = self.addresses.entry(address.clone()).or_default();
        *n += 1;
        let address = if *n == 1 { address } else { format!("{address} ~{n}") };
        self.columns.push(Column { address, place, channel, kind, plan: Plan::default(), features: Vec::new() });
        self.columns.len() - 1
    }

    /// A column.
    pub(super) fn column(&self, id: ColumnId) -> &Column {
        &self.columns[id]
    }

    /// Notes the texts by which a column's plan is to be decided.
    pub(super) fn plan(&mut self, column: ColumnId, samples: Vec<(Arc<str>, usize)>) {
        self.undecided.push(Undecided { column, samples });
    }

    /// Decides the plans that are not decided yet, where there are many of them. No plan depends on another.
    pub(super) fn decide_many(&mut self, contexts: &[Context], window: &Window) {
        if self.undecided.iter().map(|one| one.samples.len()).sum::<usize>() >= AT_ONCE {
            self.decide(contexts, window);
        }
    }

    /// Decides the plans that are not decided yet.
    pub(super) fn decide(&mut self, contexts: &[Context], window: &Window) {
        let undecided = std::mem::take(&mut self.undecided);
        let plan = |Undecided { column, samples }: Undecided| {
            let samples: Vec<Sample<'_>> =
                samples.iter().map(|(text, capture)| Sample { text, context: &contexts[*capture] }).collect();
            (column, Plan::decide(&samples, contexts, window))
        };
        let plans: Vec<(ColumnId, Plan)> = match undecided.len() {
            0 => return,
            1 => undecided.into_iter().map(plan).collect(),
            _ => undecided.into_par_iter().map(plan).collect(),
        };
        for (column, plan) in plans {
            self.columns[column].plan = plan;
        }
    }

    /// A value's text.
    pub(super) fn value(&self, id: ValueId) -> &str {
        &self.values[id.0 as usize]
    }

    /// Writes a column's plain text into a row.
    pub(super) fn write_plain(&mut self, row: &mut Row, id: ColumnId, text: &str) {
        self.put(row, id, Aspect::Text, "", text);
    }

    /// Writes a column's reading into a row.
    pub(super) fn write(&mut self, row: &mut Row, id: ColumnId, reading: &Reading, context: &Context) {
        self.put(row, id, Aspect::Text, "", &reading.text);
        if let Some(formats) = &reading.formats {
            self.put(row, id, Aspect::Format, "", formats);
        }
        if let Some(shifts) = &reading.shifts {
            self.put(row, id, Aspect::Shift, "", shifts);
        }
        let is_order = matches!(self.columns[id].kind, FeatureKind::Order | FeatureKind::Sequence);
        // A random order has no form.
        if let Some(shape) = reading.shape.as_ref().filter(|_| !is_order) {
            self.put(row, id, Aspect::Shape, "", shape);
        }
        for (part, value) in reading.signature.iter().filter(|_| !is_order) {
            self.put(row, id, Aspect::Signature(*part), "", value);
        }
        for factor in &reading.echoes {
            let name = context.placeholder(*factor);
            self.put(row, id, Aspect::Echo(*factor), &name, context.label(*factor));
        }
    }

    fn put(&mut self, row: &mut Row, id: ColumnId, aspect: Aspect, echo: &str, text: &str) {
        let feature = self.feature(id, aspect, echo);
        let value = if let Some(value) = self.ids.get(text) {
            *value
        } else {
            let value = ValueId(u32::try_from(self.values.len()).unwrap_or(u32::MAX));
            self.values.push(text.to_owned());
            self.ids.insert(text.to_owned(), value);
            value
        };
        if row.len() <= feature {
            row.resize(feature + 1, None);
        }
        row[feature] = Some(value);
    }

    fn feature(&mut self, id: ColumnId, aspect: Aspect, echo: &str) -> usize {
        let column = &mut self.columns[id];
        if let Some((_, feature)) = column.features.iter().find(|(known, _)| *known == aspect) {
            return *feature;
        }
        let (suffix, kind) = match aspect {
            Aspect::Text => (String::new(), column.kind.clone()),
            Aspect::Format => (String::from(" date format"), FeatureKind::DateFormat),
            Aspect::Shift => (String::from(" date"), FeatureKind::LocalDate),
            Aspect::Echo(factor) => (format!(" echo {echo}"), FeatureKind::Echo { factor }),
            Aspect::Shape => (String::from(" shape"), FeatureKind::Shape),
            Aspect::Signature(part) => (format!(" {}", part.name()), FeatureKind::Signature),
        };
        let place = match aspect {
            Aspect::Signature(part) => format!("{} \u{b7} {}", column.place, part.name()),
            _ => column.place.clone(),
        };
        let feature = self.features.len();
        self.features.push(Feature { id: format!("{}{suffix}", column.address), channel: column.channel, place, kind });
        self.origins.push((id, aspect));
        column.features.push((aspect, feature));
        feature
    }
}
