//! The findings as they are: `findings.json` itself.

use std::fmt::Write as _;

use super::{Report, escape};
use crate::finding::Findings;
use crate::store::Manifest;

/// The machine's format.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Report for Json {
    fn render(&self, findings: &Findings, _manifest: &Manifest) -> Vec<u8> {
        let text = serde_json::to_string_pretty(findings).unwrap_or_default();
        let mut out = String::with_capacity(text.len() + 1);
        let mut units = [0; 2];
        // What acts or hides is written by its number: the same JSON, and a terminal may show it.
        for c in text.chars() {
            if c == '\n' || !escape::is_hidden(c) {
                out.push(c);
            } else {
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
        out.push('\n');
        out.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing;

    #[test]
    fn a_hostile_agent_changes_nothing_and_nothing_acts() {
        let hostile = testing::hostile();
        let text = String::from_utf8(Json.render(&hostile, &testing::manifest())).unwrap();
        assert!(text.chars().all(|c| c == '\n' || !escape::is_hidden(c)));
        let back: Findings = serde_json::from_str(&text).unwrap();
        assert_eq!(back, hostile);
    }
}
