//! The **model of an order**: of header names, JSON keys, requests. What is in every capture has one order among itself;
//! what is optional says only what it follows, so that two optional names with two causes stay two features.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::hash::{HashMap, HashSet};
use super::leaf::Leaf;
use super::slot::ColumnId;
use super::table::Table;
use super::{Channel, FeatureKind};

/// The model of one sequence of names.
#[derive(Debug)]
pub(super) struct OrderModel {
    address: String,
    place: String,
    channel: Channel,
    kind: FeatureKind,
    /// Names in every learned capture that has the sequence.
    common: HashSet<String>,
    /// Their commonest order.
    usual: Vec<String>,
    column: ColumnId,
    optional: HashMap<String, ColumnId>,
}

impl OrderModel {
    /// Learns from all captures that have the sequence: `samples` are (number of the capture, names). The table has then the
    /// columns, whose plans are still to be decided.
    pub(super) fn learn(leaf: &Leaf, samples: &[(usize, &[String])], table: &mut Table) -> Self {
        let mut common: HashSet<String> =
            samples.first().map(|(_, names)| names.iter().cloned().collect()).unwrap_or_default();
        for (_, names) in samples {
            common.retain(|name| names.contains(name));
        }
        let mut orders: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        for (_, names) in samples {
            *orders.entry(names.iter().filter(|n| common.contains(*n)).cloned().collect()).or_default() += 1;
        }
        let mut usual = Vec::new();
        let mut most = 0;
        for (order, n) in orders {
            if n > most {
                (usual, most) = (order, n);
            }
        }
        let column = table.add(leaf.address.clone(), leaf.place.clone(), leaf.channel, leaf.kind.clone());
        let (address, place, channel, kind) =
            (leaf.address.clone(), leaf.place.clone(), leaf.channel, leaf.kind.clone());
        let mut model = Self { address, place, channel, kind, common, usual, column, optional: HashMap::default() };
        // First all texts, then their plans: a random order is random here too.
        let mut texts: BTreeMap<ColumnId, Vec<(Arc<str>, usize)>> = BTreeMap::new();
        for (capture, names) in samples {
            for (column, text) in model.read(names, table) {
                texts.entry(column).or_default().push((text.into(), *capture));
            }
        }
        for (column, texts) in texts {
            table.plan(column, texts);
        }
        model
    }

    /// Reads a sequence.
    pub(super) fn read(&mut self, names: &[String], table: &mut Table) -> Vec<(ColumnId, String)> {
        let present: Vec<&String> = names.iter().filter(|name| self.common.contains(*name)).collect();
        // What is missing for once is told by its own feature; the order is as usual unless what is there says otherwise.
        let mut rest = self.usual.iter();
        let as_usual = present.iter().all(|name| rest.any(|usual| usual == *name));
        let text = if as_usual {
            self.usual.join(" ")
        } else {
            present.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" ")
        };
        let mut out = vec![(self.column, text)];
        let mut last = None;
        for name in names {
            if self.common.contains(name) {
                last = Some(name);
                continue;
            }
            let column = if let Some(column) = self.optional.get(name) {
                *column
            } else {
                let address = format!("{} of {name}", self.address);
                let place = format!("{} \u{b7} {name}", self.place);
                let column = table.add(address, place, self.channel, self.kind.clone());
                self.optional.insert(name.clone(), column);
                column
            };
            out.push((column, last.map_or_else(|| String::from("first"), |last| format!("after {last}"))));
        }
        out
    }

    /// Whether a column is this sequence's.
    pub(super) fn has(&self, column: ColumnId) -> bool {
        self.column == column || self.optional.values().any(|own| *own == column)
    }
}
