//! The **upper layer** of a container that has ended, read where it lies. Asking the engine what changed makes it compare whole
//! file trees, at more than the price of the container itself; where its storage is on this machine and may be read, a walk
//! through the few files that the container wrote tells the same. The agent is dead by then, and nothing that it left is
//! followed or opened.

use std::collections::{BTreeMap, HashMap};
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::overlay::MTIME;
use crate::capture::Change;

/// Entries at most. An agent may have filled its folders with anything.
const ENTRIES: usize = 20_000;

/// Where a container's files lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layers {
    upper: PathBuf,
    lower: Vec<PathBuf>,
}

impl Layers {
    /// Reads what the engine says of a container's storage. `None` where it cannot be read from here.
    pub(super) fn open(driver: &str, data: &HashMap<String, String>) -> Option<Self> {
        if driver != "overlay2" {
            return None;
        }
        let upper = PathBuf::from(data.get("UpperDir")?);
        let lower: Vec<PathBuf> = data.get("LowerDir")?.split(':').map(PathBuf::from).collect();
        // The names are random: where they exist, they are the engine's own.
        let readable = std::fs::read_dir(&upper).is_ok() && lower.iter().all(|layer| std::fs::read_dir(layer).is_ok());
        readable.then_some(Self { upper, lower })
    }

    /// What differs from the image in these folders: path and what became of it. Parents of changes are listed too.
    pub(super) fn changes(&self, areas: &[&str]) -> Vec<(String, Change)> {
        let mut found = BTreeMap::new();
        for area in areas {
            let Some(start) = descend(&self.upper, area) else { continue };
            let mut waiting = vec![(start, (*area).to_owned())];
            while let Some((folder, path)) = waiting.pop() {
                let mut entries: Vec<_> = std::fs::read_dir(&folder).into_iter().flatten().flatten().collect();
                entries.sort_by_key(std::fs::DirEntry::file_name);
                for entry in entries {
                    let inside = format!("{}/{}", path.trim_end_matches('/'), entry.file_name().to_string_lossy());
                    let Ok(facts) = entry.metadata() else { continue };
                    if found.len() >= ENTRIES {
                        tracing::warn!(ENTRIES, "an agent left more files than are listed");
                        return found.into_iter().collect();
                    }
                    if facts.is_dir() {
                        waiting.push((entry.path(), inside.clone()));
                    }
                    found.insert(inside.clone(), self.change(&facts, &inside));
                }
            }
        }
        found.into_iter().collect()
    }

    fn change(&self, facts: &Metadata, path: &str) -> Change {
        let stood = || {
            self.lower.iter().find_map(|layer| {
                let (folder, name) = path.rsplit_once('/')?;
                std::fs::symlink_metadata(descend(layer, folder)?.join(name)).ok()
            })
        };
        if is_whiteout(facts) {
            Change::Deleted
        } else if stood().is_some_and(|facts| !is_whiteout(&facts)) {
            Change::Modified
        } else {
            Change::Added
        }
    }

    /// Whether a file is still as we laid it.
    pub(super) fn is_as_laid(&self, path: &str, size: u64, mode: u32) -> bool {
        let facts = path
            .rsplit_once('/')
            .and_then(|(folder, name)| std::fs::symlink_metadata(descend(&self.upper, folder)?.join(name)).ok());
        facts.is_some_and(|facts| {
            facts.is_file()
                && facts.len() == size
                && facts.mode() & 0o777 == mode & 0o777
                && u64::try_from(facts.mtime()) == Ok(MTIME)
                && facts.mtime_nsec() == 0
        })
    }
}

/// How the kernel marks what is gone.
fn is_whiteout(facts: &Metadata) -> bool {
    facts.file_type().is_char_device() && facts.rdev() == 0
}

/// The folder at `path` below `root`, if every part of the way is a folder: a link in its place could lead anywhere on this
/// machine.
fn descend(root: &Path, path: &str) -> Option<PathBuf> {
    let mut place = root.to_owned();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if part == ".." {
            return None;
        }
        place.push(part);
        std::fs::symlink_metadata(&place).ok().filter(Metadata::is_dir)?;
    }
    Some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(folder: &Path) -> Layers {
        let make = |path: &str, text: &str| {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        make("upper/home/dev/.cache/x", "x");
        make("upper/home/dev/.profile", "changed");
        make("upper/etc/passwd", "not ours");
        std::fs::create_dir_all(folder.join("upper/tmp/empty")).unwrap();
        make("lower/home/dev/.profile", "as it was");
        let data = HashMap::from([
            (String::from("UpperDir"), folder.join("upper").display().to_string()),
            (String::from("LowerDir"), folder.join("lower").display().to_string()),
        ]);
        assert_eq!(Layers::open("btrfs", &data), None);
        Layers::open("overlay2", &data).unwrap()
    }

    #[test]
    fn what_was_written_is_listed_with_its_parents() {
        let folder = tempfile::tempdir().unwrap();
        let found = layers(folder.path()).changes(&["/home/dev", "/workspace", "/tmp"]);
        let rows: Vec<(&str, Change)> = found.iter().map(|(path, change)| (path.as_str(), *change)).collect();
        assert_eq!(
            rows,
            [
                ("/home/dev/.cache", Change::Added),
                ("/home/dev/.cache/x", Change::Added),
                ("/home/dev/.profile", Change::Modified),
                ("/tmp/empty", Change::Added),
            ]
        );
    }

    #[test]
    fn links_that_an_agent_left_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let layers = layers(folder.path());
        std::os::unix::fs::symlink("/etc", layers.upper.join("home/dev/way")).unwrap();
        assert_eq!(layers.changes(&["/home/dev/way", "/home/dev/../../../etc"]), []);
        assert!(layers.changes(&["/home/dev"]).contains(&(String::from("/home/dev/way"), Change::Added)));
        assert!(!layers.is_as_laid("/home/dev/way/hostname", 0, 0o644));
    }

    #[test]
    fn a_laid_file_is_compared_by_size_mode_and_time() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let layers = layers(folder.path());
        let path = layers.upper.join("home/dev/.cache/x");
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!layers.is_as_laid("/home/dev/.cache/x", 1, 0o644));
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(MTIME)).unwrap();
        assert!(layers.is_as_laid("/home/dev/.cache/x", 1, 0o644));
        assert!(!layers.is_as_laid("/home/dev/.cache/x", 2, 0o644));
        assert!(!layers.is_as_laid("/home/dev/.cache/x", 1, 0o755));
    }
}
