//! The **command line**: one file a command. Parses, calls, prints, and says by its exit code what came of it.

mod analyse;
mod badge;
mod bisect;
mod certify;
mod clean;
mod compare;
mod completions;
mod console;
mod csv;
mod design;
mod diagnose;
mod diff;
mod disclose;
pub mod doctor;
pub mod exit;
mod export;
mod failure;
mod grid;
mod hidden;
mod keygen;
mod plan;
mod probe;
mod progress;
mod replay;
mod report;
mod run;
mod schema;
mod series;
mod show;
mod sweep;
mod verify;

use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::Exit;
use failure::Failure;

/// Look at the same agent from many places: whatever moves depends on where you stand.
///
/// Runs an AI coding agent in closed pods under a designed matrix of environments, records every byte that it sends,
/// and says which environment variables, alone or together, each difference depends on, with what evidence.
#[derive(Debug, Parser)]
#[command(name = "parallax", version, max_term_width = 100, after_help = exit::HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario: plan, run cells in pods, explain, confirm, report
    Run(run::Arguments),
    /// Show a scenario's matrix, its coverage and what a run would cost, without running any cell
    Plan(plan::Arguments),
    /// Run the agent once, traced, and say what it reads: variables, files, hosts; suggest factors
    Probe(probe::Arguments),
    /// Analyse a stored run again, without any engine
    Analyse(analyse::Arguments),
    /// Show or write the report of a stored run in one of several formats
    Report(report::Arguments),
    /// Show one finding of a stored run in full
    Show(show::Arguments),
    /// Run the two environments of a finding again, fresh and in random order; exit code 3 where it does not reproduce
    Replay(replay::Arguments),
    /// Compare two cells of a stored run, by request and by character
    Diff(diff::Arguments),
    /// Write a stored run's captures for other tools
    Export(export::Arguments),
    /// Compare the findings of two runs; exit code 1 where something new is neither explained nor disclosed
    Compare(compare::Arguments),
    /// Find the versions in which findings appear and go
    Bisect(bisect::Arguments),
    /// Run a scenario for many versions or targets, into one matrix of targets and findings
    Sweep(sweep::Arguments),
    /// Make a key pair for signing statements
    Keygen(keygen::Arguments),
    /// State what a run showed, signed: a DSSE envelope with an in-toto statement
    Certify(certify::Arguments),
    /// Check a statement: signature, subject, policy, and with its run the findings
    Verify(verify::Arguments),
    /// Draw a result as a small SVG
    Badge(badge::Arguments),
    /// Draft a disclosures file from what a run found
    Disclose(disclose::Arguments),
    /// Say what this machine can do, and how to mend what it can't
    Doctor,
    /// Remove what runs have left behind: containers, networks' holders, images and cached targets
    Clean(clean::Arguments),
    /// Print the JSON Schema of scenarios, or of disclosures
    Schema(schema::Arguments),
    /// Print completions for a shell
    Completions(completions::Arguments),
}

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    // Before anything has started a thread: some of these make namespaces for their whole process.
    if let Some(code) = hidden::dispatch() {
        return code;
    }
    failure::report_panics();
    std::panic::catch_unwind(|| match Arguments::try_parse() {
        Ok(arguments) => dispatch(arguments.command).unwrap_or_else(|failure| failure.show()),
        Err(error) => {
            // Help and version come this way too, and are no errors.
            let _ = error.print();
            if error.use_stderr() { Exit::Usage } else { Exit::Clean }
        }
    })
    .unwrap_or(Exit::Bug)
    .into()
}

fn dispatch(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Analyse(arguments) => analyse::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Bisect(arguments) => bisect::run(&arguments),
        Command::Sweep(arguments) => sweep::run(&arguments),
        Command::Keygen(arguments) => keygen::run(&arguments),
        Command::Certify(arguments) => certify::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Badge(arguments) => badge::run(&arguments),
        Command::Disclose(arguments) => disclose::run(&arguments),
        Command::Doctor => diagnose::run(),
        Command::Clean(arguments) => clean::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
    }
}

/// The asynchronous part of a command.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::engine(format!("the machine refused to start threads: {error}")))?;
    Ok(runtime.block_on(work))
}

/// Writes a file that must not be there yet: a command never takes the place of what somebody wrote.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let refused = |error: std::io::Error| Failure::usage(format!("{} cannot be written: {error}", path.display()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            Failure::usage(format!("{} is there already; name another file", path.display()))
        } else {
            refused(error)
        }
    })?;
    file.write_all(bytes).map_err(refused)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
