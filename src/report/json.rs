//! The findings as they are: `findings.json` itself.

use super::Report;
use crate::finding::Findings;
use crate::store::Manifest;

/// The machine's format.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Report for Json {
    fn render(&self, findings: &Findings, _manifest: &Manifest) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(findings).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}
