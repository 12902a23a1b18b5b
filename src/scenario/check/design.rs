//! Checks how the matrix is designed, what it leaves out, and what is disclosed.

use super::super::document::{ConstraintDocument, DesignDocument, DisclosedDocument};
use super::super::error::{Refusal, Refusals, did_you_mean};
use super::super::factor::Factor;
use super::super::matrix::MatrixKind;
use super::super::placed::{LevelDocument, Placed};
use super::super::{DesignOptions, Disclosed, Forbidden, Level};
use super::{disclosures, level, matrix, whole};
use crate::cell::Assignment;

/// Checks the section `[design]`.
pub(super) fn options(document: &DesignDocument, refusals: &mut Refusals) -> Option<DesignOptions> {
    let mut number = |written: &Option<Placed<i64>>, what: &str, default: u32, least: u32, most: u32| match written {
        None => Some(default),
        Some(written) => refusals.take(whole(written, what, least, most)),
    };
    let strength = number(&document.strength, "strength", 2, 1, 4);
    let budget = number(&document.budget, "budget", 400, 1, 10_000_000);
    // One replicate says nothing of noise: it takes two to disagree.
    let replicates = number(&document.replicates, "replicates", 8, 2, 100_000);
    // Whoever asks for another kind of design means just its cells.
    let rows = if matrix::kind(document) == Some(MatrixKind::Covering) { 64 } else { 0 };
    let minimum_rows = number(&document.minimum_rows, "minimum_rows", rows, 0, 10_000_000);
    let alpha = document.alpha.as_ref().map_or(0.05, |alpha| alpha.value);
    if let Some(written) = document.alpha.as_ref().filter(|alpha| !(alpha.value > 0.0 && alpha.value < 0.5)) {
        refusals.push(
            Refusal::at(
                written.span.clone(),
                format!("alpha is {}, and must be between 0 and 0.5", written.value),
                "out of bounds",
            )
            .help("alpha is the rate of false findings that is put up with; 0.05 is usual"),
        );
    }
    if let (Some(budget), Some(replicates)) = (budget, replicates)
        && budget < replicates + 1
    {
        let place =
            document.budget.as_ref().or(document.replicates.as_ref()).map_or(0..0, |written| written.span.clone());
        refusals.push(
            Refusal::at(
                place,
                format!(
                    "a budget of {budget} cells is too small to start: {replicates} are replicates of the baseline"
                ),
                "too small",
            )
            .help(format!(
                "raise the budget above {replicates} (a run of some factors wants 200), or lower `replicates`"
            )),
        );
    }
    Some(DesignOptions {
        strength: u8::try_from(strength?).unwrap_or(4),
        budget: budget?,
        replicates: replicates?,
        minimum_rows: minimum_rows?,
        alpha,
    })
}

/// Checks the sections `[[constraints]]`.
pub(super) fn constraints(
    documents: &[Placed<ConstraintDocument>],
    factors: &[Factor],
    refusals: &mut Refusals,
) -> Vec<Forbidden> {
    let mut forbidden = Vec::new();
    for document in documents {
        let forbid = &document.forbid;
        if forbid.0.is_empty() {
            refusals.push(
                Refusal::at(forbid.span.clone(), "the constraint forbids nothing", "empty")
                    .help("write forbid = { proxy = \"http://…\", base_url = [\"…\", \"…\"] }"),
            );
            continue;
        }
        let Some(one) = refusals.take(one(document, factors)) else { continue };
        if one.matches(&Assignment::baseline(factors.len())) {
            refusals.push(
                Refusal::at(forbid.span.clone(), "the constraint forbids the baseline", "the baseline is among these")
                    .help("everything is compared with the baseline: choose another one, or narrow the constraint"),
            );
            continue;
        }
        forbidden.push(one);
    }
    forbidden
}

fn one(document: &ConstraintDocument, factors: &[Factor]) -> Result<Forbidden, Refusal> {
    let mut when = Vec::new();
    for (name, levels) in &document.forbid.0 {
        let index = factor(name, factors)?;
        let mut set = Vec::new();
        for written in levels.as_slice() {
            set.push(level_of(name, written, &factors[index])?);
        }
        if set.is_empty() {
            return Err(Refusal::at(
                name.span.clone(),
                format!("the constraint names no level of `{}`", name.value),
                "no levels",
            ));
        }
        set.sort_unstable();
        set.dedup();
        when.push((index, set));
    }
    when.sort();
    Ok(Forbidden { when })
}

/// The level of a factor that is written so.
pub(super) fn level_of(
    name: &Placed<String>,
    written: &Placed<LevelDocument>,
    factor: &Factor,
) -> Result<u16, Refusal> {
    let wanted = level::read(&factor.kind, written);
    let found = wanted.as_ref().ok().and_then(|wanted| factor.levels.iter().position(|level| level == wanted));
    found.map(|found| u16::try_from(found).unwrap_or(u16::MAX)).ok_or_else(|| {
        let label = match &written.value {
            LevelDocument::Text(text) => text.as_str(),
            LevelDocument::Unset => "(unset)",
        };
        let help = did_you_mean(label, factor.levels.iter().map(Level::label))
            .unwrap_or_else(|| format!("name one of the levels of `{}`", name.value));
        Refusal::at(written.span.clone(), format!("`{label}` is not a level of `{}`", name.value), "unknown level")
            .help(help)
    })
}

/// The factor of this name.
pub(super) fn factor(name: &Placed<String>, factors: &[Factor]) -> Result<usize, Refusal> {
    factors.iter().position(|factor| factor.name == name.value).ok_or_else(|| {
        let known = factors.iter().map(|factor| factor.name.as_str());
        let help = did_you_mean(name, known).unwrap_or_else(|| String::from("name one of this scenario's factors"));
        Refusal::at(name.span.clone(), format!("there is no factor `{}`", name.value), "unknown factor").help(help)
    })
}

/// Checks the sections `[[disclosed]]`.
pub(super) fn disclosed(
    documents: &[DisclosedDocument],
    factors: &[Factor],
    refusals: &mut Refusals,
) -> Vec<Disclosed> {
    for name in documents.iter().flat_map(|document| &document.factors.value) {
        refusals.take(factor(name, factors));
    }
    disclosures::disclosed(documents, refusals)
}
