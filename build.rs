//! Builds the shim that `parallax probe` preloads, and puts it into the program.
//!
//! A machine that cannot link a shared library for its target builds the program without it, and `probe` says so.

use std::path::PathBuf;

const SOURCE: &str = "src/engine/probe/getenv.c";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("getenv.so");
    let built = cc::Build::new().try_get_compiler().is_ok_and(|compiler| {
        let mut command = compiler.to_command();
        command.args(["-shared", "-fPIC", "-O2", "-nostdlib", "-fno-stack-protector", "-fno-builtin", "-s", "-o"]);
        command.arg(&out).arg(SOURCE).status().is_ok_and(|status| status.success())
    });
    if !built && let Err(error) = std::fs::write(&out, "") {
        println!("cargo::error=the shim's place cannot be written: {error}");
    }
}
