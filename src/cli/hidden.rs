//! Hidden subcommands: what this same executable is inside pods. Not for people, and not stable.

use std::process::ExitCode;

use crate::engine::{canary, embedded};
use crate::gateway;

/// Runs the hidden subcommand that was asked for, if any. To be called before any thread is started.
pub(super) fn dispatch() -> Option<ExitCode> {
    let name = std::env::args_os().nth(1)?;
    match name.to_str()? {
        "gateway" => Some(gateway::serve::run_stdio()),
        canary::SUBCOMMAND => Some(canary::run_inside()),
        name => embedded::hidden(name),
    }
}
