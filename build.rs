//! Builds the libraries that are preloaded in pods, and puts them into the program: the shim of `parallax probe`, and the
//! clock of cells whose clock is varied.
//!
//! A machine that cannot link a shared library for its target builds the program without them, and they say so.

use std::path::PathBuf;

const SOURCES: [(&str, &str); 2] =
    [("src/engine/probe/getenv.c", "getenv.so"), ("src/engine/environment/clock.c", "clock.so")];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    for (source, name) in SOURCES {
        println!("cargo::rerun-if-changed={source}");
        let out = folder.join(name);
        let built = cc::Build::new().try_get_compiler().is_ok_and(|compiler| {
            let mut command = compiler.to_command();
            command.args(["-shared", "-fPIC", "-O2", "-nostdlib", "-fno-stack-protector", "-fno-builtin", "-s", "-o"]);
            command.arg(&out).arg(source).status().is_ok_and(|status| status.success())
        });
        if !built && let Err(error) = std::fs::write(&out, "") {
            println!("cargo::error=the place of {name} cannot be written: {error}");
        }
    }
}
