//! `parallax completions`: for shells.

use clap::{Args, CommandFactory as _};

use super::console;
use super::exit::Exit;
use super::failure::Failure;

/// Arguments of `parallax completions`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell
    shell: clap_complete::Shell,
}

#[allow(clippy::unnecessary_wraps, reason = "every command has this shape")]
pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Arguments::command(), "parallax", &mut script);
    console::print(&script);
    Ok(Exit::Clean)
}
