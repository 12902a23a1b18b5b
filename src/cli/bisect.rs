//! `parallax bisect`: in which versions findings appear and go.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use tokio_util::sync::CancellationToken;

use super::console;
use super::exit::Exit;
use super::failure::Failure;
use super::series::{self, SeriesArguments};
use crate::engine::target::Wanted;
use crate::finding::{Class, Finding};
use crate::report::{Trail, escape};
use crate::run::RunError;
use crate::run::bisect::{self, Question, Wanted as Sought};
use crate::run::session;
use crate::store::Folder;

/// Arguments of `parallax bisect`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes:\n  0  nothing undisclosed and unexplained of what was searched for is in the newest \
                        version\n  1  something is\n  2  the command line or the scenario is wrong\n  3  inconclusive: \
                        an edge is not exact, or the newest version could not be judged\n  4  the engine or the \
                        machine failed, or the search was interrupted"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    series: SeriesArguments,
    /// Which versions: OLDEST..NEWEST as the registry lists them (an end that is left out is open), or a list A,B,C
    #[arg(long, value_name = "VERSIONS")]
    versions: Wanted,
    /// Search for the finding with this id
    #[arg(long, value_name = "ID", conflicts_with = "class")]
    finding: Option<String>,
    /// Search for every undisclosed and unexplained finding of this class
    #[arg(long, value_enum, default_value_t)]
    class: Sort,
    /// A stored run whose findings are searched for; default: the scenario's own version is run first
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Folder for all that is run; default: runs/bisect-SCENARIO-SEED
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Versions that are looked at in any case, spread over the range: what comes and goes between two is not seen
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(2..))]
    sample: u16,
    /// Versions run at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(2..))]
    most: u16,
    /// Keep the versions that were installed
    #[arg(long)]
    keep: bool,
    /// Format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Sort {
    #[default]
    Covert,
    Overt,
    Structural,
    Behavioural,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For a terminal
    #[default]
    Text,
    /// For a pull request
    Markdown,
    /// For machines
    Json,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let seed = arguments.series.seed.unwrap_or_else(session::random_seed);
    let request = arguments.series.request(PathBuf::new(), &[])?;
    let name = request.scenario.name.clone();
    let out = arguments.out.clone().unwrap_or_else(|| PathBuf::from(format!("runs/bisect-{name}-{seed}")));
    let request = session::Request { out: out.clone(), ..request };
    Folder::require_empty(&out)?;
    let known = arguments.run.as_deref().map(|folder| known(folder, &request)).transpose()?;
    let wanted = match (&arguments.finding, arguments.class) {
        (Some(id), _) => Sought::Id(id.clone()),
        (None, Sort::Covert) => Sought::Class(Class::Covert),
        (None, Sort::Overt) => Sought::Class(Class::Overt),
        (None, Sort::Structural) => Sought::Class(Class::Structural),
        (None, Sort::Behavioural) => Sought::Class(Class::Behavioural),
    };
    console::log();
    let (progress, listener) = series::listener(arguments.series.quiet);
    let outcome = super::block_on(async {
        let cancel = CancellationToken::new();
        tokio::spawn(super::run::interrupt(cancel.clone(), progress.clone()));
        let versions = series::versions(&request, &arguments.versions).await?;
        if !arguments.series.quiet {
            console::note(&format!("{name} · {} versions · seed {seed} · {}", versions.len(), out.display()));
        }
        let question = Question {
            request: request.clone(),
            seed,
            versions,
            wanted,
            known,
            sample: usize::from(arguments.sample),
            most: usize::from(arguments.most),
            keep: arguments.keep,
        };
        bisect::run(&question, &listener, &cancel).await.map_err(series::failure)
    })?;
    let trace = outcome?;
    let json = serde_json::to_value(&trace).map_err(|error| Failure::engine(error.to_string()))?;
    let json = format!("{}\n", escape::json(&json));
    let write = |file: &str, text: &str| {
        fs_err::write(out.join(file), text).map_err(|error| Failure::engine(error.to_string()))
    };
    fs_err::create_dir_all(&out).map_err(|error| Failure::engine(error.to_string()))?;
    write("bisect.json", &json)?;
    write("bisect.md", &Trail(&trace).markdown())?;
    match arguments.format {
        _ if arguments.json => console::print(json.as_bytes()),
        Format::Json => console::print(json.as_bytes()),
        Format::Markdown => console::print(Trail(&trace).markdown().as_bytes()),
        Format::Text => console::print(Trail(&trace).text(console::width()).as_bytes()),
    }
    if trace.ran.is_empty() {
        return Err(Failure::engine("none of the versions could be run"));
    }
    Ok(match (trace.is_alarm(), trace.is_inconclusive()) {
        (true, _) => Exit::Findings,
        (false, true) => Exit::Inconclusive,
        (false, false) => Exit::Clean,
    })
}

/// The findings of a stored run of this scenario.
fn known(folder: &Path, request: &session::Request) -> Result<(String, Vec<Finding>), Failure> {
    let run = Folder::open(folder)?;
    let manifest = run.manifest()?;
    if !folder.join("findings.json").is_file() {
        return Err(Failure::unfinished(format!("the run in {} is not finished", folder.display())));
    }
    let (was, is) = (&manifest.scenario, &request.scenario);
    if was.factors.iter().map(|factor| &factor.name).ne(is.factors.iter().map(|factor| &factor.name)) {
        let message = format!("the run in {} varies other factors than the scenario", folder.display());
        return Err(RunError::OtherRun(message).into());
    }
    let version = manifest.target.version.unwrap_or_else(|| manifest.target.package.clone());
    Ok((version, run.findings()?.findings))
}
