//! **Localising**: learns the rules of one signal by counterexample-guided delta debugging. Take a run that the rules so
//! far mispredict, find the smallest set of factors that keeps the misprediction, sweep the levels of just those
//! factors, add the rule, repeat until every run is explained.
//!
//! Minimal sets by `QuickXplain` (Junker 2004) after a few cheap guesses.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::future::Future;
use std::pin::Pin;

use super::board::Board;
use super::both::Both;
use super::evidence::{Evidence, Value};
use super::projected::Projected;
use super::read_off;
use super::rule::{Literal, Rule, RuleList};
use super::screen::Signal;
use crate::cell::Assignment;

/// Rules that one signal may need.
const MOST_RULES: usize = 14;
/// Factors that one rule may have.
const MOST_FACTORS: usize = 4;
/// Runs that one signal may ask for.
const MOST_RUNS: usize = 150;
/// Cheap guesses before `QuickXplain`.
const GUESSES: usize = 3;
/// Runs of a sweep from which on it has to be worth it.
const WIDE: usize = 8;
/// Failures to find a rule before a signal is given up.
const MOST_FAILURES: usize = 3;

/// Runs that must speak for a guess, none against it, before a counterexample is believed after two runs that agree …
const WELL_SUPPORTED: usize = 4;
/// … else it takes three: what shows by chance in one run of six does so twice in a row among a few dozen noisy features, and
/// a search that follows it costs dozens of runs.
const COPIES_IF_RARE: usize = 3;

/// How often a guess as well supported as this one may be expected among a signal's guesses if its runs' values were dealt by
/// chance, at most, so that its own cell is run at once. Of a weaker one, the counterexample is run again first.
const BELIEVED: f64 = 0.01;

/// Cells whose own runs disagree before a signal is left to the noisy track …
const UPSETS: usize = 2;
/// … unless its rules explain so many runs for each: a rare perturbation must not cost what is already learned. Where
/// nothing is explained, going on would buy one more rerun for each chance value; the noisy track looks for free.
const RUNS_AN_UPSET: usize = 16;

/// How an explanation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every run that is not ignored is as the rules say.
    Explained,
    /// The same cell gives different values, and not only now and then: the noisy track must look at it.
    Noisy,
    /// Runs, rules or ideas ran out.
    GivenUp,
}

/// What an explanation came to.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The signal.
    pub signal: Signal,
    /// What was learned; possibly nothing.
    pub rules: RuleList,
    /// How it ended.
    pub ending: Ending,
    /// Runs that were set aside as chance.
    pub ignored: usize,
}

/// Explains one deterministic signal.
pub async fn explain(board: Board, signal: Signal, known: RuleList) -> Explanation {
    let space = board.space();
    if known.rules.is_empty()
        && let Some(rules) = board.with(|evidence| read_off::function_of_one(evidence, &space, &signal))
    {
        return Explanation { rules, ending: Ending::Explained, ignored: 0, signal };
    }
    let mut search = Search {
        feature: signal.lead(),
        baseline: board.space().baseline(),
        rules: known,
        ignored: HashSet::new(),
        asked: 0,
        starved: false,
        board,
    };
    let ending = search.run().await;
    let ignored = search.ignored.len();
    Explanation { rules: search.rules, ending, ignored, signal }
}

struct Search {
    board: Board,
    feature: usize,
    baseline: Assignment,
    rules: RuleList,
    /// Runs set aside as chance.
    ignored: HashSet<usize>,
    asked: usize,
    /// A question was not answered, because runs ran out: nothing may be concluded from silence.
    starved: bool,
}

/// A run that the rules mispredict.
#[derive(Clone)]
struct Counterexample {
    cell: Assignment,
    value: Value,
}

type BoxedSet<'a> = Pin<Box<dyn Future<Output = Vec<usize>> + Send + 'a>>;

impl Search {
    async fn run(&mut self) -> Ending {
        let mut failures = 0;
        let mut waited = false;
        let mut tried: HashSet<(Assignment, Vec<usize>)> = HashSet::new();
        loop {
            let (upsets, explained) =
                self.board.with(|evidence| (evidence.disagreements(self.feature), self.explained(evidence)));
            if upsets >= UPSETS && upsets * RUNS_AN_UPSET > explained {
                return Ending::Noisy;
            }
            let candidates = self.board.with(|evidence| self.counterexamples(evidence));
            // All signals look at the same few cells where they can: a cell run twice for one of them shows all the
            // others, for nothing, which of them chance plays with.
            let Some(bad) =
                candidates.iter().find(|bad| self.board.awaits(&bad.cell, 2)).or(candidates.first()).cloned()
            else {
                return Ending::Explained;
            };
            if self.asked >= MOST_RUNS || self.rules.rules.len() >= MOST_RULES || self.board.exhausted() {
                return if self.tabulate() { Ending::Explained } else { Ending::GivenUp };
            }
            let before = self.board.with(|evidence| self.mispredicted(evidence).len());
            if let Some(guess) = self.board.with(|evidence| self.believed(evidence, &bad))
                && tried.insert((bad.cell.clone(), guess.clone()))
            {
                let probe = self.transplant(&bad.cell, &guess);
                let (seen, control) = self.case_and_control(&probe, 2).await;
                if control.is_some_and(|value| value != self.rules.predict(&self.baseline)) {
                    return Ending::Noisy;
                }
                if seen.len() >= 2 && seen.iter().all(|value| *value == bad.value) {
                    let set = self.drop_idle(&bad, guess).await;
                    if !self.starved && self.learn(&bad, &set).await {
                        continue;
                    }
                }
            }
            let (mut seen, mut control) = self.case_and_control(&bad.cell, 2).await;
            let copies = self.board.with(|evidence| self.copies(evidence, &bad));
            if seen.len() < copies && seen.iter().all(|value| *value == bad.value) {
                (seen, control) = self.case_and_control(&bad.cell, copies).await;
            }
            if control.is_some_and(|value| value != self.rules.predict(&self.baseline)) {
                // The baseline itself is no longer what it was: time makes a difference, not only the environment.
                return Ending::Noisy;
            }
            self.starved |= seen.len() < 2 && self.board.exhausted();
            if self.starved {
                return Ending::GivenUp;
            }
            if seen.iter().any(|value| *value != bad.value) {
                // Chance plays a part. Others' runs may tell more for nothing: wait for them first.
                if !std::mem::replace(&mut waited, true) {
                    self.board.deferred().await;
                }
                self.ignore(&bad.cell);
                continue;
            }
            let set = self.minimal_set(&bad).await;
            let learned = match set {
                Some(set) if !set.is_empty() && set.len() <= MOST_FACTORS => self.learn(&bad, &set).await,
                _ => false,
            };
            let after = self.board.with(|evidence| self.mispredicted(evidence).len());
            if !learned || after >= before + MOST_RULES {
                if !learned {
                    self.ignore(&bad.cell);
                }
                failures += 1;
                if failures >= MOST_FAILURES {
                    return if self.tabulate() { Ending::Explained } else { Ending::GivenUp };
                }
            }
        }
    }

    async fn observe(&mut self, cells: Vec<Assignment>, copies: usize) -> Vec<Vec<Value>> {
        self.asked += self.board.with(|evidence| {
            let distinct: BTreeSet<&Assignment> = cells.iter().collect();
            distinct.iter().map(|cell| copies.saturating_sub(evidence.of(cell).len())).sum::<usize>()
        });
        self.board.observe(cells, copies, self.feature).await
    }

    /// How many agreeing runs of a counterexample's cell are asked for.
    fn copies(&self, evidence: &Evidence, bad: &Counterexample) -> usize {
        let well = self.scored_guesses(evidence, bad).iter().any(|(support, _)| *support >= WELL_SUPPORTED);
        if well { 2 } else { COPIES_IF_RARE }
    }

    /// The values of a cell that was run `copies` times at least, and the baseline's value in a run no earlier than the
    /// round of the last of these: what drifts or sticks must not pass for an effect of the environment. One control serves
    /// all signals.
    async fn case_and_control(&mut self, cell: &Assignment, copies: usize) -> (Vec<Value>, Option<Value>) {
        let (missing, controls) = self.board.with(|evidence| {
            let round = |cell| evidence.of(cell).last().map(|run| evidence.runs()[*run].cell.round);
            let missing = copies.saturating_sub(evidence.of(cell).len());
            let stale = missing > 0 || round(&self.baseline) < round(cell);
            (missing, evidence.of(&self.baseline).len() + evidence.lost(&self.baseline) + usize::from(stale))
        });
        self.asked += missing;
        let (mut seen, mut control) = Both::of(
            self.board.observe(vec![cell.clone()], copies, self.feature),
            self.board.observe(vec![self.baseline.clone()], controls, self.feature),
        )
        .await;
        (seen.remove(0), control.remove(0).last().copied())
    }

    fn mispredicted(&self, evidence: &Evidence) -> Vec<usize> {
        (0..evidence.runs().len())
            .filter(|run| {
                !self.ignored.contains(run)
                    && evidence.value(*run, self.feature) != self.rules.predict(&evidence.runs()[*run].cell.levels)
            })
            .collect()
    }

    /// Runs that a rule explains: not as the base value, and as predicted.
    fn explained(&self, evidence: &Evidence) -> usize {
        (0..evidence.runs().len())
            .filter(|run| {
                let predicted = self.rules.predict(&evidence.runs()[*run].cell.levels);
                predicted != self.rules.base && evidence.value(*run, self.feature) == predicted
            })
            .count()
    }

    /// The mispredicted runs of the commonest bad value, those first that leave the baseline in fewest factors.
    fn counterexamples(&self, evidence: &Evidence) -> Vec<Counterexample> {
        let bad = self.mispredicted(evidence);
        let Some(value) = super::screen::commonest(bad.iter().map(|run| evidence.value(*run, self.feature))) else {
            return Vec::new();
        };
        let mut bad: Vec<usize> = bad.into_iter().filter(|run| evidence.value(*run, self.feature) == value).collect();
        bad.sort_by_key(|run| (self.leaving(&evidence.runs()[*run].cell.levels).len(), *run));
        bad.into_iter().map(|run| Counterexample { cell: evidence.runs()[run].cell.levels.clone(), value }).collect()
    }

    fn leaving(&self, cell: &Assignment) -> Vec<usize> {
        (0..cell.0.len()).filter(|factor| cell.level(*factor) != self.baseline.level(*factor)).collect()
    }

    fn ignore(&mut self, cell: &Assignment) {
        let odd: Vec<usize> = self.board.with(|evidence| {
            let bad: HashSet<usize> = self.mispredicted(evidence).into_iter().collect();
            evidence.of(cell).iter().copied().filter(|run| bad.contains(run)).collect()
        });
        self.ignored.extend(odd);
    }

    /// The baseline with the factors in `set` taken from `cell`.
    fn transplant(&self, cell: &Assignment, set: &[usize]) -> Assignment {
        let mut probe = self.baseline.clone();
        for factor in set {
            probe.0[*factor] = cell.level(*factor);
        }
        probe
    }

    /// Whether the factors in `set` alone keep the misprediction.
    async fn keeps(&mut self, bad: &Counterexample, set: &[usize]) -> bool {
        let probe = self.transplant(&bad.cell, set);
        if self.rules.predict(&probe) == bad.value {
            return false;
        }
        let seen = self.observe(vec![probe], 1).await.remove(0);
        self.starved |= seen.is_empty() && self.board.exhausted();
        seen.first() == Some(&bad.value)
    }

    async fn minimal_set(&mut self, bad: &Counterexample) -> Option<Vec<usize>> {
        let all = self.leaving(&bad.cell);
        for guess in self.board.with(|evidence| self.guesses(evidence, bad)) {
            if self.keeps(bad, &guess).await {
                let set = self.drop_idle(bad, guess).await;
                return (!self.starved).then_some(set);
            }
        }
        let set = self.quickxplain(bad, Vec::new(), false, all).await;
        (!set.is_empty() && !self.starved).then_some(set)
    }

    /// Factor sets whose levels in the counterexample always came with its value: those of this signal's rules first,
    /// then single factors and pairs by the number of runs that speak for them.
    fn guesses(&self, evidence: &Evidence, bad: &Counterexample) -> Vec<Vec<usize>> {
        self.scored_guesses(evidence, bad).into_iter().map(|(_, set)| set).collect()
    }

    /// The same with the number of runs that speak for each.
    fn scored_guesses(&self, evidence: &Evidence, bad: &Counterexample) -> Vec<(usize, Vec<usize>)> {
        let all = self.leaving(&bad.cell);
        let mut candidates: BTreeSet<Vec<usize>> = all.iter().map(|factor| vec![*factor]).collect();
        for (at, one) in all.iter().enumerate() {
            candidates.extend(all[at + 1..].iter().map(|other| vec![*one, *other]));
        }
        let ruled: BTreeSet<Vec<usize>> = self
            .rules
            .rules
            .iter()
            .map(|rule| rule.when.iter().map(|literal| literal.factor).collect::<Vec<_>>())
            .filter(|set| set.iter().all(|factor| all.contains(factor)))
            .collect();
        candidates.extend(ruled.iter().cloned());
        let mut scored: Vec<(bool, usize, usize, Vec<usize>)> = candidates
            .into_iter()
            .filter_map(|set| {
                let mut support = 0;
                for (index, run) in evidence.runs().iter().enumerate() {
                    if self.ignored.contains(&index)
                        || set.iter().any(|factor| run.cell.levels.level(*factor) != bad.cell.level(*factor))
                    {
                        continue;
                    }
                    if evidence.value(index, self.feature) != bad.value {
                        return None;
                    }
                    support += 1;
                }
                Some((!ruled.contains(&set), set.len(), usize::MAX - support, set))
            })
            .collect();
        // A single factor that explains beats a pair that holds it; among pairs the best supported comes first.
        scored.sort();
        scored.truncate(GUESSES);
        scored.into_iter().map(|(_, _, against, set)| (usize::MAX - against, set)).collect()
    }

    /// The best guess, if it has more support than chance would give any.
    fn believed(&self, evidence: &Evidence, bad: &Counterexample) -> Option<Vec<usize>> {
        let (mut hits, mut total) = (0.0, 0.0);
        for run in (0..evidence.runs().len()).filter(|run| !self.ignored.contains(run)) {
            hits += f64::from(u8::from(evidence.value(run, self.feature) == bad.value));
            total += 1.0;
        }
        let leaving = f64::from(u32::try_from(self.leaving(&bad.cell).len()).unwrap_or(u32::MAX));
        let guesses = leaving * (leaving + 1.0) / 2.0;
        let (support, guess) = self.scored_guesses(evidence, bad).into_iter().next()?;
        let by_chance = guesses * f64::powi(hits / total, i32::try_from(support).unwrap_or(i32::MAX));
        (by_chance <= BELIEVED && self.rules.predict(&self.transplant(&bad.cell, &guess)) != bad.value).then_some(guess)
    }

    /// Makes a set that keeps the misprediction minimal by leaving out one factor after the other.
    async fn drop_idle(&mut self, bad: &Counterexample, mut set: Vec<usize>) -> Vec<usize> {
        let mut at = 0;
        while set.len() > 1 && at < set.len() {
            let mut fewer = set.clone();
            fewer.remove(at);
            if self.keeps(bad, &fewer).await {
                set = fewer;
            } else {
                at += 1;
            }
        }
        set
    }

    fn quickxplain<'a>(
        &'a mut self,
        bad: &'a Counterexample,
        background: Vec<usize>,
        grown: bool,
        candidates: Vec<usize>,
    ) -> BoxedSet<'a> {
        Box::pin(async move {
            if grown && self.keeps(bad, &background).await {
                return Vec::new();
            }
            if candidates.len() <= 1 {
                return candidates;
            }
            let (left, right) = candidates.split_at(candidates.len() / 2);
            let with_left: Vec<usize> = background.iter().chain(left).copied().collect();
            let needed_right = self.quickxplain(bad, with_left, true, right.to_vec()).await;
            let with_right: Vec<usize> = background.iter().chain(&needed_right).copied().collect();
            let mut needed = self.quickxplain(bad, with_right, !needed_right.is_empty(), left.to_vec()).await;
            needed.extend(needed_right);
            needed.sort_unstable();
            needed
        })
    }

    /// Whether a minimal cell, and each cell that lacks one of its factors, says again what it said: a value that shows at
    /// some rate looks like an interaction of many factors, whose sweep is the dearest there is.
    async fn stands(&mut self, minimal: &Assignment, set: &[usize], value: Value) -> bool {
        let mut cells = vec![minimal.clone()];
        let without = set.iter().map(|factor| minimal.with(*factor, self.baseline.level(*factor)));
        cells.extend(without.filter(|cell| self.rules.predict(cell) != value));
        let seen = self.observe(cells, 2).await;
        self.starved |= self.board.exhausted() && seen.iter().any(|runs| runs.len() < 2);
        let keeps = |runs: &[Value]| runs.iter().all(|seen| *seen == value);
        keeps(&seen[0]) && seen[1..].iter().all(|runs| runs.iter().all(|seen| *seen != value))
    }

    /// Runs the minimal cell afresh, sweeps the levels of its factors, and adds the rule. `false` if the fresh run says
    /// otherwise.
    async fn learn(&mut self, bad: &Counterexample, set: &[usize]) -> bool {
        let space = self.board.space();
        let minimal = self.transplant(&bad.cell, set);
        let mut sweep: Vec<(usize, u16)> = Vec::new();
        for factor in set {
            sweep.extend(
                (0..space.levels[*factor]).filter(|level| *level != minimal.level(*factor)).map(|l| (*factor, l)),
            );
        }
        // What runs in other contexts agree about need not be run here; if they mislead, others will contradict the rule.
        let told: Vec<Option<Value>> = self.board.with(|evidence| {
            let calm = self.ignored.is_empty() && evidence.disagreements(self.feature) == 0;
            let Some(projected) = calm.then(|| Projected::onto(set, evidence, self.feature, self.rules.base)) else {
                return vec![None; sweep.len()];
            };
            sweep.iter().map(|(factor, level)| projected.told(&minimal.with(*factor, *level))).collect()
        });
        // The fresh run and the sweep are asked for together: a round is as wide as it can be.
        let untold = sweep.iter().zip(&told).filter(|(_, told)| told.is_none());
        let probes: Vec<Assignment> = untold.map(|((factor, level), _)| minimal.with(*factor, *level)).collect();
        if set.len() > 2 && probes.len() >= WIDE && !self.stands(&minimal, set, bad.value).await {
            return false;
        }
        let fresh = self.board.observe(vec![minimal.clone()], 2, self.feature);
        self.asked += probes.len();
        let (fresh, probed) = Both::of(fresh, self.board.observe(probes, 1, self.feature)).await;
        self.starved |= self.board.exhausted() && (fresh[0].len() < 2 || probed.iter().any(Vec::is_empty));
        if self.starved || fresh[0].iter().any(|value| *value != bad.value) || fresh[0].is_empty() {
            return false;
        }
        let mut probed = probed.into_iter();
        let swept: Vec<Vec<Value>> = told
            .into_iter()
            .map(|told| told.map_or_else(|| probed.next().unwrap_or_default(), |value| vec![value]))
            .collect();
        let mut when: BTreeMap<usize, BTreeSet<u16>> =
            set.iter().map(|factor| (*factor, BTreeSet::from([minimal.level(*factor)]))).collect();
        let mut others: BTreeMap<Value, BTreeSet<u16>> = BTreeMap::new();
        for ((factor, level), seen) in sweep.iter().zip(&swept) {
            let Some(value) = seen.first().copied() else { continue };
            if value == bad.value {
                when.entry(*factor).or_default().insert(*level);
            } else if set.len() == 1 && value != self.rules.predict(&minimal.with(*factor, *level)) {
                others.entry(value).or_default().insert(*level);
            }
        }
        let when = when.into_iter().map(|(factor, levels)| Literal { factor, levels }).collect();
        self.add(Rule { when, value: bad.value }, &minimal);
        for (value, levels) in others {
            self.add(Rule { when: vec![Literal { factor: set[0], levels }], value }, &minimal);
        }
        true
    }

    /// Adds a rule before those that name more factors: they are its exceptions, and were right before it. After all, if
    /// they would keep it from the cell that it was learned from.
    fn add(&mut self, rule: Rule, learned_from: &Assignment) {
        let rules = &mut self.rules.rules;
        let at = rules.iter().rposition(|other| other.when.len() <= rule.when.len()).map_or(0, |last| last + 1);
        rules.insert(at, rule.clone());
        if rule.matches(learned_from) && self.rules.predict(learned_from) != rule.value {
            self.rules.rules.remove(at);
            self.rules.rules.push(rule);
        }
    }

    /// Last resort: the data as a table over all factors that the rules name, if they are a function of those.
    fn tabulate(&mut self) -> bool {
        let factors = self.rules.factors();
        if factors.is_empty() || factors.len() > MOST_FACTORS {
            return false;
        }
        let table = self.board.with(|evidence| {
            let mut table: BTreeMap<Vec<u16>, Value> = BTreeMap::new();
            for (index, run) in evidence.runs().iter().enumerate() {
                if self.ignored.contains(&index) {
                    continue;
                }
                let key = factors.iter().map(|factor| run.cell.levels.level(*factor)).collect();
                let value = evidence.value(index, self.feature);
                if *table.entry(key).or_insert(value) != value {
                    return None;
                }
            }
            Some(table)
        });
        let Some(table) = table else { return false };
        for (key, value) in table {
            let cell = self.transplant(&spread(&self.baseline, &factors, &key), &factors);
            if self.rules.predict(&cell) != value {
                let when = factors.iter().zip(&key).map(|(f, l)| Literal { factor: *f, levels: BTreeSet::from([*l]) });
                self.rules.rules.push(Rule { when: when.collect(), value });
            }
        }
        self.board.with(|evidence| self.mispredicted(evidence).is_empty())
    }
}

fn spread(baseline: &Assignment, factors: &[usize], key: &[u16]) -> Assignment {
    let mut cell = baseline.clone();
    for (factor, level) in factors.iter().zip(key) {
        cell.0[*factor] = *level;
    }
    cell
}
