//! `parallax disclose`: drafts a disclosures file from what a run found.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::console;
use super::exit::Exit;
use super::failure::Failure;
use crate::finding::disclose;
use crate::scenario::{DISCLOSURES_VERSION, Disclosed};
use crate::store::Folder;

/// Arguments of `parallax disclose`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The run's folder
    run: PathBuf,
    /// File to write; default: standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let folder = Folder::open(&arguments.run)?;
    let manifest = folder.manifest()?;
    if !folder.path().join("findings.json").is_file() {
        return Err(Failure::unfinished("the run is not finished: nothing can be drafted from it yet"));
    }
    let findings = folder.findings()?;
    let entries = disclose::draft(&findings.findings);
    let text = document(&manifest.target.package, &entries);
    match &arguments.out {
        None => console::print(text.as_bytes()),
        Some(path) => {
            super::write_new(path, text.as_bytes(), 0o644)?;
            console::note(&format!(
                "{} disclosures drafted in {}: say why, and widen or narrow the places",
                entries.len(),
                path.display()
            ));
        }
    }
    Ok(Exit::Clean)
}

/// The file as TOML. What an agent sent stands in it, so every sign that a reader could not see is written as an escape.
fn document(package: &str, entries: &[Disclosed]) -> String {
    let mut text = format!(
        "#:schema ./disclosures.schema.json\n# What {} openly depends on: a draft from one run.\n# Check each entry and add \
         why it is so, and since when; in a place, * stands for any run of characters.\n\nschema_version = {DISCLOSURES_VERSION}\n",
        quoted(package)
    );
    for entry in entries {
        let factors: Vec<String> = entry.factors.iter().map(|factor| quoted(factor)).collect();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n[[disclosed]]\nfactors = [{}]\nplace = {}\nsays = {}\n",
            factors.join(", "),
            quoted(&entry.place),
            quoted(&entry.says)
        );
        if let Some(since) = &entry.since {
            let _ = writeln!(text, "since = {}", quoted(since));
        }
    }
    text
}

/// A basic string of TOML. Letters, digits, printable ASCII and the sign between the parts of a place stay as they are.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' | '·' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            c if u32::from(c) <= 0xffff => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\U{:08X}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse_disclosures;

    #[test]
    fn a_draft_is_read_back_as_it_was_whatever_an_agent_wrote() {
        let entries = [
            Disclosed {
                factors: vec!["timezone".into(), "base_url".into()],
                place: "POST /v1/messages · \"a\\b\"\n[[disclosed]]\u{202e}\u{1b}[31m\u{e0041}".into(),
                says: "with timezone, the text differs (U+2019)\u{7f}".into(),
                since: Some("1.2.3".into()),
            },
            Disclosed { factors: vec!["user".into()], place: "exit".into(), says: "日本".into(), since: None },
        ];
        let text = document("pkg:npm/x\n[evil]", &entries);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n') && !text.contains('\u{202e}'), "{text}");
        assert_eq!(parse_disclosures(&text, "draft.toml", &[]).unwrap(), entries);
    }
}
