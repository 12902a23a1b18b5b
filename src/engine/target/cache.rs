//! The **cache** of installed targets, below `targets/` in the cache folder:
//!
//! ```text
//! targets/CACHEDIR.TAG                                   "this folder may be thrown away"; backups skip it
//! targets/npm/@scope+name/1.2.3-node22-linux-x64/        an installed package, complete: renamed into place when it was
//!     root/                                              what stands at /opt/target: bin/, node_modules/
//!     record.json                                        what it is: versions, integrities, scripts, digest
//!     contents.json                                      SHA-256 of every file of root/, checked before every use
//! targets/npm/@scope+name/resolved.json                  what a tag or range meant last time, for when the network is gone
//! targets/pypi/name/1.2.3-cp311-linux-x64/               likewise: bin/, python/
//! targets/pypi/name/1.2.3-cp313-3.13.0-<digest>-linux-x64/ with a Python of the machine beside them: bin/python3, runtime/
//! targets/local/name/<digest>/                           copies of local programs, by content
//! targets/node/node/22.1.0-linux-x64/                    Node.js, hard-linked into the targets that use it
//! targets/python/python/3.13.0-linux-x64/                Python of the machine that no pod shows, likewise: bin/, lib/
//! targets/staging/                                       half-made entries; swept when a day old
//! targets/locks/                                         one empty file an entry, locked while it is made
//! ```

use std::collections::BTreeMap;
use std::fs::TryLockError;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::tree::{self, Contents};
use super::{InstallScript, Installed, TargetFacts, failed, version};
use crate::engine::EngineError;
use crate::engine::pod::TARGET_ROOT;

/// Version of the record's shape and of the layout of `root/`: an entry of another is made anew.
const SCHEMA_VERSION: u32 = 1;
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# This folder holds what parallax installed; it may be removed at any time.\n";
const STALE: Duration = Duration::from_hours(24);

/// The machine's cache folder: `$PARALLAX_CACHE`, else `$XDG_CACHE_HOME/parallax`, else `~/.cache/parallax`.
#[must_use]
pub fn cache_folder() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("PARALLAX_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").filter(|path| path.is_absolute()).map(|path| path.join("parallax")))
        .or_else(|| set("HOME").map(|path| path.join(".cache/parallax")))
        .unwrap_or_else(|| std::env::temp_dir().join("parallax"));
    std::path::absolute(&folder).unwrap_or(folder)
}

/// What an entry of the cache is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) schema_version: u32,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) scripts: Vec<InstallScript>,
    pub(super) packages: Vec<String>,
    pub(super) digest: String,
    pub(super) bytes: u64,
    pub(super) facts: TargetFacts,
}

impl Record {
    pub(super) fn new(facts: TargetFacts, digest: String) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            variables: BTreeMap::new(),
            scripts: Vec::new(),
            packages: Vec::new(),
            digest,
            bytes: 0,
            facts,
        }
    }
}

/// A place in the cache for one thing that can be installed.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    targets: PathBuf,
    folder: PathBuf,
    lock: PathBuf,
}

/// Held while an entry is made; ends with the process at the latest.
pub(super) struct Lock(#[allow(dead_code, reason = "unlocks when dropped")] std::fs::File);

impl Entry {
    /// The place of version label `label` of `name`, of sort `kind`. Touches nothing.
    pub(super) fn new(cache: &Path, kind: &str, name: &str, label: &str) -> Self {
        let targets = cache.join("targets");
        let name = file_name(name);
        let folder = targets.join(kind).join(&name).join(label);
        let lock = targets.join("locks").join(format!("{kind}-{name}-{label}.lock"));
        Self { targets, folder, lock }
    }

    /// Where the entry's tree stands.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// The entry, if it is there and complete. Refuses one whose files are not those that were installed.
    pub(super) fn load(&self) -> Result<Option<Record>, EngineError> {
        let Ok(text) = fs::read(self.folder.join("record.json")) else { return Ok(None) };
        let Ok(record) = serde_json::from_slice::<Record>(&text) else { return Ok(None) };
        if record.schema_version != SCHEMA_VERSION {
            return Ok(None);
        }
        let refused = |what: String| EngineError::Failed {
            step: "checking the cached target",
            message: format!(
                "{what} since it was installed, so nothing that it sends could be believed. Remove {} and run again",
                self.folder.display()
            ),
        };
        let expected: Contents = fs::read(self.folder.join("contents.json"))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .ok_or_else(|| refused(String::from("contents.json is gone or was changed")))?;
        let found =
            tree::contents(&self.root()).map_err(|error| refused(format!("a file became unreadable ({error})")))?;
        match tree::first_difference(&expected, &found) {
            None => Ok(Some(record)),
            Some(difference) => Err(refused(difference)),
        }
    }

    /// Waits until nobody else makes this entry.
    pub(super) async fn lock(&self, notice: &(dyn Fn(String) + Sync)) -> Result<Lock, EngineError> {
        let step = "locking the cache";
        self.prepare().map_err(failed(step))?;
        let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&self.lock);
        let file = file.map_err(failed(step))?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        notice(String::from("waiting for another run that installs the same target"));
                        told = true;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                // A file system without locks: the rename at the end still keeps entries whole.
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(Lock(file)),
            }
        }
    }

    fn prepare(&self) -> std::io::Result<()> {
        fs::create_dir_all(self.targets.join("locks"))?;
        fs::create_dir_all(self.targets.join("staging"))?;
        let tag = self.targets.join("CACHEDIR.TAG");
        if !tag.exists() {
            fs::write(tag, TAG)?;
        }
        Ok(())
    }

    /// A fresh folder to make the entry in; it is removed when dropped.
    pub(super) fn stage(&self) -> Result<tempfile::TempDir, EngineError> {
        let step = "making a staging folder";
        self.prepare().map_err(failed(step))?;
        let staging = self.targets.join("staging");
        for left in fs::read_dir(&staging).map_err(failed(step))?.flatten() {
            let age = left.metadata().and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > STALE) {
                let _ = fs::remove_dir_all(left.path());
            }
        }
        tempfile::Builder::new().tempdir_in(staging).map_err(failed(step))
    }

    /// Makes the staged folder (with its tree in `root/`) this entry, in one rename.
    pub(super) fn commit(&self, staged: tempfile::TempDir, mut record: Record) -> Result<Record, EngineError> {
        let step = "writing the cache";
        let root = staged.path().join("root");
        tree::open_to_readers(&root).map_err(failed(step))?;
        record.bytes = tree::size(&root);
        let contents = tree::contents(&root).map_err(failed(step))?;
        let write = |name: &str, value: serde_json::Result<Vec<u8>>| {
            value.map_err(std::io::Error::other).and_then(|text| fs::write(staged.path().join(name), text))
        };
        write("contents.json", serde_json::to_vec(&contents)).map_err(failed(step))?;
        write("record.json", serde_json::to_vec_pretty(&record)).map_err(failed(step))?;
        let readable = std::fs::Permissions::from_mode(0o755);
        fs::set_permissions(staged.path(), readable).map_err(failed(step))?;
        if let Some(parent) = self.folder.parent() {
            fs::create_dir_all(parent).map_err(failed(step))?;
        }
        // What stands here already is of another layout, or somebody made it on a file system without locks.
        let _ = fs::remove_dir_all(&self.folder);
        match fs::rename(staged.path(), &self.folder) {
            Err(error) if !self.folder.join("record.json").exists() => return Err(failed(step)(error)),
            _ => drop(staged.keep()),
        }
        Ok(record)
    }

    /// The installed target that this entry is.
    pub(super) fn installed(&self, record: Record, search: Vec<String>, fresh: bool) -> Installed {
        Installed {
            root: Some(self.root()),
            image: None,
            search,
            variables: record.variables,
            scripts: record.scripts,
            packages: record.packages,
            python: None,
            digest: record.digest,
            facts: TargetFacts { fresh, ..record.facts },
        }
    }
}

/// The one folder of PATH that every target has.
pub(super) fn search() -> Vec<String> {
    vec![format!("{TARGET_ROOT}/bin")]
}

/// A package name as one path component.
fn file_name(name: &str) -> String {
    name.replace('/', "+")
}

/// Remembers what `spec` (a tag or a range) of a package meant.
pub(super) fn remember(cache: &Path, kind: &str, name: &str, spec: &str, version: &str) {
    let folder = cache.join("targets").join(kind).join(file_name(name));
    let mut known = resolutions(&folder);
    known.insert(spec.to_owned(), version.to_owned());
    // Only for the day when the network is gone; a failure here is no failure of the run.
    let write = || -> std::io::Result<()> {
        fs::create_dir_all(&folder)?;
        let file = tempfile::NamedTempFile::new_in(&folder)?;
        fs::write(file.path(), serde_json::to_vec(&known)?)?;
        file.persist(folder.join("resolved.json"))?;
        Ok(())
    };
    let _ = write();
}

fn resolutions(folder: &Path) -> BTreeMap<String, String> {
    fs::read(folder.join("resolved.json")).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// The cached version that stands in for `spec` when it cannot be looked up: for `latest` the newest, else what it meant last
/// time. Only entries whose label ends with `suffix` count.
pub(super) fn stand_in(cache: &Path, kind: &str, name: &str, spec: &str, suffix: &str) -> Option<String> {
    let folder = cache.join("targets").join(kind).join(file_name(name));
    let versions: Vec<String> = fs::read_dir(&folder)
        .ok()?
        .flatten()
        .filter(|entry| entry.path().join("record.json").exists())
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(suffix).map(str::to_owned))
        .collect();
    if spec == "latest" {
        return version::newest(versions.iter().map(String::as_str)).map(str::to_owned);
    }
    resolutions(&folder).remove(spec).filter(|version| versions.contains(version))
}

/// Every version of `name` in the cache whose label ends with `suffix`.
pub(super) fn versions(cache: &Path, kind: &str, name: &str, suffix: &str) -> Vec<String> {
    let folder = cache.join("targets").join(kind).join(file_name(name));
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.path().join("record.json").exists())
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(suffix).map(str::to_owned))
        .collect()
}

/// One thing that the cache holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    /// `npm`, `pypi`, `local`, `node` or `python`.
    pub kind: String,
    /// Package URL or name.
    pub package: String,
    /// Version.
    pub version: Option<String>,
    /// Node.js or Python that runs it.
    pub runtime: Option<String>,
    /// Digest, as [`Installed::digest`].
    pub digest: String,
    /// Bytes of its files; a file that several targets share counts for each.
    pub bytes: u64,
    /// Its folder.
    pub folder: PathBuf,
}

/// Lists what the cache holds, sorted by kind and package. A cache that does not exist holds nothing.
#[must_use]
pub fn cached(cache: &Path) -> Vec<Cached> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
    };
    let mut found = Vec::new();
    for kind in ["npm", "pypi", "local", "node", "python"] {
        for name in list(&cache.join("targets").join(kind)) {
            for folder in list(&name) {
                let record = fs::read(folder.join("record.json")).ok();
                let Some(record) = record.and_then(|text| serde_json::from_slice::<Record>(&text).ok()) else {
                    continue;
                };
                found.push(Cached {
                    kind: kind.to_owned(),
                    package: record.facts.package,
                    version: record.facts.version,
                    runtime: record.facts.runtime,
                    digest: record.digest,
                    bytes: record.bytes,
                    folder,
                });
            }
        }
    }
    found.sort_by(|a, b| (&a.kind, &a.package, &a.folder).cmp(&(&b.kind, &b.package, &b.folder)));
    found
}

/// What [`clean`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Installed targets and runtimes.
    pub entries: usize,
    /// Bytes freed.
    pub bytes: u64,
}

/// Removes every installed target. Whatever else stands in the folder stays: only a `targets/` folder that this program made
/// (it has our `CACHEDIR.TAG`) is touched.
///
/// # Errors
/// When something cannot be removed.
pub fn clean(cache: &Path) -> Result<Cleaned, EngineError> {
    let targets = cache.join("targets");
    if fs::read_to_string(targets.join("CACHEDIR.TAG")).is_ok_and(|text| text == TAG) {
        let cleaned = Cleaned { entries: cached(cache).len(), bytes: disk_usage(&targets) };
        fs::remove_dir_all(&targets).map_err(failed("cleaning the cache"))?;
        return Ok(cleaned);
    }
    Ok(Cleaned::default())
}

/// Bytes below a folder, hard links counted once.
fn disk_usage(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let (mut seen, mut bytes, mut open) = (std::collections::BTreeSet::new(), 0, vec![folder.to_path_buf()]);
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                open.push(entry.path());
            } else if seen.insert((metadata.dev(), metadata.ino())) {
                bytes += metadata.len();
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(cache: &Path, name: &str, label: &str) -> Entry {
        let entry = Entry::new(cache, "npm", name, label);
        let staged = entry.stage().unwrap();
        fs::create_dir_all(staged.path().join("root/bin")).unwrap();
        fs::write(staged.path().join("root/bin/tool"), label).unwrap();
        let facts = TargetFacts { package: name.to_owned(), ..TargetFacts::default() };
        entry.commit(staged, Record::new(facts, String::from("d"))).unwrap();
        entry
    }

    #[test]
    fn an_entry_is_there_once_committed_and_refused_once_changed() {
        let cache = tempfile::tempdir().unwrap();
        let entry = Entry::new(cache.path(), "npm", "@s/x", "1.0.0-node22-linux-x64");
        assert_eq!(entry.load().unwrap(), None);
        let entry = make(cache.path(), "@s/x", "1.0.0-node22-linux-x64");
        assert_eq!(entry.load().unwrap().unwrap().bytes, 22);
        assert!(cache.path().join("targets/npm/@s+x/1.0.0-node22-linux-x64/root/bin/tool").exists());
        assert_eq!(fs::read_dir(cache.path().join("targets/staging")).unwrap().count(), 0);
        fs::write(entry.root().join("bin/tool"), "evil").unwrap();
        let message = entry.load().unwrap_err().to_string();
        assert!(message.contains("bin/tool was changed since it was installed"), "{message}");
        assert!(message.contains("Remove "), "{message}");
    }

    #[test]
    fn an_entry_of_another_schema_is_made_anew() {
        let cache = tempfile::tempdir().unwrap();
        let entry = make(cache.path(), "x", "1.0.0-node22-linux-x64");
        let record = entry.folder.join("record.json");
        let text = fs::read_to_string(&record).unwrap().replace("\"schema_version\": 1", "\"schema_version\": 0");
        fs::write(&record, text).unwrap();
        assert_eq!(entry.load().unwrap(), None);
        make(cache.path(), "x", "1.0.0-node22-linux-x64");
        assert!(entry.load().unwrap().is_some());
    }

    #[test]
    fn a_lost_network_is_stood_in_for() {
        let cache = tempfile::tempdir().unwrap();
        let suffix = "-node22-linux-x64";
        for version in ["1.9.0", "1.10.0", "2.0.0-beta.1"] {
            make(cache.path(), "x", &format!("{version}{suffix}"));
        }
        make(cache.path(), "x", "9.0.0-node24-linux-x64");
        let stand = |spec: &str| stand_in(cache.path(), "npm", "x", spec, suffix);
        assert_eq!(stand("latest").as_deref(), Some("1.10.0"));
        assert_eq!(stand("next"), None);
        remember(cache.path(), "npm", "x", "next", "2.0.0-beta.1");
        remember(cache.path(), "npm", "x", "canary", "3.0.0");
        assert_eq!(stand("next").as_deref(), Some("2.0.0-beta.1"));
        assert_eq!(stand("canary"), None);
    }

    #[test]
    fn the_cache_is_listed_and_only_ours_is_cleaned() {
        let cache = tempfile::tempdir().unwrap();
        fs::write(cache.path().join("mine"), "keep").unwrap();
        assert_eq!(cached(cache.path()), []);
        make(cache.path(), "b", "1.0.0");
        make(cache.path(), "a", "1.0.0");
        let names: Vec<String> = cached(cache.path()).into_iter().map(|entry| entry.package).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(clean(cache.path()).unwrap().entries, 2);
        assert_eq!(clean(cache.path()).unwrap(), Cleaned::default());
        assert!(cache.path().join("mine").exists());
        fs::create_dir_all(cache.path().join("targets/not-ours")).unwrap();
        clean(cache.path()).unwrap();
        assert!(cache.path().join("targets/not-ours").exists());
    }
}
