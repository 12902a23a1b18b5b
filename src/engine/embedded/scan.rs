//! Which files an agent changed: the folders it may write to are read before its start and after its end.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::capture::{Change, FileChange};

/// Entries at most; an agent that makes more has made enough to be noticed.
const ENTRIES: usize = 50_000;

/// A file's content is compared up to this size; beyond it, its times are.
const HASHED: u64 = 4 << 20;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Folder,
    File { mode: u32, size: u64, content: Content },
    Link(PathBuf),
    Other,
}

/// A file's content, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Digest([u8; 32]),
    Times(i64, i64),
}

/// The state of some folders at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    entries: BTreeMap<PathBuf, Entry>,
}

impl Snapshot {
    /// Reads everything below these folders, links not followed.
    pub(super) fn take(folders: &[&Path]) -> Self {
        let mut snapshot = Self::default();
        let mut pending: Vec<PathBuf> = folders.iter().map(|folder| folder.to_path_buf()).collect();
        while let Some(folder) = pending.pop() {
            for entry in read_folder(&folder) {
                if snapshot.entries.len() >= ENTRIES {
                    return snapshot;
                }
                let path = entry.path();
                let Some(found) = describe(&path) else { continue };
                let new = snapshot.entries.insert(path.clone(), found.clone()).is_none();
                // One of the folders may stand inside another: each path is read once.
                if new && matches!(found, Entry::Folder) {
                    pending.push(path);
                }
            }
        }
        snapshot
    }

    /// What was added, modified or deleted between `self` and `after`, sorted by path. A folder counts only where it is
    /// new and empty, or gone: the others are said by what is in them.
    pub(super) fn changes(&self, after: &Self) -> Vec<FileChange> {
        let change = |path: &Path, change| FileChange { path: path.to_string_lossy().into_owned(), change };
        let mut changes: Vec<FileChange> = Vec::new();
        for (path, now) in &after.entries {
            match self.entries.get(path) {
                None if after.has_within(path) => {}
                None => changes.push(change(path, Change::Added)),
                Some(Entry::Folder) if matches!(now, Entry::Folder) => {}
                Some(before) if before != now => changes.push(change(path, Change::Modified)),
                Some(_) => {}
            }
        }
        let gone = self.entries.keys().filter(|path| !after.entries.contains_key(*path));
        changes.extend(gone.map(|path| change(path, Change::Deleted)));
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        changes
    }
}

impl Snapshot {
    /// Whether something stands below `path`.
    fn has_within(&self, path: &Path) -> bool {
        let next = self.entries.range::<Path, _>((std::ops::Bound::Excluded(path), std::ops::Bound::Unbounded)).next();
        next.is_some_and(|(next, _)| next.starts_with(path))
    }
}

/// The entries of a folder. An agent may have closed its own folder: its owner can open it again.
fn read_folder(folder: &Path) -> Vec<fs::DirEntry> {
    let listing = fs::read_dir(folder).or_else(|error| {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(|_| error)?;
        fs::read_dir(folder)
    });
    listing.into_iter().flatten().flatten().collect()
}

fn describe(path: &Path) -> Option<Entry> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let kind = metadata.file_type();
    let mode = metadata.mode() & 0o7777;
    Some(if kind.is_dir() {
        Entry::Folder
    } else if kind.is_file() {
        let times = || Content::Times(metadata.mtime(), metadata.mtime_nsec());
        let content = if metadata.len() <= HASHED { digest(path).unwrap_or_else(times) } else { times() };
        Entry::File { mode, size: metadata.len(), content }
    } else if kind.is_symlink() {
        Entry::Link(fs::read_link(path).ok()?)
    } else {
        Entry::Other
    })
}

fn digest(path: &Path) -> Option<Content> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(HASHED).read_to_end(&mut bytes).ok()?;
    Some(Content::Digest(Sha256::digest(&bytes).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_what_changed_and_only_that() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        for name in ["kept", "rewritten", "changed", "removed", "closed", "sub/inner"] {
            fs::write(at(name), name).unwrap();
        }
        std::os::unix::fs::symlink("/nowhere", at("link")).unwrap();
        let before = Snapshot::take(&[folder.path(), &at("sub")]);
        assert!(before.changes(&before.clone()).is_empty());

        fs::write(at("rewritten"), "rewritten").unwrap();
        fs::write(at("changed"), "CHANGED").unwrap();
        fs::remove_file(at("removed")).unwrap();
        fs::set_permissions(at("closed"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::create_dir_all(at("sub/new/deep")).unwrap();
        fs::create_dir(at("sub.d")).unwrap();
        fs::write(at("sub/new/file"), "").unwrap();
        fs::remove_file(at("link")).unwrap();
        std::os::unix::fs::symlink("/elsewhere", at("link")).unwrap();
        let after = Snapshot::take(&[folder.path()]);

        let seen: Vec<(String, Change)> = before
            .changes(&after)
            .into_iter()
            .map(|c| (c.path.trim_start_matches(&*folder.path().to_string_lossy()).to_owned(), c.change))
            .collect();
        let expected = [
            ("/changed", Change::Modified),
            ("/closed", Change::Modified),
            ("/link", Change::Modified),
            ("/removed", Change::Deleted),
            ("/sub.d", Change::Added),
            ("/sub/new/deep", Change::Added),
            ("/sub/new/file", Change::Added),
        ];
        assert_eq!(seen, expected.map(|(path, change)| (path.to_owned(), change)));
    }
}
