//! A scenario, records, a procedure and an engine for this module's tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::fold::Decider;
use crate::campaign::Step;
use crate::capture::{Body, Capture, EngineFailure, Exchange, Outcome, Record, Seconds, Via};
use crate::cell::{Assignment, Cell, CellId, Phase};
use crate::engine::target::TargetFacts;
use crate::engine::{Engine, EngineError, Job};
use crate::finding::{CellCounts, Findings, Power, SCHEMA_VERSION, Verdict};
use crate::gateway::client::Traffic;
use crate::scenario::{DesignOptions, Factor, FactorKind, Level, Limits, Matrix, Scenario, Source, Stub, Target};

pub(crate) fn scenario() -> Scenario {
    Scenario {
        name: "test".into(),
        target: Target {
            source: Source::Local { include: Vec::new() },
            command: vec!["agent".into()],
            prompt: "hello".into(),
            env: BTreeMap::new(),
            files: Vec::new(),
            node: "22".into(),
            python: None,
            timeout: Duration::from_secs(5),
            limits: Limits { memory_bytes: 1 << 30, processes: 64 },
            folder: std::path::PathBuf::new(),
        },
        stub: Stub::default(),
        factors: vec![Factor {
            name: "zone".into(),
            kind: FactorKind::Timezone,
            levels: vec![Level::set("UTC"), Level::set("Asia/Tokyo")],
        }],
        forbidden: Vec::new(),
        design: DesignOptions { strength: 2, budget: 100, replicates: 2, minimum_rows: 4, alpha: 0.05 },
        matrix: Matrix::default(),
        disclosed: Vec::new(),
        severity: crate::scenario::Severities::default(),
    }
}

pub(crate) fn cell(n: usize) -> Cell {
    Cell { id: CellId::nth(n), round: 0, phase: Phase::Cover, levels: Assignment(vec![0]), replicate: 0 }
}

pub(crate) fn capture() -> Capture {
    Capture {
        started_unix_ms: 1_700_000_000_000,
        wall: Seconds(1_000),
        cpu: Some(Seconds(500_000)),
        outcome: Outcome::Exited { code: 0 },
        stdout: Body::new(&b"OK\n"[..]),
        stderr: Body::default(),
        exchanges: vec![Exchange {
            at: Seconds(10),
            scheme: "http".into(),
            host: "api.example".into(),
            port: 80,
            dialled: "10.0.0.1:80".into(),
            via: Via::Direct,
            version: "1.1".into(),
            method: "POST".into(),
            target: "/v1/messages".into(),
            headers: vec![("Host".into(), "api.example".into())],
            body: Body::new(&b"{}"[..]),
            status: 200,
            ..Exchange::default()
        }],
        dns: Vec::new(),
        tls: Vec::new(),
        connections: Vec::new(),
        files: Vec::new(),
        left_open: 0,
        ..Capture::default()
    }
}

pub(crate) fn record(n: usize) -> Record {
    Record { cell: cell(n), attempts: 1, outcome: Ok(Arc::new(capture())) }
}

pub(crate) fn failed(n: usize) -> Record {
    Record { cell: cell(n), attempts: 3, outcome: Err(EngineFailure { message: "no disk".into() }) }
}

/// A procedure of rounds of fixed sizes, that remembers what it absorbed.
#[derive(Debug)]
pub(crate) struct Rounds {
    sizes: Vec<usize>,
    next: usize,
    planned: usize,
    pub(crate) absorbed: Vec<String>,
}

impl Rounds {
    pub(crate) fn new(sizes: &[usize]) -> Self {
        Self { sizes: sizes.to_vec(), next: 0, planned: 0, absorbed: Vec::new() }
    }
}

impl Decider for Rounds {
    fn step(&mut self) -> Step {
        assert_eq!(self.absorbed.len(), self.planned, "a round must be absorbed before the next");
        let Some(size) = self.sizes.get(self.next) else {
            return Step::Done(Box::new(findings(self.absorbed.clone())));
        };
        self.next += 1;
        let cells = (self.planned..self.planned + size).map(cell).collect();
        self.planned += size;
        Step::Round(cells)
    }
    fn absorb(&mut self, record: Record) {
        let mark = if record.outcome.is_err() { "!" } else { "" };
        self.absorbed.push(format!("{}{mark}", record.cell.id));
    }
    fn noticed(&self) -> Vec<String> {
        vec![format!("{} cells", self.absorbed.len())]
    }
    fn expected_cells(&self) -> usize {
        self.sizes.iter().sum()
    }
}

pub(crate) fn findings(notes: Vec<String>) -> Findings {
    Findings {
        schema_version: SCHEMA_VERSION,
        scenario: "test".into(),
        verdict: Verdict::Clean,
        notes,
        cells: CellCounts::default(),
        not_varied: Vec::new(),
        power: Power {
            strength: 2,
            tuples_covered: 4,
            tuples_total: 4,
            alpha: 0.05,
            smallest_rate: 0.1,
            ..Power::default()
        },
        inconclusive: false,
        stale: Vec::new(),
        findings: Vec::new(),
    }
}

/// What a fake engine does with a cell, by the cell's name and how many attempts came before.
pub(crate) type Behaviour = dyn Fn(&str, usize) -> Act + Send + Sync;

/// What a fake engine does with one attempt.
pub(crate) enum Act {
    After(Duration, Box<Result<Capture, EngineError>>),
    Hang,
}

/// An engine without pods.
pub(crate) struct FakeEngine {
    behaviour: Box<Behaviour>,
    attempts: Mutex<BTreeMap<String, usize>>,
    busy: std::sync::Mutex<Vec<usize>>,
    pub(crate) most_at_once: AtomicUsize,
    pub(crate) closed: AtomicUsize,
    pub(crate) started: Mutex<Vec<String>>,
}

impl FakeEngine {
    pub(crate) fn new(behaviour: impl Fn(&str, usize) -> Act + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            behaviour: Box::new(behaviour),
            attempts: Mutex::default(),
            busy: std::sync::Mutex::default(),
            most_at_once: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
            started: Mutex::default(),
        })
    }
}

impl Engine for FakeEngine {
    fn describe(&self) -> String {
        "fake 1".into()
    }

    fn target(&self) -> TargetFacts {
        TargetFacts::default()
    }

    fn run<'a>(&'a self, slot: usize, job: &'a Job) -> BoxFuture<'a, Result<Capture, EngineError>> {
        Box::pin(async move {
            let before = {
                let mut attempts = self.attempts.lock().await;
                let count = attempts.entry(job.cell.0.clone()).or_default();
                *count += 1;
                *count - 1
            };
            self.started.lock().await.push(job.cell.0.clone());
            let _busy = Busy::enter(self, slot);
            match (self.behaviour)(&job.cell.0, before) {
                Act::After(span, result) => {
                    tokio::time::sleep(span).await;
                    *result
                }
                Act::Hang => std::future::pending().await,
            }
        })
    }

    fn run_canary<'a>(
        &'a self,
        _slot: usize,
        _arguments: &'a [String],
    ) -> BoxFuture<'a, Result<(String, Traffic), EngineError>> {
        Box::pin(async { Err(EngineError::Canary("there is no pod to fly in".into())) })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.closed.fetch_add(1, Ordering::SeqCst);
        })
    }
}

/// A slot at work; it is free again when the attempt ends or is dropped.
struct Busy<'a>(&'a FakeEngine, usize);

impl<'a> Busy<'a> {
    fn enter(engine: &'a FakeEngine, slot: usize) -> Self {
        let mut busy = engine.busy.lock().unwrap();
        assert!(!busy.contains(&slot), "two cells in slot {slot}");
        busy.push(slot);
        engine.most_at_once.fetch_max(busy.len(), Ordering::SeqCst);
        Self(engine, slot)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.lock().unwrap().retain(|other| *other != self.1);
    }
}
