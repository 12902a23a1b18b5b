//! What **wheels** leave behind: console scripts, whose first line names the Python that installed them, and the list of
//! files that belong to a distribution.

use std::path::Path;

/// Makes a console script run under whatever `python3` the pod has. `None`: it is no Python script.
pub(super) fn portable(script: &[u8]) -> Option<Vec<u8>> {
    const PORTABLE: &[u8] = b"#!/usr/bin/env python3\n";
    let end = script.iter().position(|&byte| byte == b'\n')?;
    let (first, rest) = (&script[..end], &script[end + 1..]);
    if !first.starts_with(b"#!") {
        return None;
    }
    let body = if contains(first, b"python") {
        rest
    } else if first == b"#!/bin/sh" && rest.starts_with(b"'''exec' ") {
        // A path too long for a first line: `'''exec' /long/python "$0" "$@"`, then `' '''`, then the script.
        let after_exec = rest.iter().position(|&byte| byte == b'\n')? + 1;
        let after_quote = rest[after_exec..].iter().position(|&byte| byte == b'\n')? + 1;
        &rest[after_exec + after_quote..]
    } else {
        return None;
    };
    Some([PORTABLE, body].concat())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The names of a distribution's programs, from its `RECORD` (lines such as `../../bin/aider,sha256=…,233`).
pub(super) fn programs(record: &str) -> Vec<String> {
    let mut names: Vec<String> = record
        .lines()
        .filter_map(|line| line.split(',').next())
        .map(|path| path.trim_matches('"'))
        .filter_map(|path| path.strip_prefix("../../bin/").or_else(|| path.strip_prefix("bin/")))
        .filter(|name| !name.is_empty() && !name.contains('/'))
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// A project name as the index normalises it: lower case, each run of `-`, `_`, `.` one `-`.
pub(super) fn normalised(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if out.ends_with('-') => {}
            '-' | '_' | '.' => out.push('-'),
            c => out.push(c.to_ascii_lowercase()),
        }
    }
    out
}

/// The `.dist-info` folder of a distribution among the folders of `site`.
pub(super) fn dist_info(site: &Path, name: &str) -> Option<std::path::PathBuf> {
    std::fs::read_dir(site).ok()?.flatten().map(|entry| entry.path()).find(|path| {
        let file = path.file_name().and_then(|file| file.to_str()).and_then(|file| file.strip_suffix(".dist-info"));
        file.and_then(|file| file.split_once('-')).is_some_and(|(project, _)| normalised(project) == normalised(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn console_scripts_lose_the_installers_python() {
        let expected = b"#!/usr/bin/env python3\n# -*- coding: utf-8 -*-\nimport re\n";
        let plain = b"#!/h/versions/3.11.7/bin/python3\n# -*- coding: utf-8 -*-\nimport re\n";
        assert_eq!(portable(plain).unwrap(), expected);
        let long = b"#!/bin/sh\n'''exec' /very/long/python3 \"$0\" \"$@\"\n' '''\n# -*- coding: utf-8 -*-\nimport re\n";
        assert_eq!(portable(long).unwrap(), expected);
    }

    #[test]
    fn other_programs_stay_as_they_are() {
        for script in [&b"#!/bin/sh\necho\n"[..], b"\x7fELF\n", b"", b"#!/usr/bin/env node\n", b"#!/bin/sh\n'''exec' x"]
        {
            assert_eq!(portable(script), None);
        }
    }

    #[test]
    fn a_record_names_its_programs() {
        let record = "../../bin/aider,sha256=x,233\naider/bin/no,sha256=x,1\n../../bin/deep/no,,\n../../bin/aider,,\n\"../../bin/b\",,\n";
        assert_eq!(programs(record), ["aider", "b"]);
    }

    #[test]
    fn names_are_normalised() {
        assert_eq!(normalised("Foo__Bar.-baz"), "foo-bar-baz");
        let site = tempfile::tempdir().unwrap();
        std::fs::create_dir(site.path().join("Aider_Chat-0.86.2.dist-info")).unwrap();
        assert!(dist_info(site.path(), "aider-chat").is_some());
        assert!(dist_info(site.path(), "aider").is_none());
    }
}
