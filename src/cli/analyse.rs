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
use crate::scenario;
use crate::store::Folder;

/// Arguments of `parallax analyse`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run's folder
    run: PathBuf,
    /// What the vendor says openly; takes the place of what the run was given, and is kept with it
    #[arg(long, value_name = "FILE")]
    disclosures: Option<PathBuf>,
    /// Print findings.json instead of the table
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let folder = Folder::open(&arguments.run)?;
    let mut manifest = folder.manifest()?;
    if let Some(disclosures) = &arguments.disclosures {
        manifest.scenario.disclosed = scenario::load_disclosures(disclosures, &manifest.scenario.factors)?;
    }
    let recorded = folder.records()?;
    if recorded.torn {
        console::note("the last record on disk was not whole and is left out");
    }
    let mut campaign = Campaign::new(Arc::new(manifest.scenario.clone()), manifest.seed);
    let mut fold = Fold::new(recorded.records);
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
    if arguments.disclosures.is_some() {
        folder.write_manifest(&manifest)?;
    }
    folder.write_findings(&findings)?;
    folder.write("report.md", &Markdown.render(&findings, &manifest))?;
    if arguments.json {
        console::print(&Json.render(&findings, &manifest));
    } else {
        console::print(&console::text_report().render(&findings, &manifest));
    }
    Ok(findings.verdict.into())
}
