//! Names of variables that the agent's own files **mention**, in the forms in which programs ask for one. For what takes a
//! copy of its whole environment when it starts (shells, Python, some compiled scripts) and never asks the C library.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::bytes::Regex;

use crate::engine::pod::TARGET_ROOT;

/// Bytes of one file, and of all, that are looked through.
const ONE: u64 = 512 << 20;
const ALL: u64 = 1 << 30;

/// How scripts and their runtimes write it. The name is the first group that takes part.
const FORMS: &str = r#"(?x-u)
    process\.env(?:\.([A-Za-z_][A-Za-z0-9_]*)|\[\s*["'`]([A-Za-z_][A-Za-z0-9_]*)["'`]\s*\])
    | (?:Bun|Deno)\.env(?:\.get\(\s*["'`]|\.)([A-Z_][A-Z0-9_]*)
    | environ(?:\.get\(|\[|\.setdefault\(|\.pop\()\s*["']([A-Za-z_][A-Za-z0-9_]*)["']
    | getenv\(\s*["']([A-Za-z_][A-Za-z0-9_]*)["']
    | \bENV(?:\.fetch\(|\[)\s*["']([A-Za-z_][A-Za-z0-9_]*)["']
"#;

/// How shells write it. Lower-case names are the script's own as a rule.
const SHELL: &str = r"(?-u)\$\{?([A-Z_][A-Z0-9_]*)";
const SHELL_SETS: &str = r"(?m-u)^\s*(?:export\s+|local\s+|readonly\s+)?([A-Z_][A-Z0-9_]*)=";

/// The names that these files of a target mention, each with one file that does. `paths` are as the pod has them.
pub(super) fn mentions<'a>(root: Option<&Path>, paths: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let (Some(root), Ok(forms), Ok(shell), Ok(sets)) =
        (root, Regex::new(FORMS), Regex::new(SHELL), Regex::new(SHELL_SETS))
    else {
        return names;
    };
    let mut left = ALL;
    let mut seen = BTreeSet::new();
    for path in paths {
        let Some(file) = outside(root, path).filter(|file| seen.insert(file.clone())) else { continue };
        let Ok(length) = file.metadata().map(|metadata| metadata.len()) else { continue };
        if length > ONE.min(left) {
            continue;
        }
        left -= length;
        let Ok(bytes) = fs_err::read(&file) else { continue };
        let mut put = |name: &[u8]| {
            if let Ok(name) = std::str::from_utf8(name) {
                names.entry(name.to_owned()).or_insert_with(|| path.to_owned());
            }
        };
        for found in forms.captures_iter(&bytes) {
            if let Some(name) = found.iter().skip(1).flatten().next() {
                put(name.as_bytes());
            }
        }
        let first = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
        if first.starts_with(b"#!") && first.ends_with(b"sh") {
            let own: BTreeSet<&[u8]> =
                sets.captures_iter(&bytes).filter_map(|f| f.get(1)).map(|m| m.as_bytes()).collect();
            shell.captures_iter(&bytes).filter_map(|found| found.get(1)).map(|name| name.as_bytes()).for_each(|name| {
                if !own.contains(name) {
                    put(name);
                }
            });
        }
    }
    names
}

/// Where a file of the pod's target stands on this machine. Links that lead out of the target are not followed.
fn outside(root: &Path, path: &str) -> Option<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..8 {
        let rest = Path::new(&path).strip_prefix(TARGET_ROOT).ok()?;
        let file = root.join(rest);
        match std::fs::read_link(&file) {
            // Absolute links are meant inside the pod.
            Ok(link) if link.is_absolute() => link.to_str()?.clone_into(&mut path),
            _ => {
                let file = file.canonicalize().ok()?;
                return (file.starts_with(root.canonicalize().ok()?) && file.is_file()).then_some(file);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_programs_write_them() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(root.path().join(name), text).unwrap();
        write("a.js", "let a=process.env.ONE||process.env['TWO'];Bun.env.THREE;x.process.environment");
        write("b.py", "os.environ.get(\"FOUR\"); os.environ['FIVE']; os.getenv('SIX'); environment['NOT']");
        write("c", "#!/usr/bin/env bash\nOWN=1\necho ${SEVEN:-} $EIGHT $OWN $lower\n");
        write("d.txt", "costs $NOTHING, process.env. ");
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("out")).unwrap();
        std::os::unix::fs::symlink("/opt/target/c", root.path().join("link")).unwrap();
        let paths =
            ["/opt/target/a.js", "/opt/target/b.py", "/opt/target/link", "/opt/target/d.txt", "/opt/target/out"];
        let names = mentions(Some(root.path()), paths.into_iter());
        let found: Vec<&str> = names.keys().map(String::as_str).collect();
        assert_eq!(found, ["EIGHT", "FIVE", "FOUR", "ONE", "SEVEN", "SIX", "THREE", "TWO"]);
        assert_eq!(names["ONE"], "/opt/target/a.js");
        assert!(mentions(None, paths.into_iter()).is_empty());
    }
}
