# The everyday commands. `just` alone lists them.

default:
    @just --list

# Check everything that CI checks, but for what needs Docker or a network.
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    cargo test

# The toy agent, in a few seconds, on whatever engine is here.
quickstart *ARGS:
    cargo run --release -- run scenarios/quickstart.toml {{ARGS}}

# A real agent.
claude-code *ARGS:
    cargo run --release -- run scenarios/claude-code.toml {{ARGS}}

# What this machine can do.
doctor:
    cargo run --release -- doctor

# Write the JSON Schemas of scenarios and disclosures anew.
schema:
    cargo run --release -- schema > scenarios/scenario.schema.json
    cargo run --release -- schema disclosures > scenarios/disclosures.schema.json

# The tests that run agents in pods; nothing may be skipped.
controls:
    PARALLAX_REQUIRE=docker,embedded cargo test --test controls --test conformance

# Whatever reads what an agent sent, under a fuzzer: some seconds a target, or `just fuzz 3600 sniff`.
fuzz *ARGS:
    fuzz/short-run {{ARGS}}

# Remove what runs have left behind.
clean:
    cargo run --release -- clean --images
