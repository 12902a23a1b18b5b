//! The **procedure**: Cover → Explain → Confirm over rows of values, as one pure state machine. It says which cells it
//! needs, takes their rows in that order, and ends with claims. The campaign puts captures before it and findings behind
//! it; a simulation can drive it with rows alone.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use super::alike::{self, Alike};
use super::bars::{FIRST_SHARE, MOST_CONFIRM};
use super::board::{Board, Progress, Task, Tasks};
use super::confirm::{Claim, Confirmation, Standing};
use super::crowded::Crowded;
use super::description;
use super::evidence::{Evidence, Run, Value};
use super::localise::{self, Ending, Explanation};
use super::noisy;
use super::permutation;
use super::rule::RuleList;
use super::screen::{self, Signal};
use crate::cell::{Assignment, Cell, CellId, Phase};
use crate::design::{self, CoverDesign, Space, randomise};
use crate::feature::Row;
use crate::scenario::{DesignOptions, Matrix};

/// Runs that all explanations together may ask for.
const MOST_EXPLAIN: usize = 400;
/// Explanations run over again for signals that came apart under new runs.
const MOST_WAVES: u32 = 3;
/// For the estimate of what a run costs: factors whose levels are swept, how often, and runs with coins.
const WIDEST_SWEPT: usize = 3;
const EXPECTED_SWEEPS: usize = 3;
const EXPECTED_COINS: usize = 30;

/// What to do next.
#[derive(Debug)]
pub enum Need {
    /// Run these, started in this order, and absorb their rows in this order.
    Cells(Vec<Cell>),
    /// Nothing: it is over.
    Nothing,
}

/// A claim that was confirmed, or not.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The features that change together.
    pub features: Vec<usize>,
    /// The claim with its e-values.
    pub claim: Claim,
    /// `K/α` that it had to reach.
    pub threshold: f64,
    /// Claims that were confirmed beside it (`K`).
    pub claims: usize,
    /// Of a confirmed claim that chance has a part in, the p-value of the permutation scan of the cover phase (see
    /// [`permutation::first`]), at most 1.
    pub screen_p: Option<f64>,
}

/// The state of the procedure.
#[derive(Debug)]
pub struct Procedure {
    space: Arc<Space>,
    options: DesignOptions,
    seed: u64,
    board: Board,
    design: CoverDesign,
    stage: Stage,
    planned: usize,
    /// Of the planned cells, those of each later phase: the bounds of both are for the whole run.
    explaining: usize,
    confirming: usize,
    rounds: u32,
    lost: usize,
    outstanding: VecDeque<Cell>,
    planned_of: BTreeMap<Assignment, u32>,
    cover_runs: usize,
    /// Cells that noisy signals in doubt share.
    more: Arc<[Assignment]>,
    /// Requests that chance plays with too much for a doubt to be followed.
    crowded: Arc<Crowded>,
    explanations: Vec<Explanation>,
    judged: Vec<Judged>,
    /// A line for each signal that is not explained; a reader must know.
    unexplained: Vec<usize>,
    alike: Vec<Alike>,
    cut_short: bool,
}

#[derive(Debug)]
enum Stage {
    Begin,
    Cover,
    /// `leads` are those of the signals that the tasks explain.
    Explain {
        tasks: Tasks<Explanation>,
        leads: HashSet<usize>,
        wave: u32,
        again: bool,
    },
    Confirm {
        confirmation: Box<Confirmation>,
        members: Vec<Vec<usize>>,
        again: bool,
        claimed: usize,
    },
    Over,
}

impl Procedure {
    /// A procedure that has asked for nothing yet and begins with a plain covering array.
    #[must_use]
    pub fn new(space: Arc<Space>, options: DesignOptions, seed: u64) -> Self {
        let design = design::cover(&space, options, &Matrix::default(), seed);
        Self::of_design(space, options, design, seed)
    }

    /// A procedure that has asked for nothing yet and begins with these cells.
    #[must_use]
    pub fn of_design(space: Arc<Space>, options: DesignOptions, design: CoverDesign, seed: u64) -> Self {
        let cut_short = design.left_out > 0;
        Self {
            board: Board::new(Arc::clone(&space)),
            more: noisy::more(&space, &mut randomise::generator(seed, "more runs")).into(),
            space,
            options,
            seed,
            design,
            stage: Stage::Begin,
            planned: 0,
            explaining: 0,
            confirming: 0,
            rounds: 0,
            lost: 0,
            outstanding: VecDeque::new(),
            planned_of: BTreeMap::new(),
            cover_runs: 0,
            crowded: Arc::default(),
            explanations: Vec::new(),
            judged: Vec::new(),
            unexplained: Vec::new(),
            alike: Vec::new(),
            cut_short,
        }
    }

    /// What to do next. While cells of the last round are still to be absorbed, those.
    pub fn step(&mut self) -> Need {
        loop {
            if !self.outstanding.is_empty() {
                return Need::Cells(self.outstanding.iter().cloned().collect());
            }
            match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Begin => {
                    self.stage = Stage::Cover;
                    self.ask(self.design.cells.clone(), Phase::Cover);
                }
                Stage::Cover => {
                    self.cover_runs = self.board.with(|evidence| evidence.runs().len());
                    if self.board.with(|evidence| evidence.of(&self.space.baseline()).is_empty()) {
                        continue;
                    }
                    let signals = self.signals(&HashSet::new());
                    self.crowded = Arc::new(self.board.with(|evidence| Crowded::of(&signals, evidence)));
                    self.explain(signals, 0, false);
                }
                Stage::Explain { mut tasks, mut leads, wave, again } => match tasks.advance(&self.board) {
                    Progress::Needs(cells) => {
                        self.stage = Stage::Explain { tasks, leads, wave, again };
                        self.ask(cells, Phase::Explain);
                    }
                    Progress::Deferred => {
                        // What chance plays with comes last: first whatever the runs so far have told apart.
                        let fresh = self.signals(&leads);
                        if fresh.is_empty() || wave + 1 >= MOST_WAVES || self.board.exhausted() {
                            self.board.release();
                            self.stage = Stage::Explain { tasks, leads, wave, again };
                        } else {
                            leads.extend(fresh.iter().map(Signal::lead));
                            let among = fresh.len();
                            tasks.add(fresh.into_iter().map(|signal| self.task(signal, None, among)).collect());
                            self.stage = Stage::Explain { tasks, leads, wave: wave + 1, again };
                        }
                    }
                    Progress::Done => {
                        self.explanations.extend(tasks.results());
                        self.after_explaining(wave, again);
                    }
                },
                Stage::Confirm { mut confirmation, members, again, claimed } => {
                    let cells = confirmation.plan(&self.space);
                    if cells.is_empty() {
                        self.after_confirming(&confirmation, members, again, claimed);
                    } else {
                        self.stage = Stage::Confirm { confirmation, members, again, claimed };
                        self.ask(cells, Phase::Confirm);
                    }
                }
                Stage::Over => return Need::Nothing,
            }
        }
    }

    /// Takes the row of the oldest outstanding cell; `None` where the engine could not run it.
    pub fn absorb(&mut self, row: Option<Row>) {
        let Some(cell) = self.outstanding.pop_front() else { return };
        if let Stage::Confirm { confirmation, .. } = &mut self.stage {
            match &row {
                Some(row) => confirmation.absorb(Some(&|feature: usize| row.get(feature).copied().flatten())),
                None => confirmation.absorb(None),
            }
        }
        if let Some(row) = row {
            self.board.update(|evidence| evidence.push(Run { cell, row }));
        } else {
            self.lost += 1;
            self.board.update(|evidence| evidence.lose(&cell.levels));
        }
    }

    fn ask(&mut self, cells: Vec<Assignment>, phase: Phase) {
        match phase {
            Phase::Explain => self.explaining += cells.len(),
            Phase::Confirm => self.confirming += cells.len(),
            Phase::Cover => {}
        }
        for levels in cells {
            let replicate = self.planned_of.entry(levels.clone()).or_default();
            let cell = Cell { id: CellId::nth(self.planned), round: self.rounds, phase, levels, replicate: *replicate };
            *replicate += 1;
            self.planned += 1;
            self.outstanding.push_back(cell);
        }
        self.rounds += 1;
    }

    /// All signals in which no feature of `known` stands.
    fn signals(&self, known: &HashSet<usize>) -> Vec<Signal> {
        self.board.with(|evidence| {
            let features = evidence.runs().iter().map(|run| run.row.len()).max().unwrap_or(0);
            let mut signals = screen::signals(evidence, &self.space, 0..features);
            signals.retain(|signal| signal.features.iter().all(|feature| !known.contains(feature)));
            signals
        })
    }

    fn explain(&mut self, signals: Vec<Signal>, wave: u32, again: bool) {
        let left = (self.options.budget as usize).saturating_sub(self.planned);
        let unasked = MOST_EXPLAIN.saturating_sub(self.explaining);
        self.board.allow((left - left.min(MOST_CONFIRM / 2).min(left / 2)).min(unasked));
        let among = signals.len();
        let leads = self.explanations.iter().map(|done| &done.signal).chain(&signals).map(Signal::lead).collect();
        let tasks = signals.into_iter().map(|signal| self.task(signal, None, among)).collect();
        self.stage = Stage::Explain { tasks: Tasks::new(tasks), leads, wave, again };
    }

    /// One signal's explanation: by counterexamples while it seems deterministic, else by the noisy track.
    fn task(&self, signal: Signal, known: Option<RuleList>, signals: usize) -> Task<Explanation> {
        let generator = randomise::generator(self.seed, &format!("permutation {}", signal.lead()));
        let board = self.board.clone();
        let known = known.unwrap_or(RuleList { base: signal.base, rules: Vec::new() });
        let space = Arc::clone(&self.space);
        let (cover, seed) = (self.cover_runs, self.seed);
        let (more, crowded) = (Arc::clone(&self.more), Arc::clone(&self.crowded));
        let around = noisy::Surroundings { cover, more, seed, signals, crowded };
        Box::pin(async move {
            if !signal.deterministic {
                return noisy::explain(board, signal, around, generator).await;
            }
            let learned = localise::explain(board.clone(), signal.clone(), known).await;
            let literals: usize = learned.rules.rules.iter().map(|rule| rule.when.len()).sum();
            if learned.ending == Ending::Explained && (learned.ignored == 0 || literals < 2) {
                return learned;
            }
            // What was learned before giving up, or beside runs that chance had a part in, may have followed single runs:
            // the noisy track weighs all of them at once. The shorter description of what was seen is taken.
            let weighed = noisy::explain(board.clone(), signal, around, generator).await;
            let (before, after) = board.with(|evidence| {
                let length =
                    |done: &Explanation| description::length(&done.rules, evidence, &space, done.signal.lead());
                (length(&learned), length(&weighed))
            });
            match (learned.ending, learned.rules.rules.is_empty(), weighed.rules.rules.is_empty()) {
                (Ending::GivenUp, true, true) => learned,
                (Ending::Explained, ..) if before <= after => learned,
                (Ending::GivenUp, false, true) => Explanation { ending: Ending::Noisy, ..learned },
                _ => weighed,
            }
        })
    }

    /// New runs may have told features apart that had one pattern: those that stand for themselves now are signals.
    fn after_explaining(&mut self, wave: u32, again: bool) {
        self.cut_short |= self.board.exhausted();
        let leads: HashSet<usize> = self.explanations.iter().map(|done| done.signal.lead()).collect();
        let regrouped = self.signals(&HashSet::new());
        let mut fresh = Vec::new();
        for signal in regrouped {
            if let Some(lead) = signal.features.iter().find(|feature| leads.contains(feature)) {
                if let Some(done) = self.explanations.iter_mut().find(|done| done.signal.lead() == *lead) {
                    let lead = *lead;
                    done.signal.features = std::iter::once(lead)
                        .chain(signal.features.iter().copied().filter(|feature| *feature != lead))
                        .collect();
                }
            } else {
                fresh.push(signal);
            }
        }
        if !fresh.is_empty() && wave + 1 < MOST_WAVES && !self.board.exhausted() {
            self.explain(fresh, wave + 1, again);
        } else {
            self.confirm(again);
        }
    }

    fn confirm(&mut self, again: bool) {
        let mut claims = Vec::new();
        self.unexplained.clear();
        let mut settled: HashSet<usize> = self.judged.iter().map(|judged| judged.features[0]).collect();
        settled.extend(self.alike.iter().flat_map(|alike| &alike.leads));
        // Features of one signal may be leads of several explanations after a split; each stands once.
        let mut seen: BTreeSet<usize> = BTreeSet::new();
        for done in &self.explanations {
            if settled.contains(&done.signal.lead()) || !seen.insert(done.signal.lead()) {
                continue;
            }
            let found = match done.ending {
                // Where runs were set aside as chance, bets are hedged against more of it.
                Ending::Explained => Some((done.rules.canonical(&self.space), done.ignored > 0)),
                Ending::Noisy => Some((done.rules.canonical(&self.space), true)),
                Ending::GivenUp => {
                    self.unexplained.push(done.signal.lead());
                    None
                }
            };
            let Some((rules, noisy)) = found.filter(|(rules, _)| !rules.rules.is_empty()) else { continue };
            if noisy && self.follows(done.signal.lead(), &rules) {
                continue;
            }
            let claim = self.board.with(|evidence| {
                let mut claim = Claim::new(done.signal.lead(), rules, noisy, evidence);
                claim.crowded = self.crowded.around(claim.feature, evidence);
                claim
            });
            claims.push((claim, done.signal.features.clone()));
        }
        self.alike.extend(self.board.with(|evidence| alike::set_aside(&mut claims, evidence, &self.space)));
        let (claims, members): (Vec<Claim>, Vec<Vec<usize>>) = claims.into_iter().unzip();
        let share = if again { 1.0 - FIRST_SHARE } else { FIRST_SHARE };
        let unasked = MOST_CONFIRM.saturating_sub(self.confirming);
        let left = (self.options.budget as usize).saturating_sub(self.planned).min(unasked);
        let claimed = claims.len();
        let purpose = if again { "coins, second confirmation" } else { "coins" };
        let confirmation =
            Confirmation::new(claims, self.options.alpha * share, left, randomise::generator(self.seed, purpose));
        self.stage = Stage::Confirm { confirmation: Box::new(confirmation), members, again, claimed };
    }

    /// Whether a rule that chance plays a part in says no more than that a feature is absent where what it stands in is,
    /// which has a rule of its own: wherever it could have had a value, the rule says the same.
    fn follows(&self, feature: usize, rules: &RuleList) -> bool {
        let told = |container: usize| {
            let mut of = self.explanations.iter().filter(|done| done.signal.features.contains(&container));
            of.any(|done| done.ending != Ending::GivenUp && !done.rules.rules.is_empty())
        };
        self.board.with(|evidence| {
            let says: HashSet<Value> = (0..evidence.runs().len())
                .filter(|run| evidence.possible(*run, feature))
                .map(|run| rules.predict(&evidence.runs()[run].cell.levels))
                .collect();
            says.len() == 1 && evidence.container(feature).is_some_and(told)
        })
    }

    /// The p-value with which the noisy track began on a signal: the same scan of the same runs with the same permutations.
    fn screen_p(&self, lead: usize) -> Option<f64> {
        let signal = &self.explanations.iter().find(|done| done.signal.lead() == lead)?.signal;
        let mut generator = randomise::generator(self.seed, &format!("permutation {lead}"));
        let first = self.board.with(|evidence| {
            let runs: Vec<usize> = (0..self.cover_runs).filter(|run| evidence.possible(*run, lead)).collect();
            permutation::first(evidence, &self.space, signal, &runs, &mut generator)
        });
        first.map(|first| first.p.min(1.0))
    }

    /// Deterministic claims that a fresh run contradicts are learned once more on all data, noisy ones lose the factors
    /// that their coins refute; both are confirmed again, by fresh coins and with the rest of α.
    fn after_confirming(&mut self, confirmation: &Confirmation, members: Vec<Vec<usize>>, again: bool, claimed: usize) {
        let threshold = confirmation.threshold();
        let mut relearn = Vec::new();
        let mut trimmed = false;
        for (claim, features) in confirmation.claims().iter().zip(members) {
            let mut claim = claim.clone();
            if claim.standing == Standing::Live {
                // Confirmation has a bound of its own, so that chance cannot eat every budget: only where the budget is what
                // ended it would more of it help.
                self.cut_short |= self.planned >= self.options.budget as usize;
                claim.close(threshold);
            }
            let claim = &claim;
            let contradicted =
                !claim.noisy && self.board.with(|evidence| contradicted(evidence, claim, self.cover_runs));
            let explanation = self.explanations.iter().position(|done| done.signal.lead() == claim.feature);
            if contradicted
                && !again
                && let Some(at) = explanation
            {
                let done = self.explanations.remove(at);
                relearn.push((done.signal, claim.rules.clone()));
                continue;
            }
            if let (Standing::Futile, true, false, Some(at), Some(rules)) =
                (claim.standing, claim.noisy, again, explanation, claim.without_refuted())
            {
                self.explanations[at].rules = rules;
                trimmed = true;
                continue;
            }
            let simpler = self.board.with(|evidence| claim.without_idle(threshold, evidence, &self.space));
            let claim = simpler.unwrap_or_else(|| claim.clone());
            let screened = claim.noisy && claim.standing == Standing::Confirmed;
            let screen_p = if screened { self.screen_p(claim.feature) } else { None };
            self.judged.push(Judged { features, claim, threshold, claims: claimed, screen_p });
        }
        if relearn.is_empty() && !trimmed {
            self.stage = Stage::Over;
            return;
        }
        let left = (self.options.budget as usize).saturating_sub(self.planned);
        self.board.allow((left / 2).min(MOST_EXPLAIN.saturating_sub(self.explaining)));
        let among = relearn.len();
        let tasks = relearn.into_iter().map(|(signal, known)| self.task(signal, Some(known), among)).collect();
        self.stage = Stage::Explain { tasks: Tasks::new(tasks), leads: HashSet::new(), wave: MOST_WAVES, again: true };
    }

    /// The runs so far.
    #[must_use]
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// The space.
    #[must_use]
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// The cover design.
    #[must_use]
    pub fn design(&self) -> &CoverDesign {
        &self.design
    }

    /// Every claim that went through a confirmation, with its e-values.
    #[must_use]
    pub fn judged(&self) -> &[Judged] {
        &self.judged
    }

    /// Features whose signal no rule explains.
    #[must_use]
    pub fn unexplained(&self) -> &[usize] {
        &self.unexplained
    }

    /// Places that were not tested, because others of the same request stand for them.
    #[must_use]
    pub fn alike(&self) -> &[Alike] {
        &self.alike
    }

    /// Rounds, cells planned, cells lost to the engine.
    #[must_use]
    pub fn counts(&self) -> (u32, usize, usize) {
        (self.rounds, self.planned, self.lost)
    }

    /// Whether the budget ended anything early.
    #[must_use]
    pub fn cut_short(&self) -> bool {
        self.cut_short
    }

    /// Runs of the cover phase that were executed; all later runs stand behind them.
    #[must_use]
    pub fn cover_runs(&self) -> usize {
        self.cover_runs
    }

    /// Whether the cover phase is still going on.
    #[must_use]
    pub fn covering(&self) -> bool {
        matches!(self.stage, Stage::Begin | Stage::Cover)
    }

    /// The rules learned so far: (features, rules), for progress displays.
    #[must_use]
    pub fn learned(&self) -> Vec<(Vec<usize>, RuleList)> {
        self.explanations.iter().map(|done| (done.signal.features.clone(), done.rules.clone())).collect()
    }

    /// The claims that are being confirmed, and the E that each must reach.
    #[must_use]
    pub fn confirming(&self) -> Option<(&[Claim], f64)> {
        match &self.stage {
            Stage::Confirm { confirmation, .. } => Some((confirmation.claims(), confirmation.threshold())),
            _ => None,
        }
    }

    /// How many cells the whole run will probably have.
    #[must_use]
    pub fn expected_cells(&self) -> usize {
        let [cover, explain, confirm] = self.expected_by_phase();
        let ahead = match &self.stage {
            Stage::Begin | Stage::Cover => explain + confirm,
            Stage::Explain { .. } => (explain + confirm).saturating_sub(self.planned.saturating_sub(cover)).max(12),
            Stage::Confirm { .. } | Stage::Over => 0,
        };
        (cover.max(self.planned) + ahead).min(self.options.budget as usize).max(self.planned)
    }

    /// How many cells each phase (cover, explain, confirm) will probably have, where there is something to find: to explain
    /// it, levels of the widest factors are swept, once for each of a few signals; how many more factors there are hardly
    /// matters. One marker of a simulated agent costs about half of what is ahead, and a real agent with several twice of it.
    #[must_use]
    pub fn expected_by_phase(&self) -> [usize; 3] {
        let cover = self.design.cells.len();
        let room = (self.options.budget as usize).saturating_sub(cover);
        let mut sweeps: Vec<usize> = self.space.levels.iter().map(|levels| usize::from(*levels) - 1).collect();
        sweeps.sort_unstable_by(|a, b| b.cmp(a));
        let swept: usize = sweeps.iter().take(WIDEST_SWEPT).sum();
        let confirm = EXPECTED_COINS.min(room / 2);
        [cover, (EXPECTED_SWEEPS * swept).min(room - confirm), confirm]
    }
}

/// Whether a run of a confirmation is not as a deterministic claim says, though the same cell's runs agree.
fn contradicted(evidence: &Evidence, claim: &Claim, cover_runs: usize) -> bool {
    (cover_runs..evidence.runs().len()).any(|run| {
        let cell = &evidence.runs()[run].cell;
        let value: Value = evidence.value(run, claim.feature);
        cell.phase == Phase::Confirm && value != claim.rules.predict(&cell.levels)
    })
}

#[cfg(test)]
mod tests;
