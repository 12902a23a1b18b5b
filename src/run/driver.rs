//! The **driver**: runs the cells that a procedure asks for, as many at once as there are slots, and hands it their
//! records in plan order. It retries what the engine failed at, never what the agent did.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::RunError;
use super::event::{Event, Listener};
use super::fold::{Decider, too_many};
use super::redact::Redactor;
use super::usage::Meter;
use crate::campaign::Step;
use crate::capture::{Capture, EngineFailure, Outcome, Record};
use crate::cell::Cell;
use crate::engine::{Engine, EngineError, Job};
use crate::finding::Findings;
use crate::store::{Folder, Packed, Packer, RecordWriter};

/// How long the driver bears with an engine.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Waits before the second attempt at a cell, the third, …; after the last one the cell has failed.
    pub retries: Vec<Duration>,
    /// After a cell's deadline and this, a warning says that the engine has not ended it.
    pub grace: Duration,
    /// After this much more, the attempt is given up.
    pub lost: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            retries: vec![Duration::from_millis(500), Duration::from_secs(2)],
            grace: Duration::from_secs(20),
            lost: Duration::from_mins(1),
        }
    }
}

/// Cells that may have ended behind one that has not: their records are in memory.
const AHEAD: usize = 512;

/// Makes an engine's job of a cell.
pub type MakeJob = Arc<dyn Fn(&Cell) -> Job + Send + Sync>;

/// Runs rounds.
pub struct Driver {
    /// Runs cells.
    pub engine: Arc<dyn Engine>,
    /// Cells at once.
    pub jobs: usize,
    /// Makes a cell's environment.
    pub make_job: MakeJob,
    /// Takes secrets out of records before they are stored or absorbed.
    pub redactor: Arc<Redactor>,
    /// Hears what happens.
    pub listener: Listener,
    /// Ends the run early.
    pub cancel: CancellationToken,
    /// How long the driver bears with the engine.
    pub patience: Patience,
}

/// A cell's end as a slot reports it: its record without secrets, packed and with its bodies on disk.
struct Ended {
    index: usize,
    slot: usize,
    result: Result<(Record, Packed), RunError>,
}

/// What slots need beside a job.
#[derive(Clone)]
struct Slots {
    engine: Arc<dyn Engine>,
    listener: Listener,
    patience: Arc<Patience>,
    redactor: Arc<Redactor>,
    packer: Packer,
}

/// The round that is running.
struct Round<'a> {
    cells: &'a [Cell],
    /// Next to be stored and absorbed.
    next: usize,
    waiting: BTreeMap<usize, (Record, Packed)>,
    failed: usize,
    message: String,
}

/// Whether the first baselines failed, which is worth a word at once.
#[derive(Default)]
struct Baselines {
    seen: u32,
    told: bool,
}

impl Driver {
    /// Runs round after round from `first` on (of which `absorbed` cells are absorbed already) until the procedure is
    /// done. `plan` has every cell so far, those of `first` included. The engine stays open.
    ///
    /// # Errors
    /// When the engine cannot go on, too many cells of a round fail, the folder cannot be written, or it is cancelled.
    ///
    /// # Panics
    /// When the procedure plans a round without cells, which would never end.
    pub async fn run(
        &self,
        procedure: &mut impl Decider,
        folder: &Folder,
        writer: &mut RecordWriter,
        mut plan: Vec<Cell>,
        first: (Vec<Cell>, usize),
        meter: &mut Meter,
    ) -> Result<Box<Findings>, RunError> {
        let (mut cells, mut absorbed) = first;
        let mut baselines = Baselines::default();
        let mut noticed = Vec::new();
        loop {
            folder.write_plan(&plan)?;
            (self.listener)(Event::Planned {
                round: cells[0].round,
                phase: cells[0].phase,
                cells: cells.len(),
                expected_total: procedure.expected_cells().max(plan.len()),
            });
            let mut round =
                Round { cells: &cells, next: absorbed, waiting: BTreeMap::new(), failed: 0, message: String::new() };
            self.round(&mut round, &mut |records| procedure.absorb_all(records), writer, meter, &mut baselines).await?;
            let step = procedure.step();
            for line in procedure.noticed() {
                if !noticed.contains(&line) {
                    (self.listener)(Event::Noticed(line.clone()));
                    noticed.push(line);
                }
            }
            let hypotheses = procedure.hypotheses();
            if !hypotheses.is_empty() {
                (self.listener)(Event::Hypotheses(hypotheses));
            }
            match step {
                Step::Done(findings) => return Ok(findings),
                Step::Round(next) => {
                    assert!(!next.is_empty(), "a round without cells was planned");
                    plan.extend(next.iter().cloned());
                    cells = next;
                    absorbed = 0;
                }
            }
        }
    }

    /// Runs these cells, in whose order their records are stored and absorbed.
    ///
    /// # Errors
    /// As [`Driver::run`].
    pub async fn cells(
        &self,
        cells: &[Cell],
        absorb: &mut impl FnMut(Vec<Record>),
        writer: &mut RecordWriter,
        meter: &mut Meter,
    ) -> Result<(), RunError> {
        let mut round = Round { cells, next: 0, waiting: BTreeMap::new(), failed: 0, message: String::new() };
        self.round(&mut round, absorb, writer, meter, &mut Baselines::default()).await
    }

    async fn round(
        &self,
        round: &mut Round<'_>,
        absorb: &mut impl FnMut(Vec<Record>),
        writer: &mut RecordWriter,
        meter: &mut Meter,
        baselines: &mut Baselines,
    ) -> Result<(), RunError> {
        let mut free: VecDeque<usize> = (0..self.jobs.max(1)).collect();
        let mut queue = round.next..round.cells.len();
        let ahead = AHEAD.max(2 * self.jobs);
        let slots = Slots {
            engine: self.engine.clone(),
            listener: self.listener.clone(),
            patience: Arc::new(self.patience.clone()),
            redactor: self.redactor.clone(),
            packer: writer.packer(),
        };
        // Dropping the set, by any way out of this function, aborts what still runs.
        let mut running = JoinSet::new();
        loop {
            // One cell that takes long must not let all others pile up behind it.
            while queue.start < round.next + ahead
                && let Some(slot) = free.pop_front()
            {
                let Some(index) = queue.next() else { break };
                let cell = &round.cells[index];
                (self.listener)(Event::Started(cell.id.clone()));
                running.spawn(slots.clone().run(slot, index, cell.clone(), (self.make_job)(cell)));
            }
            // Records go on while cells run: the slots are full before any time is spent on them.
            self.take_ready(round, absorb, writer, meter, baselines)?;
            let mut ended = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(RunError::Interrupted),
                ended = running.join_next() => ended,
            };
            if ended.is_none() && queue.is_empty() {
                return Ok(());
            }
            while let Some(one) = ended {
                let Ended { index, slot, result } = match one {
                    Ok(ended) => ended,
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => return Err(RunError::Interrupted),
                };
                free.push_back(slot);
                let (record, packed) = result?;
                (self.listener)(Event::Finished {
                    cell: round.cells[index].id.clone(),
                    observed: record.outcome.is_ok(),
                });
                round.waiting.insert(index, (record, packed));
                ended = running.try_join_next();
            }
        }
    }

    /// Stores and absorbs the records that are next in plan order.
    fn take_ready(
        &self,
        round: &mut Round<'_>,
        absorb: &mut impl FnMut(Vec<Record>),
        writer: &mut RecordWriter,
        meter: &mut Meter,
        baselines: &mut Baselines,
    ) -> Result<(), RunError> {
        let mut ready = Vec::new();
        while let Some((record, packed)) = round.waiting.remove(&round.next) {
            round.next += 1;
            meter.count(&record);
            writer.append_packed(&packed)?;
            if let Err(failure) = &record.outcome {
                round.failed += 1;
                round.message.clone_from(&failure.message);
            }
            if let Some(warning) = baselines.look(&record) {
                (self.listener)(Event::Warning(warning));
            }
            let lost = record.outcome.is_err() && too_many(round.failed, round.cells.len());
            ready.push(record);
            if lost {
                absorb(ready);
                return Err(RunError::Lost {
                    failed: round.failed,
                    cells: round.cells.len(),
                    round: round.cells[0].round,
                    message: round.message.clone(),
                });
            }
        }
        absorb(ready);
        Ok(())
    }
}

impl Slots {
    /// Runs a cell in a slot, with all its attempts.
    async fn run(self, slot: usize, index: usize, cell: Cell, job: Job) -> Ended {
        let mut attempts = 0;
        let result = loop {
            attempts += 1;
            let result = attempt(&*self.engine, slot, &job, &self.listener, &self.patience).await;
            if let Err(error @ EngineError::Failed { .. }) = &result
                && let Some(wait) = self.patience.retries.get(attempts as usize - 1)
            {
                (self.listener)(Event::Warning(format!("{}: {error}; trying again", job.cell)));
                tokio::time::sleep(*wait).await;
                continue;
            }
            break result;
        };
        let outcome = match result {
            Ok(capture) => Ok(Arc::new(capture)),
            Err(EngineError::Cancelled) => return Ended { index, slot, result: Err(RunError::Interrupted) },
            Err(error @ (EngineError::Missing(_) | EngineError::NoTarget { .. } | EngineError::Canary(_))) => {
                return Ended { index, slot, result: Err(error.into()) };
            }
            Err(error) => Err(EngineFailure { message: error.to_string() }),
        };
        let record = self.redactor.record(Record { cell, attempts, outcome });
        let result = self.packer.pack(&record).map(|packed| (record, packed)).map_err(RunError::from);
        Ended { index, slot, result }
    }
}

/// One attempt at a cell, under the watchdog.
async fn attempt(
    engine: &dyn Engine,
    slot: usize,
    job: &Job,
    listener: &Listener,
    patience: &Patience,
) -> Result<Capture, EngineError> {
    let mut run = pin!(engine.run(slot, job));
    let late = job.timeout + patience.grace;
    if let Ok(result) = tokio::time::timeout(late, &mut run).await {
        return result;
    }
    listener(Event::Warning(format!(
        "{} hangs: its deadline was {:.1} s, and {:.1} s after its start the engine has not ended it",
        job.cell,
        job.timeout.as_secs_f64(),
        late.as_secs_f64()
    )));
    if let Ok(result) = tokio::time::timeout(patience.lost, &mut run).await {
        return result;
    }
    Err(EngineError::Failed {
        step: "waiting for the engine to end the cell",
        message: format!("given up after {:.1} s", (late + patience.lost).as_secs_f64()),
    })
}

impl Baselines {
    /// Looks at a record; says something when the first two baselines that were observed have both failed.
    fn look(&mut self, record: &Record) -> Option<String> {
        let Ok(capture) = &record.outcome else { return None };
        if self.told || record.cell.levels.0.iter().any(|level| *level != 0) {
            return None;
        }
        let failed = capture.outcome != Outcome::Exited { code: 0 } || capture.exchanges.is_empty();
        self.told = !failed;
        self.seen += 1;
        if !failed || self.seen < 2 {
            return None;
        }
        self.told = true;
        let end = match capture.outcome {
            Outcome::Exited { code } => format!("exit {code}"),
            Outcome::Signalled { signal } => format!("signal {signal}"),
            Outcome::TimedOut => "ended at its deadline".to_owned(),
            Outcome::MemoryLimit => "ended at its memory limit".to_owned(),
            Outcome::ProcessLimit => "ended at its limit of processes".to_owned(),
        };
        let mut said = last_lines(&capture.stderr.text());
        if said.is_empty() {
            said = last_lines(&capture.stdout.text());
        }
        Some(format!(
            "the agent does not seem to work at the baseline ({}: {end} after {:.1} s, {} requests); it said{}",
            record.cell.id,
            capture.wall.as_f64(),
            capture.exchanges.len(),
            if said.is_empty() { " nothing".to_owned() } else { format!(":\n{said}") }
        ))
    }
}

/// The last few lines of a program's output, each cut short.
fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(4)..];
    last.iter().map(|line| line.chars().take(160).collect::<String>()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::capture::{Body, Seconds};
    use crate::engine::environment::{Environment, User};
    use crate::run::testing::{Act, FakeEngine, Rounds, capture, scenario};
    use crate::store::{Manifest, Recorded, Stored as _};

    struct Bench {
        _place: tempfile::TempDir,
        folder: Folder,
        driver: Driver,
        events: Arc<Mutex<Vec<Event>>>,
    }

    fn job(cell: &Cell) -> Job {
        let user = User { name: "dev".into(), uid: 1000, gid: 1000, home: "/home/dev".into(), shell: "/bin/sh".into() };
        Job {
            cell: cell.id.clone(),
            levels: cell.levels.clone(),
            environment: Environment {
                variables: BTreeMap::new(),
                files: Vec::new(),
                hostname: "box".into(),
                dns_search: None,
                user,
                workdir: "/".into(),
                command: Vec::new(),
                cpus: None,
                interface: false,
                http2: false,
            },
            limits: scenario().target.limits,
            timeout: Duration::from_millis(200),
        }
    }

    fn bench(engine: Arc<FakeEngine>, jobs: usize) -> Bench {
        let place = tempfile::tempdir().unwrap();
        let scenario = scenario();
        let redactor = Arc::new(Redactor::new(&scenario));
        let manifest = Manifest {
            schema_version: Manifest::SCHEMA_VERSION,
            parallax: "0".into(),
            run: "abcdefgh".into(),
            started: "2024-01-01T00:00:00Z".into(),
            scenario_path: "x.toml".into(),
            scenario_text: String::new(),
            scenario_sha256: String::new(),
            overrides: Vec::new(),
            scenario,
            seed: 1,
            engine: "fake 1".into(),
            jobs,
            target: crate::engine::target::TargetFacts::default(),
            tzdb: String::new(),
            kernel: String::new(),
            architecture: String::new(),
            cores: 2,
            pinned: None,
            sight: None,
            usage: None,
        };
        let folder = Folder::create(&place.path().join("run"), &manifest).unwrap();
        assert_eq!(folder.manifest().unwrap(), manifest);
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = events.clone();
        let driver = Driver {
            engine,
            jobs,
            make_job: Arc::new(job),
            redactor,
            listener: Arc::new(move |event| heard.lock().unwrap().push(event)),
            cancel: CancellationToken::new(),
            patience: Patience {
                retries: vec![Duration::from_millis(1), Duration::from_millis(2)],
                grace: Duration::from_millis(200),
                lost: Duration::from_millis(100),
            },
        };
        Bench { _place: place, folder, driver, events }
    }

    impl Bench {
        async fn drive(&self, procedure: &mut Rounds) -> Result<Box<Findings>, RunError> {
            let mut writer = self.folder.append_after(&Recorded::default(), 0)?;
            let Step::Round(cells) = procedure.step() else { panic!("nothing planned") };
            let (plan, mut meter) = (cells.clone(), Meter::start());
            self.driver.run(procedure, &self.folder, &mut writer, plan, (cells, 0), &mut meter).await
        }

        fn warnings(&self) -> Vec<String> {
            let events = self.events.lock().unwrap();
            let warnings = events.iter().filter_map(|event| match event {
                Event::Warning(text) => Some(text.clone()),
                _ => None,
            });
            warnings.collect()
        }
    }

    fn stored(folder: &Folder) -> Vec<Record> {
        let recorded = folder.records().unwrap();
        recorded.load(0..recorded.len()).unwrap()
    }

    fn fine(milliseconds: u64) -> Act {
        Act::After(Duration::from_millis(milliseconds), Box::new(Ok(capture())))
    }

    fn broken() -> Act {
        let error = EngineError::Failed { step: "starting", message: "no disk".into() };
        Act::After(Duration::ZERO, Box::new(Err(error)))
    }

    #[tokio::test]
    async fn records_are_absorbed_and_stored_in_plan_order_whatever_arrives_first() {
        // Later cells are faster.
        let engine = FakeEngine::new(|cell, _| fine(100 - cell[1..].parse::<u64>().unwrap()));
        let bench = bench(engine.clone(), 3);
        let mut procedure = Rounds::new(&[7, 4]);
        bench.drive(&mut procedure).await.unwrap();
        let expected: Vec<String> = (0..11).map(|n| format!("c{n:04}")).collect();
        assert_eq!(procedure.absorbed, expected);
        let stored = stored(&bench.folder);
        assert_eq!(stored.iter().map(|record| record.cell.id.0.clone()).collect::<Vec<_>>(), expected);
        assert_eq!(bench.folder.plan().unwrap().len(), 11);
        assert_eq!(*engine.started.lock().await, expected, "cells begin in plan order");
        assert_eq!(engine.most_at_once.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn an_engine_failure_is_tried_three_times_as_the_same_cell() {
        let engine = FakeEngine::new(|cell, before| match (cell, before) {
            ("c0001", 0 | 1) | ("c0004", _) => broken(),
            _ => fine(10),
        });
        let bench = bench(engine, 2);
        let mut procedure = Rounds::new(&[20]);
        bench.drive(&mut procedure).await.unwrap();
        let stored = stored(&bench.folder);
        assert_eq!((stored[1].attempts, stored[1].outcome.is_ok()), (3, true));
        assert_eq!((stored[4].attempts, stored[4].outcome.is_err()), (3, true));
        assert_eq!(procedure.absorbed[4], "c0004!");
        assert_eq!(bench.warnings().len(), 4);
    }

    #[tokio::test]
    async fn many_engine_failures_end_the_run() {
        let engine = FakeEngine::new(|cell, _| if cell > "c0002" { broken() } else { fine(1) });
        let bench = bench(engine, 2);
        let error = bench.drive(&mut Rounds::new(&[20])).await.unwrap_err();
        assert!(matches!(&error, RunError::Lost { failed: 3, cells: 20, .. }), "{error}");
        assert!(error.to_string().contains("no disk"), "{error}");
    }

    #[tokio::test]
    async fn a_missing_engine_is_not_tried_again() {
        let missing = || Act::After(Duration::ZERO, Box::new(Err(EngineError::Missing("no kernel".into()))));
        let engine = FakeEngine::new(move |_, _| missing());
        let bench = bench(engine.clone(), 1);
        let error = bench.drive(&mut Rounds::new(&[20])).await.unwrap_err();
        assert!(matches!(error, RunError::Engine(EngineError::Missing(_))), "{error}");
        assert_eq!(engine.started.lock().await.len(), 1);
    }

    #[tokio::test]
    async fn a_hanging_cell_is_named_and_given_up() {
        let engine = FakeEngine::new(|cell, before| if (cell, before) == ("c0002", 0) { Act::Hang } else { fine(10) });
        let bench = bench(engine, 1);
        bench.drive(&mut Rounds::new(&[12])).await.unwrap();
        let warnings = bench.warnings();
        assert!(warnings[0].starts_with("c0002 hangs: its deadline was 0.2 s, and 0.4 s after"), "{warnings:?}");
        assert!(warnings[1].contains("given up after 0.5 s"), "{warnings:?}");
    }

    #[tokio::test]
    async fn cancelling_leaves_what_was_done() {
        let engine = FakeEngine::new(|cell, _| if cell == "c0005" { Act::Hang } else { fine(10) });
        let bench = bench(engine, 2);
        let cancel = bench.driver.cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            cancel.cancel();
        });
        let error = bench.drive(&mut Rounds::new(&[20])).await.unwrap_err();
        assert!(matches!(error, RunError::Interrupted), "{error}");
        assert_eq!(stored(&bench.folder).len(), 5);
    }

    #[tokio::test]
    async fn an_agent_that_fails_at_the_baseline_is_quoted_once() {
        let engine = FakeEngine::new(|_, _| {
            let mut capture = capture();
            capture.outcome = Outcome::Exited { code: 1 };
            capture.wall = Seconds(400_000);
            capture.stderr = Body::new(&b"\nError: no such model\n\n"[..]);
            Act::After(Duration::from_millis(1), Box::new(Ok(capture)))
        });
        let bench = bench(engine, 1);
        bench.drive(&mut Rounds::new(&[6])).await.unwrap();
        let warnings = bench.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("c0001: exit 1 after 0.4 s, 1 requests"), "{warnings:?}");
        assert!(warnings[0].ends_with("it said:\nError: no such model"), "{warnings:?}");
    }
}
