//! A **refusal** of a scenario: what is wrong, the place in the source, and the remedy.

use std::fmt;
use std::ops::Range;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// A scenario that was refused, with the place in its source underlined. Further refusals of the same scenario hang on
/// the first, so that an author mends them in one go.
#[derive(Debug)]
pub struct ScenarioError {
    message: String,
    help: Option<String>,
    source: Option<NamedSource<String>>,
    labels: Vec<LabeledSpan>,
    others: Vec<ScenarioError>,
}

impl ScenarioError {
    /// The refusals of the same scenario that come after this one.
    #[must_use]
    pub fn others(&self) -> &[ScenarioError] {
        &self.others
    }

    /// The text that is underlined first, if a place is known.
    #[must_use]
    pub fn underlined(&self) -> Option<&str> {
        let (source, label) = (self.source.as_ref()?, self.labels.first()?);
        source.inner().get(label.offset()..label.offset() + label.len())
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ScenarioError {}

impl Diagnostic for ScenarioError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if self.labels.is_empty() { None } else { Some(Box::new(self.labels.iter().cloned())) }
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        if self.others.is_empty() {
            None
        } else {
            Some(Box::new(self.others.iter().map(|other| other as &dyn Diagnostic)))
        }
    }
}

/// A refusal that does not yet know which source its spans are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    message: String,
    help: Option<String>,
    labels: Vec<(Range<usize>, String)>,
}

impl Refusal {
    /// A refusal of what stands at `span`; `label` says what is wrong just there.
    pub(super) fn at(span: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, labels: vec![(span, label.into())] }
    }

    /// A refusal with no place.
    pub(super) fn nowhere(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, labels: Vec::new() }
    }

    /// Underlines a further place.
    pub(super) fn and(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.labels.push((span, label.into()));
        self
    }

    /// Says how to mend it.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn start(&self) -> usize {
        self.labels.first().map_or(0, |(span, _)| span.start)
    }
}

/// The refusals found so far. Checking goes on after one, where what follows does not depend on it.
#[derive(Debug, Default)]
pub(super) struct Refusals(Vec<Refusal>);

impl Refusals {
    /// Takes a refusal.
    pub(super) fn push(&mut self, refusal: Refusal) {
        self.0.push(refusal);
    }

    /// The value, or `None` with its refusal taken.
    pub(super) fn take<T>(&mut self, result: Result<T, Refusal>) -> Option<T> {
        result.map_err(|refusal| self.push(refusal)).ok()
    }

    /// Whether nothing was refused.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One error of all refusals, in the order of their places.
    pub(super) fn into_error(mut self, sources: &Sources) -> Box<ScenarioError> {
        self.0.sort_by_key(Refusal::start);
        let mut errors = self.0.into_iter().map(|refusal| sources.place(refusal));
        let mut first = errors.next().unwrap_or_else(|| sources.place(Refusal::nowhere("the scenario was refused")));
        first.others = errors.collect();
        Box::new(first)
    }
}

/// The texts that a scenario was made of: its file and each `--set` argument. Spans run over all of them, one after
/// the other, so that a wrong value is underlined where it was written.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
struct Piece {
    name: String,
    text: String,
    base: usize,
}

impl Sources {
    /// The sources of a file alone.
    pub(super) fn new(name: &str, text: &str) -> Self {
        Self { pieces: vec![Piece { name: name.to_owned(), text: text.to_owned(), base: 0 }] }
    }

    /// Adds an argument and gives the number at which its spans begin.
    pub(super) fn add(&mut self, argument: &str) -> usize {
        let base = self.pieces.last().map_or(0, |last| last.base + last.text.len() + 1);
        self.pieces.push(Piece { name: String::from("--set"), text: argument.to_owned(), base });
        base
    }

    fn piece(&self, at: usize) -> Option<(usize, &Piece)> {
        self.pieces.iter().enumerate().rev().find(|(_, piece)| piece.base <= at)
    }

    fn place(&self, refusal: Refusal) -> ScenarioError {
        let Refusal { mut message, help, labels } = refusal;
        let home = labels.first().and_then(|(span, _)| self.piece(span.start));
        let Some((index, piece)) = home else {
            return ScenarioError { message, help, source: None, labels: Vec::new(), others: Vec::new() };
        };
        if index > 0 {
            message = format!("{message} (in the argument --set {})", piece.text);
        }
        // miette cannot underline two sources at once: what stands elsewhere is left out.
        let labels = labels
            .into_iter()
            .filter(|(span, _)| self.piece(span.start).is_some_and(|(other, _)| other == index))
            .map(|(span, label)| {
                let start = (span.start - piece.base).min(piece.text.len());
                let end = span.end.saturating_sub(piece.base).clamp(start, piece.text.len());
                LabeledSpan::new(Some(label), start, end - start)
            })
            .collect();
        let source = Some(NamedSource::new(&piece.name, piece.text.clone()).with_language("toml"));
        ScenarioError { message, help, source, labels, others: Vec::new() }
    }
}

/// The candidates nearest to what was written, all equally near, at most three, none that is far off.
pub(super) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let written = written.to_lowercase();
    let length = written.chars().count();
    // One slip in a short word, none in a single letter: anything is near to that.
    let limit = (length / 3).max(1).min(length.saturating_sub(1));
    let mut scored: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| {
            let whole = candidate.to_lowercase();
            // A zone is as often known by its city as by its full name.
            let last = whole.rsplit('/').next().unwrap_or(&whole);
            let last_written = written.rsplit('/').next().unwrap_or(&written);
            let distance =
                strsim::damerau_levenshtein(&written, &whole).min(strsim::damerau_levenshtein(last_written, last));
            (distance <= limit).then_some((distance, candidate))
        })
        .collect();
    scored.sort_unstable();
    let best = scored.first().map_or(0, |(distance, _)| *distance);
    scored.into_iter().take_while(|(distance, _)| *distance == best).take(3).map(|(_, candidate)| candidate).collect()
}

/// `did you mean A, B or C?`, if there is anything near.
pub(super) fn did_you_mean<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let near = nearest(written, candidates);
    (!near.is_empty()).then(|| format!("did you mean {}?", alternatives(near)))
}

/// `a, b or c`, each in back quotes.
pub(super) fn alternatives<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_an_argument_is_underlined_in_that_argument() {
        let mut sources = Sources::new("x.toml", "name = 1");
        let base = sources.add("a.b=3");
        let mut refusals = Refusals::default();
        refusals.push(Refusal::at(base + 4..base + 5, "wrong", "here"));
        refusals.push(Refusal::at(7..8, "worse", "here"));
        let error = refusals.into_error(&sources);
        assert_eq!((error.to_string().as_str(), error.underlined()), ("worse", Some("1")));
        let other = &error.others()[0];
        assert_eq!(other.to_string(), "wrong (in the argument --set a.b=3)");
        assert_eq!(other.underlined(), Some("3"));
    }

    #[test]
    fn a_span_beyond_the_end_is_clamped() {
        let sources = Sources::new("x.toml", "ab");
        let mut refusals = Refusals::default();
        refusals.push(Refusal::at(1..40, "wrong", "here"));
        assert_eq!(refusals.into_error(&sources).underlined(), Some("b"));
    }

    #[test]
    fn near_names_are_found_by_city_and_by_spelling() {
        let zones = ["Asia/Tokyo", "Europe/Berlin", "America/New_York"];
        assert_eq!(nearest("Asia/Tokio", zones), ["Asia/Tokyo"]);
        assert_eq!(nearest("berlin", zones), ["Europe/Berlin"]);
        assert!(nearest("Mars/Olympus", zones).is_empty());
        assert_eq!(alternatives(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
