//! **Settings** from the command line: `--set dotted.key=value`, laid over the document before it is checked.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Refusal, Sources};

/// A `--set` argument, behind as many spaces as there is text before it: parsing it gives spans that run over all
/// sources.
#[derive(Debug)]
pub(super) struct Setting {
    line: String,
    base: usize,
}

type Key = (String, Range<usize>);

impl Setting {
    /// Takes an argument and makes it one of the sources.
    pub(super) fn new(argument: &str, sources: &mut Sources) -> Self {
        let base = sources.add(argument);
        Self { line: format!("{}{argument}", " ".repeat(base)), base }
    }

    /// Lays the setting over the document. Its value is read as TOML; what is not TOML is a string.
    pub(super) fn apply<'i>(&'i self, root: &mut DeTable<'i>) -> Result<(), Refusal> {
        let argument = &self.line[self.base..];
        let shape = || {
            Refusal::at(self.base..self.line.len(), format!("`{argument}` is not a setting"), "not KEY=VALUE")
                .help("write --set KEY=VALUE, such as --set target.version=2.1.91 or --set design.budget=100")
        };
        let equals = self.base + equals_sign(argument).ok_or_else(shape)?;
        let bare = format!("{}=0", &self.line[..equals]);
        let path = DeTable::parse(&bare).ok().and_then(|table| path_of(table.get_ref())).ok_or_else(shape)?;
        let value = self.value(equals, &path)?;
        insert(root, &path, value)
    }

    fn value(&self, equals: usize, path: &[Key]) -> Result<Spanned<DeValue<'_>>, Refusal> {
        let span = equals + 1..self.line.len();
        let written = &self.line[span.clone()];
        let text = || Spanned::new(span.clone(), DeValue::String(Cow::Borrowed(written)));
        if written.contains('\n') {
            return Ok(text());
        }
        let table = match DeTable::parse(&self.line) {
            Ok(table) => table,
            // Whoever writes a bracket or a quote means TOML, and would be puzzled by a string.
            Err(error) if written.trim_start().starts_with(['[', '{', '"', '\'']) => {
                let place = error.span().unwrap_or_else(|| span.clone());
                return Err(Refusal::at(place, format!("not TOML: {}", error.message()), "here")
                    .help("the value of a setting is TOML, or else a string"));
            }
            Err(_) => return Ok(text()),
        };
        let mut found = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
        for (name, _) in path {
            let DeValue::Table(mut inner) = found.into_inner() else { return Ok(text()) };
            let Some(next) = inner.remove(name.as_str()) else { return Ok(text()) };
            found = next;
        }
        // Versions look like numbers and dates; only these two sections have any.
        let numbers = matches!(path, [(first, _), ..] if first == "design" || first == "stub");
        match found.get_ref() {
            DeValue::Float(_) | DeValue::Datetime(_) if !numbers => Ok(text()),
            _ => Ok(found),
        }
    }
}

/// Where the key ends: the first equals sign that is not inside quotes.
fn equals_sign(argument: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in argument.char_indices() {
        match (quote, c) {
            (None, '=') => return (at > 0).then_some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

/// The chain of keys that leads to the table's only leaf.
fn path_of(mut table: &DeTable<'_>) -> Option<Vec<Key>> {
    let mut path = Vec::new();
    loop {
        let mut entries = table.iter();
        let (key, value) = entries.next()?;
        if entries.next().is_some() {
            return None;
        }
        path.push((key.get_ref().to_string(), key.span()));
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => return Some(path),
        }
    }
}

fn insert<'i>(root: &mut DeTable<'i>, path: &[Key], value: Spanned<DeValue<'i>>) -> Result<(), Refusal> {
    let Some(((name, span), rest)) = path.split_first() else { return Ok(()) };
    let key = || Spanned::new(span.clone(), Cow::Owned(name.clone()));
    if rest.is_empty() {
        // The key's place moves to the argument too, so that whatever is wrong with either is shown there.
        root.remove(name.as_str());
        root.insert(key(), value);
        return Ok(());
    }
    if root.get(name.as_str()).is_none() {
        root.insert(key(), Spanned::new(span.clone(), DeValue::Table(DeTable::new())));
    }
    match root.get_mut(name.as_str()).map(Spanned::get_mut) {
        Some(DeValue::Table(inner)) => insert(inner, rest, value),
        Some(DeValue::Array(_)) => Err(Refusal::at(span.clone(), format!("`{name}` is an array"), "an array")
            .help(format!("set it as a whole: --set '{name}=[…]'"))),
        _ => Err(Refusal::at(span.clone(), format!("`{name}` is not a table"), "not a table")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(text: &str, arguments: &[&str]) -> Result<String, Refusal> {
        let mut sources = Sources::new("x.toml", text);
        let settings: Vec<Setting> = arguments.iter().map(|argument| Setting::new(argument, &mut sources)).collect();
        let mut root = DeTable::parse(text).unwrap().into_inner();
        for setting in &settings {
            setting.apply(&mut root)?;
        }
        let table: toml::Table =
            serde::Deserialize::deserialize(toml::Deserializer::from(Spanned::new(0..0, root))).unwrap();
        Ok(table.to_string())
    }

    #[test]
    fn values_are_toml_or_else_strings() {
        let given = [
            ("target.version=2.1.91", "[target]\nversion = \"2.1.91\"\n"),
            ("target.version=2.10", "[target]\nversion = \"2.10\"\n"),
            ("design.alpha=.5", "[design]\nalpha = \".5\"\n"),
            ("design.alpha=0.05", "[design]\nalpha = 0.05\n"),
            ("design.budget=100", "[design]\nbudget = 100\n"),
            ("target.command=[\"a\", \"b\"]", "[target]\ncommand = [\"a\", \"b\"]\n"),
            ("target.prompt=say a=b", "[target]\nprompt = \"say a=b\"\n"),
            ("target.env.\"A=B\"=x", "[target.env]\n\"A=B\" = \"x\"\n"),
            ("name=", "name = \"\"\n"),
        ];
        for (argument, expected) in given {
            assert_eq!(applied("", &[argument]).unwrap(), expected, "{argument}");
        }
    }

    #[test]
    fn a_setting_replaces_what_the_document_has_and_the_last_wins() {
        let text = "name = \"a\"\n[target]\nversion = \"1\"\nnpm = \"x\"\n";
        let both = applied(text, &["target.version=2", "target.version=3"]).unwrap();
        assert_eq!(both, "name = \"a\"\n\n[target]\nnpm = \"x\"\nversion = 3\n");
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        for argument in ["", "budget", "=1", "a b=1", "a..b=1"] {
            assert!(format!("{:?}", applied("", &[argument])).contains("is not a setting"), "{argument}");
        }
        assert!(format!("{:?}", applied("", &["a=[1"])).contains("not TOML"));
        assert!(format!("{:?}", applied("a = 1", &["a.b=1"])).contains("is not a table"));
        assert!(format!("{:?}", applied("a = [1]", &["a.b=1"])).contains("is an array"));
    }
}
