//! Parses, starts, hands over; nothing else.

fn main() -> std::process::ExitCode {
    parallax::cli::main()
}
