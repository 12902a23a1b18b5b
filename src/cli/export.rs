//! `parallax export`: captures for other tools.

use std::path::{Path, PathBuf};

use clap::Args;

use super::console;
use super::diff::cell;
use super::exit::Exit;
use super::failure::Failure;
use crate::report::archive;
use crate::store::{Folder, Stored as _};

/// Arguments of `parallax export`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run's folder
    run: PathBuf,
    /// As an HTTP archive (HAR 1.2)
    #[arg(long)]
    har: bool,
    /// Only this cell; may be given several times
    #[arg(long, value_name = "CELL")]
    cell: Vec<String>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    if !arguments.har {
        return Err(Failure::usage("say as what to export: --har"));
    }
    let folder = Folder::open(&arguments.run)?;
    let manifest = folder.manifest()?;
    let recorded = folder.records()?;
    let mut records = Vec::new();
    for name in &arguments.cell {
        records.push(cell(&recorded, name)?);
    }
    if arguments.cell.is_empty() {
        records = recorded.load(0..recorded.len())?;
    }
    let bytes = archive(&records, &manifest.scenario, &manifest.parallax);
    match &arguments.out {
        Some(path) if path != Path::new("-") => {
            fs_err::write(path, bytes).map_err(|error| Failure::engine(error.to_string()))?;
        }
        _ => console::print(&bytes),
    }
    Ok(Exit::Clean)
}
