//! `parallax clean`: removes what carries our label.

use clap::Args;

use super::exit::Exit;
use super::failure::Failure;
use super::{block_on, console};
use crate::engine::{docker, target};
use crate::report::escape;

/// Arguments of `parallax clean`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Remove base images and installed targets too, which take longest to make again
    #[arg(long)]
    images: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut exit = Exit::Clean;
    match block_on(docker::clean(arguments.images))? {
        Ok(report) => {
            console::say(&format!(
                "docker: {} containers, {} images and {} control groups removed",
                report.containers,
                report.images.len(),
                report.control_groups
            ));
            for image in &report.images_in_use {
                console::say(&format!("docker: image {} stays: something uses it", escape::terminal(image)));
            }
            if report.live > 0 {
                console::say(&format!("docker: {} containers of runs that still go on stay", report.live));
            }
        }
        // Without Docker there is nothing of ours in it; a Docker that cannot be asked is worth a word.
        Err(message) => console::note(&format!("docker: nothing removed: {message}")),
    }
    if arguments.images {
        match target::clean(&target::cache_folder()) {
            Ok(cleaned) => console::say(&format!(
                "cache: {} targets removed, {} MB freed",
                cleaned.entries,
                cleaned.bytes / 1_000_000
            )),
            Err(error) => {
                console::error(&error.to_string());
                exit = Exit::Engine;
            }
        }
    }
    Ok(exit)
}
