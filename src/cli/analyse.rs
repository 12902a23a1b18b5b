//! `parallax analyse`: the fold of a stored run, without any engine.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::console;
use super::exit::Exit;
use super::failure::Failure;
use crate::attestation::Seen;
use crate::campaign::Campaign;
use crate::cell::Cell;
use crate::finding::Findings;
use crate::report::{Json, Report as _};
use crate::run::RunError;
use crate::run::by_hand::quote;
use crate::run::fold::{Fold, Folded};
use crate::run::reproduce;
use crate::scenario;
use crate::store::{Folder, Manifest, Recorded, Stored as _};

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
    let Read { findings, campaign, .. } = read(&folder, &manifest)?;
    if arguments.disclosures.is_some() {
        folder.write_manifest(&manifest)?;
    }
    folder.write_findings(&findings)?;
    super::report::write_all(&folder, &manifest, &findings, &campaign)?;
    if arguments.json {
        console::print(&Json.render(&findings, &manifest));
    } else {
        console::print(&console::text_report().render(&findings, &manifest));
    }
    Ok(findings.verdict.into())
}

/// A finished run, read again from its records.
pub(super) struct Read {
    /// What was found.
    pub(super) findings: Findings,
    /// The cells of every round.
    pub(super) plan: Vec<Cell>,
    /// The procedure at its end, with what it has seen.
    pub(super) campaign: Campaign,
    recorded: Arc<Recorded>,
}

impl Read {
    /// What the records show of the run's reach.
    pub(super) fn seen(&self) -> Result<Seen, Failure> {
        let mut seen = Seen::default();
        for n in 0..self.recorded.len() {
            self.recorded.load(n..n + 1)?.iter().for_each(|record| seen.look(record));
        }
        Ok(seen)
    }
}

/// Folds a run's records, as the manifest says.
pub(super) fn read(folder: &Folder, manifest: &Manifest) -> Result<Read, Failure> {
    let recorded = Arc::new(folder.records()?);
    if recorded.torn {
        console::note("the last record on disk was not whole and is left out");
    }
    let recollection = Folder::recollection(folder.path(), Arc::clone(&recorded));
    let mut campaign =
        Campaign::recalling(Arc::new(manifest.scenario.clone()), manifest.seed, Arc::clone(&recollection) as _);
    let mut fold = Fold::new(Arc::clone(&recorded));
    match fold.go(&mut campaign, false).map_err(RunError::from)? {
        Folded::Done(mut findings) => {
            recollection.check()?;
            reproduce::complete(&mut findings, manifest, &fold.plan);
            Ok(Read { findings: *findings, plan: fold.plan, campaign, recorded })
        }
        Folded::Open { cells, absorbed } => Err(Failure::unfinished(format!(
            "the run is not finished: {} cells are recorded, and {} of round {} are still to be run; go on with: \
             {} --out {} --resume",
            fold.absorbed,
            cells.len() - absorbed,
            cells.first().map_or(0, |cell| cell.round),
            reproduce::command(manifest),
            quote(&folder.path().display().to_string())
        ))),
    }
}
