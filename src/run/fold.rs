//! The **fold**: records on disk through the campaign, in plan order. The same for going on with a run and for reading
//! it again without any engine.

use crate::campaign::{Campaign, Hypothesis, Step};
use crate::capture::Record;
use crate::cell::{Cell, CellId};
use crate::finding::Findings;
use crate::store::{StoreError, Stored};

/// Records that are loaded at once, while those before them are absorbed.
const CHUNK: usize = 64;

/// What decides which cells to run: the [`Campaign`], or a test's own.
pub trait Decider {
    /// What to do next, once every cell of the last round was absorbed.
    fn step(&mut self) -> Step;
    /// Takes one record of the current round, in plan order.
    fn absorb(&mut self, record: Record);
    /// Takes several records of the current round, in plan order.
    fn absorb_all(&mut self, records: Vec<Record>) {
        for record in records {
            self.absorb(record);
        }
    }
    /// What has been noticed so far.
    fn noticed(&self) -> Vec<String>;
    /// Best estimate of the cells of the whole run.
    fn expected_cells(&self) -> usize;
    /// The hypotheses as they stand.
    fn hypotheses(&self) -> Vec<Hypothesis> {
        Vec::new()
    }
}

impl Decider for Campaign {
    fn step(&mut self) -> Step {
        Self::step(self)
    }
    fn absorb(&mut self, record: Record) {
        Self::absorb(self, record);
    }
    fn absorb_all(&mut self, records: Vec<Record>) {
        Self::absorb_all(self, records);
    }
    fn noticed(&self) -> Vec<String> {
        Self::noticed(self)
    }
    fn expected_cells(&self) -> usize {
        Self::expected_cells(self)
    }
    fn hypotheses(&self) -> Vec<Hypothesis> {
        Self::hypotheses(self)
    }
}

/// A stored record is not of the cell that is planned at its place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the stored run has cell {stored} where {planned} is planned now: it was made by another version of this program \
     or its files were changed"
)]
pub struct Diverged {
    /// On disk.
    pub stored: CellId,
    /// In the plan.
    pub planned: CellId,
}

/// Why records on disk cannot be folded.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// They are not those of the plan.
    #[error(transparent)]
    Diverged(#[from] Diverged),
    /// They cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the records on disk end.
#[derive(Debug)]
pub enum Folded {
    /// At the end of the run.
    Done(Box<Findings>),
    /// Within a round: its cells, of which the first `absorbed` were on disk.
    Open {
        /// The round's cells.
        cells: Vec<Cell>,
        /// Those that were absorbed.
        absorbed: usize,
    },
}

/// The fold of a run's records.
pub struct Fold {
    stored: Box<dyn Stored>,
    /// Every cell that was planned so far, in plan order.
    pub plan: Vec<Cell>,
    /// How many records were absorbed.
    pub absorbed: usize,
}

impl std::fmt::Debug for Fold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fold({} of {} records)", self.absorbed, self.stored.len())
    }
}

/// Whether so many failures say that the engine is broken, not that a cell was unlucky: more than one in ten of the
/// round, and at least three, or all.
#[must_use]
pub fn too_many(failed: usize, cells: usize) -> bool {
    failed > 0 && (failed == cells || (failed >= 3 && failed * 10 > cells))
}

impl Fold {
    /// Of these records, in plan order.
    #[must_use]
    pub fn new(stored: impl Stored + 'static) -> Self {
        Self { stored: Box::new(stored), plan: Vec::new(), absorbed: 0 }
    }

    /// Folds as far as the records go. With `retry`, the last round is cut off before its first engine failure where
    /// it did not come to its end or failed as a whole: those cells are to be run again.
    ///
    /// # Errors
    /// When a record on disk is not of the cell that is planned at its place, or cannot be read.
    ///
    /// # Panics
    /// When the procedure plans a round without cells, which would never end.
    pub fn go(&mut self, procedure: &mut impl Decider, retry: bool) -> Result<Folded, FoldError> {
        loop {
            let cells = match procedure.step() {
                Step::Done(findings) => return Ok(Folded::Done(findings)),
                Step::Round(cells) => cells,
            };
            assert!(!cells.is_empty(), "a round without cells was planned");
            self.plan.extend(cells.iter().cloned());
            let here = self.absorbed;
            let left = self.stored.len() - here;
            for (cell, n) in cells.iter().zip(here..self.stored.len()) {
                let stored = self.stored.cell(n);
                if stored != cell {
                    return Err(Diverged { stored: stored.id.clone(), planned: cell.id.clone() }.into());
                }
            }
            let available = cells.len().min(left);
            let failed = (here..here + available).filter(|n| self.stored.is_failure(*n)).count();
            let broken = available < cells.len() || (left == available && too_many(failed, cells.len()));
            let take = if retry && broken {
                (here..here + available).take_while(|n| !self.stored.is_failure(*n)).count()
            } else {
                available
            };
            self.absorb(procedure, take)?;
            if take < cells.len() {
                return Ok(Folded::Open { cells, absorbed: take });
            }
        }
    }

    /// Absorbs the next `take` records. The next ones are loaded meanwhile.
    fn absorb(&mut self, procedure: &mut impl Decider, take: usize) -> Result<(), StoreError> {
        let end = self.absorbed + take;
        let chunk = |from: usize| from..(from + CHUNK).min(end);
        let mut loaded = self.stored.load(chunk(self.absorbed))?;
        while self.absorbed < end {
            let behind = chunk(self.absorbed + loaded.len());
            self.absorbed += loaded.len();
            let stored = &self.stored;
            loaded = std::thread::scope(|scope| {
                let next = scope.spawn(move || if behind.is_empty() { Ok(Vec::new()) } else { stored.load(behind) });
                procedure.absorb_all(std::mem::take(&mut loaded));
                next.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::{Rounds, failed, record};

    #[test]
    fn records_go_in_by_the_plan_and_the_rest_is_open() {
        let mut procedure = Rounds::new(&[2, 3]);
        let mut fold = Fold::new((0..3).map(record).collect::<Vec<_>>());
        // Cells 0 and 1 are round 0, cell 2 is of round 1.
        let Folded::Open { cells, absorbed } = fold.go(&mut procedure, true).unwrap() else { panic!("it is not over") };
        assert_eq!((cells.len(), absorbed, fold.absorbed, fold.plan.len()), (3, 1, 3, 5));
        assert_eq!(procedure.absorbed, ["c0000", "c0001", "c0002"]);
    }

    #[test]
    fn all_records_give_the_findings() {
        let mut fold = Fold::new((0..5).map(record).collect::<Vec<_>>());
        assert!(matches!(fold.go(&mut Rounds::new(&[2, 3]), false), Ok(Folded::Done(_))));
    }

    #[test]
    fn another_plan_is_refused() {
        let mut fold = Fold::new(vec![record(1)]);
        let Err(FoldError::Diverged(diverged)) = fold.go(&mut Rounds::new(&[2]), false) else { panic!("it diverged") };
        assert_eq!((diverged.stored.0.as_str(), diverged.planned.0.as_str()), ("c0001", "c0000"));
    }

    #[test]
    fn engine_failures_of_the_last_round_are_run_again() {
        // One failure in a whole round that was followed by another round stays what it was.
        let mut fold = Fold::new(vec![failed(0), record(1), record(2), failed(3), record(4)]);
        let mut procedure = Rounds::new(&[2, 4]);
        let Folded::Open { absorbed, .. } = fold.go(&mut procedure, true).unwrap() else { panic!("it is not over") };
        assert_eq!((absorbed, fold.absorbed), (1, 3));
        // Without `retry` everything on disk counts.
        let mut fold = Fold::new(vec![failed(0), record(1), record(2), failed(3), record(4)]);
        let Folded::Open { absorbed, .. } = fold.go(&mut Rounds::new(&[2, 4]), false).unwrap() else { panic!() };
        assert_eq!(absorbed, 3);
        // A last round that failed as a whole.
        let mut fold = Fold::new(vec![record(0), failed(1), failed(2), failed(3)]);
        assert!(matches!(fold.go(&mut Rounds::new(&[4]), true), Ok(Folded::Open { absorbed: 1, .. })));
    }

    #[test]
    fn what_counts_as_too_many() {
        assert!(!too_many(0, 0) && !too_many(2, 10) && !too_many(7, 72) && !too_many(1, 3));
        assert!(too_many(3, 10) && too_many(8, 72) && too_many(1, 1) && too_many(2, 2));
    }
}
