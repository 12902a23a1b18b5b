//! The **architecture**, kept by reading the source: which part may use which, who owns an outside library, what the core
//! refuses to know. `ARCHITECTURE.md` says why.
//!
//! Comments and unit tests are left out of it: a test may reach further than what it tests.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use regex::Regex;

/// Each part of the program and what it may use. The core comes first, in the order of the pipeline: a part of it may use
/// what stands before it and nothing behind it.
const CORE: [&str; 9] =
    ["cell", "capture", "scenario", "wire", "design", "feature", "attribution", "finding", "campaign"];

/// The parts beside the core, and what each may use.
const EFFECTS: [(&str, &[&str]); 8] = [
    ("series", &["cell", "capture", "scenario", "design", "feature", "finding"]),
    ("gateway", &["cell", "capture", "scenario", "wire"]),
    ("engine", &["cell", "capture", "scenario", "gateway"]),
    ("store", &["cell", "capture", "scenario", "finding", "engine::target"]),
    ("report", &["cell", "capture", "scenario", "feature", "finding", "series", "store::Manifest"]),
    ("run", &["cell", "capture", "scenario", "finding", "campaign", "engine", "gateway", "store", "series", "design"]),
    (
        "attestation",
        &["cell", "capture", "scenario", "design", "feature", "finding", "engine::target", "store::Manifest"],
    ),
    (
        "cli",
        &[
            "cell",
            "capture",
            "scenario",
            "finding",
            "campaign",
            "engine",
            "gateway",
            "store",
            "report",
            "run",
            "attestation",
            "series",
        ],
    ),
];

/// Outside libraries and the only places that may know them.
const OWNERS: [(&str, &[&str]); 24] = [
    ("bollard", &["engine/docker/"]),
    ("indicatif", &["cli/console.rs"]),
    ("tabled", &["cli/", "report/text.rs"]),
    ("terminal_size", &["cli/console.rs"]),
    ("clap", &["cli/"]),
    ("clap_complete", &["cli/"]),
    ("tracing_subscriber", &["cli/"]),
    ("miette", &["cli/", "scenario/"]),
    ("toml", &["scenario/", "attestation/policy.rs"]),
    ("rustls", &["gateway/"]),
    ("tokio_rustls", &["gateway/"]),
    ("rcgen", &["gateway/"]),
    ("hyper", &["gateway/"]),
    ("hyper_util", &["gateway/"]),
    ("httparse", &["gateway/"]),
    ("hickory_proto", &["gateway/"]),
    ("rtnetlink", &["gateway/"]),
    ("socket2", &["gateway/"]),
    ("tokio_tungstenite", &["gateway/"]),
    ("zstd", &["store/", "wire/"]),
    ("caps", &["engine/"]),
    ("tempfile", &["store/", "engine/"]),
    // The gateway's is the module of the same name in rustls.
    ("ring", &["attestation/key.rs", "gateway/tls.rs"]),
    ("pem", &["attestation/key.rs"]),
];

/// What the core must not touch: files, clocks, the environment, processes, threads, chance without a seed.
const EFFECTFUL: [&str; 17] = [
    "tokio::",
    "fs_err::",
    "std::fs",
    "std::env",
    "std::process",
    "TcpStream",
    "UdpSocket",
    "std::thread",
    "std::io::std",
    "Instant::now",
    "SystemTime",
    "Utc::now",
    "Local::now",
    "rand::rng",
    "rand::random",
    "thread_rng",
    "from_os_rng",
];

/// The one step of the core that looks at files: a scenario, the lists of hosts and the program that it names.
const READERS: [&str; 4] =
    ["scenario/check.rs", "scenario/check/disclosures.rs", "scenario/check/target.rs", "scenario/levels.rs"];

const LONGEST: usize = 600;

struct Source {
    /// Below `src/`.
    path: String,
    text: String,
    /// Without comments and unit tests.
    code: String,
}

impl Source {
    /// The top-level module that it belongs to.
    fn part(&self) -> &str {
        self.path.split(['/', '.']).next().unwrap_or("")
    }

    /// How many modules deep it stands: `scenario/mod.rs` is 1, `scenario/check.rs` 2.
    fn depth(&self) -> usize {
        self.path.trim_end_matches("/mod.rs").split('/').count()
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut open = vec![root().join("src")];
    let mut sources = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root().join("src")).unwrap().to_str().unwrap().to_owned();
                let code = code(&text);
                sources.push(Source { path, text, code });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(sources.len() > 50, "the source was not found");
    sources
}

/// Cuts comments and everything from the unit tests on.
fn code(text: &str) -> String {
    let tests = Regex::new(r"\n#\[cfg\(test\)\]\n(pub(\([a-z]+\))? )?mod tests \{").unwrap();
    let end = tests.find(text).map_or(text.len(), |tests| tests.start());
    let mut code = String::new();
    for line in text[..end].lines().filter(|line| !line.trim_start().starts_with("//")) {
        writeln!(code, "{line}").unwrap();
    }
    code
}

/// Files of the program itself: not those that stand between it and its tests.
fn program() -> impl Iterator<Item = Source> {
    sources().into_iter().filter(|source| !source.path.ends_with("testing.rs") && !source.path.ends_with("tests.rs"))
}

fn is_core(part: &str) -> bool {
    CORE.contains(&part)
}

fn nothing(what: &str, found: &BTreeSet<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.iter().cloned().collect::<Vec<_>>().join("\n  "));
}

#[test]
fn every_part_is_known() {
    let known: BTreeSet<&str> = CORE.into_iter().chain(EFFECTS.map(|(part, _)| part)).chain(["lib", "main"]).collect();
    let unknown = program().map(|source| source.part().to_owned()).filter(|part| !known.contains(part.as_str()));
    nothing("parts that ARCHITECTURE.md and this test do not know", &unknown.collect());
}

#[test]
fn arrows_point_to_the_left() {
    let path = Regex::new(r"\bcrate::([a-z_]+)((?:::\w+)*)").unwrap();
    let upward = Regex::new(r"\b((?:super::)+)([a-z_]+)").unwrap();
    let mut forbidden = BTreeSet::new();
    for source in program() {
        let part = source.part();
        if matches!(part, "lib" | "main") {
            continue;
        }
        assert!(!source.code.contains("crate::{"), "{}: one `use` a part, so that this test can read it", source.path);
        let mut used: BTreeSet<String> =
            path.captures_iter(&source.code).map(|found| format!("{}{}", &found[1], &found[2])).collect();
        // `super::super::x` may leave the part as well.
        for found in upward.captures_iter(&source.code) {
            if found[1].len() / "super::".len() >= source.depth() {
                used.insert(found[2].to_owned());
            }
        }
        for target in used {
            let other = target.split("::").next().unwrap_or("");
            let allowed = other == part
                || if let Some(place) = CORE.iter().position(|core| *core == part) {
                    CORE[..place].contains(&other)
                } else {
                    let (_, allowed) = EFFECTS.iter().find(|(name, _)| *name == part).unwrap();
                    allowed.iter().any(|allowed| target == *allowed || target.starts_with(&format!("{allowed}::")))
                };
            if !allowed {
                forbidden.insert(format!("{} uses {target}", source.path));
            }
        }
    }
    nothing("forbidden arrows", &forbidden);
}

#[test]
fn every_outside_library_has_one_owner() {
    let mut strays = BTreeSet::new();
    for source in program() {
        for (library, owners) in OWNERS {
            let uses = Regex::new(&format!(r"(^|[^\w:]){library}::")).unwrap();
            if uses.is_match(&source.code) && !owners.iter().any(|owner| source.path.starts_with(owner)) {
                strays.insert(format!("{} uses {library}", source.path));
            }
        }
    }
    nothing("outside libraries away from their owners", &strays);
}

#[test]
fn the_core_has_no_effects() {
    let mut effects = BTreeSet::new();
    for source in program().filter(|source| is_core(source.part()) && !READERS.contains(&source.path.as_str())) {
        for effect in EFFECTFUL {
            if source.code.contains(effect) {
                effects.insert(format!("{} has {effect}", source.path));
            }
        }
    }
    nothing("effects in the core", &effects);
}

#[test]
fn only_the_command_line_prints() {
    let print = Regex::new(r"\be?print(ln)?!|\bdbg!").unwrap();
    let found = program().filter(|source| source.part() != "cli" && print.is_match(&source.code));
    nothing("prints outside cli/", &found.map(|source| source.path).collect());
}

#[test]
fn files_are_of_one_noun() {
    let long = sources().into_iter().filter(|source| source.text.lines().count() > LONGEST);
    nothing("files of more than 600 lines", &long.map(|source| source.path).collect());
}

#[test]
fn every_file_says_what_it_is() {
    let silent = sources().into_iter().filter(|source| !source.text.starts_with("//!"));
    nothing("files without a first sentence", &silent.map(|source| source.path).collect());
}

#[test]
fn the_map_has_every_file_and_no_other() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let files: BTreeSet<String> = program().map(|source| source.path).collect();
    let unnamed = files.iter().filter(|path| !map.contains(&format!("- `{path}`: ")));
    nothing("files without a sentence in ARCHITECTURE.md", &unnamed.cloned().collect());
    let named = Regex::new(r"(?m)^- `([a-z0-9_/]+\.rs)`: ").unwrap();
    let gone = named.captures_iter(&map).map(|found| found[1].to_owned());
    let gone = gone.filter(|path| !path.starts_with("tests/") && !root().join("src").join(path).exists());
    nothing("files that ARCHITECTURE.md names and that are gone", &gone.collect());
}

#[test]
fn main_only_hands_over() {
    let main = sources().into_iter().find(|source| source.path == "main.rs").unwrap();
    assert!(main.text.lines().count() < 30);
}

#[test]
fn unsafe_code_stands_in_few_small_files_that_say_why() {
    for source in sources().iter().filter(|source| source.text.contains("allow(unsafe_code")) {
        let lines = source.text.lines().count();
        assert!(source.path.starts_with("engine/") || source.path.starts_with("gateway/"), "{}", source.path);
        assert!(lines <= 200, "{} has {lines} lines", source.path);
        assert!(source.text.contains("SAFETY") || source.text.contains("reason ="), "{} does not say why", source.path);
    }
}

/// Nothing in the program may know an agent: its package, its program, or what it is suspected to react to. Whatever the
/// scenarios name stays in the scenarios.
#[test]
fn no_agent_is_known() {
    let mut names = BTreeSet::new();
    let package = Regex::new(r#"(?m)^(?:npm|pypi) = "([^"]+)""#).unwrap();
    let host = Regex::new(r"https?://([a-z0-9.-]+)").unwrap();
    for entry in std::fs::read_dir(root().join("scenarios")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        names.extend(package.captures_iter(&text).map(|found| found[1].to_owned()));
        names.extend(levels_of(&text, "base_url").iter().flat_map(|levels| {
            let hosts = host.captures_iter(levels).map(|found| found[1].to_owned());
            // Names that are reserved for examples are nobody's.
            hosts.filter(|host| !host.contains("example")).collect::<Vec<_>>()
        }));
    }
    assert!(names.len() >= 3, "no names were found in the scenarios: {names:?}");
    let mut known = BTreeSet::new();
    for source in program() {
        for name in names.iter().filter(|name| source.code.contains(name.as_str())) {
            known.insert(format!("{} has {name}", source.path));
        }
    }
    nothing("what only a scenario may know", &known);
}

/// The text of a factor's table.
fn levels_of(text: &str, factor: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("[factors.{factor}]"))?;
    Some(rest.split("\n[").next().unwrap_or(rest).to_owned())
}

#[test]
fn nothing_committed_names_this_machine() {
    let machine = Regex::new(r"/w[o]rk/|/r[o]ot/\.cargo").unwrap();
    let named = sources().into_iter().filter(|source| machine.is_match(&source.text));
    nothing("paths of one machine", &named.map(|source| source.path).collect());
}
