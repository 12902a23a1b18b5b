//! **Elements** of a JSON array, told apart by what they are, not by where they stand: one inserted message must not
//! move all others. Named ones (tools) go by name; others are aligned with the elements seen before, by role or type
//! and by how alike they are.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::hash::{HashMap, HashSet};
use super::json::Node;
use super::lcs::{likeness, pair, pair_trimmed};
use super::leaf::numbered;

/// Elements must be this much alike (thousandths) to be the same.
const ALIKE: u32 = 300;
/// Words of an element that are compared.
const WORDS: usize = 2000;

/// The elements seen at one place, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Elements {
    slots: Vec<Slot>,
    made: HashMap<String, usize>,
}

#[derive(Clone, Debug)]
struct Slot {
    label: String,
    sort: String,
    digests: HashSet<u64>,
    words: Vec<Vec<u64>>,
}

/// The labels of an array's elements by name, where each has one. The name may stand deeper (`event_data.event_name`):
/// of all members called so that every element has, the one that tells most elements apart.
pub(super) fn names(elements: &[Node]) -> Option<Vec<String>> {
    let mut candidates: Option<BTreeMap<String, Vec<String>>> = None;
    for element in elements {
        let mut named = BTreeMap::new();
        collect_names(element, "", 0, &mut named);
        // The two ways in which tools are given go together.
        if let Some(name) = named.get("/name").or_else(|| named.get("/function/name")).cloned() {
            named.insert(String::new(), name);
        }
        candidates = Some(match candidates {
            None => named.into_iter().map(|(path, name)| (path, vec![name])).collect(),
            Some(mut before) => {
                before.retain(|path, names| named.remove(path).map(|name| names.push(name)).is_some());
                before
            }
        });
    }
    let distinct = |names: &Vec<String>| names.iter().collect::<BTreeSet<_>>().len();
    candidates?
        .into_iter()
        .min_by_key(|(path, names)| (std::cmp::Reverse(distinct(names)), path.len(), path.clone()))
        .map(|(_, names)| numbered(names))
}

/// How deep a name is looked for.
const NAME_DEPTH: usize = 2;

/// The members of an element that are called a name and hold one: short, and no random identifier.
fn collect_names(node: &Node, path: &str, depth: usize, out: &mut BTreeMap<String, String>) {
    let Node::Object(members) = node else { return };
    for (key, value) in members {
        match value {
            Node::String(quoted) if is_name(key) && is_short(&quoted.text) => {
                out.entry(format!("{path}/{key}")).or_insert_with(|| quoted.text.clone());
            }
            Node::Object(_) if depth + 1 < NAME_DEPTH => collect_names(value, &format!("{path}/{key}"), depth + 1, out),
            _ => {}
        }
    }
}

fn is_name(key: &str) -> bool {
    key == "name" || key.ends_with("_name") || key.ends_with("-name") || key.ends_with("Name")
}

fn is_short(text: &str) -> bool {
    !text.is_empty() && text.len() <= 80 && !text.contains('\n') && super::mask::masked(text) == text
}

fn text_member(node: &Node, member: &str) -> Option<String> {
    match node {
        Node::Object(members) => members.iter().find_map(|(key, value)| match value {
            Node::String(quoted) if key == member && !quoted.text.is_empty() && quoted.text.len() <= 80 => {
                Some(quoted.text.clone())
            }
            _ => None,
        }),
        _ => None,
    }
}

/// What an element is: its role or type.
fn sort(node: &Node) -> String {
    match node {
        Node::Object(_) => text_member(node, "role").or_else(|| text_member(node, "type")).unwrap_or_default(),
        Node::Array(_) => String::from("array"),
        Node::String(_) | Node::Scalar(_) => String::from("value"),
    }
}

/// What of an array's elements decides their labels.
#[derive(Clone, Debug, Default)]
pub(super) struct Traits {
    sorts: Vec<String>,
    digests: Vec<u64>,
    /// The words of those elements that had to be compared by them.
    pub(super) bags: Vec<Option<Vec<u64>>>,
}

impl Traits {
    /// Of these elements; no words yet.
    pub(super) fn of(elements: &[Node]) -> Self {
        Self {
            sorts: elements.iter().map(sort).collect(),
            digests: elements.iter().map(digest).collect(),
            bags: Vec::new(),
        }
    }
}

/// Which slot each element is in, and the words of those that were compared by them.
type Partners = (Vec<Option<usize>>, Vec<Option<Vec<u64>>>);

impl Elements {
    /// The labels of these elements; new ones for what is new. And what that was decided by.
    pub(super) fn labels(&mut self, elements: &[Node]) -> (Vec<String>, Traits) {
        let mut traits = Traits::of(elements);
        let (partner, bags) = self.partners(&traits, |k| elements.get(k).map(words)).unwrap_or_default();
        let labels = self.take(partner, &traits, &bags);
        traits.bags = bags;
        (labels, traits)
    }

    /// The labels of elements of which no more than this is known; `None` where it is not enough.
    pub(super) fn again(&mut self, traits: &Traits) -> Option<Vec<String>> {
        let (partner, bags) = self.partners(traits, |k| traits.bags.get(k)?.clone())?;
        Some(self.take(partner, traits, &bags))
    }

    fn partners(&self, traits: &Traits, words: impl Fn(usize) -> Option<Vec<u64>>) -> Option<Partners> {
        let Traits { sorts, digests, .. } = traits;
        let (n, m) = (self.slots.len(), sorts.len());
        let same = |i: usize, j: usize| self.slots[i].digests.contains(&digests[j]) && self.slots[i].sort == sorts[j];
        let mut partner = pair_trimmed(n, m, same, |i, j| u32::from(same(i, j)));
        let mut bags: Vec<Option<Vec<u64>>> = vec![None; m];
        let (mut j, mut lower) = (0, 0);
        while j < m {
            if let Some(i) = partner[j] {
                lower = i + 1;
                j += 1;
                continue;
            }
            let end = (j..m).find(|k| partner[*k].is_some()).unwrap_or(m);
            let upper = partner.get(end).copied().flatten().unwrap_or(n);
            for (k, bag) in bags.iter_mut().enumerate().take(end).skip(j) {
                *bag = Some(words(k)?);
            }
            let alone = n == 1 && m == 1;
            let block = pair(upper - lower, end - j, |a, b| {
                let slot = &self.slots[lower + a];
                if slot.sort != sorts[j + b] {
                    return 0;
                }
                let bag = bags[j + b].as_deref().unwrap_or_default();
                let best = slot.words.iter().map(|words| likeness(words, bag)).max().unwrap_or(0);
                if best >= ALIKE { best } else { u32::from(alone) }
            });
            for (b, a) in block.into_iter().enumerate() {
                partner[j + b] = a.map(|a| lower + a);
            }
            j = end;
        }
        Some((partner, bags))
    }

    fn take(&mut self, partner: Vec<Option<usize>>, traits: &Traits, bags: &[Option<Vec<u64>>]) -> Vec<String> {
        let mut labels = Vec::with_capacity(partner.len());
        let mut merged = Vec::with_capacity(self.slots.len() + 2);
        let mut old = std::mem::take(&mut self.slots).into_iter().enumerate().peekable();
        for (j, (position, sort)) in partner.into_iter().zip(&traits.sorts).enumerate() {
            let (digest, bag) = (traits.digests[j], bags[j].as_ref());
            if let Some(position) = position {
                while let Some((at, mut slot)) = old.next_if(|(at, _)| *at <= position) {
                    if at == position {
                        labels.push(slot.label.clone());
                        if slot.digests.len() < 512 {
                            slot.digests.insert(digest);
                        }
                        if let Some(bag) = bag.filter(|_| slot.words.len() < 3) {
                            slot.words.push(bag.clone());
                        }
                    }
                    merged.push(slot);
                }
            } else {
                let ordinal = self.made.entry(sort.clone()).or_default();
                let label = format!("{sort}#{ordinal}");
                *ordinal += 1;
                labels.push(label.clone());
                merged.push(Slot {
                    label,
                    sort: sort.clone(),
                    digests: HashSet::from_iter([digest]),
                    words: vec![bag.cloned().unwrap_or_default()],
                });
            }
        }
        merged.extend(old.map(|(_, slot)| slot));
        self.slots = merged;
        labels
    }
}

/// A digest of an element's whole content.
fn digest(node: &Node) -> u64 {
    fn walk(node: &Node, hasher: &mut DefaultHasher) {
        match node {
            Node::Object(members) => {
                hasher.write_u8(1);
                for (key, value) in members {
                    key.hash(hasher);
                    walk(value, hasher);
                }
            }
            Node::Array(elements) => {
                hasher.write_u8(2);
                for element in elements {
                    walk(element, hasher);
                }
            }
            Node::String(quoted) => quoted.text.hash(hasher),
            Node::Scalar(text) => text.hash(hasher),
        }
        hasher.write_u8(3);
    }
    let mut hasher = DefaultHasher::new();
    walk(node, &mut hasher);
    hasher.finish()
}

/// The set of words of an element's keys and strings; words with digits in them count as one.
fn words(node: &Node) -> Vec<u64> {
    fn walk(node: &Node, out: &mut BTreeSet<u64>) {
        match node {
            Node::Object(members) => {
                for (key, value) in members {
                    add(key, out);
                    walk(value, out);
                }
            }
            Node::Array(elements) => elements.iter().for_each(|element| walk(element, out)),
            Node::String(quoted) => add(&quoted.text, out),
            Node::Scalar(text) => add(text, out),
        }
    }
    let mut out = BTreeSet::new();
    walk(node, &mut out);
    out.into_iter().collect()
}

/// Adds the words of a text.
pub(super) fn add(text: &str, out: &mut BTreeSet<u64>) {
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if out.len() >= WORDS {
            return;
        }
        let mut hasher = DefaultHasher::new();
        if word.bytes().any(|b| b.is_ascii_digit()) {
            "0".hash(&mut hasher);
        } else {
            word.hash(&mut hasher);
        }
        out.insert(hasher.finish());
    }
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    fn array(text: &str) -> Vec<Node> {
        match json::parse(text).unwrap().root {
            Node::Array(elements) => elements,
            other => panic!("not an array: {other:?}"),
        }
    }

    #[test]
    fn a_message_keeps_its_label_when_one_before_it_is_gone() {
        let mut elements = Elements::default();
        let both = array(
            r#"[{"role":"user","content":"list of the deferred tools here"},{"role":"user","content":"the date is 2026-11-21, say ok"}]"#,
        );
        assert_eq!(elements.labels(&both).0, ["user#0", "user#1"]);
        let one = array(r#"[{"role":"user","content":"the date is 2026/11/22, say ok"}]"#);
        assert_eq!(elements.labels(&one).0, ["user#1"]);
    }

    #[test]
    fn roles_are_never_mixed() {
        let mut elements = Elements::default();
        assert_eq!(elements.labels(&array(r#"[{"role":"user","content":"x"}]"#)).0, ["user#0"]);
        assert_eq!(
            elements.labels(&array(r#"[{"role":"system","content":"x"},{"role":"user","content":"x"}]"#)).0,
            ["system#0", "user#0"]
        );
    }

    #[test]
    fn elements_go_by_the_name_that_tells_most_of_them_apart() {
        let events = array(
            r#"[{"type":"e","data":{"event_name":"start","model_name":"m","id":"1"}},
                {"type":"e","data":{"event_name":"stop","model_name":"m","id":"2"}},
                {"type":"e","data":{"event_name":"start","model_name":"m","id":"3"}}]"#,
        );
        let labels = names(&events).unwrap();
        assert_eq!(labels.len(), 3);
        assert_eq!(labels[..2], ["start", "stop"]);
        assert!(labels[2].starts_with("start"), "{labels:?}");
        assert!(names(&array(r#"[{"data":{"event_name":"a"}},{"data":{}}]"#)).is_none(), "one has no name");
        assert!(names(&array(r#"[{"role":"user"},{"role":"user"}]"#)).is_none());
    }

    #[test]
    fn tools_go_by_name() {
        assert_eq!(
            names(&array(r#"[{"name":"Bash"},{"type":"function","function":{"name":"Edit"}}]"#)).unwrap(),
            ["Bash", "Edit"]
        );
        assert_eq!(names(&array(r#"[{"name":"Bash"},{"role":"user"}]"#)), None);
    }
}
