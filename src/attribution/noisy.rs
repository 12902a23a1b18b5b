//! The **noisy track**: a signal in which the same cell gives different values. A permutation scan of the cover phase
//! names a value and a factor; fresh runs inside that trigger, half of each other factor at its baseline, show whether
//! a further factor matters; then each level is run until it is clear on which side it stands. Confirmation protects:
//! what is found here is only a hypothesis.

use std::sync::Arc;

use super::board::Board;
use super::crowded::Crowded;
use super::evidence::{Evidence, Value};
use super::localise::{Ending, Explanation};
use super::permutation::{self, First};
use super::rule::{Literal, Rule, RuleList};
use super::screen::Signal;
use crate::cell::Assignment;
use crate::design::Space;
use crate::design::randomise::{self, Generator};

/// Factors of one rule.
const DEEPEST: usize = 3;
/// Fresh runs inside a trigger before a further factor is looked for. They are the same for all signals that name it.
const CONTEXTS: usize = 10;
/// … which are not paid where so many runs are inside already and not even hint at one, at this bar, …
const WELL_KNOWN: usize = 24;
const HINT: f64 = 0.25;
/// … nor where these are so many that they tell it themselves.
const PLENTY: usize = 56;
/// A level stands clear on one side at this log-likelihood ratio.
const CLEAR: f64 = 2.5;
/// Runs of one level at most, while it does not stand clear.
const MOST_OF_A_LEVEL: usize = 8;

/// Random cells that a signal may ask for when the cover phase leaves it in doubt. They are the same for all signals, so
/// they are paid once …
const MORE: usize = 48;
/// … and asked for in parts: what chance made leaves its doubt behind with a few more runs as often as with all of them.
const PART: usize = 16;

/// The cells that signals in doubt share.
#[must_use]
pub fn more(space: &Space, generator: &mut Generator) -> Vec<Assignment> {
    (0..MORE).map(|_| anywhere(space, generator)).filter(|cell| space.allows(cell)).collect()
}

/// What the noisy track knows beside the signal and the board.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Runs of the cover phase.
    pub cover: usize,
    /// The cells that signals in doubt share.
    pub more: Arc<[Assignment]>,
    /// Of the run: what is drawn for a trigger is the same for all signals.
    pub seed: u64,
    /// Signals that are looked at in this run.
    pub signals: usize,
    /// The requests that chance plays with too much for a doubt to be followed.
    pub crowded: Arc<Crowded>,
}

/// Explains one noisy signal from its cover runs and further ones. It asks for runs only after every deterministic signal
/// has what it needs: what can be known for certain must not starve for what may be chance.
pub async fn explain(board: Board, signal: Signal, around: Surroundings, mut generator: Generator) -> Explanation {
    let Surroundings { cover, more, seed, signals, crowded } = around;
    let space = board.space();
    let strictness = permutation::strictness(signals);
    // Where what it stands in is missing, nothing can be seen of it: that is another signal's to tell.
    let possible = |evidence: &Evidence, run: &usize| evidence.possible(*run, signal.lead());
    let mut runs: Vec<usize> = board.with(|evidence| (0..cover).filter(|run| possible(evidence, run)).collect());
    let mut first = board.with(|evidence| permutation::first(evidence, &space, &signal, &runs, &mut generator));
    let mut enough = permutation::CLEAR * strictness;
    let doubt = if steady(&board, &space, &signal) { permutation::IN_DOUBT_STEADY } else { permutation::IN_DOUBT };
    if first.as_ref().is_some_and(|first| first.reaches(doubt * strictness)) {
        let crowd = board.with(|evidence| crowded.around(signal.lead(), evidence));
        if crowd && first.as_ref().is_some_and(|first| !first.reaches(enough)) {
            let rules = RuleList { base: signal.base, rules: Vec::new() };
            return Explanation { signal, rules, ending: Ending::GivenUp, ignored: 0 };
        }
        board.deferred().await;
    }
    let mut parts = more.chunks(PART).peekable();
    let mut within = doubt;
    while first.as_ref().is_some_and(|first| !first.reaches(enough) && first.p <= within * strictness)
        && let Some(part) = parts.next()
    {
        within = permutation::IN_DOUBT_STEADY;
        if parts.peek().is_none() {
            enough = permutation::GO_ON * strictness;
        }
        board.observe(part.to_vec(), 1, signal.lead()).await;
        first = board.with(|evidence| {
            let new = part.iter().filter_map(|cell| evidence.of(cell).first()).filter(|run| **run >= cover);
            runs.extend(new.filter(|run| possible(evidence, run)));
            permutation::first(evidence, &space, &signal, &runs, &mut generator)
        });
    }
    let mut rules = RuleList { base: signal.base, rules: Vec::new() };
    if let Some(First { value, literal, .. }) = first.filter(|first| first.reaches(enough)) {
        let mut when = vec![literal];
        while when.len() < DEEPEST {
            let look = |board: &Board, generator: &mut Generator| {
                board.with(|evidence| {
                    let inside = inside(evidence, &when, None);
                    let further =
                        permutation::further(evidence, &space, signal.lead(), value, &inside, &when, generator);
                    (inside.len(), further)
                })
            };
            let (there, hint) = look(&board, &mut generator);
            if there >= WELL_KNOWN && hint.as_ref().is_none_or(|(p, _)| *p > HINT * strictness) {
                break;
            }
            let mut next = hint;
            if there < PLENTY {
                let mut drawn = randomise::generator(seed, &format!("inside {when:?}"));
                let contexts = (0..CONTEXTS).map(|_| context(&space, &when, &mut drawn)).collect();
                board.observe(contexts, 1, signal.lead()).await;
                (_, next) = look(&board, &mut generator);
            }
            let next = next.and_then(|(p, literal)| (p <= permutation::GO_DEEPER).then_some(literal));
            let Some(next) = next else { break };
            when.push(next);
        }
        for at in 0..when.len() {
            refine(&board, &space, &signal, value, &mut when, at).await;
        }
        when.retain(|literal| literal.levels.len() < usize::from(space.levels[literal.factor]));
        when.sort();
        if !when.is_empty() && when.iter().all(|literal| !literal.levels.is_empty()) {
            rules.rules.push(Rule { when, value });
        }
    }
    Explanation { signal, rules, ending: Ending::Noisy, ignored: 0 }
}

/// Whether the baseline's runs agree.
fn steady(board: &Board, space: &Space, signal: &Signal) -> bool {
    board.with(|evidence| {
        evidence.of(&space.baseline()).iter().all(|run| evidence.value(*run, signal.lead()) == signal.base)
    })
}

/// A cell of uniform levels.
fn anywhere(space: &Space, generator: &mut Generator) -> Assignment {
    let level = |levels: &u16, generator: &mut Generator| {
        u16::try_from(randomise::below(usize::from(*levels), generator)).unwrap_or(0)
    };
    Assignment(space.levels.iter().map(|levels| level(levels, generator)).collect())
}

/// A random cell inside a trigger: other factors at their baseline or at any level, with the same chance.
fn context(space: &Space, when: &[Literal], generator: &mut Generator) -> Assignment {
    let mut cell = space.baseline();
    for _ in 0..16 {
        for factor in 0..space.factors() {
            cell.0[factor] = if let Some(literal) = when.iter().find(|literal| literal.factor == factor) {
                let nth = randomise::below(literal.levels.len(), generator);
                literal.levels.iter().nth(nth).copied().unwrap_or(0)
            } else if randomise::coin(generator) {
                u16::try_from(randomise::below(usize::from(space.levels[factor]), generator)).unwrap_or(0)
            } else {
                0
            };
        }
        if space.allows(&cell) {
            break;
        }
    }
    cell
}

/// Runs in which every literal holds, but for the one at `but`.
fn inside(evidence: &Evidence, when: &[Literal], but: Option<usize>) -> Vec<usize> {
    (0..evidence.runs().len())
        .filter(|run| {
            let cell = &evidence.runs()[*run].cell.levels;
            when.iter()
                .enumerate()
                .all(|(at, literal)| Some(at) == but || literal.levels.contains(&cell.level(literal.factor)))
        })
        .collect()
}

/// Runs each level of one literal's factor, the others' triggers holding, until it stands clear on one side.
async fn refine(board: &Board, space: &Space, signal: &Signal, value: Value, when: &mut [Literal], at: usize) {
    let factor = when[at].factor;
    let mut probe = space.baseline();
    for literal in when.iter() {
        probe.0[literal.factor] = literal.levels.first().copied().unwrap_or(0);
    }
    for copies in [2, 4, 6, MOST_OF_A_LEVEL] {
        let ratios = board.with(|evidence| ratios(evidence, space, signal.lead(), value, when, at));
        let unclear: Vec<Assignment> = (0..space.levels[factor])
            .zip(&ratios)
            .filter(|(_, ratio)| ratio.abs() < CLEAR)
            .map(|(level, _)| probe.with(factor, level))
            .collect();
        if unclear.is_empty() {
            break;
        }
        board.observe(unclear, copies, signal.lead()).await;
    }
    let ratios = board.with(|evidence| ratios(evidence, space, signal.lead(), value, when, at));
    when[at].levels = (0..space.levels[factor]).zip(ratios).filter(|(_, ratio)| *ratio > 0.0).map(|(l, _)| l).collect();
}

/// For each level, the log-likelihood ratio of its runs between the rate inside the trigger and the rate outside.
fn ratios(evidence: &Evidence, space: &Space, feature: usize, value: Value, when: &[Literal], at: usize) -> Vec<f64> {
    let factor = when[at].factor;
    let mut tally = vec![(0.0, 0.0); usize::from(space.levels[factor])];
    for run in inside(evidence, when, Some(at)) {
        let cell = &mut tally[usize::from(evidence.runs()[run].cell.levels.level(factor))];
        cell.0 += f64::from(u8::from(evidence.value(run, feature) == value));
        cell.1 += 1.0;
    }
    let rate = |side: bool| {
        let (hits, total) = (0..space.levels[factor])
            .zip(&tally)
            .filter(|(level, _)| when[at].levels.contains(level) == side)
            .fold((0.5, 1.0), |sum, (_, cell)| (sum.0 + cell.0, sum.1 + cell.1));
        hits / total
    };
    let (within, without): (f64, f64) = (rate(true), rate(false));
    tally
        .iter()
        .map(|(hits, total)| hits * (within / without).ln() + (total - hits) * ((1.0 - within) / (1.0 - without)).ln())
        .collect()
}
