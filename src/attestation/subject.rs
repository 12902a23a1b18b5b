//! The **subject** of a statement: the package by its URL and archive digest, and the executable by its own.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::engine::target::TargetFacts;

/// An in-toto resource descriptor: as much of it as is used here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// A name for people and policies.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where or what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Algorithm → lower-case hex.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    /// The thing itself in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The type of `content`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub annotations: serde_json::Map<String, serde_json::Value>,
}

impl Descriptor {
    /// Something known by its SHA-256.
    #[must_use]
    pub fn sha256(name: &str, digest: String) -> Self {
        let digest = BTreeMap::from([(String::from("sha256"), digest)]);
        Self { name: name.to_owned(), digest, ..Self::default() }
    }
}

/// What was run. Empty where nothing about it has a digest: then nothing can be said of it either.
#[must_use]
pub(super) fn subjects(target: &TargetFacts) -> Vec<Descriptor> {
    let mut subjects = Vec::new();
    if let Some(digest) = archive(target) {
        subjects.push(Descriptor {
            name: target.package.clone(),
            uri: target.package.starts_with("pkg:").then(|| target.package.clone()),
            digest,
            ..Descriptor::default()
        });
    }
    if let Some(sha256) = &target.executable_sha256 {
        let path = target.executable.as_deref().unwrap_or("executable");
        subjects.push(Descriptor::sha256(path, sha256.clone()));
    }
    if let Some((_, sha256)) = target.package.rsplit_once("@sha256:") {
        subjects.push(Descriptor::sha256(&target.package, sha256.to_owned()));
    }
    subjects
}

/// The digest of the package's own archive, from the registry's `sha512-…`.
fn archive(target: &TargetFacts) -> Option<BTreeMap<String, String>> {
    // A package URL writes a scope's @ as %40; the list of integrities does not.
    let name = target.package.split_once('/')?.1.replace("%40", "@");
    let integrity = target.integrity.get(&name).or_else(|| target.integrity.get(&name.to_lowercase()))?;
    // npm writes `sha512-…` in base64, pip `sha256:…` in hex.
    let digests = integrity.split_whitespace().filter_map(|part| {
        let (algorithm, digest) = part.split_once(['-', ':'])?;
        let hexadecimal = part.contains(':').then(|| hex::decode(digest).ok()).flatten();
        let digest = hexadecimal.or_else(|| STANDARD.decode(digest).ok())?;
        matches!(algorithm, "sha256" | "sha384" | "sha512").then(|| (algorithm.to_owned(), hex::encode(digest)))
    });
    Some(digests.collect()).filter(|digests: &BTreeMap<_, _>| !digests.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_known_by_its_archive_and_its_executable() {
        let facts = TargetFacts {
            package: "pkg:npm/%40scope/name@1.2.3".into(),
            integrity: BTreeMap::from([
                ("@scope/name@1.2.3".into(), "sha512-AAEC".into()),
                ("other@1.0.0".into(), "sha512-AAED".into()),
            ]),
            executable: Some("/opt/target/x.js".into()),
            executable_sha256: Some("ab".into()),
            ..TargetFacts::default()
        };
        let subjects = subjects(&facts);
        assert_eq!(subjects.len(), 2);
        assert_eq!(subjects[0].uri.as_deref(), Some("pkg:npm/%40scope/name@1.2.3"));
        assert_eq!(subjects[0].digest, BTreeMap::from([("sha512".into(), "000102".into())]));
        assert_eq!((subjects[1].name.as_str(), subjects[1].digest["sha256"].as_str()), ("/opt/target/x.js", "ab"));
    }

    #[test]
    fn pip_writes_digests_in_another_way() {
        let facts = TargetFacts {
            package: "pkg:pypi/name@1.0".into(),
            integrity: BTreeMap::from([("name@1.0".into(), "sha256:00ff".into())]),
            ..TargetFacts::default()
        };
        assert_eq!(subjects(&facts)[0].digest, BTreeMap::from([("sha256".into(), "00ff".into())]));
    }

    #[test]
    fn what_has_no_digest_is_no_subject() {
        assert!(subjects(&TargetFacts { package: "an-image:latest".into(), ..TargetFacts::default() }).is_empty());
        let pinned = TargetFacts { package: "an-image@sha256:0f".into(), ..TargetFacts::default() };
        assert_eq!(subjects(&pinned)[0].digest["sha256"], "0f");
    }
}
