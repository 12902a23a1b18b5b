//! `parallax report`: what was found, in another format.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::console;
use super::exit::Exit;
use super::failure::Failure;
use crate::report::{Json, Markdown, Report};
use crate::store::Folder;

/// Arguments of `parallax report`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run's folder
    run: PathBuf,
    /// Format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// For a terminal
    #[default]
    Text,
    /// To paste
    Markdown,
    /// For machines
    Json,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let folder = Folder::open(&arguments.run)?;
    let manifest = folder.manifest()?;
    if !folder.path().join("findings.json").is_file() {
        return Err(Failure::unfinished(format!(
            "the run is not finished; go on with: parallax run {} --out {} --resume",
            manifest.scenario_path,
            arguments.run.display()
        )));
    }
    let findings = folder.findings()?;
    let report: Box<dyn Report> = match arguments.format {
        Format::Text => Box::new(console::text_report()),
        Format::Markdown => Box::new(Markdown),
        Format::Json => Box::new(Json),
    };
    console::print(&report.render(&findings, &manifest));
    Ok(Exit::Clean)
}
