//! `parallax badge`: a result as a small SVG.

use std::path::PathBuf;

use clap::Args;

use super::exit::Exit;
use super::failure::Failure;
use super::{console, keygen, verify};
use crate::attestation::TestOutcome;
use crate::attestation::badge::{Colour, svg};
use crate::finding::Verdict;
use crate::report::escape;
use crate::store::Folder;

/// Arguments of `parallax badge`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// An envelope, or the folder of a finished run
    source: PathBuf,
    /// The signer's public key, for an envelope: nothing is drawn that is not signed
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// File to write; default: standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let (message, colour) = if arguments.source.is_dir() {
        of_run(arguments)?
    } else {
        let Some(key) = &arguments.key else {
            return Err(Failure::usage("name the signer's public key with --key: nothing is drawn that is not signed"));
        };
        match verify::open(&arguments.source, &keygen::verifying_key(key)?)? {
            Ok(claim) => {
                let colour = match claim.outcome {
                    TestOutcome::Passed => Colour::Green,
                    TestOutcome::Warned => Colour::Yellow,
                    TestOutcome::Failed => Colour::Red,
                };
                let (conditions, word) = (&claim.conditions, claim.outcome.word().to_lowercase());
                (words(&word, conditions.factors.len(), conditions.cells_observed, &conditions.observed), colour)
            }
            Err(problem) => {
                console::error(&escape::terminal(&problem));
                return Ok(Exit::Findings);
            }
        }
    };
    let badge = svg("environment", &message, colour);
    match &arguments.out {
        None => console::print(badge.as_bytes()),
        // A badge is drawn again every night.
        Some(path) => fs_err::write(path, badge).map_err(|error| Failure::usage(error.to_string()))?,
    }
    Ok(Exit::Clean)
}

fn of_run(arguments: &Arguments) -> Result<(String, Colour), Failure> {
    let folder = Folder::open(&arguments.source)?;
    let manifest = folder.manifest()?;
    if !folder.path().join("findings.json").is_file() {
        return Err(Failure::unfinished("the run is not finished: there is no result to draw"));
    }
    let findings = folder.findings()?;
    let (word, colour) = match findings.verdict {
        Verdict::Clean => ("clean", Colour::Green),
        Verdict::Conditioned => ("conditioned", Colour::Red),
        Verdict::Inconclusive => ("inconclusive", Colour::Yellow),
    };
    Ok((words(word, manifest.scenario.factors.len(), findings.cells.observed, &manifest.started), colour))
}

fn words(word: &str, factors: usize, cells: u32, observed: &str) -> String {
    let day = observed.get(..10).unwrap_or(observed);
    format!("{word} · {factors} factors · {cells} cells · {day}")
}
