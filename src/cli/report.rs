//! `parallax report`: what was found, in another format; and the reports that stand in every run's folder.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::console;
use super::exit::Exit;
use super::failure::Failure;
use crate::campaign::Campaign;
use crate::finding::Findings;
use crate::report::{Form, Html, Json, Junit, Markdown, Observed, Report, Sarif, Table};
use crate::store::{Folder, Manifest, Recorded, StoreError, Stored as _};

/// Arguments of `parallax report`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run's folder
    run: PathBuf,
    /// Format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write to this file instead; the page goes to report.html in the run's folder, `-` is standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal
    #[default]
    Text,
    /// To paste
    Markdown,
    /// For machines
    Json,
    /// One page for a browser, that loads nothing
    Html,
    /// SARIF 2.1.0, for code-scanning services
    Sarif,
    /// `JUnit` XML, for build servers: one test case a hypothesis
    Junit,
    /// One row a cell and place, for spreadsheets and data frames
    Csv,
    /// The same as JSON Lines
    Jsonl,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let folder = Folder::open(&arguments.run)?;
    let manifest = folder.manifest()?;
    let findings = finished(&folder, &manifest)?;
    let report: Box<dyn Report> = match arguments.format {
        Format::Text => Box::new(console::text_report()),
        Format::Markdown => Box::new(Markdown),
        Format::Json => Box::new(Json),
        Format::Sarif => Box::new(Sarif),
        Format::Junit => Box::new(Junit),
        Format::Html => Box::new(Html { observed: observed(&folder, &manifest, &findings)? }),
        Format::Csv => Box::new(Table { observed: records(&folder, &manifest, &findings)?, form: Form::Csv }),
        Format::Jsonl => Box::new(Table { observed: records(&folder, &manifest, &findings)?, form: Form::JsonLines }),
    };
    let bytes = report.render(&findings, &manifest);
    match &arguments.out {
        Some(path) if path != Path::new("-") => {
            fs_err::write(path, bytes).map_err(|error| Failure::engine(error.to_string()))?;
        }
        None if arguments.format == Format::Html => {
            folder.write(PAGE, &bytes)?;
            console::say(&folder.path().join(PAGE).display().to_string());
        }
        _ => console::print(&bytes),
    }
    Ok(Exit::Clean)
}

/// The page's name in a run's folder.
const PAGE: &str = "report.html";

/// The findings of a run that came to its end.
pub(super) fn finished(folder: &Folder, manifest: &Manifest) -> Result<Findings, Failure> {
    if !folder.path().join("findings.json").is_file() {
        return Err(Failure::unfinished(format!(
            "the run is not finished; go on with: parallax run {} --out {} --resume",
            manifest.scenario_path,
            folder.path().display()
        )));
    }
    Ok(folder.findings()?)
}

/// What was observed at the findings' places.
fn records(folder: &Folder, manifest: &Manifest, findings: &Findings) -> Result<Observed, Failure> {
    let recorded = folder.records()?;
    Ok(Observed::read(recorded.len(), |part| recorded.load(part), &manifest.scenario, findings)?)
}

/// What was observed at the findings' places. A run that was shared without its bodies is shown without.
pub(super) fn observed(folder: &Folder, manifest: &Manifest, findings: &Findings) -> Result<Observed, Failure> {
    let read =
        |recorded: Recorded| Observed::read(recorded.len(), |part| recorded.load(part), &manifest.scenario, findings);
    match folder.records().and_then(read) {
        Ok(observed) => Ok(observed),
        Err(StoreError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            console::note("the bodies of this run are not here (raw/): what each cell showed is left out");
            Ok(Observed::default())
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes the reports that stand in every run's folder, from what the campaign has seen.
pub(super) fn write_all(
    folder: &Folder,
    manifest: &Manifest,
    findings: &Findings,
    campaign: &Campaign,
) -> Result<(), Failure> {
    folder.write("report.md", &Markdown.render(findings, manifest))?;
    let observed = campaign.look(|runs, extractor| Observed::gather(runs, extractor, &manifest.scenario, findings));
    folder.write(PAGE, &Html { observed }.render(findings, manifest))?;
    Ok(())
}
