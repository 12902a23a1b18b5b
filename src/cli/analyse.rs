//! `parallax analyse`: the fold of a stored run, without any engine.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::console;
use super::exit::Exit;
use super::failure::Failure;
use crate::campaign::Campaign;
use crate::report::{Json, Markdown, Report as _};
use crate::run::RunError;
use crate::run::fold::{Fold, Folded};
use crate::store::Folder;

/// Arguments of `parallax analyse`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run's folder
    run: PathBuf,
    /// Print findings.json instead of the table
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let folder = Folder::open(&arguments.run)?;
    let manifest = folder.manifest()?;
    let recorded = Arc::new(folder.records()?);
    if recorded.torn {
        console::note("the last record on disk was not whole and is left out");
    }
    let recollection = Folder::recollection(folder.path(), Arc::clone(&recorded));
    let mut campaign =
        Campaign::recalling(Arc::new(manifest.scenario.clone()), manifest.seed, Arc::clone(&recollection) as _);
    let mut fold = Fold::new(recorded);
    let findings = match fold.go(&mut campaign, false).map_err(RunError::from)? {
        Folded::Done(findings) => findings,
        Folded::Open { cells, absorbed } => {
            return Err(Failure::unfinished(format!(
                "the run is not finished: {} cells are recorded, and {} of round {} are still to be run; go on with: \
                 parallax run {} --out {} --resume",
                fold.absorbed,
                cells.len() - absorbed,
                cells[0].round,
                manifest.scenario_path,
                arguments.run.display()
            )));
        }
    };
    recollection.check()?;
    folder.write_findings(&findings)?;
    folder.write("report.md", &Markdown.render(&findings, &manifest))?;
    if arguments.json {
        console::print(&Json.render(&findings, &manifest));
    } else {
        console::print(&console::text_report().render(&findings, &manifest));
    }
    Ok(findings.verdict.into())
}
