//! `parallax report`: what was found, in another format; and the reports that stand in every run's folder.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::console;
use super::exit::Exit;
use super::failure::Failure;
use crate::campaign::Campaign;
use crate::finding::Findings;
use crate::report::{Form, Html, Json, Junit, Markdown, Observed, Report, Sarif, Table, Text, escape, stored};
use crate::run::by_hand::quote;
use crate::run::{reproduce, session};
use crate::store::{self, Folder, Manifest, StoreError, Stored as _};

/// Arguments of `parallax report`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run's folder; several are reported one after the other, and need --out-dir unless the format is text or html
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Format; with --out-dir several, with commas between them
    #[arg(long, value_enum, value_delimiter = ',', default_value = "text")]
    format: Vec<Format>,
    /// Write to this file instead; the page goes to report.html in the run's folder, `-` is standard output
    #[arg(long, value_name = "FILE", conflicts_with = "out_dir")]
    out: Option<PathBuf>,
    /// Write every report into this folder, as RUN.md, RUN.html, …; what stands there by that name is replaced
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
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

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Markdown => "md",
            Self::Json => "json",
            Self::Html => "html",
            Self::Sarif => "sarif",
            Self::Junit => "xml",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let Arguments { runs, format, out, out_dir } = arguments;
    if let Some(folder) = out_dir {
        return into_folder(runs, format, folder);
    }
    let [format] = format[..] else {
        return Err(Failure::usage("several formats need --out-dir DIR: each becomes a file there"));
    };
    let many = runs.len() > 1;
    if many && (out.is_some() || !matches!(format, Format::Text | Format::Html)) {
        return Err(Failure::usage("several runs need --out-dir DIR: each report becomes a file there"));
    }
    for run in runs {
        let stored = Stored::open(run)?;
        let bytes = stored.render(format, console::text_report())?;
        match out {
            Some(path) if path != Path::new("-") => {
                fs_err::write(path, bytes).map_err(|error| Failure::engine(error.to_string()))?;
            }
            None if format == Format::Html => {
                stored.folder.write(PAGE, &bytes)?;
                console::say(&stored.folder.path().join(PAGE).display().to_string());
            }
            _ => console::print(&bytes),
        }
    }
    Ok(Exit::Clean)
}

/// Reports every run in every format into one folder, as many runs at once as there are processors.
fn into_folder(runs: &[PathBuf], formats: &[Format], folder: &Path) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| Failure::engine(error.to_string());
    fs_err::create_dir_all(folder).map_err(failed)?;
    let names = names(runs);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || -> Result<(), Failure> {
        while let Some(run) = runs.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            let at = runs.iter().position(|known| std::ptr::eq(known, run)).unwrap_or_default();
            let of_run = |failure: Failure| failure.of(&run.display().to_string());
            let stored = Stored::open(run).map_err(of_run)?;
            for format in formats {
                let bytes = stored.render(*format, Text::default()).map_err(of_run)?;
                let path = folder.join(format!("{}.{}", names[at], format.extension()));
                fs_err::write(path, bytes).map_err(failed)?;
            }
        }
        Ok(())
    };
    let threads = session::cores().min(runs.len());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    for (run, name) in runs.iter().zip(&names) {
        let files = formats.iter().map(|format| format!("{name}.{}", format.extension())).collect::<Vec<_>>();
        console::say(&escape::terminal(&format!("{}: {}", run.display(), files.join(" "))));
    }
    Ok(Exit::Clean)
}

/// What the reports of each run are called: as its folder is, numbered where that was taken.
fn names(runs: &[PathBuf]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for run in runs {
        let whole = fs_err::canonicalize(run).unwrap_or_else(|_| run.clone());
        let name = whole.file_name().map_or_else(|| String::from("run"), |name| name.to_string_lossy().into_owned());
        let mut free = name.clone();
        let mut number = 2;
        while names.contains(&free) {
            free = format!("{name}-{number}");
            number += 1;
        }
        names.push(free);
    }
    names
}

/// A finished run, read once for all of its reports.
struct Stored {
    folder: Folder,
    manifest: Manifest,
    findings: Findings,
    /// What the cells showed, once a format has asked for it.
    observed: std::cell::OnceCell<Observed>,
}

impl Stored {
    fn open(run: &Path) -> Result<Self, Failure> {
        let folder = Folder::open(run)?;
        let manifest = folder.manifest()?;
        let findings = finished(&folder, &manifest)?;
        Ok(Self { folder, manifest, findings, observed: std::cell::OnceCell::new() })
    }

    fn render(&self, format: Format, text: Text) -> Result<Vec<u8>, Failure> {
        let report: Box<dyn Report> = match format {
            Format::Text => Box::new(text),
            Format::Markdown => Box::new(Markdown),
            Format::Json => Box::new(Json),
            Format::Sarif => Box::new(Sarif),
            Format::Junit => Box::new(Junit),
            Format::Html => Box::new(Html { observed: self.observed(true)? }),
            Format::Csv => Box::new(Table { observed: self.observed(false)?, form: Form::Csv }),
            Format::Jsonl => Box::new(Table { observed: self.observed(false)?, form: Form::JsonLines }),
        };
        Ok(report.render(&self.findings, &self.manifest))
    }

    /// What was observed; a page can do without where the bodies are not there.
    fn observed(&self, without: bool) -> Result<Observed, Failure> {
        if let Some(known) = self.observed.get() {
            return Ok(known.clone());
        }
        let (folder, manifest, findings) = (&self.folder, &self.manifest, &self.findings);
        let fresh = if without { observed(folder, manifest, findings)? } else { records(folder, manifest, findings)? };
        // A page without cells is no answer to a table's question.
        if !fresh.runs.is_empty() {
            let _ = self.observed.set(fresh.clone());
        }
        Ok(fresh)
    }
}

/// The page's name in a run's folder.
const PAGE: &str = "report.html";

/// The findings of a run that came to its end.
pub(super) fn finished(folder: &Folder, manifest: &Manifest) -> Result<Findings, Failure> {
    if !folder.path().join("findings.json").is_file() {
        return Err(Failure::unfinished(format!(
            "the run is not finished; go on with: {} --out {} --resume",
            reproduce::command(manifest),
            quote(&folder.path().display().to_string())
        )));
    }
    let mut findings = folder.findings()?;
    // What older versions of this program did not write follows from the manifest and the plan.
    reproduce::complete(&mut findings, manifest, &folder.plan().unwrap_or_default());
    Ok(findings)
}

/// What was observed at the findings' places: as the run stored it, or read from its records again.
fn records(folder: &Folder, manifest: &Manifest, findings: &Findings) -> Result<Observed, StoreError> {
    if let Some(observed) = remembered(folder, findings) {
        return Ok(observed);
    }
    let recorded = folder.records()?;
    Observed::read(recorded.len(), |part| recorded.load(part), &manifest.scenario, findings)
}

/// What was observed at the findings' places. A run that was shared without its bodies, and without what it stored of its
/// observations, is shown without.
pub(super) fn observed(folder: &Folder, manifest: &Manifest, findings: &Findings) -> Result<Observed, Failure> {
    match records(folder, manifest, findings) {
        Err(StoreError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            console::note("the bodies of this run are not here (raw/): what each cell showed is left out");
            Ok(Observed::default())
        }
        read => Ok(read?),
    }
}

/// What the run stored of its observations, where that is of these findings and records.
fn remembered(folder: &Folder, findings: &Findings) -> Option<Observed> {
    let packed = fs_err::read(folder.path().join(stored::FILE)).ok()?;
    stored::decode(&store::unpack(&packed).ok()?, &key(folder).ok()?, findings)
}

fn key(folder: &Folder) -> std::io::Result<String> {
    let read = |name: &str| fs_err::read(folder.path().join(name));
    Ok(stored::key(&read("findings.json")?, &read("cells.jsonl.zst")?))
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
    folder.write(PAGE, &Html { observed: observed.clone() }.render(findings, manifest))?;
    let encoded = key(folder).and_then(|key| Ok(stored::encode(observed, &key)?));
    let packed = encoded.and_then(|json| store::pack(&json)).map_err(StoreError::from)?;
    folder.write(stored::FILE, &packed)?;
    Ok(())
}
