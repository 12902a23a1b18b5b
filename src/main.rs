//! Parses, starts, hands over; nothing else.

// Captures are taken apart into many short texts; the C library's allocator takes a quarter of that time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    parallax::cli::main()
}
