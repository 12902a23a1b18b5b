//! What a program needs beside itself to run in an empty image: nothing when it is linked statically, else its
//! **interpreter** and shared libraries.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Type of the program header that names the interpreter.
const PT_INTERP: u32 = 3;

/// The interpreter that a 64-bit little-endian ELF file asks for. `None` for a static program and for anything else.
fn interpreter(elf: &[u8]) -> Option<PathBuf> {
    let bytes = |at: usize, length: usize| elf.get(at..at.checked_add(length)?);
    let short = |at| Some(usize::from(u16::from_le_bytes(bytes(at, 2)?.try_into().ok()?)));
    let word = |at| Some(u32::from_le_bytes(bytes(at, 4)?.try_into().ok()?));
    let long = |at| usize::try_from(u64::from_le_bytes(bytes(at, 8)?.try_into().ok()?)).ok();
    if bytes(0, 6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let (table, size, count) = (long(0x20)?, short(0x36)?, short(0x38)?);
    (0..count).find_map(|index| {
        let header = table.checked_add(index.checked_mul(size)?)?;
        if word(header)? != PT_INTERP {
            return None;
        }
        let name = bytes(long(header.checked_add(8)?)?, long(header.checked_add(0x20)?)?)?;
        let name = name.split(|byte| *byte == 0).next()?;
        Some(PathBuf::from(std::str::from_utf8(name).ok()?))
    })
}

/// Files of this machine that `program` needs at the same paths: its interpreter and its libraries.
///
/// # Errors
/// When the program cannot be read or its interpreter cannot list its libraries.
pub(super) fn needs(program: &Path) -> std::io::Result<Vec<PathBuf>> {
    let Some(interpreter) = interpreter(&fs_err::read(program)?) else { return Ok(Vec::new()) };
    let listed = std::process::Command::new(&interpreter).arg("--list").arg(program).output()?;
    if !listed.status.success() {
        return Err(std::io::Error::other(format!(
            "{} cannot list the libraries of {}: {}",
            interpreter.display(),
            program.display(),
            String::from_utf8_lossy(&listed.stderr).trim()
        )));
    }
    let mut files = libraries(&String::from_utf8_lossy(&listed.stdout));
    files.insert(interpreter);
    Ok(files.into_iter().collect())
}

/// Reads lines such as `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f…)`.
fn libraries(listing: &str) -> BTreeSet<PathBuf> {
    let paths = listing.lines().filter_map(|line| {
        let path = line.split_once("=>").map_or(line, |(_, path)| path).trim();
        path.starts_with('/').then(|| path.split(" (").next().unwrap_or(path))
    });
    paths.map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_of_this_machines_shell_is_found() {
        let shell = std::fs::read("/bin/sh").unwrap();
        let found = interpreter(&shell);
        assert!(found.as_ref().is_none_or(|path| path.is_absolute() && path.exists()), "{found:?}");
        assert_eq!(found.is_some(), !needs(Path::new("/bin/sh")).unwrap().is_empty());
    }

    #[test]
    fn damage_is_no_panic() {
        let shell = std::fs::read("/bin/sh").unwrap();
        for length in (0..shell.len().min(1200)).step_by(7) {
            let _ = interpreter(&shell[..length]);
        }
        for at in 0..64 {
            let mut damaged = shell.clone();
            damaged[at] = 0xff;
            let _ = interpreter(&damaged);
        }
        assert_eq!(interpreter(b"#!/bin/sh\n"), None);
    }

    #[test]
    fn a_listing_is_read() {
        let listing = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibgcc_s.so.1 => /lib/x86_64-linux-gnu/libgcc_s.so.1 (0x00007f)\n\
                       \tlibmissing.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let expected = ["/lib/x86_64-linux-gnu/libgcc_s.so.1", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(libraries(listing), expected.map(PathBuf::from).into());
    }
}
