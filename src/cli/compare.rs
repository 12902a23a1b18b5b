//! `parallax compare`: which findings are new, gone or changed between two runs.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use tabled::builder::Builder;

use super::console;
use super::exit::Exit;
use super::failure::Failure;
use crate::finding::compare::{Change, Compared, compare, settle};
use crate::finding::{Finding, Findings};
use crate::report::{Sarif, escape};
use crate::series::sides::Sides;
use crate::series::sighting::{Reading, Standing};
use crate::store::{Folder, Manifest, Stored as _};

/// Arguments of `parallax compare`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes:\n  0  nothing new that is neither explained nor disclosed\n  1  something is\n  2  the \
                        command line is wrong, or a folder holds no run\n  3  a run is not finished"
)]
pub(super) struct Arguments {
    /// The folder of the earlier run
    old: PathBuf,
    /// The folder of the later run
    new: PathBuf,
    /// Format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// For a terminal
    #[default]
    Text,
    /// For a pull request
    Markdown,
    /// For machines
    Json,
    /// For code-scanning services: SARIF 2.1.0 with baselineState
    Sarif,
}

struct Run {
    folder: Folder,
    manifest: Manifest,
    findings: Findings,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let (old, new) = (open(&arguments.old)?, open(&arguments.new)?);
    let mut compared = compare(&old.findings, &new.findings);
    let (mut was, mut is) = (None, None);
    settle(&mut compared, (&old.findings, &new.findings), |change, finding| match change {
        Change::New => denies(&old, &mut was, finding),
        _ => denies(&new, &mut is, finding),
    });
    let alarms = compared.iter().filter(|one| one.is_alarm()).count();
    let notes = notes(&old, &new);
    match arguments.format {
        Format::Text => console::print(text(&old, &new, &compared, &notes).as_bytes()),
        Format::Markdown => console::print(markdown(&old, &new, &compared, &notes).as_bytes()),
        Format::Json => {
            let document = serde_json::json!({
                "schema_version": 1, "old": subject(&old), "new": subject(&new), "alarms": alarms, "notes": notes,
                "findings": compared,
            });
            console::say(&serde_json::to_string_pretty(&document).unwrap_or_default());
        }
        Format::Sarif => console::print(&Sarif.compared(&compared, &new.findings, &new.manifest)),
    }
    Ok(if alarms > 0 { Exit::Findings } else { Exit::Clean })
}

fn open(path: &std::path::Path) -> Result<Run, Failure> {
    let folder = Folder::open(path)?;
    let manifest = folder.manifest()?;
    if !path.join("findings.json").is_file() {
        return Err(Failure::unfinished(format!(
            "the run in {} is not finished: it cannot be compared",
            path.display()
        )));
    }
    let findings = folder.findings()?;
    Ok(Run { folder, manifest, findings })
}

/// Whether a run's cells, looked at for just this finding, show that it is not there. They are read once.
fn denies(run: &Run, reading: &mut Option<Reading>, finding: &Finding) -> bool {
    let scenario = &run.manifest.scenario;
    let Some(sides) = Sides::of(finding, scenario) else { return true };
    if reading.is_none() {
        // Without its records a run cannot be asked.
        let Ok(recorded) = run.folder.records() else { return true };
        let Ok(records) = recorded.load(0..recorded.len()) else { return true };
        let observed = records.into_iter().filter_map(|record| Some((record.cell.levels, record.outcome.ok()?)));
        *reading = Some(Reading::new(Arc::new(scenario.clone()), observed.collect()));
    }
    reading.as_ref().is_some_and(|reading| reading.sight(finding, &sides, true).standing == Standing::NotSeen)
}

fn subject(run: &Run) -> String {
    format!("{} · seed {} · {}", run.manifest.target.package, run.manifest.seed, run.manifest.started)
}

/// What makes the runs hard to compare.
fn notes(old: &Run, new: &Run) -> Vec<String> {
    let mut notes = Vec::new();
    let (was, is) = (&old.manifest.scenario, &new.manifest.scenario);
    if was.name != is.name {
        notes.push(format!("the scenarios are {} and {}: ids cannot agree", was.name, is.name));
    }
    for factor in &is.factors {
        match was.factors.iter().find(|other| other.name == factor.name) {
            None => notes.push(format!("only the new run varies {}", factor.name)),
            Some(other) if other.levels != factor.levels => {
                notes.push(format!("the levels of {} are not the same: ids cannot agree there", factor.name));
            }
            Some(_) => {}
        }
    }
    let gone = was.factors.iter().filter(|factor| is.factor_index(&factor.name).is_none());
    notes.extend(gone.map(|factor| format!("only the old run varies {}", factor.name)));
    for (which, run) in [("old", old), ("new", new)] {
        let cut_short = run.findings.notes.iter().find(|note| note.contains("ended the search early"));
        if let Some(note) = cut_short {
            notes.push(format!("the {which} run is inconclusive: {note}"));
        } else if run.findings.inconclusive {
            notes.push(format!("the {which} run is inconclusive"));
        }
    }
    notes
}

fn word(change: Change) -> &'static str {
    match change {
        Change::New => "new",
        Change::Changed => "changed",
        Change::Unsettled => "unsettled",
        Change::Gone => "gone",
        Change::Unchanged => "unchanged",
    }
}

fn headline(compared: &[Compared]) -> String {
    let count = |change| compared.iter().filter(|one| one.change == change).count();
    let alarms = compared.iter().filter(|one| one.is_alarm()).count();
    format!(
        "{} new ({alarms} neither explained nor disclosed), {} gone, {} changed, {} unchanged, {} unsettled",
        count(Change::New),
        count(Change::Gone),
        count(Change::Changed),
        count(Change::Unchanged),
        count(Change::Unsettled)
    )
}

/// The cells of a row: what became of it, id, class, factors, standing, place.
fn row(one: &Compared) -> Option<[String; 6]> {
    let finding = one.latest()?;
    let class = serde_json::to_value(finding.class).unwrap_or_default();
    Some([
        word(one.change).to_owned(),
        finding.id.clone(),
        class.as_str().unwrap_or_default().to_owned(),
        finding.factors.join(" × "),
        standing(finding),
        place(finding),
    ])
}

fn standing(finding: &Finding) -> String {
    match (&finding.explained_by, &finding.disclosed) {
        (Some(why), _) => format!("explained: {why}"),
        (None, Some(says)) => format!("disclosed: {says}"),
        (None, None) => String::from("open"),
    }
}

fn place(finding: &Finding) -> String {
    let first = finding.places.first().cloned().unwrap_or_default();
    match finding.places.len() {
        0 | 1 => first,
        n => format!("{first} and {} more", n - 1),
    }
}

const HEAD: [&str; 6] = ["", "finding", "class", "depends on", "standing", "where"];

fn text(old: &Run, new: &Run, compared: &[Compared], notes: &[String]) -> String {
    let mut out = format!(
        "{}\n   old        {}\n   new        {}\n",
        headline(compared),
        escape::terminal(&subject(old)),
        escape::terminal(&subject(new))
    );
    for note in notes {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "   note       {}", escape::terminal(note));
    }
    if !compared.is_empty() {
        let mut table = Builder::default();
        table.push_record(HEAD);
        for cells in compared.iter().filter_map(row) {
            table.push_record(cells.map(|cell| escape::terminal(&cell)));
        }
        out.push_str(&console::table(table));
    }
    out
}

fn markdown(old: &Run, new: &Run, compared: &[Compared], notes: &[String]) -> String {
    let code = escape::markdown_cell;
    let mut out = format!(
        "### {}\n\n- old: {}\n- new: {}\n",
        headline(compared),
        escape::markdown(&subject(old)),
        escape::markdown(&subject(new))
    );
    for note in notes {
        let _ = writeln!(out, "- note: {}", escape::markdown(note));
    }
    // What stayed as it was is counted and not listed.
    let listed: Vec<[String; 6]> =
        compared.iter().filter(|one| one.change != Change::Unchanged).filter_map(row).collect();
    if !listed.is_empty() {
        let _ = writeln!(out, "\n| {} |\n|{}", HEAD.join(" | "), "---|".repeat(HEAD.len()));
        for [change, rest @ ..] in listed {
            let _ = writeln!(out, "| **{change}** | {} |", rest.map(|cell| code(&cell)).join(" | "));
        }
    }
    out
}
