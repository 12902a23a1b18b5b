//! What was observed, **stored** beside the findings: a report of a run is made again in a moment, and also where the
//! bodies were not shared. It follows from the records and the findings and is bound to both by their digests; where it is
//! missing, damaged or of other findings, the records are read again.

use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use super::observed::{Column, Observed, Seen};
use crate::finding::Findings;

/// The file's name in a run's folder.
pub const FILE: &str = "observed.json.zst";

const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Stored {
    schema_version: u32,
    /// Digest of `findings.json` and `cells.jsonl.zst`.
    of: String,
    observed: Observed,
}

/// What an observation is of: the digest of the findings' and the records' bytes.
#[must_use]
pub fn key(findings: &[u8], records: &[u8]) -> String {
    let mut digest = sha2::Sha256::new();
    for part in [findings, records] {
        digest.update(sha2::Sha256::digest(part));
    }
    hex::encode(digest.finalize())
}

/// What is written for an observation.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn encode(observed: Observed, key: &str) -> serde_json::Result<Vec<u8>> {
    let stored = Stored { schema_version: SCHEMA_VERSION, of: key.to_owned(), observed };
    serde_json::to_vec(&stored)
}

/// The observation that `bytes` hold; `None` where they are not whole, or are of other findings than these.
#[must_use]
pub fn decode(bytes: &[u8], key: &str, findings: &Findings) -> Option<Observed> {
    let Stored { schema_version, of, observed } = serde_json::from_slice(bytes).ok()?;
    (schema_version == SCHEMA_VERSION && of == key && fits(&observed, findings)).then_some(observed)
}

/// Whether there is a column, or none, for each place, with a known value for each run.
fn fits(observed: &Observed, findings: &Findings) -> bool {
    let whole = |column: &Column| {
        column.seen.len() == observed.runs.len()
            && column.seen.iter().all(|seen| !matches!(seen, Seen::Value(value) if *value >= column.values.len()))
    };
    observed.findings.len() == findings.findings.len()
        && observed
            .findings
            .iter()
            .zip(&findings.findings)
            .all(|(columns, finding)| columns.len() == finding.places.len() && columns.iter().flatten().all(whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing;

    fn observed() -> (Observed, Findings) {
        let findings = testing::found();
        (Observed::of(&testing::records(), &testing::manifest().scenario, &findings), findings)
    }

    #[test]
    fn what_was_stored_comes_back() {
        let (observed, findings) = observed();
        assert!(observed.column(0, 0).is_some_and(|column| column.values.len() > 1), "there is something to store");
        assert!(observed.runs.iter().any(|run| run.failure.is_some()), "and something that was lost");
        let bytes = encode(observed.clone(), "key").unwrap();
        assert_eq!(decode(&bytes, "key", &findings), Some(observed));
    }

    #[test]
    fn what_is_of_something_else_is_not_taken() {
        let (observed, mut findings) = observed();
        let bytes = encode(observed.clone(), "key").unwrap();
        assert_eq!(decode(&bytes, "another", &findings), None);
        assert_eq!(decode(&bytes[..bytes.len() / 2], "key", &findings), None);
        assert_eq!(decode(b"no such thing", "key", &findings), None);
        findings.findings[0].places.push("one more".into());
        assert_eq!(decode(&bytes, "key", &findings), None);
        assert_ne!(key(b"ab", b"c"), key(b"a", b"bc"));
    }

    #[test]
    fn a_value_that_is_not_there_is_not_taken() {
        let (mut observed, findings) = observed();
        observed.findings[0][0].as_mut().unwrap().seen[0] = Seen::Value(99);
        assert_eq!(decode(&encode(observed, "key").unwrap(), "key", &findings), None);
    }
}
