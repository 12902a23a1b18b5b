//! `parallax probe`: what an agent reads, by one traced run, and which factors that suggests.

use clap::Args;
use serde_json::json;
use std::fmt::Write as _;

use super::console;
use super::exit::Exit;
use super::failure::Failure;
use super::run::ScenarioArguments;
use crate::capture::Outcome;
use crate::engine::EngineError;
use crate::engine::probe::{Discovery, Suggestion, discover, suggest};
use crate::report::escape;
use crate::scenario;

/// Things of a kind that are shown to people.
const SHOWN: usize = 60;

/// Version of what `--json` prints.
const SCHEMA_VERSION: u32 = 1;

/// Arguments of `parallax probe`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: ScenarioArguments,
    /// Factors to suggest at most
    #[arg(long, value_name = "N", default_value_t = 24)]
    most: usize,
    /// Print everything as JSON, with every suggestion
    #[arg(long)]
    json: bool,
    /// No notices
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let overrides = arguments.source.overrides()?;
    let path = arguments.source.path();
    let scenario = arguments.source.load(&overrides)?;
    let text = fs_err::read_to_string(path).map_err(|error| Failure::usage(error.to_string()))?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::engine(format!("our own executable cannot be found: {error}")))?;
    let quiet = arguments.quiet;
    let notice = move |line: String| {
        if !quiet {
            console::note(&escape::terminal(&line));
        }
    };
    let discovery = match super::block_on(discover(&scenario, program, &notice))? {
        Ok(discovery) => discovery,
        Err(EngineError::NoTarget { key, message }) => {
            let message = message.lines().map(escape::terminal).collect::<Vec<_>>().join(" ");
            return Err(scenario::no_target(path, &text, &overrides, key, &message).into());
        }
        Err(error) => {
            return Err(Failure::engine(
                error.to_string().lines().map(escape::terminal).collect::<Vec<_>>().join("\n"),
            ));
        }
    };
    let folder = &scenario.target.folder;
    let accepts = |toml: &str| scenario::parse(&format!("{text}\n{toml}"), "", folder, &overrides).is_ok();
    let (workspace, home) = discovery_folders(&scenario);
    let suggestions = suggest(&discovery, &workspace, &home, accepts);
    if arguments.json {
        let everything = json!({
            "schema_version": SCHEMA_VERSION,
            "scenario": scenario.name,
            "discovery": discovery,
            "suggestions": suggestions,
        });
        console::print(format!("{}\n", escape::json(&everything)).as_bytes());
    } else {
        console::print(text_of(&scenario.name, &discovery, &suggestions, arguments.most).as_bytes());
    }
    Ok(Exit::Clean)
}

/// The folders in which a file is the author's to vary.
fn discovery_folders(scenario: &scenario::Scenario) -> (String, String) {
    let levels = crate::cell::Assignment::baseline(scenario.factors.len());
    let environment =
        crate::engine::environment::realise(scenario, &levels, &crate::engine::environment::Context::default());
    (environment.workdir, environment.user.home)
}

fn text_of(name: &str, discovery: &Discovery, suggestions: &[Suggestion], most: usize) -> String {
    let width = console::width();
    let reads = &discovery.reads;
    let join = |items: &mut dyn Iterator<Item = &String>| {
        let mut items: Vec<String> = items.map(|item| escape::terminal(item)).collect();
        let more = items.len().saturating_sub(SHOWN);
        items.truncate(SHOWN);
        let more = if more > 0 { format!(" … and {more} more (--json)") } else { String::new() };
        if items.is_empty() { String::from("none") } else { items.join(", ") + &more }
    };
    let asked = |own: bool| reads.variables.iter().filter(move |(_, read)| read.own == own);
    let variables = |set: bool| join(&mut asked(true).filter(|(_, read)| read.set == set).map(|(name, _)| name));
    let files = |found: bool| {
        join(&mut reads.files.iter().filter(|(_, read)| read.found == found && !read.written).map(|(path, _)| path))
    };
    // An agent may write hundreds of files: in which folders says enough.
    let written = reads.files.iter().filter(|(_, read)| read.written);
    let folders: std::collections::BTreeSet<String> =
        written.map(|(path, _)| path.split('/').take(4).collect::<Vec<_>>().join("/")).collect();
    let hosts: Vec<String> =
        discovery.hosts.iter().map(|(host, count)| format!("{} ({count})", escape::terminal(host))).collect();
    let ended = match discovery.outcome {
        Outcome::Exited { code } => format!("exit status {code}"),
        Outcome::Signalled { signal } => format!("ended by signal {signal}"),
        _ => String::from("ended at a limit of the pod"),
    };
    let mut lines = vec![
        ("target", escape::terminal(&discovery.target)),
        ("run", format!("one traced run at the baseline, {ended}; {} files of programs opened", reads.program_files)),
    ];
    if let Some(complaint) = &discovery.complaint {
        lines.push(("said", complaint.lines().map(escape::terminal).collect::<Vec<_>>().join(" ")));
    }
    lines.extend([
        (
            "variables",
            format!(
                "{} asked for by name, {} more mentioned in its files",
                asked(true).count(),
                discovery.mentioned.len()
            ),
        ),
        ("  set", variables(true)),
        ("  not set", variables(false)),
        ("  mentioned", join(&mut discovery.mentioned.keys())),
        ("  by others", join(&mut asked(false).map(|(name, _)| name))),
        ("files read", files(true)),
        ("  not there", files(false)),
        ("  written", join(&mut folders.iter())),
        (
            "machine",
            if reads.machine.is_empty() {
                String::from("nothing")
            } else {
                reads.machine.iter().copied().collect::<Vec<_>>().join(", ")
            },
        ),
        ("programs", join(&mut reads.programs.iter())),
        ("names", join(&mut discovery.names.iter())),
        ("requests to", if hosts.is_empty() { String::from("none") } else { hosts.join(", ") }),
        ("dialled", join(&mut reads.addresses.iter())),
        ("no request", join(&mut discovery.connections.iter())),
    ]);
    for (at, blind) in discovery.blind.iter().enumerate() {
        lines.push((if at == 0 { "not seen" } else { "" }, blind.clone()));
    }
    let mut out = format!("{}\n{}\n", escape::terminal(name), console::list(&lines, width));
    if suggestions.is_empty() {
        out.push_str("# The scenario varies or pins everything that was seen to be read.\n");
        return out;
    }
    out.push_str("# Factors that the scenario could have, to be pasted at its end. Take out what does not matter.\n");
    for suggestion in suggestions.iter().take(most) {
        // The name of a file in the reason must not end the comment.
        let _ = write!(
            out,
            "\n# {}\n{}",
            escape::terminal(&suggestion.because),
            suggestion.toml.lines().map(|line| escape::terminal(line) + "\n").collect::<String>()
        );
    }
    if suggestions.len() > most {
        let _ = write!(out, "\n# {} more: --most {} or --json\n", suggestions.len() - most, suggestions.len());
    }
    out
}
