//! `parallax replay`: the two environments of one finding run again, fresh, and whether they still differ as they did.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::console::{self, Progress};
use super::exit::Exit;
use super::failure::Failure;
use super::report::finished;
use super::show;
use crate::capture::Record;
use crate::cell::{Assignment, Cell};
use crate::engine::select::Choice;
use crate::finding::{Finding, Findings};
use crate::report::observed::{Column, Seen};
use crate::report::{Observed, escape};
use crate::run::redact::Redactor;
use crate::run::replay::{self, Agreement, Replays, Side};
use crate::run::session::Request;
use crate::run::{RunError, dummies};
use crate::scenario::{self, Scenario, Source};
use crate::store::{Folder, Manifest, Recorded, StoreError, Stored as _};

/// A finding reproduces where so good an agreement has at most this chance by accident.
const ALPHA: f64 = 0.05;

/// Arguments of `parallax replay`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run's folder
    run: PathBuf,
    /// The finding: its id, the beginning of it, or its number in the report
    finding: String,
    /// Fresh runs of each of the two environments, at least 3: fewer cannot tell it from chance
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=50))]
    times: u8,
    /// What runs the cells: auto, docker, embedded or exec:PROGRAM; default: what the run was done on
    #[arg(long, value_name = "ENGINE")]
    engine: Option<Choice>,
    /// The scenario file, where it is not at the place that the run has kept
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// No notices
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let folder = Folder::open(&arguments.run)?;
    let manifest = folder.manifest()?;
    let findings = finished(&folder, &manifest)?;
    let finding = &findings.findings[show::find(&findings, &arguments.finding)?];
    let stored = records(&folder)?;
    let plan = folder.plan()?;
    let sides = (
        cell(&plan, &manifest, &finding.reproduce.baseline_cell)?,
        cell(&plan, &manifest, &finding.reproduce.variant_cell)?,
    );
    let (scenario, path) = scenario(&manifest, arguments.scenario.as_deref(), arguments.quiet)?;
    let request = Request {
        scenario,
        scenario_path: path,
        scenario_text: manifest.scenario_text.clone(),
        overrides: manifest.overrides.clone(),
        seed: Some(manifest.seed),
        jobs: 1,
        engine: engine(arguments.engine.clone(), &manifest)?,
        out: arguments.run.clone(),
        resume: false,
        program: std::env::current_exe()
            .map_err(|error| Failure::engine(format!("our own executable cannot be found: {error}")))?,
    };
    console::log();
    let progress = Arc::new(Progress::new(arguments.quiet));
    let heard = progress.clone();
    let replays = super::block_on(async {
        let cancel = CancellationToken::new();
        tokio::spawn(super::run::interrupt(cancel.clone(), progress.clone()));
        let listener = Arc::new(move |event| heard.hear(event)) as _;
        let sides = (&sides.0.levels, &sides.1.levels);
        replay::run(&request, &manifest, sides, usize::from(arguments.times), &listener, &cancel).await
    })?;
    progress.finish();
    let replays = replays.map_err(|error| match error {
        RunError::OtherRun(why) => {
            Failure::usage(format!("{why}; the finding cannot be replayed on another target than it was found in"))
        }
        error => error.into(),
    })?;
    if replays.engine != manifest.engine && !arguments.quiet {
        console::note(&format!("the run was done on {}, and this replay on {}", manifest.engine, replays.engine));
    }
    let seen = Replay::read(&stored, replays, finding, &findings, &manifest)?;
    if arguments.json {
        console::say(&escape::json(&seen.json(finding)));
    } else {
        console::print(seen.text(finding).as_bytes());
    }
    Ok(if seen.reproduces() { Exit::Clean } else { Exit::Inconclusive })
}

/// The records of the run. Without their bodies the finding's place cannot be found again.
fn records(folder: &Folder) -> Result<Recorded, Failure> {
    let recorded = folder.records()?;
    match recorded.load(0..recorded.len().min(1)) {
        Err(StoreError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Err(Failure::usage(
            "the bodies of this run are not here (raw/): what was sent at the finding's place cannot be compared",
        )),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(recorded),
    }
}

fn cell<'a>(plan: &'a [Cell], manifest: &Manifest, id: &str) -> Result<&'a Cell, Failure> {
    let found = plan.iter().find(|cell| cell.id.0 == id).filter(|cell| is_of(&cell.levels, &manifest.scenario));
    found.ok_or_else(|| {
        Failure::usage(format!("plan.jsonl has no good cell {}: the run's files were changed", escape::terminal(id)))
    })
}

/// Whether these are levels of this scenario: they come from a file.
fn is_of(levels: &Assignment, scenario: &Scenario) -> bool {
    levels.0.len() == scenario.factors.len()
        && levels.0.iter().zip(&scenario.factors).all(|(level, factor)| usize::from(*level) < factor.levels.len())
}

/// The scenario with what was taken out of the stored one. The file serves where it still is what was run; without it,
/// dummies do, but a local program cannot be found.
fn scenario(manifest: &Manifest, path: Option<&Path>, quiet: bool) -> Result<(Scenario, String), Failure> {
    let file = path.unwrap_or(Path::new(&manifest.scenario_path));
    let same = scenario::load(file, &manifest.overrides).ok().filter(|found| {
        let mut open = Redactor::new(found).scenario(found);
        // What a vendor says decides nothing about a cell.
        open.disclosed.clone_from(&manifest.scenario.disclosed);
        open.severity = manifest.scenario.severity;
        open.digest() == manifest.scenario.digest()
    });
    if let Some(found) = same {
        return Ok((found, file.display().to_string()));
    }
    let shown = escape::terminal(&file.display().to_string());
    if path.is_some() {
        return Err(Failure::usage(format!("{shown} is not there, or not the scenario that was run")));
    }
    if matches!(manifest.scenario.target.source, Source::Local { .. }) {
        return Err(Failure::usage(format!(
            "{shown} is not there, or not the scenario that was run any more, and its target is a program beside it; say \
             with --scenario FILE where it is"
        )));
    }
    if !quiet {
        let secrets = if dummies::are_needed(&manifest.scenario) { ", with dummies for its secrets" } else { "" };
        console::note(&format!(
            "{shown} is not what was run (any more); the scenario in the manifest is taken{secrets}"
        ));
    }
    Ok((dummies::fill(&manifest.scenario), manifest.scenario_path.clone()))
}

/// The engine that was asked for, else of the kind that the run was done on.
fn engine(asked: Option<Choice>, manifest: &Manifest) -> Result<Choice, Failure> {
    match (asked, manifest.engine.split(' ').next()) {
        (Some(choice), _) => Ok(choice),
        (None, Some("docker")) => Ok(Choice::Docker),
        (None, Some("embedded")) => Ok(Choice::Embedded),
        (None, _) => Err(Failure::usage(format!(
            "the run was done on {}; say with --engine what runs the cells now",
            escape::terminal(&manifest.engine)
        ))),
    }
}

/// What the fresh runs showed.
struct Replay {
    engine: String,
    column: Column,
    /// What the stored run has at the finding's cells.
    stored: (Seen, Seen),
    /// In the order in which they were run.
    fresh: Vec<(Side, Seen)>,
    agreement: Agreement,
    /// Places of the finding at which every fresh run showed what the stored cell of its side has, of all that were found
    /// again.
    places: (usize, usize),
}

impl Replay {
    /// Reads the fresh records together with the stored ones, with the same extraction.
    fn read(
        stored: &Recorded,
        replays: Replays,
        finding: &Finding,
        findings: &Findings,
        manifest: &Manifest,
    ) -> Result<Self, Failure> {
        let only = Findings { findings: vec![finding.clone()], ..findings.clone() };
        let sides: Vec<Side> = replays.runs.iter().map(|run| run.side).collect();
        let fresh: Vec<Record> = replays.runs.into_iter().map(|run| run.record).collect();
        let (known, all) = (stored.len(), stored.len() + fresh.len());
        let load = |part: std::ops::Range<usize>| {
            let mut records = stored.load(part.start.min(known)..part.end.min(known))?;
            records.extend_from_slice(&fresh[part.start.max(known) - known..part.end.max(known) - known]);
            Ok::<_, StoreError>(records)
        };
        let observed = Observed::read(all, load, &manifest.scenario, &only)?;
        let at = |id: &str| observed.runs.iter().position(|run| run.cell.id.0 == id);
        let cells = at(&finding.reproduce.baseline_cell).zip(at(&finding.reproduce.variant_cell));
        let lost = || Failure::usage("the finding's place cannot be found again in the run's records");
        let (baseline, variant) = cells.ok_or_else(lost)?;
        let judge = |column: &Column| {
            let seen = |at: usize| column.seen.get(at).copied().unwrap_or(Seen::Lost);
            let expected = (seen(baseline), seen(variant));
            let fresh: Vec<(Side, Seen)> = sides.iter().enumerate().map(|(n, side)| (*side, seen(known + n))).collect();
            let runs: Vec<_> =
                fresh.iter().map(|(side, seen)| (*side, *seen == expected.0, *seen == expected.1)).collect();
            (expected, fresh, replay::agreement(&runs))
        };
        let columns = observed.findings.first().into_iter().flatten().flatten();
        let whole = columns.map(|column| judge(column).2).map(|own| usize::from(own.agree == own.runs));
        let places = whole.fold((0, 0), |(good, all), own| (good + own, all + 1));
        let column = observed.column(0, 0).ok_or_else(lost)?.clone();
        let (stored, fresh, agreement) = judge(&column);
        Ok(Self { engine: replays.engine, column, stored, fresh, agreement, places })
    }

    /// Whether the two environments still differ, and as they did.
    fn reproduces(&self) -> bool {
        self.stored.0 != self.stored.1 && self.agreement.p <= ALPHA
    }

    fn value(&self, seen: Seen) -> String {
        match seen {
            Seen::Lost => String::from("(nothing observed)"),
            Seen::Absent => String::from("(absent)"),
            Seen::Value(_) => match self.column.text(seen).unwrap_or("") {
                "" => String::from("(empty)"),
                text => format!("\u{201c}{}\u{201d}", escape::terminal(text)),
            },
        }
    }

    /// The values of a side with how often each was seen, the commonest first.
    fn seen(&self, side: Side) -> Vec<(Seen, usize)> {
        let mut counts: Vec<(Seen, usize)> = Vec::new();
        for (_, seen) in self.fresh.iter().filter(|(own, _)| *own == side) {
            match counts.iter_mut().find(|(known, _)| known == seen) {
                Some((_, count)) => *count += 1,
                None => counts.push((*seen, 1)),
            }
        }
        counts.sort_by_key(|(seen, count)| (std::cmp::Reverse(*count), *seen));
        counts
    }

    fn text(&self, finding: &Finding) -> String {
        let reproduce = &finding.reproduce;
        let verdict = if self.reproduces() {
            "reproduces"
        } else if self.stored.0 == self.stored.1 {
            "cannot be judged: the stored run shows the same at its two cells"
        } else {
            "does not reproduce"
        };
        let order: String =
            self.fresh.iter().map(|(side, _)| if *side == Side::Baseline { 'b' } else { 'v' }).collect();
        let place = finding.places.first().map_or(String::new(), |place| escape::terminal(place));
        let mut text = format!("{}: {verdict}\n", escape::terminal(&finding.id));
        let mut line = |name: &str, said: &str| text.extend(["   ", &format!("{name:<11}"), said, "\n"]);
        line("where", &place);
        for (name, cell, side, stored) in [
            ("baseline", &reproduce.baseline_cell, Side::Baseline, self.stored.0),
            ("variant", &reproduce.variant_cell, Side::Variant, self.stored.1),
        ] {
            let seen = self.seen(side).into_iter().map(|(seen, count)| format!("{} ×{count}", self.value(seen)));
            let seen = seen.collect::<Vec<_>>().join(", ");
            line(name, &format!("now {seen}; in the run {} ({})", self.value(stored), escape::terminal(cell)));
        }
        let Agreement { agree, runs, p } = self.agreement;
        line(
            "evidence",
            &format!("{agree} of {runs} fresh runs show their side's value; p {p:.4} (exact permutation)"),
        );
        line(
            "places",
            &format!("{} of {} show in all fresh runs what they showed in the run", self.places.0, self.places.1),
        );
        line("order", &format!("{order} (drawn at random), on {}", escape::terminal(&self.engine)));
        text
    }

    fn json(&self, finding: &Finding) -> serde_json::Value {
        let value = |seen: Seen| self.column.text(seen).map(str::to_owned);
        let runs: Vec<_> = self
            .fresh
            .iter()
            .map(|(side, seen)| {
                let side = if *side == Side::Baseline { "baseline" } else { "variant" };
                json!({ "side": side, "value": value(*seen) })
            })
            .collect();
        json!({
            "schema_version": 1,
            "finding": finding.id,
            "place": finding.places.first(),
            "engine": self.engine,
            "reproduces": self.reproduces(),
            "stored": { "baseline": value(self.stored.0), "variant": value(self.stored.1) },
            "runs": runs,
            "agree": self.agreement.agree,
            "p_value": self.agreement.p,
            "places": { "agree": self.places.0, "found": self.places.1 },
        })
    }
}
