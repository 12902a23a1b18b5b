//! `parallax sweep`: one scenario for many versions or targets, and one matrix of targets and findings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::bisect::Format;
use super::console;
use super::exit::Exit;
use super::failure::Failure;
use super::series::{self, SeriesArguments};
use crate::engine::target::Wanted;
use crate::finding::{Finding, Verdict};
use crate::report::{Matrix, MatrixColumn, escape};
use crate::run::RunError;
use crate::run::redact::Redactor;
use crate::run::session::{self, Request};
use crate::scenario;
use crate::store::Folder;

/// Arguments of `parallax sweep`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes:\n  0  nothing undisclosed and unexplained was found in any target\n  1  something was\n  \
                        2  the command line or a scenario is wrong\n  3  a run is inconclusive\n  4  a target could not \
                        be run, or the sweep was interrupted (the same command goes on with it)"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    series: SeriesArguments,
    /// Versions of the scenario's target: OLDEST..NEWEST as the registry lists them, or a list A,B,C
    #[arg(long, value_name = "VERSIONS", required_unless_present = "targets")]
    versions: Option<Wanted>,
    /// Files with a [target] (and a [stub]) that take the place of the scenario's
    #[arg(long, value_name = "FILES", value_delimiter = ',')]
    targets: Vec<PathBuf>,
    /// Folder of the sweep, a run's folder for each target in it; where they are finished they are not run again.
    /// Default: runs/sweep-SCENARIO
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// `sweep.json`, by which a sweep is gone on with.
#[derive(Serialize, Deserialize)]
struct Begun {
    schema_version: u32,
    seed: u64,
}

/// A target of the sweep.
struct Target {
    label: String,
    request: Request,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let own = arguments.series.request(PathBuf::new(), &[])?;
    let name = own.scenario.name.clone();
    let out = arguments.out.clone().unwrap_or_else(|| PathBuf::from(format!("runs/sweep-{name}")));
    let seed = seed(&out, arguments.series.seed)?;
    console::log();
    let (progress, listener) = series::listener(arguments.series.quiet);
    let columns = super::block_on(async {
        let cancel = CancellationToken::new();
        tokio::spawn(super::run::interrupt(cancel.clone(), progress.clone()));
        let targets = targets(arguments, &own, &out, seed).await?;
        fs_err::create_dir_all(&out).map_err(|error| Failure::engine(error.to_string()))?;
        let begun = serde_json::to_string(&Begun { schema_version: 1, seed }).unwrap_or_default();
        fs_err::write(out.join("sweep.json"), begun).map_err(|error| Failure::engine(error.to_string()))?;
        let all = targets.len();
        let mut columns = Vec::new();
        for (n, target) in targets.into_iter().enumerate() {
            if !arguments.series.quiet {
                console::note(&format!("{} of {all}: {}", n + 1, escape::terminal(&target.label)));
            }
            columns.push(one(target, &listener, &cancel).await?);
        }
        Ok::<_, Failure>(columns)
    })??;
    let matrix = Matrix { scenario: name, seed, columns };
    let json = format!("{}\n", escape::json(&matrix.json()));
    for (file, text) in [("matrix.json", &json), ("matrix.md", &matrix.markdown())] {
        fs_err::write(out.join(file), text).map_err(|error| Failure::engine(error.to_string()))?;
    }
    match arguments.format {
        _ if arguments.json => console::print(json.as_bytes()),
        Format::Json => console::print(json.as_bytes()),
        Format::Markdown => console::print(matrix.markdown().as_bytes()),
        Format::Text => console::print(text(&matrix).as_bytes()),
    }
    if !arguments.series.quiet {
        console::note(&format!("kept in {}: matrix.json, matrix.md and a run's folder for each target", out.display()));
    }
    Ok(exit(&matrix))
}

fn exit(matrix: &Matrix) -> Exit {
    let has = |wanted: Verdict| matrix.columns.iter().any(|column| column.verdict == Some(wanted));
    if has(Verdict::Conditioned) {
        Exit::Findings
    } else if matrix.columns.iter().any(|column| column.verdict.is_none()) {
        Exit::Engine
    } else if has(Verdict::Inconclusive) {
        Exit::Inconclusive
    } else {
        Exit::Clean
    }
}

/// The seed of every run: that of the sweep in the folder, if there is one.
fn seed(out: &Path, asked: Option<u64>) -> Result<u64, Failure> {
    let path = out.join("sweep.json");
    let Ok(text) = fs_err::read_to_string(&path) else {
        Folder::require_empty(out)?;
        return Ok(asked.unwrap_or_else(session::random_seed));
    };
    let damaged = |error: serde_json::Error| Failure::usage(format!("{} is damaged: {error}", path.display()));
    let begun: Begun = serde_json::from_str(&text).map_err(damaged)?;
    match asked {
        Some(seed) if seed != begun.seed => Err(Failure::usage(format!(
            "the sweep in {} has seed {}, not {seed}; leave --seed out to go on with it",
            out.display(),
            begun.seed
        ))),
        _ => Ok(begun.seed),
    }
}

async fn targets(arguments: &Arguments, own: &Request, out: &Path, seed: u64) -> Result<Vec<Target>, Failure> {
    let mut settings: Vec<(String, Vec<String>)> = Vec::new();
    if let Some(wanted) = &arguments.versions {
        let versions = series::versions(own, wanted).await?;
        settings.extend(versions.into_iter().map(|version| {
            let setting = format!("target.version=\"{version}\"");
            (version, vec![setting])
        }));
    }
    for file in &arguments.targets {
        let refused = |why: String| Failure::usage(format!("the target file {}: {why}", file.display()));
        let text = fs_err::read_to_string(file).map_err(|error| refused(error.to_string()))?;
        let label = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        settings.push((label, scenario::target_settings(&text).map_err(refused)?));
    }
    let mut targets: Vec<Target> = Vec::new();
    for (label, settings) in settings {
        let plain = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+') { c } else { '_' };
        let folder: String = label.chars().map(plain).collect();
        if folder.trim_matches('.').is_empty() || targets.iter().any(|other| other.request.out == out.join(&folder)) {
            return Err(Failure::usage(format!("two targets are called `{label}`, or it is no name for a folder")));
        }
        let request = arguments.series.request(out.join(&folder), &settings)?;
        targets.push(Target { label, request: Request { seed: Some(seed), resume: true, ..request } });
    }
    Ok(targets)
}

/// Runs one target, or reads what its run has found before.
async fn one(
    target: Target,
    listener: &crate::run::event::Listener,
    cancel: &CancellationToken,
) -> Result<MatrixColumn, Failure> {
    let Target { label, request } = target;
    if let Some((verdict, package, findings)) = finished(&request)? {
        return Ok(MatrixColumn { label, package, verdict: Some(verdict), findings, failure: None, again: false });
    }
    match session::run(&request, listener, cancel).await {
        Ok(ended) => {
            super::report::write_all(&Folder::open(&request.out)?, &ended.manifest, &ended.findings, &ended.campaign)?;
            let package = ended.manifest.target.package;
            let (verdict, findings) = (Some(ended.findings.verdict), ended.findings.findings);
            Ok(MatrixColumn { label, package, verdict, findings, failure: None, again: true })
        }
        Err(RunError::Interrupted) => Err(Failure::engine(format!(
            "interrupted; the same command with --out {} goes on with it",
            request.out.parent().unwrap_or(&request.out).display()
        ))),
        // What is wrong with the folder is wrong with the sweep; what is wrong with a target is told in its column.
        Err(error @ (RunError::Store(_) | RunError::Diverged(_) | RunError::OtherRun(_))) => Err(error.into()),
        Err(error) => {
            let failure = Some(error.to_string());
            let package = String::new();
            Ok(MatrixColumn { label, package, verdict: None, findings: Vec::new(), failure, again: true })
        }
    }
}

/// What a finished run of this very scenario has found.
fn finished(request: &Request) -> Result<Option<(Verdict, String, Vec<Finding>)>, Failure> {
    let Ok(folder) = Folder::open(&request.out) else { return Ok(None) };
    let manifest = folder.manifest()?;
    let scenario = Redactor::new(&request.scenario).scenario(&request.scenario);
    if !request.out.join("findings.json").is_file() || manifest.scenario.digest() != scenario.digest() {
        return Ok(None);
    }
    let findings = folder.findings()?;
    Ok(Some((findings.verdict, manifest.target.package, findings.findings)))
}

fn text(matrix: &Matrix) -> String {
    let mut table = tabled::builder::Builder::default();
    for row in matrix.rows() {
        table.push_record(row.into_iter().map(|cell| escape::terminal(&cell)));
    }
    let mut out = format!("{}\n", escape::terminal(&matrix.head()));
    let failures: BTreeMap<&String, &String> =
        matrix.columns.iter().filter_map(|column| Some((&column.label, column.failure.as_ref()?))).collect();
    for (label, why) in failures {
        let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
        out.extend(["   ", &escape::terminal(label), " could not be run: ", &escape::terminal(&why), "\n"]);
    }
    out + &console::table(table)
}
