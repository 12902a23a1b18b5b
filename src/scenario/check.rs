//! From document to [`Scenario`]: every check, each refusal with its place underlined.

mod design;
mod disclosures;
mod factor;
mod level;
mod matrix;
mod stub;
mod target;

use std::ops::Range;
use std::path::Path;

use serde::Deserialize as _;
use toml::de::{DeTable, Deserializer};

pub use disclosures::{load_disclosures, parse_disclosures};

use super::Scenario;
use super::document::Document;
use super::error::{Refusal, Refusals, ScenarioError, Sources, alternatives, did_you_mean};
use super::placed::Placed;
use super::setting::Setting;

/// Reads and checks a scenario file. `overrides` are `--set` arguments such as `target.version=2.1.91`.
///
/// # Errors
/// When the file cannot be read or the scenario is refused.
pub fn load(path: &Path, overrides: &[String]) -> Result<Scenario, Box<ScenarioError>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|why| {
        let mut refusals = Refusals::default();
        refusals.push(
            Refusal::nowhere(format!("the scenario {name} cannot be read: {why}"))
                .help("name a scenario file, such as scenarios/claude-code.toml"),
        );
        refusals.into_error(&Sources::new(&name, ""))
    })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    parse(&text, &name, folder, overrides)
}

/// Checks a scenario given as text. `name` is what messages call the source; `folder` is what relative paths are
/// resolved against.
///
/// # Errors
/// When the scenario is refused.
pub fn parse(text: &str, name: &str, folder: &Path, overrides: &[String]) -> Result<Scenario, Box<ScenarioError>> {
    let mut sources = Sources::new(name, text);
    let settings: Vec<Setting> = overrides.iter().map(|argument| Setting::new(argument, &mut sources)).collect();
    let mut refusals = Refusals::default();
    let Some(document) = refusals.take(document(text, &settings)) else {
        return Err(refusals.into_error(&sources));
    };
    match check(&document, folder, &mut refusals) {
        Some(scenario) if refusals.is_empty() => Ok(scenario),
        _ => Err(refusals.into_error(&sources)),
    }
}

/// A refusal of a target that only an engine could know to be missing: `key` of `[target]` is underlined in the sources
/// of a scenario that [`load`] took. `message` says what was asked for and how to mend it.
#[must_use]
pub fn no_target(path: &Path, text: &str, overrides: &[String], key: &str, message: &str) -> Box<ScenarioError> {
    let mut sources = Sources::new(&path.display().to_string(), text);
    let settings: Vec<Setting> = overrides.iter().map(|argument| Setting::new(argument, &mut sources)).collect();
    let mut refusals = Refusals::default();
    let span = document(text, &settings).ok().and_then(|document| {
        let target = &document.target;
        let package = target.npm.as_ref().or(target.pypi.as_ref()).or(target.image.as_ref());
        let package = package.map(|package| package.span.clone());
        let version = target.version.as_ref().map(|version| version.span.clone());
        let python = target.python.as_ref().map(|python| python.span.clone());
        match key {
            "version" => version.or(package),
            "python" => python.or(package),
            _ => package,
        }
    });
    refusals.push(match span {
        Some(span) => Refusal::at(span, message, "not to be had"),
        None => Refusal::nowhere(message),
    });
    refusals.into_error(&sources)
}

fn document(text: &str, settings: &[Setting]) -> Result<Document, Refusal> {
    let mut root = DeTable::parse(text).map_err(|error| syntax(text, &error))?;
    for setting in settings {
        setting.apply(root.get_mut())?;
    }
    Document::deserialize(Deserializer::from(root)).map_err(|error| shape(&error))
}

fn syntax(text: &str, error: &toml::de::Error) -> Refusal {
    let span = error.span().unwrap_or(text.len()..text.len());
    Refusal::at(span, format!("not TOML: {}", error.message()), "here")
}

/// Says in an author's words what serde says in its own.
fn shape(error: &toml::de::Error) -> Refusal {
    let message = error.message();
    let span = error.span().unwrap_or(0..0);
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if message.starts_with("unknown field") {
        let (written, known) = quoted.split_first().map_or(("", &[][..]), |(written, known)| (*written, known));
        let help = did_you_mean(written, known.iter().copied()).unwrap_or_else(|| {
            format!("the keys here are {}", alternatives(known.iter().copied()).replace(" or ", " and "))
        });
        return Refusal::at(span, format!("unknown key `{written}`"), "no such key here").help(help);
    }
    if message.starts_with("missing field") {
        let key = quoted.first().copied().unwrap_or_default();
        return Refusal::at(span, format!("the key `{key}` is missing"), "from here").help(match key {
            "target" => String::from("say what to run: a section [target] with npm, pypi, image or a local command"),
            "name" => String::from("give the scenario a short name at its top: name = \"my-agent\""),
            key => format!("add `{key}`"),
        });
    }
    let wrong = message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "));
    if let Some((found, expected)) = wrong {
        let (found, expected) = (plain(found), plain(expected));
        let refusal = Refusal::at(span, format!("expected {expected}, found {found}"), format!("not {expected}"));
        // What looks like a number to TOML and is a version to its author.
        let quotes = expected == "a string" && (message.contains("floating point") || message.contains("datetime"));
        return if quotes { refusal.help("put it in quotes") } else { refusal };
    }
    Refusal::at(span, message, "here")
}

/// TOML's words for serde's types.
fn plain(what: &str) -> &str {
    match what {
        "a sequence" | "sequence" => "an array",
        "map" | "a map" => "a table",
        "i64" => "a whole number",
        "f64" => "a number",
        "a boolean" => "true or false",
        what if what.starts_with("struct ") => "a table",
        what => what,
    }
}

fn check(document: &Document, folder: &Path, refusals: &mut Refusals) -> Option<Scenario> {
    let name = refusals.take(scenario_name(&document.name));
    let target = target::check(&document.target, folder, refusals);
    let stub = stub::check(&document.stub, refusals);
    let factors = factor::check(document, folder, refusals);
    let design = design::options(&document.design, refusals);
    let factors = factors?;
    let forbidden = design::constraints(&document.constraints, &factors, refusals);
    let disclosed = design::disclosed(&document.disclosed, &factors, refusals);
    let mut design = design?;
    // With fewer factors than the strength, every combination is a row already.
    design.strength = design.strength.min(u8::try_from(factors.len()).unwrap_or(u8::MAX));
    let matrix = matrix::check(&document.design, &factors, &forbidden, design, refusals)?;
    Some(Scenario {
        name: name?,
        target: target?,
        stub: stub?,
        factors,
        forbidden,
        design,
        matrix,
        disclosed,
        severity: document.severity,
    })
}

fn scenario_name(name: &Placed<String>) -> Result<String, Refusal> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || !name.chars().all(good) || name.starts_with('.') {
        return Err(Refusal::at(
            name.span.clone(),
            format!("`{}` is no name for a scenario", name.value),
            "not a short name",
        )
        .help("use letters, digits, dots, hyphens and underscores: it becomes part of file names"));
    }
    Ok(name.value.clone())
}

/// A whole number within bounds.
fn whole(number: &Placed<i64>, what: &str, least: u32, most: u32) -> Result<u32, Refusal> {
    match u32::try_from(number.value) {
        Ok(value) if (least..=most).contains(&value) => Ok(value),
        _ => Err(Refusal::at(
            number.span.clone(),
            format!("{what} is {}, and must be between {least} and {most}", number.value),
            "out of bounds",
        )),
    }
}

/// Refuses the one character that no variable, argument or path can carry.
fn without_nul(text: &str, span: &Range<usize>) -> Result<(), Refusal> {
    if text.contains('\0') {
        return Err(Refusal::at(span.clone(), "a NUL character cannot be passed to a program", "has a NUL in it"));
    }
    Ok(())
}

/// Whether this is a name that an environment variable can have.
fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
