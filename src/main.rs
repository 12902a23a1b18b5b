//! Parses, starts, hands over; nothing else.

fn main() -> std::process::ExitCode {
    // Hidden subcommands, before any thread is started.
    let name = std::env::args().nth(1).unwrap_or_default();
    if name == "gateway" {
        return parallax::gateway::serve::run_stdio();
    }
    if name == parallax::engine::canary::SUBCOMMAND {
        return parallax::engine::canary::run_inside();
    }
    if name == "gateway" {
        return parallax::gateway::serve::run_stdio();
    }
    parallax::engine::embedded::hidden(&name).unwrap_or(std::process::ExitCode::SUCCESS)
}
