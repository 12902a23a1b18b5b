//! **Process**: how the agent ended, what it printed, which files it changed, as leaves.

use super::leaf::Leaf;
use super::{Channel, FeatureKind};
use crate::capture::{Body, Capture, Change, Outcome};

/// Output beyond this is not compared line by line.
const MAX_OUTPUT: usize = 256 << 10;
/// Files beyond these are not compared.
const MAX_FILES: usize = 4000;

/// Takes a capture's process apart.
pub(super) fn leaves(capture: &Capture, out: &mut Vec<Leaf>) {
    let mut say = |address: &str, place: &str, text: String| {
        out.push(Leaf::text(Channel::Process, FeatureKind::Process, address, place, text));
    };
    let (ended, well) = match &capture.outcome {
        Outcome::Exited { code } => (format!("exit status {code}"), *code == 0),
        Outcome::Signalled { signal } => (format!("ended by signal {signal}"), false),
        Outcome::TimedOut => (String::from("ended at its deadline"), false),
        Outcome::MemoryLimit => (String::from("ended at its memory limit"), false),
        Outcome::ProcessLimit => (String::from("reached its limit of processes"), false),
    };
    say("process outcome", "outcome", ended);
    let ok = if well && !capture.exchanges.is_empty() { "yes" } else { "no" };
    say("run.ok", "run.ok (exit status 0 and at least one request)", ok.to_owned());
    say("process stdout", "standard output", printed(&capture.stdout));
    say("process stderr", "standard error", printed(&capture.stderr));
    let files: Vec<String> = capture
        .files
        .iter()
        .take(MAX_FILES)
        .map(|file| {
            let change = match file.change {
                Change::Added => "added",
                Change::Modified => "modified",
                Change::Deleted => "deleted",
            };
            format!("{change} {}", file.path)
        })
        .collect();
    out.push(Leaf::text(Channel::File, FeatureKind::Presence, "files", "files changed", files.join("\n")));
}

fn printed(body: &Body) -> String {
    let text = body.text();
    let mut end = text.len().min(MAX_OUTPUT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
