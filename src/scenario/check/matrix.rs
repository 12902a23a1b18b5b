//! Checks which cells the first phase runs: the kind of design, higher strengths, given cells; and that it can be made.

use super::super::document::{DesignDocument, StrongerDocument};
use super::super::error::{Refusal, Refusals, alternatives, did_you_mean};
use super::super::factor::Factor;
use super::super::matrix::{Matrix, MatrixKind, Stronger};
use super::super::placed::{Entries, LevelDocument, Placed};
use super::super::{DesignOptions, Forbidden};
use super::{design, whole};
use crate::cell::Assignment;

/// Combinations that an array may have to cover. More would take gigabytes to keep count of, and more cells than anybody
/// runs.
const MOST_COMBINATIONS: f64 = 8e6;
/// Cells of a full factorial that the constraints are held against.
const MOST_COUNTED: usize = 10_000_000;

/// The kind that is written, for the checks that depend on it. What is no kind is refused by [`check`].
pub(super) fn kind(document: &DesignDocument) -> Option<MatrixKind> {
    let Some(written) = &document.kind else { return Some(MatrixKind::default()) };
    MatrixKind::ALL.into_iter().find(|kind| kind.name() == written.value)
}

/// Checks what `[design]` says of the matrix.
pub(super) fn check(
    document: &DesignDocument,
    factors: &[Factor],
    forbidden: &[Forbidden],
    options: DesignOptions,
    refusals: &mut Refusals,
) -> Option<Matrix> {
    let Some(kind) = kind(document) else {
        let written = document.kind.as_ref()?;
        let kinds = || MatrixKind::ALL.into_iter().map(MatrixKind::name);
        let help = did_you_mean(written, kinds()).unwrap_or_else(|| format!("write {}", alternatives(kinds())));
        refusals.push(
            Refusal::at(written.span.clone(), format!("unknown kind of design `{}`", written.value), "unknown kind")
                .help(help),
        );
        return None;
    };
    if kind != MatrixKind::Covering {
        let strength = document.strength.as_ref().map(|written| (&written.span, "strength"));
        let stronger = document.stronger.first().map(|written| (&written.span, "stronger"));
        for (span, key) in strength.into_iter().chain(stronger) {
            refusals.push(
                Refusal::at(
                    span.clone(),
                    format!("`{key}` goes with a covering array, and the kind of this design is `{}`", kind.name()),
                    "means nothing here",
                )
                .help("leave it out, or set design.kind to `covering`"),
            );
        }
    }
    let mut matrix = Matrix { kind, ..Matrix::default() };
    for written in &document.stronger {
        // Where every combination of so many factors is covered anyway, nothing is left to ask for: a strength from the
        // command line may be such.
        let one = refusals.take(stronger(written, factors)).filter(|one| one.strength > options.strength);
        matrix.stronger.extend(one);
    }
    for written in &document.given {
        let Some(cell) = refusals.take(given(written, factors, forbidden)) else { continue };
        if matrix.given.contains(&cell) {
            refusals.push(
                Refusal::at(written.span.clone(), "this cell is given twice", "given before")
                    .help("remove one: a cell is given once, and repeated where the method wants it again"),
            );
        }
        matrix.given.push(cell);
    }
    if let Some(refusal) =
        refusals.is_empty().then(|| too_large(document, &matrix, factors, forbidden, options)).flatten()
    {
        refusals.push(refusal);
    }
    Some(matrix)
}

fn stronger(written: &Placed<StrongerDocument>, factors: &[Factor]) -> Result<Stronger, Refusal> {
    let strength = whole(&written.strength, "strength", 2, 4)?;
    let mut named = Vec::new();
    for name in &written.factors.value {
        let factor = design::factor(name, factors)?;
        if named.contains(&factor) {
            return Err(Refusal::at(name.span.clone(), format!("`{}` is named twice", name.value), "named before")
                .help("name each factor once"));
        }
        named.push(factor);
    }
    if named.len() < strength as usize {
        return Err(Refusal::at(
            written.factors.span.clone(),
            format!("strength {strength} over {} factor{}", named.len(), if named.len() == 1 { "" } else { "s" }),
            "too few factors",
        )
        .help("name at least as many factors as the strength, or lower the strength"));
    }
    named.sort_unstable();
    Ok(Stronger { factors: named, strength: u8::try_from(strength).unwrap_or(4) })
}

fn given(
    written: &Placed<Entries<Placed<LevelDocument>>>,
    factors: &[Factor],
    forbidden: &[Forbidden],
) -> Result<Assignment, Refusal> {
    let mut cell = Assignment::baseline(factors.len());
    for (name, level) in &written.0 {
        let factor = design::factor(name, factors)?;
        cell = cell.with(factor, design::level_of(name, level, &factors[factor])?);
    }
    if cell == Assignment::baseline(factors.len()) {
        return Err(Refusal::at(written.span.clone(), "the given cell is the baseline", "the baseline")
            .help("the baseline is run anyway, `replicates` times: name a factor with another level"));
    }
    if forbidden.iter().any(|forbidden| forbidden.matches(&cell)) {
        return Err(Refusal::at(written.span.clone(), "the given cell is forbidden by a constraint", "forbidden")
            .help("remove it, or narrow the constraint"));
    }
    Ok(cell)
}

/// Why the design cannot be made, or not within the budget.
fn too_large(
    document: &DesignDocument,
    matrix: &Matrix,
    factors: &[Factor],
    forbidden: &[Forbidden],
    options: DesignOptions,
) -> Option<Refusal> {
    let (budget, replicates) = (options.budget as usize, options.replicates as usize);
    let place = [
        document.kind.as_ref().map(|written| written.span.clone()),
        document.given.first().map(|written| written.span.clone()),
        document.strength.as_ref().map(|written| written.span.clone()),
        document.stronger.first().map(|written| written.span.clone()),
    ];
    let [at_kind, at_given, at_strength, at_stronger] = place;
    if matrix.given.len() + replicates > budget {
        return Some(
            Refusal::at(
                at_given.unwrap_or_default(),
                format!(
                    "{} given cells and {replicates} replicates of the baseline are more than the budget of {budget} cells",
                    matrix.given.len()
                ),
                "too many",
            )
            .help("raise the budget, or give fewer cells"),
        );
    }
    let levels: Vec<usize> = factors.iter().map(|factor| factor.levels.len()).collect();
    match matrix.kind {
        MatrixKind::Covering => {
            let stronger = matrix.stronger.iter().map(|one| (one.factors.as_slice(), one.strength));
            let everything: Vec<usize> = (0..factors.len()).collect();
            let asked: Vec<(&[usize], u8)> =
                std::iter::once((everything.as_slice(), options.strength)).chain(stronger).collect();
            let all: f64 = asked.iter().map(|(among, strength)| combinations(&levels, among, *strength)).sum();
            (all > MOST_COMBINATIONS).then(|| {
                let message =
                    format!("there are {all:.0} combinations of levels to cover, and {MOST_COMBINATIONS:.0} can be");
                let refusal = match at_stronger.or(at_strength) {
                    Some(at) => Refusal::at(at, message, "too strong"),
                    None => Refusal::nowhere(message),
                };
                refusal.help("lower the strength, or ask for it only over the factors that matter: [[design.stronger]]")
            })
        }
        MatrixKind::FullFactorial => {
            let (cells, exact) = full_factorial(factors, forbidden);
            // The baseline is one of the cells.
            let needed = cells.saturating_add(replicates - 1);
            (needed > budget).then(|| {
                let counted = if exact { String::new() } else { String::from(", before constraints") };
                Refusal::at(
                    at_kind.unwrap_or_default(),
                    format!(
                        "a full factorial of these factors has {cells} cells{counted}, and with the replicates of the \
                         baseline {needed}: more than the budget of {budget}"
                    ),
                    "too large",
                )
                .help(
                    "raise the budget (with room to explain and confirm what is found), forbid combinations, or use a \
                     covering array: kind = \"covering\" and a strength",
                )
            })
        }
        MatrixKind::OneFactor => {
            let needed = levels.iter().map(|levels| levels - 1).sum::<usize>() + matrix.given.len() + replicates;
            (needed > budget).then(|| {
                Refusal::at(
                    at_kind.unwrap_or_default(),
                    format!("every level alone and the baseline make {needed} cells: more than the budget of {budget}"),
                    "too large",
                )
                .help("raise the budget, or remove levels")
            })
        }
    }
}

/// How many combinations of levels of `strength` of these factors there are: the elementary symmetric polynomial of the
/// numbers of levels. A float, for it need only be told from what is far too much.
#[allow(clippy::cast_precision_loss, reason = "numbers of levels")]
fn combinations(levels: &[usize], among: &[usize], strength: u8) -> f64 {
    let strength = usize::from(strength);
    let mut sums = vec![0.0; strength + 1];
    sums[0] = 1.0;
    for factor in among {
        for taken in (1..=strength).rev() {
            sums[taken] += sums[taken - 1] * levels[*factor] as f64;
        }
    }
    sums[strength]
}

/// Cells of the full factorial that the constraints allow, and whether that was counted: where there are too many to
/// look at, the constraints are left out.
fn full_factorial(factors: &[Factor], forbidden: &[Forbidden]) -> (usize, bool) {
    let all = factors.iter().fold(1_usize, |all, factor| all.saturating_mul(factor.levels.len()));
    if forbidden.is_empty() || all > MOST_COUNTED {
        return (all, forbidden.is_empty());
    }
    let mut cell = Assignment::baseline(factors.len());
    let mut allowed = 0;
    loop {
        allowed += usize::from(!forbidden.iter().any(|forbidden| forbidden.matches(&cell)));
        // The next cell, as an odometer counts.
        let turn = cell.0.iter().zip(factors).position(|(level, factor)| usize::from(*level) + 1 < factor.levels.len());
        let Some(turn) = turn else { return (allowed, true) };
        cell.0[turn] += 1;
        cell.0[..turn].fill(0);
    }
}
