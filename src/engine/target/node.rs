//! **Node.js**, pinned and brought along with every npm target, so that no machine's own version can change a result.

use std::path::{Path, PathBuf};

use fs_err as fs;

use super::cache::{self, Entry, Record};
use super::{TargetFacts, blocking, failed, npm, tree, version};
use crate::engine::EngineError;

const STEP: &str = "bringing Node.js";

/// A Node.js of the cache.
#[derive(Clone, Debug)]
pub(super) struct Runtime {
    /// Package of the registry that holds it.
    pub(super) package: String,
    /// Version.
    pub(super) version: String,
    /// The archive's integrity.
    pub(super) integrity: String,
    /// The program.
    pub(super) program: PathBuf,
}

/// This machine's platform as npm names it, `linux-x64`. Pods are Linux with glibc on the same kind of processor.
pub(super) fn platform() -> Result<&'static str, EngineError> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("linux-x64"),
        "aarch64" => Ok("linux-arm64"),
        other => Err(EngineError::Missing(format!(
            "npm targets need an x86_64 or aarch64 processor; this machine has {other}. A target of kind `image` may still run"
        ))),
    }
}

/// The newest Node.js of the cache that `wanted` (`22`, `22.11` or `22.11.0`) names, else the registry's.
pub(super) async fn bring(
    wanted: &str,
    cache: &Path,
    notice: &(dyn Fn(String) + Sync),
) -> Result<Runtime, EngineError> {
    let good = !wanted.is_empty()
        && wanted.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    if !good {
        return Err(EngineError::Missing(format!(
            "`{wanted}` is no version of Node.js: write its major version, such as `22`"
        )));
    }
    let platform = platform()?;
    let suffix = format!("-{platform}");
    let cached = cache::versions(cache, "node", "node", &suffix);
    let matching = cached
        .iter()
        .map(String::as_str)
        .filter(|found| *found == wanted || found.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.')));
    let package = format!("node-{platform}");
    let version = if let Some(newest) = version::newest(matching) {
        newest.to_owned()
    } else {
        let client = npm::client(&format!("Node.js {wanted}"))?;
        npm::view(&client, &package, wanted).await?
    };
    let entry = Entry::new(cache, "node", "node", &format!("{version}{suffix}"));
    if let Some(record) = load(&entry).await? {
        return Ok(runtime(&entry, package, record));
    }
    let _lock = entry.lock(notice).await?;
    if let Some(record) = load(&entry).await? {
        return Ok(runtime(&entry, package, record));
    }
    notice(format!("bringing Node.js {version}"));
    let client = npm::client(&format!("Node.js {version}"))?;
    let staged = entry.stage()?;
    let lock = npm::download(&client, &package, &version, staged.path()).await?;
    let place = format!("node_modules/{package}");
    let integrity =
        lock.package(&place).and_then(|package| package.integrity.clone()).ok_or_else(|| EngineError::Failed {
            step: STEP,
            message: format!("{package}@{version} has no integrity in npm's package-lock.json"),
        })?;
    let making = entry.clone();
    let record = blocking(move || {
        let root = staged.path().join("root");
        fs::create_dir_all(&root).map_err(failed(STEP))?;
        fs::rename(staged.path().join(&place).join("bin/node"), root.join("node")).map_err(failed(STEP))?;
        fs::remove_dir_all(staged.path().join("node_modules")).map_err(failed(STEP))?;
        let digest = tree::digest(["node", &version, &integrity]);
        let name = place.trim_start_matches("node_modules/");
        let facts = TargetFacts {
            package: format!("pkg:npm/{name}@{version}"),
            integrity: [(format!("{name}@{version}"), integrity)].into(),
            version: Some(version),
            ..TargetFacts::default()
        };
        making.commit(staged, Record::new(facts, digest))
    })
    .await?;
    Ok(runtime(&entry, package, record))
}

async fn load(entry: &Entry) -> Result<Option<Record>, EngineError> {
    let entry = entry.clone();
    blocking(move || entry.load()).await
}

fn runtime(entry: &Entry, package: String, record: Record) -> Runtime {
    Runtime {
        package,
        version: record.facts.version.unwrap_or_default(),
        integrity: record.facts.integrity.into_values().next().unwrap_or_default(),
        program: entry.root().join("node"),
    }
}
