//! The **board**: where explanations pin up the cells that they need. Each explanation is an `async` block, polled by
//! hand in a fixed order; what the pending ones want together is the next round. No runtime, no clock, no threads: the
//! same evidence gives the same rounds.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use indexmap::IndexMap;

use super::evidence::{Evidence, Value};
use crate::cell::Assignment;
use crate::design::Space;

/// A shared board; clones are the same board.
#[derive(Clone, Debug)]
pub struct Board(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    evidence: Evidence,
    space: Arc<Space>,
    /// Assignment → runs of it that somebody waits for.
    wanted: IndexMap<Assignment, usize>,
    /// Runs that may still be asked for.
    allowance: usize,
    /// Wants are no longer taken: the allowance is used up.
    closed: bool,
    /// Deferred explanations may go on.
    deferred_go: bool,
}

impl Board {
    /// An empty board over a space.
    #[must_use]
    pub fn new(space: Arc<Space>) -> Self {
        Self(Arc::new(Mutex::new(State {
            evidence: Evidence::default(),
            space,
            wanted: IndexMap::new(),
            allowance: 0,
            closed: false,
            deferred_go: false,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the evidence.
    pub fn with<T>(&self, look: impl FnOnce(&Evidence) -> T) -> T {
        look(&self.lock().evidence)
    }

    /// Changes the evidence.
    pub fn update<T>(&self, change: impl FnOnce(&mut Evidence) -> T) -> T {
        change(&mut self.lock().evidence)
    }

    /// The space.
    #[must_use]
    pub fn space(&self) -> Arc<Space> {
        Arc::clone(&self.lock().space)
    }

    /// Whether a cell has, or will have after this round, at least `copies` runs.
    #[must_use]
    pub fn awaits(&self, cell: &Assignment, copies: usize) -> bool {
        let state = self.lock();
        state.evidence.of(cell).len() >= copies || state.wanted.get(cell).is_some_and(|wanted| *wanted >= copies)
    }

    /// Sets how many runs may be asked for from now on.
    pub fn allow(&self, runs: usize) {
        let mut state = self.lock();
        state.allowance = runs;
        state.closed = runs == 0;
    }

    /// Whether explanations were cut short because the allowance was used up.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        self.lock().closed
    }

    /// Waits until every cell has been run at least `copies` times; gives the value of `feature` in each run of each
    /// cell. A list is shorter, perhaps empty, where the cell is forbidden, was lost, or could not be afforded.
    pub fn observe(&self, cells: Vec<Assignment>, copies: usize, feature: usize) -> Observe {
        Observe { board: self.clone(), cells, copies, feature }
    }

    /// Lets the deferred explanations go on.
    pub fn release(&self) {
        self.lock().deferred_go = true;
    }

    /// Waits until no explanation that is not deferred can go on, and [`Board::release`].
    pub fn deferred(&self) -> Deferred {
        Deferred { board: self.clone() }
    }
}

/// See [`Board::observe`].
#[derive(Debug)]
pub struct Observe {
    board: Board,
    cells: Vec<Assignment>,
    copies: usize,
    feature: usize,
}

impl Future for Observe {
    type Output = Vec<Vec<Value>>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let mut guard = self.board.lock();
        let state = &mut *guard;
        let mut waiting = false;
        for cell in &self.cells {
            let done = state.evidence.of(cell).len() + state.evidence.lost(cell);
            if done < self.copies && !state.closed && state.space.allows(cell) {
                let want = state.wanted.entry(cell.clone()).or_default();
                *want = (*want).max(self.copies);
                waiting = true;
            }
        }
        if waiting {
            return Poll::Pending;
        }
        let evidence = &state.evidence;
        let values = |cell| evidence.of(cell).iter().map(|run| evidence.value(*run, self.feature)).collect();
        Poll::Ready(self.cells.iter().map(values).collect())
    }
}

/// See [`Board::deferred`].
#[derive(Debug)]
pub struct Deferred {
    board: Board,
}

impl Future for Deferred {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.board.lock().deferred_go { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// One explanation in progress.
pub type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What the explanations came to when each had gone as far as it could.
#[derive(Debug)]
pub enum Progress {
    /// Run these; each is one run of its assignment.
    Needs(Vec<Assignment>),
    /// Only deferred explanations are left: they go on after [`Board::release`].
    Deferred,
    /// All are done.
    Done,
}

/// A fixed list of explanations and their results.
pub struct Tasks<T> {
    tasks: Vec<(Option<Task<T>>, Option<T>)>,
}

impl<T> Tasks<T> {
    /// Takes the explanations; they are polled in this order.
    #[must_use]
    pub fn new(tasks: Vec<Task<T>>) -> Self {
        Self { tasks: tasks.into_iter().map(|task| (Some(task), None)).collect() }
    }

    /// Takes further explanations; they are polled after the others.
    pub fn add(&mut self, tasks: Vec<Task<T>>) {
        self.tasks.extend(tasks.into_iter().map(|task| (Some(task), None)));
    }

    /// Lets every explanation go as far as the evidence allows.
    pub fn advance(&mut self, board: &Board) -> Progress {
        loop {
            {
                let mut state = board.lock();
                state.wanted.clear();
            }
            let mut pending = false;
            for (task, result) in &mut self.tasks {
                let Some(running) = task else { continue };
                match running.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(value) => (*task, *result) = (None, Some(value)),
                    Poll::Pending => pending = true,
                }
            }
            let mut state = board.lock();
            if !pending {
                state.deferred_go = false;
                return Progress::Done;
            }
            if state.wanted.is_empty() {
                return Progress::Deferred;
            }
            let mut cells = Vec::new();
            for (cell, copies) in &state.wanted {
                let done = state.evidence.of(cell).len() + state.evidence.lost(cell);
                cells.extend(std::iter::repeat_n(cell.clone(), copies.saturating_sub(done)));
            }
            cells.truncate(state.allowance);
            state.allowance -= cells.len();
            if cells.is_empty() {
                state.closed = true;
                continue;
            }
            return Progress::Needs(cells);
        }
    }

    /// The results, in the order of the explanations.
    ///
    /// # Panics
    /// Never after [`Progress::Done`]: every explanation has a result then.
    pub fn results(self) -> Vec<T> {
        self.tasks.into_iter().filter_map(|(_, result)| result).collect()
    }
}

impl<T> std::fmt::Debug for Tasks<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Tasks({} of {} done)",
            self.tasks.iter().filter(|(task, _)| task.is_none()).count(),
            self.tasks.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::evidence::Run;
    use crate::attribution::localise;
    use crate::attribution::rule::RuleList;
    use crate::attribution::screen::Signal;
    use crate::cell::{Cell, CellId, Phase};
    use crate::design::feasible::Constraints;
    use crate::feature::ValueId;

    /// A board on which each of these assignments was run once, with this row.
    fn board(runs: &[([u16; 2], [u32; 2])]) -> Board {
        let board = Board::new(Arc::new(Space { levels: vec![3, 3], constraints: Constraints::default() }));
        board.allow(100);
        board.update(|evidence| {
            for (n, (levels, row)) in runs.iter().enumerate() {
                let levels = Assignment(levels.to_vec());
                let cell = Cell { id: CellId::nth(n), round: 0, phase: Phase::Cover, levels, replicate: 0 };
                evidence.push(Run { cell, row: row.iter().map(|value| Some(ValueId(*value))).collect() });
            }
        });
        board
    }

    #[test]
    fn a_cell_is_awaited_where_it_was_run_or_will_be_as_often() {
        let (run, other) = (Assignment(vec![1, 0]), Assignment(vec![2, 0]));
        let board = board(&[([1, 0], [0, 0])]);
        assert!(board.awaits(&run, 1), "it was run");
        assert!(!board.awaits(&run, 2) && !board.awaits(&other, 1));
        let wish = board.observe(vec![other.clone()], 2, 0);
        let mut tasks = Tasks::new(vec![Box::pin(wish) as Task<_>]);
        assert!(matches!(tasks.advance(&board), Progress::Needs(cells) if cells == [other.clone(), other.clone()]));
        assert!(board.awaits(&other, 2), "it will be run");
        assert!(!board.awaits(&other, 3));
    }

    #[test]
    fn two_signals_look_at_the_same_cell_where_they_can() {
        // The first signal is upset by the last cell alone; the second by the cell before it, too, and would take that one.
        let board = board(&[([0, 0], [0, 0]), ([1, 0], [0, 1]), ([2, 0], [1, 1])]);
        let base = Some(ValueId(0));
        let explain = |feature: usize| {
            let signal = Signal { features: vec![feature], base, deterministic: true, values: 2 };
            let known = RuleList { base, rules: Vec::new() };
            Box::pin(localise::explain(board.clone(), signal, known)) as Task<_>
        };
        let shared = Assignment(vec![2, 0]);
        let Progress::Needs(cells) = Tasks::new(vec![explain(0), explain(1)]).advance(&board) else {
            panic!("they need runs")
        };
        assert!(cells.contains(&shared) && !cells.contains(&Assignment(vec![1, 0])), "{cells:?}");
        // Alone it takes the first: a control.
        let Progress::Needs(cells) = Tasks::new(vec![explain(1)]).advance(&board) else { panic!("it needs runs") };
        assert!(cells.contains(&Assignment(vec![1, 0])) && !cells.contains(&shared), "{cells:?}");
    }
}
