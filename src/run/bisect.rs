//! **Bisecting**: in which versions of a target findings appear and go. One whole run says what to look for; every other
//! version is judged by a few fresh cells on both sides of the finding's rule, and both sides of an edge by fresh cells
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::RunError;
use super::event::{Event, Listener};
use super::session::{self, Request};
use super::stock::{Stock, with_version};
use super::trial::{Observed, Trial, recall};
use crate::cell::Assignment;
use crate::design::{self, Space, randomise};
use crate::engine::{EngineError, select};
use crate::finding::{Class, Finding};
use crate::run::redact::Redactor;
use crate::scenario::{DesignOptions, Matrix, Scenario, Source};
use crate::series::search::Search;
use crate::series::sides::{Sides, lacking};
use crate::series::sighting::{Candidate, EACH, Reading, Sighting, Standing};
use crate::series::trace::{EdgeTold, Ran, SCHEMA_VERSION, Trace, Traced};

/// How often more cells are asked for where those before do not tell.
const BATCHES: usize = 3;
/// Whole runs at most.
const WHOLE_RUNS: usize = 3;
/// Versions in a row that cannot be run before it is the machine's fault and not theirs.
const HOPELESS: usize = 3;
/// Versions that may be installed on a guess and never run.
const GUESSES: usize = 2;
/// Cells at most of a look for findings that are not known yet.
const LOOK: u32 = 80;
/// Environments that are run again before a whole run is spent on what may be chance …
const SUSPECTS: usize = 8;
/// … each so often.
const AGAIN: usize = 2;
/// Records of a whole run that a finding of another run is looked for in.
const ENOUGH: usize = 96;

/// What is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The finding with this id.
    Id(String),
    /// Every finding of this class that is neither explained nor disclosed.
    Class(Class),
}

impl Wanted {
    fn fits(&self, finding: &Finding) -> bool {
        match self {
            Self::Id(id) => finding.id == *id,
            Self::Class(class) => {
                finding.class == *class && finding.explained_by.is_none() && finding.disclosed.is_none()
            }
        }
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The run of one version: its scenario, engine and folder (in which everything is kept).
    pub request: Request,
    /// Decides which cells are run.
    pub seed: u64,
    /// Versions, the oldest first.
    pub versions: Vec<String>,
    /// What is searched for.
    pub wanted: Wanted,
    /// Findings of a run that there is, and the version that it was of.
    pub known: Option<(String, Vec<Finding>)>,
    /// Versions that are looked at whatever they show.
    pub sample: usize,
    /// Versions run at most.
    pub most: usize,
    /// Whether installed versions stay.
    pub keep: bool,
}

/// A finding that is searched for.
struct Known {
    finding: Finding,
    sides: Sides,
    version: String,
    sightings: BTreeMap<usize, Sighting>,
    confirmed: BTreeMap<usize, Sighting>,
}

struct Bisect<'a> {
    question: &'a Question,
    listener: &'a Listener,
    cancel: &'a CancellationToken,
    /// Without secrets: as cells are analysed.
    scenario: Arc<Scenario>,
    space: Arc<Space>,
    stock: Stock,
    search: Search,
    known: Vec<Known>,
    ran: Vec<Ran>,
    lost: BTreeMap<usize, String>,
    /// Whole runs, by version.
    whole: BTreeMap<String, PathBuf>,
    /// Places of candidates that a whole run was done for.
    tried: BTreeSet<String>,
    /// Places that were searched for what is not known.
    scanned: BTreeSet<usize>,
    guesses: usize,
    notes: Vec<String>,
}

/// Searches.
///
/// # Errors
/// When nothing could be run, the folder cannot be written, or it is cancelled. What was installed is removed then too.
pub async fn run(question: &Question, listener: &Listener, cancel: &CancellationToken) -> Result<Trace, RunError> {
    let began = Instant::now();
    let request = &question.request;
    let source = &request.scenario.target.source;
    if !matches!(source, Source::Npm { .. } | Source::Pypi { .. }) {
        let message = String::from("the scenario's target is no package, so it has no versions to search");
        return Err(EngineError::NoTarget { key: "version", message }.into());
    }
    let kind = select::choose(request.engine.clone(), source).await?;
    let scenario = Arc::new(Redactor::new(&request.scenario).scenario(&request.scenario));
    let mut bisect = Bisect {
        question,
        listener,
        cancel,
        space: Space::of(&scenario),
        scenario,
        stock: Stock::new(kind, request.scenario.target.clone(), question.keep, listener.clone()),
        search: Search::new(question.versions.len(), question.sample),
        known: Vec::new(),
        ran: Vec::new(),
        lost: BTreeMap::new(),
        whole: BTreeMap::new(),
        tried: BTreeSet::new(),
        scanned: BTreeSet::new(),
        guesses: 0,
        notes: Vec::new(),
    };
    let outcome = bisect.go().await;
    bisect.stock.close().await;
    outcome?;
    Ok(bisect.told((began.elapsed().as_secs_f64() * 10.0).round() / 10.0))
}

impl Bisect<'_> {
    async fn go(&mut self) -> Result<(), RunError> {
        self.begin().await?;
        loop {
            let wanted = self.search.wanted();
            let Some(place) = wanted.first().copied() else {
                let Some(place) = self.unconfirmed() else { return Ok(()) };
                self.confirm(place).await?;
                continue;
            };
            if self.ran.len() >= self.question.most {
                if let Some(place) = self.unconfirmed() {
                    self.confirm(place).await?;
                    continue;
                }
                self.notes.push(format!("the search ended at {} versions: raise --most", self.question.most));
                return Ok(());
            }
            self.stock.prefetch(&self.question.versions[place]);
            self.ahead(place, &wanted);
            self.probe(place).await?;
            self.retire().await;
        }
    }

    /// What is searched for, where that is known from a run or can be found out at the scenario's own version.
    async fn begin(&mut self) -> Result<(), RunError> {
        if let Some((version, findings)) = &self.question.known {
            self.learn(version, findings);
        } else {
            let own = match &self.question.request.scenario.target.source {
                Source::Npm { version, .. } | Source::Pypi { version, .. } => version.clone(),
                Source::Image { .. } | Source::Local { .. } => return Ok(()),
            };
            let versions = &self.question.versions;
            // Where the scenario's own version is none of them, a look at each of the sample finds what is covert; for
            // anything else a whole run must say what there is.
            let start = match self.question.wanted {
                Wanted::Id(_) => Some(own),
                Wanted::Class(_) if versions.contains(&own) => Some(own),
                Wanted::Class(Class::Covert) => None,
                Wanted::Class(_) => versions.last().cloned(),
            };
            if let Some(start) = start {
                self.stock.prefetch(&start);
                if let Some(place) = self.search.wanted().first() {
                    self.stock.prefetch(&self.question.versions[*place]);
                }
                self.run_whole(&start).await?;
            }
        }
        if let Wanted::Id(id) = &self.question.wanted
            && self.known.is_empty()
        {
            let message = format!("no finding {id} was found: name a run that has it with --run");
            return Err(RunError::OtherRun(message));
        }
        Ok(())
    }

    /// Takes the findings of a whole run that are searched for and not known yet; gives how many these are.
    fn learn(&mut self, version: &str, findings: &[Finding]) -> usize {
        let before = self.known.len();
        for finding in findings.iter().filter(|finding| self.question.wanted.fits(finding)) {
            let same = |known: &Known| known.finding.id == finding.id || known.finding.rule == finding.rule;
            let Some(sides) = Sides::of(finding, &self.scenario).filter(|_| !self.known.iter().any(same)) else {
                continue;
            };
            self.search.add();
            let (finding, version) = (finding.clone(), version.to_owned());
            let (sightings, confirmed) = (BTreeMap::new(), BTreeMap::new());
            self.known.push(Known { finding, sides, version, sightings, confirmed });
        }
        self.known.len() - before
    }

    /// Runs the whole procedure at a version, and judges every version that was looked at by what is new.
    async fn run_whole(&mut self, version: &str) -> Result<(), RunError> {
        self.stock.fetch(version).await?;
        self.say(format!("{version}: a whole run, to see what there is to search for"));
        let mut request = self.request(version, "runs");
        request.seed = Some(self.question.seed);
        request.resume = request.out.join("manifest.json").is_file();
        let ended = session::run(&request, self.listener, self.cancel).await?;
        self.stock.imaged(version, ended.manifest.run.clone());
        let cells = usize::try_from(ended.findings.cells.observed).unwrap_or(usize::MAX);
        self.whole.insert(version.to_owned(), request.out.clone());
        self.count(version, cells, true);
        let first = self.known.len();
        let new = self.learn(version, &ended.findings.findings);
        self.say(format!("{version}: {new} finding(s) to search for"));
        if let Some(place) = self.question.versions.iter().position(|known| known == version) {
            self.search.look(place);
        }
        let places: Vec<usize> = (0..self.question.versions.len()).collect();
        for place in places {
            let version = &self.question.versions[place];
            let folder = self.whole.get(version).cloned().unwrap_or_else(|| self.request(version, "trials").out);
            if !folder.join("manifest.json").is_file() || !self.ran.iter().any(|ran| ran.version == *version) {
                continue;
            }
            let reading = Reading::new(self.scenario.clone(), recall(&folder, ENOUGH)?);
            for known in first..self.known.len() {
                self.judge(known, place, &reading, true);
                // What was run there before was for other findings, and does not tell.
                if self.known[known].sightings.get(&place).and_then(Sighting::verdict).is_none() {
                    self.search.again(place);
                }
            }
        }
        Ok(())
    }

    /// Looks at a version with a few cells.
    async fn probe(&mut self, place: usize) -> Result<(), RunError> {
        let version = self.question.versions[place].clone();
        let is_sample = self.search.is_sample(place);
        self.search.look(place);
        let looked = match self.look(place, &version, is_sample).await {
            Ok(looked) => looked,
            Err(error @ (RunError::Interrupted | RunError::Store(_) | RunError::Engine(EngineError::Canary(_)))) => {
                return Err(error);
            }
            Err(error) => {
                self.say(format!("{version}: cannot be judged: {error}"));
                self.lost.insert(place, error.to_string());
                self.search.lose(place);
                // Nothing worked, or nothing does any more: that is not the versions' fault.
                return if self.ran.is_empty() && self.lost.len() >= HOPELESS { Err(error) } else { Ok(()) };
            }
        };
        if looked && self.whole.len() < WHOLE_RUNS {
            match self.run_whole(&version).await {
                Err(error @ (RunError::Interrupted | RunError::Store(_))) => return Err(error),
                Err(error) => self.notes.push(format!("the whole run of {version} did not end: {error}")),
                Ok(()) => {}
            }
        } else if looked {
            self.notes.push(format!(
                "{version} shows covert differences that no finding here accounts for; a run of that version says more"
            ));
        }
        Ok(())
    }

    /// Runs a version's cells and judges every finding. Says whether there is something else to find.
    async fn look(&mut self, place: usize, version: &str, is_sample: bool) -> Result<bool, RunError> {
        self.stock.fetch(version).await?;
        let mut trial =
            Trial::open(&self.request(version, "trials"), self.question.seed, self.listener, self.cancel).await?;
        self.stock.imaged(version, trial.id.clone());
        let outcome = self.look_with(&mut trial, place, version, is_sample).await;
        trial.close().await;
        outcome
    }

    async fn look_with(
        &mut self,
        trial: &mut Trial,
        place: usize,
        version: &str,
        is_sample: bool,
    ) -> Result<bool, RunError> {
        let scans = is_sample && self.question.wanted == Wanted::Class(Class::Covert) && self.scanned.insert(place);
        let first = if scans { self.scan_cells() } else { Vec::new() };
        let before = recall(&self.request(version, "trials").out, usize::MAX)?;
        let here = before.len();
        let all: Vec<usize> = (0..self.known.len()).collect();
        let reading = self.run_cells(trial, &all, place, first, before).await?;
        self.count(version, reading.cells().len() - here, false);
        let seen: Vec<String> = all
            .iter()
            .map(|known| {
                self.judge(*known, place, &reading, true);
                format!("{} {}", self.known[*known].finding.id, word(self.known[*known].sightings.get(&place)))
            })
            .collect();
        self.say(format!("{version}: {} cells; {}", reading.cells().len(), seen.join(", ")));
        if !scans {
            return Ok(false);
        }
        let here = |known: &&Known| known.sightings.get(&place).is_some_and(|one| one.standing == Standing::Seen);
        let sides: Vec<&Sides> = self.known.iter().filter(here).map(|known| &known.sides).collect();
        let mut candidates = reading.candidates(&sides);
        candidates.retain(|candidate| !self.tried.contains(&candidate.place));
        let mut again = suspects(&candidates);
        if !again.is_empty() {
            // A whole run costs as much as ten looks, and among thousands of places chance differs somewhere.
            again.push(self.space.baseline());
            let cells: Vec<Assignment> = again.into_iter().flat_map(|cell| vec![cell; AGAIN]).collect();
            trial.run(&cells).await?;
            let all = recall(&self.request(version, "trials").out, usize::MAX)?;
            candidates = Reading::new(self.scenario.clone(), all).candidates(&sides);
            candidates.retain(|candidate| !self.tried.contains(&candidate.place));
            self.count(version, cells.len(), false);
        }
        for candidate in &candidates {
            self.say(format!("{version}: also to be looked into: {}", candidate.place));
        }
        let found = !candidates.is_empty();
        self.tried.extend(candidates.into_iter().map(|candidate| candidate.place));
        Ok(found)
    }

    /// Runs cells until every one of these findings can be judged, or nothing more is to be had.
    async fn run_cells(
        &self,
        trial: &mut Trial,
        which: &[usize],
        place: usize,
        first: Vec<Assignment>,
        mut observed: Observed,
    ) -> Result<Reading, RunError> {
        let purpose = format!("bisect {place} {}", which.len());
        let mut generator = randomise::generator(self.question.seed, &purpose);
        let sides: Vec<&Sides> = which.iter().map(|known| &self.known[*known].sides).collect();
        let mut have: Vec<Assignment> = observed.iter().map(|(levels, _)| levels.clone()).collect();
        have.extend(first.iter().cloned());
        let mut cells = first;
        cells.extend(lacking(&sides, &have, EACH, &self.space, &mut generator));
        randomise::shuffle(&mut cells, &mut generator);
        observed.extend(trial.run(&cells).await?);
        let mut reading = Reading::new(self.scenario.clone(), observed.clone());
        for batch in 2..=BATCHES {
            let unclear: Vec<&Sides> = which
                .iter()
                .map(|known| &self.known[*known])
                .filter(|known| reading.sight(&known.finding, &known.sides, false).standing == Standing::Unclear)
                .map(|known| &known.sides)
                .collect();
            let have: Vec<Assignment> = observed.iter().map(|(levels, _)| levels.clone()).collect();
            let more = lacking(&unclear, &have, batch * EACH, &self.space, &mut generator);
            if more.is_empty() {
                break;
            }
            observed.extend(trial.run(&more).await?);
            reading = Reading::new(self.scenario.clone(), observed.clone());
        }
        Ok(reading)
    }

    /// A small design of the cover phase's kind: enough to see whether there is something that is not known.
    fn scan_cells(&self) -> Vec<Assignment> {
        let options = DesignOptions {
            strength: self.scenario.design.strength.min(2),
            budget: LOOK,
            replicates: 4,
            minimum_rows: 0,
            alpha: self.scenario.design.alpha,
        };
        design::cover(&self.space, options, &Matrix::default(), self.question.seed).cells
    }

    fn judge(&mut self, known: usize, place: usize, reading: &Reading, last: bool) {
        let one = &mut self.known[known];
        let sighting = reading.sight(&one.finding, &one.sides, last);
        self.search.judge(known, place, sighting.verdict());
        one.sightings.insert(place, sighting);
    }

    /// A side of an edge that fresh cells have not borne out yet.
    fn unconfirmed(&self) -> Option<usize> {
        (0..self.known.len()).find_map(|known| {
            let ends = self.search.edges(known).into_iter().flat_map(|edge| [edge.before, edge.after]);
            ends.into_iter().find(|place| !self.known[known].confirmed.contains_key(place))
        })
    }

    /// Runs fresh cells at a side of edges. Where they say otherwise than those before, the version is not judged.
    async fn confirm(&mut self, place: usize) -> Result<(), RunError> {
        let version = self.question.versions[place].clone();
        let is_end = |known: &usize| {
            let edges = self.search.edges(*known);
            edges.iter().any(|edge| edge.before == place || edge.after == place)
                && !self.known[*known].confirmed.contains_key(&place)
        };
        let which: Vec<usize> = (0..self.known.len()).filter(is_end).collect();
        self.stock.fetch(&version).await?;
        let mut trial =
            Trial::open(&self.request(&version, "trials"), self.question.seed, self.listener, self.cancel).await?;
        self.stock.imaged(&version, trial.id.clone());
        // Other cells than those before.
        let outcome =
            self.run_cells(&mut trial, &which, self.question.versions.len() + place, Vec::new(), Vec::new()).await;
        trial.close().await;
        let reading = outcome?;
        self.count(&version, reading.cells().len(), false);
        for known in which {
            let one = &mut self.known[known];
            let fresh = reading.sight(&one.finding, &one.sides, true);
            let (before, now) = (one.sightings.get(&place).and_then(Sighting::verdict), fresh.verdict());
            let line = format!("{version}: {} {} in fresh cells", one.finding.id, word(Some(&fresh)));
            one.confirmed.insert(place, fresh);
            if now.is_none() || before != now {
                self.notes.push(format!("{version} cannot be judged for {}: fresh cells differ", one.finding.id));
                self.search.judge(known, place, None);
            }
            self.say(line);
        }
        Ok(())
    }

    /// Installs what comes next while cells run.
    fn ahead(&mut self, place: usize, wanted: &[usize]) {
        let next = wanted.iter().copied().find(|other| *other != place);
        let guess = self.search.guess(place).filter(|_| self.guesses < GUESSES);
        let guessed = next.is_none() && guess.is_some();
        if let Some(place) = next.or(guess) {
            self.guesses += usize::from(guessed);
            self.stock.prefetch(&self.question.versions[place]);
        }
    }

    /// Removes versions that are not needed any more: all but the ends of edges and what comes next.
    async fn retire(&mut self) {
        let edges = (0..self.known.len()).flat_map(|known| self.search.edges(known));
        let mut wanted: BTreeSet<usize> = edges.flat_map(|edge| [edge.before, edge.after]).collect();
        wanted.extend(self.search.wanted().into_iter().take(2));
        let versions = wanted.into_iter().map(|place| self.question.versions[place].clone()).collect();
        self.stock.retire(&versions).await;
    }

    /// The run of one version.
    fn request(&self, version: &str, folder: &str) -> Request {
        let mut request = self.question.request.clone();
        request.scenario.target.source = with_version(&request.scenario.target.source, version);
        request.overrides.push(format!("target.version=\"{version}\""));
        request.out = request.out.join(folder).join(version);
        request
    }

    fn count(&mut self, version: &str, cells: usize, whole: bool) {
        if let Some(ran) = self.ran.iter_mut().find(|ran| ran.version == version) {
            ran.cells += cells;
            ran.whole |= whole;
        } else {
            self.ran.push(Ran { version: version.to_owned(), cells, whole });
        }
    }

    fn say(&self, line: String) {
        (self.listener)(Event::Noticed(line));
    }

    fn told(self, seconds: f64) -> Trace {
        let versions = &self.question.versions;
        let name = |place: usize| versions[place].clone();
        let mut notes = self.notes;
        if self.known.is_empty() {
            notes.push(String::from("nothing to search for was seen in the versions that were looked at"));
        }
        let mut findings = Vec::new();
        for (n, known) in self.known.into_iter().enumerate() {
            let edges: Vec<EdgeTold> = (self.search.edges(n).into_iter())
                .map(|edge| {
                    let fresh = |place| known.confirmed.get(place).cloned();
                    let (before, after) = (fresh(&edge.before), fresh(&edge.after));
                    let bears_out =
                        |one: &Option<Sighting>, seen| one.as_ref().and_then(Sighting::verdict) == Some(seen);
                    EdgeTold {
                        appears: edge.appears,
                        before: name(edge.before),
                        after: name(edge.after),
                        between: versions[edge.before + 1..edge.after].to_vec(),
                        confirmed: bears_out(&before, !edge.appears) && bears_out(&after, edge.appears),
                        evidence_before: before,
                        evidence_after: after,
                    }
                })
                .collect();
            let newest = self.search.seen(n).and_then(|seen| seen.last_key_value());
            // The newest version itself, or those behind it could not be run.
            let reached = newest.filter(|(place, _)| (**place + 1..versions.len()).all(|p| self.lost.contains_key(&p)));
            findings.push(Traced {
                in_newest: reached.map(|(_, seen)| *seen),
                sightings: known.sightings.into_iter().map(|(place, one)| (name(place), one)).collect(),
                finding: known.finding,
                version: known.version,
                edges,
            });
        }
        let source = &self.question.request.scenario.target.source;
        let package = match source {
            Source::Npm { package, .. } | Source::Pypi { package, .. } => package.clone(),
            Source::Image { .. } | Source::Local { .. } => String::new(),
        };
        Trace {
            schema_version: SCHEMA_VERSION,
            scenario: self.scenario.name.clone(),
            package,
            seed: self.question.seed,
            versions: versions.clone(),
            ran: self.ran,
            installed: self.stock.built,
            lost: self.lost.into_iter().map(|(place, why)| (name(place), why)).collect(),
            findings,
            notes,
            seconds,
        }
    }
}

/// Few environments in which each of these differs, as far as they go: those that most differ in first.
fn suspects(candidates: &[Candidate]) -> Vec<Assignment> {
    let mut open: Vec<&Candidate> = candidates.iter().collect();
    let mut chosen = Vec::new();
    while chosen.len() < SUSPECTS {
        let mut counts: BTreeMap<&Assignment, usize> = BTreeMap::new();
        open.iter().flat_map(|candidate| &candidate.cells).for_each(|cell| *counts.entry(cell).or_default() += 1);
        let Some((cell, _)) = counts.into_iter().max_by_key(|(_, count)| *count) else { break };
        let cell = cell.clone();
        open.retain(|candidate| !candidate.cells.contains(&cell));
        chosen.push(cell);
    }
    chosen
}

fn word(sighting: Option<&Sighting>) -> &'static str {
    match sighting.map(|sighting| sighting.standing) {
        Some(Standing::Seen) => "seen",
        Some(Standing::NotSeen) => "not seen",
        Some(Standing::Unclear) | None => "unclear",
    }
}
