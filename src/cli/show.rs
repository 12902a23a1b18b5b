//! `parallax show`: one finding in full.

use std::path::PathBuf;

use clap::Args;

use super::console;
use super::exit::Exit;
use super::failure::Failure;
use super::report::{finished, observed};
use crate::finding::{Finding, Findings};
use crate::report::escape;
use crate::store::Folder;

/// Arguments of `parallax show`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run's folder
    run: PathBuf,
    /// The finding: its id, the beginning of it, or its number in the report
    finding: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let folder = Folder::open(&arguments.run)?;
    let manifest = folder.manifest()?;
    let findings = finished(&folder, &manifest)?;
    let index = find(&findings, &arguments.finding)?;
    let observed = observed(&folder, &manifest, &findings)?;
    let text = console::text_report().detail(&findings.findings[index], index, &manifest.scenario, &observed);
    console::print(&text);
    Ok(Exit::Clean)
}

/// The finding that is meant.
pub(super) fn find(findings: &Findings, name: &str) -> Result<usize, Failure> {
    let all = &findings.findings;
    let open = |one: &Finding| one.explained_by.is_none() && one.disclosed.is_none();
    // The report numbers what is neither explained nor disclosed.
    if let Some(number) = name.parse::<usize>().ok().filter(|number| *number > 0) {
        let numbered = all.iter().enumerate().filter(|(_, one)| open(one)).nth(number - 1);
        if let Some((index, _)) = numbered {
            return Ok(index);
        }
    }
    let named = |exact: bool| {
        let fits = move |one: &Finding| if exact { one.id == name } else { one.id.starts_with(name) };
        all.iter().enumerate().filter(move |(_, one)| fits(one)).map(|(index, _)| index).collect::<Vec<_>>()
    };
    match (&named(true)[..], &named(false)[..]) {
        ([index], _) | ([], [index]) => Ok(*index),
        _ => {
            let ids: Vec<String> = all.iter().map(|one| escape::terminal(&one.id)).collect();
            Err(Failure::usage(format!(
                "{} names no finding of this run, or several; there are: {}",
                escape::terminal(name),
                if ids.is_empty() { String::from("none") } else { ids.join(", ") }
            )))
        }
    }
}
