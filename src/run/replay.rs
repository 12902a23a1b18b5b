//! **Replaying** two cells of a stored run: the baseline's and the variant's environment, each several times, in an order
//! drawn at random, on an engine that was opened for it. Gives the records; what they mean is for its caller.
//!
//! And the test for it: with the order drawn at random, the sides that the values go with can be permuted. The chance of
//! at least so good an agreement is counted exactly.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use rand::seq::SliceRandom as _;
use tokio_util::sync::CancellationToken;

use super::RunError;
use super::driver::Patience;
use super::event::{Event, Listener};
use super::redact::Redactor;
use super::session::{CLOSING, Prepared, Request, prepare, random_id, same_target};
use crate::capture::Record;
use crate::cell::{Assignment, Cell, CellId, Phase};
use crate::engine::{Engine, EngineError, Job};
use crate::store::Manifest;

/// Attempts at one cell.
const ATTEMPTS: u32 = 3;

/// Which of the two environments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The baseline's.
    Baseline,
    /// The variant's.
    Variant,
}

/// One fresh run.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Which environment it had.
    pub side: Side,
    /// What it showed, without secrets. An engine failure is an error of the whole replay.
    pub record: Record,
}

/// What was run, and on what.
#[derive(Debug)]
pub struct Replays {
    /// The engine, as a manifest names it.
    pub engine: String,
    /// In the order in which they were run.
    pub runs: Vec<Replayed>,
}

/// Runs both environments `times` times each, one after the other in an order drawn at random. The request's folder and
/// seed are not looked at.
///
/// # Errors
/// When the target is not the one of `manifest`, or the engine cannot run one of the cells.
pub async fn run(
    request: &Request,
    manifest: &Manifest,
    (baseline, variant): (&Assignment, &Assignment),
    times: usize,
    listener: &Listener,
    cancel: &CancellationToken,
) -> Result<Replays, RunError> {
    let mut order = [Side::Baseline, Side::Variant].repeat(times);
    order.shuffle(&mut rand::rng());
    let id = random_id();
    let prepared = tokio::select! {
        biased;
        () = cancel.cancelled() => return Err(RunError::Interrupted),
        prepared = prepare(request, &id, manifest.seed, listener) => prepared?,
    };
    let work = async {
        same_target(&manifest.target, &prepared.engine.target())?;
        let redactor = Redactor::new(&request.scenario);
        let mut runs = Vec::new();
        let cells = order.len();
        listener(Event::Planned { round: 0, phase: Phase::Confirm, cells, expected_total: cells });
        for (n, side) in order.into_iter().enumerate() {
            let levels = if side == Side::Baseline { baseline } else { variant };
            let cell = Cell {
                id: CellId(format!("replay-{n}")),
                round: u32::MAX,
                phase: Phase::Confirm,
                levels: levels.clone(),
                replicate: 0,
            };
            listener(Event::Started(cell.id.clone()));
            let record = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(RunError::Interrupted),
                record = one(&prepared, &cell, listener) => record?,
            };
            listener(Event::Finished { cell: cell.id, observed: true });
            runs.push(Replayed { side, record: redactor.record(record) });
        }
        Ok(Replays { engine: prepared.engine.describe(), runs })
    };
    // Pods must be gone after a panic of ours too.
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    if tokio::time::timeout(CLOSING, prepared.engine.close()).await.is_err() {
        listener(Event::Warning("the engine did not end in time; `parallax clean` removes what is left".into()));
    }
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// One cell, with its attempts: what the engine fails at is tried again, never what the agent did.
async fn one(prepared: &Prepared, cell: &Cell, listener: &Listener) -> Result<Record, RunError> {
    let job = (prepared.make_job)(cell);
    let mut attempts = 0;
    loop {
        attempts += 1;
        match attempt(&*prepared.engine, &job).await {
            Ok(capture) => return Ok(Record { cell: cell.clone(), attempts, outcome: Ok(Arc::new(capture)) }),
            Err(error @ EngineError::Failed { .. }) if attempts < ATTEMPTS => {
                listener(Event::Warning(format!("{}: {error}; trying again", cell.id)));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn attempt(engine: &dyn Engine, job: &Job) -> Result<crate::capture::Capture, EngineError> {
    let patience = Patience::default();
    let most = job.timeout + patience.grace + patience.lost;
    tokio::time::timeout(most, engine.run(0, job)).await.unwrap_or_else(|_| {
        Err(EngineError::Failed {
            step: "waiting for the engine to end the cell",
            message: format!("given up after {:.1} s", most.as_secs_f64()),
        })
    })
}

/// How well fresh runs agree with what the stored run showed, and the chance of agreeing so well by accident.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// Runs that showed the value of their own side.
    pub agree: usize,
    /// Runs.
    pub runs: usize,
    /// The share of all ways to call as many of these runs the baseline's that agree at least as well. Exact, and valid
    /// because the order was drawn at random.
    pub p: f64,
}

/// Compares sides and values: `as_baseline` and `as_variant` say whether a run showed the value that the stored run has for
/// that side.
#[must_use]
pub fn agreement(runs: &[(Side, bool, bool)]) -> Agreement {
    let own =
        |(side, baseline, variant): &(Side, bool, bool)| if *side == Side::Baseline { *baseline } else { *variant };
    let agree = runs.iter().filter(|run| own(run)).count();
    let size = runs.iter().filter(|(side, ..)| *side == Side::Baseline).count();
    // ways[k][a]: choices of k of the runs so far as the baseline's, of which, with the others as the variant's, a agree.
    let count = runs.len() + 1;
    let mut ways = vec![vec![0.0_f64; count + 1]; size + 1];
    ways[0][0] = 1.0;
    for (_, baseline, variant) in runs {
        let mut next = vec![vec![0.0_f64; count + 1]; size + 1];
        for chosen in 0..=size {
            for agreeing in 0..count {
                let here = ways[chosen][agreeing];
                if here > 0.0 {
                    next[chosen][agreeing + usize::from(*variant)] += here;
                    if chosen < size {
                        next[chosen + 1][agreeing + usize::from(*baseline)] += here;
                    }
                }
            }
        }
        ways = next;
    }
    let all: f64 = ways[size].iter().sum();
    let as_good: f64 = ways[size].iter().skip(agree).sum();
    Agreement { agree, runs: runs.len(), p: if all > 0.0 { as_good / all } else { 1.0 } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(baseline: &[(bool, bool)], variant: &[(bool, bool)]) -> Vec<(Side, bool, bool)> {
        let own = |side: Side, seen: &[(bool, bool)]| seen.iter().map(|(b, v)| (side, *b, *v)).collect::<Vec<_>>();
        [own(Side::Baseline, baseline), own(Side::Variant, variant)].concat()
    }

    const B: (bool, bool) = (true, false);
    const V: (bool, bool) = (false, true);
    const OTHER: (bool, bool) = (false, false);

    #[test]
    fn chances_are_those_that_can_be_counted_by_hand() {
        let p = |baseline: &[_], variant: &[_]| agreement(&runs(baseline, variant)).p;
        let is = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
        is(p(&[B; 3], &[V; 3]), 1.0 / 20.0);
        is(p(&[B; 4], &[V; 4]), 1.0 / 70.0);
        // Swapped, never the same, and never seen: nothing speaks for it.
        is(p(&[V; 3], &[B; 3]), 1.0);
        is(p(&[B; 3], &[B; 3]), 1.0);
        is(p(&[OTHER; 3], &[OTHER; 3]), 1.0);
        // One of the variant's runs as at the baseline: 4 of 20 ways to choose three of the four (hypergeometric).
        is(p(&[B; 3], &[V, V, B]), 4.0 / 20.0);
        is(p(&[B; 3], &[V, V, OTHER]), 1.0 / 20.0);
        assert_eq!(agreement(&runs(&[B; 3], &[V, V, B])).agree, 5);
        is(p(&[], &[]), 1.0);
    }
}
