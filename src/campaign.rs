//! The **campaign**: the whole adaptive procedure (cover, explain, confirm) as one pure state machine over captures. The
//! driver runs the cells that it is told and absorbs the records; resuming, re-analysing and simulating are the same fold.

use std::collections::HashMap;
use std::sync::Arc;

use crate::attribution::alike;
use crate::attribution::confirm::Standing;
use crate::attribution::power;
use crate::attribution::procedure::{Judged, Need, Procedure};
use crate::capture::{Capture, Ran, Recall, Record};
use crate::cell::{Cell, CellId, Phase};
use crate::design::{self, CoverDesign, Space};
use crate::feature::{Extractor, Observation, Row};
use crate::finding::disclose;
use crate::finding::group::{self, Material};
use crate::finding::{CellCounts, Coins, Findings, Power, Reach, SCHEMA_VERSION, Verdict};
use crate::scenario::Scenario;

/// Cells that the engine may lose before a run says that it is inconclusive.
const MOST_LOST: f64 = 0.05;
/// Captures from which templates are learned. The cover phase's order is a uniform shuffle, so its beginning is a fair
/// sample; what is met later makes new features.
const LEARNED: usize = 512;
/// Fewer are enough where they have this many bytes together…
const LEARNED_BYTES: usize = 192 << 20;
/// …but these many there must be.
const LEARNED_LEAST: usize = 96;

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Run these cells (started in this order) and absorb their records (in this order).
    Round(Vec<Cell>),
    /// It is over.
    Done(Box<Findings>),
}

/// A dependence that the procedure has an idea of: for whoever watches a run.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Hypothesis {
    /// Names of the factors.
    pub factors: Vec<String>,
    /// Places that seem to depend on them.
    pub places: usize,
    /// Its E so far: 1 before any coin was flipped for it.
    pub e: f64,
    /// The E that it must reach, once that is known.
    pub e_needed: Option<f64>,
}

/// The state of a run.
#[derive(Debug)]
pub struct Campaign {
    scenario: Arc<Scenario>,
    seed: u64,
    space: Arc<Space>,
    procedure: Procedure,
    extractor: Extractor,
    /// The first records of the cover phase, kept until there are enough: templates must have seen them all before any
    /// row is made.
    learning: Vec<Record>,
    learning_bytes: usize,
    learned: bool,
    memory: Memory,
    /// Every record that was absorbed, in plan order.
    ran: Vec<Ran>,
    observed: usize,
    /// Whether the agent sent anything where nothing was varied.
    spoken: bool,
}

/// Where a capture is once its row was made. Few are ever looked at again, for excerpts.
#[derive(Debug)]
enum Memory {
    /// Here, all of them.
    Kept(HashMap<CellId, Arc<Capture>>),
    /// Where the campaign's owner keeps them.
    Elsewhere(Arc<dyn Recall>),
}

impl Recall for Memory {
    fn recall(&self, cell: &CellId) -> Option<Arc<Capture>> {
        match self {
            Self::Kept(captures) => captures.get(cell).cloned(),
            Self::Elsewhere(store) => store.recall(cell),
        }
    }
}

impl Campaign {
    /// A run that has not begun. Keeps every capture.
    #[must_use]
    pub fn new(scenario: Arc<Scenario>, seed: u64) -> Self {
        Self::with(scenario, seed, Memory::Kept(HashMap::new()))
    }

    /// A run that has not begun, and that keeps no capture once its row was made: those that excerpts are taken from
    /// are recalled from where the caller keeps them. What is absorbed must be there before the next step.
    #[must_use]
    pub fn recalling(scenario: Arc<Scenario>, seed: u64, store: Arc<dyn Recall>) -> Self {
        Self::with(scenario, seed, Memory::Elsewhere(store))
    }

    fn with(scenario: Arc<Scenario>, seed: u64, memory: Memory) -> Self {
        let space = Space::of(&scenario);
        let design = design::cover(&space, scenario.design, &scenario.matrix, seed);
        Self {
            procedure: Procedure::of_design(Arc::clone(&space), scenario.design, design, seed),
            extractor: Extractor::new(Arc::clone(&scenario)),
            learning: Vec::new(),
            learning_bytes: 0,
            learned: false,
            memory,
            ran: Vec::new(),
            observed: 0,
            spoken: false,
            scenario,
            seed,
            space,
        }
    }

    /// What to do next. While cells of the last round are still to be absorbed, those.
    pub fn step(&mut self) -> Step {
        match self.procedure.step() {
            Need::Cells(mut cells) => {
                // Records that are held back are not outstanding for the driver.
                cells.drain(..self.learning.len().min(cells.len()));
                Step::Round(cells)
            }
            Need::Nothing => Step::Done(Box::new(self.findings())),
        }
    }

    /// Takes one record of the current round, in plan order.
    pub fn absorb(&mut self, record: Record) {
        if self.learned {
            return self.absorb_all(vec![record]);
        }
        self.ran.push(Ran::of(&record));
        self.learning_bytes += record.outcome.as_ref().map_or(0, |capture| size(capture));
        self.learning.push(record);
        let records = self.learning.len();
        let enough = records >= LEARNED || (records >= LEARNED_LEAST && self.learning_bytes >= LEARNED_BYTES);
        if enough || records >= self.procedure.design().cells.len() {
            self.learn();
        }
    }

    /// Takes several records of the current round, in plan order. What does not depend on those before it is done in
    /// parallel; all else is as if they came one by one.
    pub fn absorb_all(&mut self, records: Vec<Record>) {
        let mut records = records.into_iter();
        while !self.learned {
            let Some(record) = records.next() else { return };
            self.absorb(record);
        }
        let records: Vec<Record> = records.collect();
        let observations: Vec<Observation<'_>> = records.iter().filter_map(observation).collect();
        let rows = self.extractor.extract_all(&observations);
        self.ran.extend(records.iter().map(Ran::of));
        self.take(records, rows);
    }

    fn learn(&mut self) {
        self.learned = true;
        let records = std::mem::take(&mut self.learning);
        for observation in records.iter().filter_map(observation) {
            self.extractor.learn(observation);
        }
        self.extractor.freeze();
        let rows = self.extractor.learned();
        self.take(records, rows);
    }

    /// Takes records and the rows of those that have a capture.
    fn take(&mut self, records: Vec<Record>, rows: Vec<Row>) {
        self.procedure.board().update(|evidence| evidence.contain(self.extractor.containers()));
        let mut rows = rows.into_iter();
        for record in records {
            let Ok(capture) = record.outcome else {
                self.procedure.absorb(None);
                continue;
            };
            self.observed += 1;
            self.spoken |= !capture.exchanges.is_empty() && record.cell.levels == self.space.baseline();
            if let Memory::Kept(captures) = &mut self.memory {
                captures.insert(record.cell.id, capture);
            }
            self.procedure.absorb(Some(rows.next().unwrap_or_default()));
        }
    }

    /// Lets a report look at every run that was absorbed and at the row that was made of it, in plan order.
    pub fn look<T>(&self, look: impl FnOnce(&[(&Ran, Option<&Row>)], &Extractor) -> T) -> T {
        self.procedure.board().with(|evidence| {
            let mut rows = evidence.runs().iter();
            let runs: Vec<_> = (self.ran.iter())
                .map(|ran| (ran, ran.failure.is_none().then(|| rows.next().map(|run| &run.row)).flatten()))
                .collect();
            look(&runs, &self.extractor)
        })
    }

    /// The cover phase's design.
    #[must_use]
    pub fn design(&self) -> &CoverDesign {
        self.procedure.design()
    }

    /// Best estimate of how many cells the whole run will have.
    #[must_use]
    pub fn expected_cells(&self) -> usize {
        self.procedure.expected_cells()
    }

    /// Best estimate, before anything was run, of how many cells each phase (cover, explain, confirm) will have.
    #[must_use]
    pub fn expected_by_phase(&self) -> [usize; 3] {
        self.procedure.expected_by_phase()
    }

    /// What has been noticed so far, a line each: how many places seem to depend on which factors.
    #[must_use]
    pub fn noticed(&self) -> Vec<String> {
        let mut counts: std::collections::BTreeMap<Vec<usize>, usize> = std::collections::BTreeMap::new();
        for (features, rules) in self.procedure.learned() {
            let factors = rules.canonical(&self.space).factors();
            if !factors.is_empty() {
                *counts.entry(factors).or_default() += features.len();
            }
        }
        let mut lines: Vec<(usize, String)> = counts
            .into_iter()
            .map(|(factors, places)| {
                let names: Vec<&str> =
                    factors.iter().map(|factor| self.scenario.factors[*factor].name.as_str()).collect();
                (names.len(), format!("{places} place(s) seem to depend on {}", names.join(" and ")))
            })
            .collect();
        lines.sort_by(|a, b| b.cmp(a));
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// The hypotheses as they stand, with their E, in the order in which they were formed.
    #[must_use]
    pub fn hypotheses(&self) -> Vec<Hypothesis> {
        let confirming = self.procedure.confirming();
        let standing = |lead: usize| {
            let judged = self.procedure.judged().iter().map(|judged| (&judged.claim, judged.threshold));
            let now = confirming.iter().flat_map(|(claims, bar)| claims.iter().map(move |claim| (claim, *bar)));
            now.chain(judged).find(|(claim, _)| claim.feature == lead)
        };
        let mut hypotheses = Vec::new();
        for (features, rules) in self.procedure.learned() {
            let factors = rules.canonical(&self.space).factors();
            let Some(lead) = features.first().filter(|_| !factors.is_empty()) else { continue };
            let claim = standing(*lead);
            hypotheses.push(Hypothesis {
                factors: factors.iter().map(|factor| self.scenario.factors[*factor].name.clone()).collect(),
                places: features.len(),
                e: claim.map_or(1.0, |(claim, _)| claim.e),
                e_needed: claim.map(|(_, bar)| bar),
            });
        }
        hypotheses
    }

    fn findings(&self) -> Findings {
        let (rounds, planned, lost) = self.procedure.counts();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let cells = CellCounts { planned: count(planned), observed: count(self.observed), failed: count(lost), rounds };
        let confirmed: Vec<&Judged> =
            self.procedure.judged().iter().filter(|judged| judged.claim.standing == Standing::Confirmed).collect();
        let findings = self.procedure.board().with(|evidence| {
            let material = Material {
                scenario: &self.scenario,
                seed: self.seed,
                space: &self.space,
                evidence,
                captures: &self.memory,
                extractor: &self.extractor,
            };
            group::findings(material, &confirmed)
        });
        let (mut notes, mut inconclusive) = (Vec::new(), false);
        if let Some(note) = self.silence() {
            notes.push(note);
            inconclusive = true;
        }
        if lost > 0 {
            notes.push(format!("{lost} of {planned} cells were lost to the engine; they count as nothing seen"));
            inconclusive |= f64::from(count(lost)) > MOST_LOST * f64::from(count(planned));
        }
        let unexplained = self.unexplained();
        if self.procedure.cut_short() {
            notes.push(format!(
                "the budget of {} cells ended the search early; raise it with --budget",
                self.scenario.design.budget
            ));
            inconclusive = true;
        }
        let open = findings.iter().any(|finding| finding.disclosed.is_none() && finding.explained_by.is_none());
        let verdict = match (open, inconclusive) {
            (true, _) => Verdict::Conditioned,
            (false, true) => Verdict::Inconclusive,
            (false, false) => Verdict::Clean,
        };
        Findings {
            schema_version: SCHEMA_VERSION,
            scenario: self.scenario.name.clone(),
            verdict,
            notes,
            cells,
            not_varied: self.scenario.not_varied(),
            power: self.power(unexplained),
            inconclusive,
            stale: disclose::stale(&self.scenario, &findings),
            findings,
        }
    }

    /// Why the run says nothing, if the agent never spoke where nothing was varied.
    fn silence(&self) -> Option<String> {
        (!self.spoken).then(|| {
            "the agent sent no request in any baseline cell: there is nothing to compare; look at its standard error"
                .to_owned()
        })
    }

    fn unexplained(&self) -> Vec<String> {
        let features = self.extractor.features();
        let place = |feature: usize| features.get(feature).map_or("", |feature| feature.place.as_str());
        let mut lines: Vec<String> = self
            .procedure
            .unexplained()
            .iter()
            .map(|feature| format!("{}: varies, and no rule was found", place(*feature)))
            .collect();
        let names = |factors: &[usize]| -> Vec<&str> {
            factors.iter().map(|factor| self.scenario.factors[*factor].name.as_str()).collect()
        };
        for alike in self.procedure.alike() {
            lines.push(format!(
                "{}: {} more places seem to depend on {} at some rate, as the {} there that tell most; only these were tested",
                place(alike.request),
                alike.places,
                names(&alike.factors).join(" and "),
                alike::MOST
            ));
        }
        for judged in self.procedure.judged().iter().filter(|judged| judged.claim.standing != Standing::Confirmed) {
            let names = names(&judged.claim.factors);
            lines.push(format!(
                "{}: seemed to depend on {}, was not confirmed (E = {:.2} of {:.0})",
                place(judged.claim.feature),
                names.join(" and "),
                judged.claim.e,
                judged.threshold
            ));
        }
        lines
    }

    fn power(&self, unexplained: Vec<String>) -> Power {
        let design = self.procedure.design();
        let options = &self.scenario.design;
        let (_, planned, _) = self.procedure.counts();
        let claims = self.procedure.judged().iter().map(|judged| judged.claims).max().unwrap_or(0);
        let e_needed = power::e_needed(claims, options.alpha);
        self.procedure.board().with(|evidence| {
            let flipped = evidence.runs().iter().filter(|run| run.cell.phase == Phase::Confirm).count();
            let available = power::coins_available(options.budget as usize, planned.saturating_sub(flipped));
            let reach = (1..=u32::from(design.strength).max(2) + 1).filter_map(|order| {
                let exposure = power::exposure(evidence, &self.space, order as usize)?;
                Some(Reach {
                    order,
                    covered: exposure.covered,
                    total: exposure.total,
                    runs: exposure.least,
                    seen_rate: power::seen_rate(exposure.least),
                    confirmed_rate: power::confirmed_rate(order, available, e_needed),
                })
            });
            Power {
                strength: design.strength,
                tuples_covered: design.tuples_covered,
                tuples_total: design.tuples_total,
                alpha: options.alpha,
                smallest_rate: power::smallest_rate(evidence, &self.space, usize::from(design.strength)),
                unexplained,
                reach: reach.collect(),
                coins: Coins { e_needed, needed: power::coins_needed(e_needed), available },
            }
        })
    }
}

/// What an extractor sees of a record; nothing where the engine failed.
fn observation(record: &Record) -> Option<Observation<'_>> {
    let capture = record.outcome.as_ref().ok()?;
    Some(Observation { levels: &record.cell.levels, capture })
}

/// Bytes that a capture keeps in memory, but for what is small.
fn size(capture: &Capture) -> usize {
    let bodies = capture.exchanges.iter().map(|exchange| exchange.body.bytes.len()).sum::<usize>();
    bodies + capture.stdout.bytes.len() + capture.stderr.bytes.len()
}
