//! Checks a **disclosures file**: what a vendor says openly that its agent's behaviour depends on. The same sections stand
//! in a scenario, for whoever writes both.

use std::path::Path;

use serde::Deserialize as _;
use toml::de::{DeTable, Deserializer};

use super::super::document::{DisclosedDocument, DisclosuresDocument};
use super::super::error::{Refusal, Refusals, ScenarioError, Sources, nearest};
use super::super::factor::{Factor, WELL_KNOWN};
use super::super::pattern;
use super::super::placed::Placed;
use super::super::{DISCLOSURES_VERSION, Disclosed};
use super::{shape, syntax};

/// Factors that one disclosure may name: no dependence on more of them at once can be found.
const MOST_FACTORS: usize = 4;

/// Reads and checks a disclosures file. `factors` are those of the scenario that it is used with: a name that is neither
/// one of these nor well known is refused where it looks like a slip.
///
/// # Errors
/// When the file cannot be read or is refused.
pub fn load_disclosures(path: &Path, factors: &[Factor]) -> Result<Vec<Disclosed>, Box<ScenarioError>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|why| {
        let mut refusals = Refusals::default();
        refusals.push(
            Refusal::nowhere(format!("the disclosures {name} cannot be read: {why}"))
                .help("`parallax disclose RUN` drafts such a file from what a run found"),
        );
        refusals.into_error(&Sources::new(&name, ""))
    })?;
    parse_disclosures(&text, &name, factors)
}

/// Checks disclosures given as text; `name` is what messages call the source.
///
/// # Errors
/// When they are refused.
pub fn parse_disclosures(text: &str, name: &str, factors: &[Factor]) -> Result<Vec<Disclosed>, Box<ScenarioError>> {
    let sources = Sources::new(name, text);
    let mut refusals = Refusals::default();
    let document = DeTable::parse(text)
        .map_err(|error| syntax(text, &error))
        .and_then(|root| DisclosuresDocument::deserialize(Deserializer::from(root)).map_err(|error| shape(&error)));
    let Some(document) = refusals.take(document) else { return Err(refusals.into_error(&sources)) };
    let version = &document.schema_version;
    if version.value != i64::from(DISCLOSURES_VERSION) {
        refusals.push(
            Refusal::at(
                version.span.clone(),
                format!("disclosures of schema version {}", version.value),
                format!("this parallax reads {DISCLOSURES_VERSION}"),
            )
            .help(format!("write schema_version = {DISCLOSURES_VERSION}")),
        );
    }
    for entry in &document.disclosed {
        for name in &entry.factors.value {
            refusals.take(known(name, factors));
        }
    }
    let disclosed = disclosed(&document.disclosed, &mut refusals);
    if refusals.is_empty() { Ok(disclosed) } else { Err(refusals.into_error(&sources)) }
}

/// A vendor's file is about the agent and may name factors that a scenario does not vary; a slip is no such name.
fn known(name: &Placed<String>, factors: &[Factor]) -> Result<(), Refusal> {
    let names = || factors.iter().map(|factor| factor.name.as_str()).chain(WELL_KNOWN);
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || !name.chars().all(good) {
        return Err(Refusal::at(name.span.clone(), format!("`{}` is no name of a factor", name.value), "not a name")
            .help("use a well-known factor such as `timezone`, or the name that the scenario gives to its own"));
    }
    let near = nearest(name, names());
    if names().any(|known| known == name.value) || near.is_empty() {
        return Ok(());
    }
    Err(Refusal::at(name.span.clone(), format!("there is no factor `{}`", name.value), "unknown factor")
        .help(format!("did you mean `{}`?", near.join("` or `"))))
}

/// Checks the entries' own parts; their factors' names are the caller's.
pub(super) fn disclosed(documents: &[DisclosedDocument], refusals: &mut Refusals) -> Vec<Disclosed> {
    documents.iter().map(|document| one(document, refusals)).collect()
}

fn one(document: &DisclosedDocument, refusals: &mut Refusals) -> Disclosed {
    let factors = &document.factors;
    if factors.is_empty() {
        refusals.push(
            Refusal::at(factors.span.clone(), "the disclosure names no factor", "empty")
                .help("name the factors that the vendor says it depends on"),
        );
    }
    if factors.len() > MOST_FACTORS {
        refusals.push(
            Refusal::at(
                factors.span.clone(),
                format!("the disclosure names {} factors at once, and covers whatever they do", factors.len()),
                "too wide",
            )
            .help(format!("disclose each dependence by itself, on at most {MOST_FACTORS} factors")),
        );
    }
    for (at, name) in factors.iter().enumerate() {
        if let Some(first) = factors[..at].iter().find(|other| other.value == name.value) {
            refusals.push(
                Refusal::at(name.span.clone(), format!("the factor `{}` is named twice", name.value), "again here")
                    .and(first.span.clone(), "first here"),
            );
        }
    }
    let since = document.since.as_ref();
    for (what, text) in [("place", Some(&document.place)), ("says", Some(&document.says)), ("since", since)] {
        if let Some(text) = text.filter(|text| text.trim().is_empty()) {
            refusals.push(Refusal::at(text.span.clone(), format!("the disclosure's `{what}` is empty"), "empty"));
        }
    }
    if pattern::is_too_wide(&document.place) {
        refusals.push(
            Refusal::at(
                document.place.span.clone(),
                "the place pattern is so wide that it covers whatever is found",
                "too wide",
            )
            .help(
                "name the request, the header or the words around: place = \"POST /v1/messages · *system*\"; \
                 `parallax disclose RUN` drafts patterns from what a run found",
            ),
        );
    }
    Disclosed {
        factors: factors.iter().map(|name| name.value.clone()).collect(),
        place: document.place.value.clone(),
        says: document.says.value.clone(),
        since: since.map(|since| since.value.clone()),
    }
}
