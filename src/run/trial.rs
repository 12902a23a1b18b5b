//! A **trial**: single cells of one target, run as they are asked for and kept in a folder like a run's. No campaign
//! decides about them: whoever asks knows what is to be seen.

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::RunError;
use super::driver::{Driver, Patience};
use super::event::{Event, Listener};
use super::redact::Redactor;
use super::session::{self, Request};
use super::usage::Meter;
use crate::capture::{Capture, Record};
use crate::cell::{Assignment, Cell, CellId, Phase};
use crate::engine::Engine;
use crate::store::{Folder, RecordWriter, Stored as _};

/// An open trial. It must be closed.
pub struct Trial {
    engine: Arc<dyn Engine>,
    driver: Driver,
    folder: Folder,
    writer: RecordWriter,
    plan: Vec<Cell>,
    /// The run's id, which every image made for it carries.
    pub id: String,
}

/// Cells that were observed.
pub type Observed = Vec<(Assignment, Arc<Capture>)>;

impl Trial {
    /// Installs the target, opens the engine and the folder. What the folder has of the same target stays.
    ///
    /// # Errors
    /// When the target cannot be had, or the engine or the folder cannot be opened.
    pub async fn open(
        request: &Request,
        seed: u64,
        listener: &Listener,
        cancel: &CancellationToken,
    ) -> Result<Self, RunError> {
        let redactor = Redactor::new(&request.scenario);
        let id = session::random_id();
        let prepared = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(RunError::Interrupted),
            prepared = session::prepare(request, &id, seed, listener) => prepared?,
        };
        let engine = prepared.engine.clone();
        let opened = || -> Result<(Folder, RecordWriter, Vec<Cell>), RunError> {
            let folder = if request.out.join("manifest.json").is_file() {
                let folder = Folder::open(&request.out)?;
                session::same_target(&folder.manifest()?.target, &engine.target())?;
                folder
            } else {
                let scenario = redactor.scenario(&request.scenario);
                let manifest = session::new_manifest(request, &redactor, &scenario, seed, &id, &prepared);
                Folder::create(&request.out, &manifest)?
            };
            let recorded = folder.records()?;
            let plan = (0..recorded.len()).map(|n| recorded.cell(n).clone()).collect();
            let writer = folder.append_after(&recorded, recorded.len())?;
            Ok((folder, writer, plan))
        };
        let (folder, writer, plan) = match opened() {
            Ok(opened) => opened,
            Err(error) => {
                close(&*prepared.engine, listener).await;
                return Err(error);
            }
        };
        let driver = Driver {
            engine: prepared.engine.clone(),
            jobs: request.jobs,
            make_job: prepared.make_job,
            redactor: Arc::new(redactor),
            listener: listener.clone(),
            cancel: cancel.clone(),
            patience: Patience::default(),
        };
        Ok(Self { engine: prepared.engine, driver, folder, writer, plan, id })
    }

    /// Runs cells, started in this order. Those that the engine lost are left out.
    ///
    /// # Errors
    /// When the engine cannot go on, too many cells fail, the folder cannot be written, or it is cancelled.
    pub async fn run(&mut self, levels: &[Assignment]) -> Result<Observed, RunError> {
        let (here, round) = (self.plan.len(), self.plan.last().map_or(0, |cell| cell.round + 1));
        for levels in levels {
            let replicate = self.plan.iter().filter(|cell| cell.levels == *levels).count();
            self.plan.push(Cell {
                id: CellId::nth(self.plan.len()),
                round,
                phase: Phase::Confirm,
                levels: levels.clone(),
                replicate: u32::try_from(replicate).unwrap_or(u32::MAX),
            });
        }
        self.folder.write_plan(&self.plan)?;
        let mut records: Vec<Record> = Vec::new();
        let mut absorb = |more: Vec<Record>| records.extend(more);
        self.driver.cells(&self.plan[here..], &mut absorb, &mut self.writer, &mut Meter::start()).await?;
        Ok(observed(records))
    }

    /// Ends every pod.
    pub async fn close(self) {
        close(&*self.engine, &self.driver.listener).await;
    }
}

async fn close(engine: &dyn Engine, listener: &Listener) {
    if tokio::time::timeout(session::CLOSING, engine.close()).await.is_err() {
        listener(Event::Warning("the engine did not end in time; `parallax clean` removes what is left".into()));
    }
}

/// What the folder of a run or trial has of observed cells, at most so many.
///
/// # Errors
/// When it cannot be read.
pub fn recall(folder: &Path, most: usize) -> Result<Observed, RunError> {
    let recorded = Folder::open(folder)?.records()?;
    Ok(observed(recorded.load(0..recorded.len().min(most))?))
}

fn observed(records: Vec<Record>) -> Observed {
    records.into_iter().filter_map(|record| Some((record.cell.levels, record.outcome.ok()?))).collect()
}
