//! `parallax diff`: two cells of a run, by request and by character.

use std::path::PathBuf;

use clap::Args;

use super::console;
use super::exit::Exit;
use super::failure::Failure;
use crate::capture::Record;
use crate::report::Difference;
use crate::report::escape;
use crate::store::{Folder, Recorded, Stored as _};

/// Arguments of `parallax diff`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run's folder
    run: PathBuf,
    /// A cell, such as c0012
    left: String,
    /// Another cell
    right: String,
    /// Two columns instead of one
    #[arg(long, short = 'y')]
    side_by_side: bool,
    /// Only requests whose method and target contain this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let folder = Folder::open(&arguments.run)?;
    let manifest = folder.manifest()?;
    let recorded = folder.records()?;
    let text = console::text_report();
    let difference = Difference {
        width: text.width,
        colour: text.colour,
        side_by_side: arguments.side_by_side,
        only: arguments.only.as_deref(),
    };
    let left = cell(&recorded, &arguments.left)?;
    let right = cell(&recorded, &arguments.right)?;
    console::print(&difference.render(&left, &right, &manifest.scenario));
    Ok(Exit::Clean)
}

/// The record of a cell.
pub(super) fn cell(recorded: &Recorded, name: &str) -> Result<Record, Failure> {
    let name_of = |n: usize| escape::terminal(&recorded.cell(n).id.0);
    let unknown = || {
        let known = match recorded.len().checked_sub(1) {
            None => String::from("it has none"),
            Some(last) => format!("it has {} to {}", name_of(0), name_of(last)),
        };
        Failure::usage(format!("the run has no cell {}; {known}", escape::terminal(name)))
    };
    let at = (0..recorded.len()).find(|n| recorded.cell(*n).id.0 == name).ok_or_else(unknown)?;
    recorded.load(at..at + 1)?.pop().ok_or_else(unknown)
}
