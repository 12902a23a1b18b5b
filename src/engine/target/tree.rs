//! A **tree** of installed files: its contents as hashes, its permission bits, a copy of it.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use fs_err as fs;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// What stands at every path of a tree: `755 <sha256>` or `644 <sha256>` for a file, `-> <target>` for a link.
pub(super) type Contents = BTreeMap<String, String>;

/// SHA-256 over parts, each ended by a zero byte, so that no two lists of parts give the same input.
pub(super) fn digest<I: AsRef<str>>(parts: impl IntoIterator<Item = I>) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_ref().as_bytes());
        hasher.update([0]);
    }
    hex::encode(hasher.finalize())
}

/// SHA-256 of a file, lower-case hex.
pub(in crate::engine) fn hash_file(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// Every path below `root` with its type, folders before what is in them. Links are not followed.
fn walk(root: &Path) -> io::Result<Vec<(PathBuf, std::fs::FileType)>> {
    let mut found = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.path());
            }
            found.push((entry.path(), kind));
        }
    }
    Ok(found)
}

/// The contents of the tree at `root`, hashed on all cores. Folders are not listed: an empty one cannot change what runs.
pub(super) fn contents(root: &Path) -> io::Result<Contents> {
    walk(root)?
        .into_par_iter()
        .filter(|(_, kind)| !kind.is_dir())
        .map(|(path, kind)| {
            let below = path.strip_prefix(root).map_err(io::Error::other)?;
            let name = below.to_str().ok_or_else(|| io::Error::other(format!("{} is not UTF-8", path.display())))?;
            let what = if kind.is_symlink() {
                format!("-> {}", fs::read_link(&path)?.display())
            } else {
                let executable = fs::metadata(&path)?.permissions().mode() & 0o111 != 0;
                format!("{} {}", if executable { "755" } else { "644" }, hash_file(&path)?)
            };
            Ok((name.to_owned(), what))
        })
        .collect()
}

/// The first path at which two trees differ, and how.
pub(super) fn first_difference(expected: &Contents, found: &Contents) -> Option<String> {
    let gone = expected.keys().find(|path| !found.contains_key(*path)).map(|path| format!("{path} is gone"));
    let added = || found.keys().find(|path| !expected.contains_key(*path)).map(|path| format!("{path} was added"));
    let changed =
        || expected.iter().find(|(path, what)| found[*path] != **what).map(|(path, _)| format!("{path} was changed"));
    gone.or_else(added).or_else(changed)
}

/// Bytes of all files of the tree.
pub(super) fn size(root: &Path) -> u64 {
    let files = walk(root).unwrap_or_default().into_iter().filter(|(_, kind)| !kind.is_dir());
    files.filter_map(|(path, _)| fs::symlink_metadata(path).ok()).map(|metadata| metadata.len()).sum()
}

/// Makes every file readable for all and writable for its owner alone (`755` or `644`), and drops set-id bits: the agent runs
/// under another account than the one that installed it.
pub(super) fn open_to_readers(root: &Path) -> io::Result<()> {
    fs::set_permissions(root, std::fs::Permissions::from_mode(0o755))?;
    for (path, kind) in walk(root)? {
        if kind.is_symlink() {
            continue;
        }
        let mode = fs::metadata(&path)?.permissions().mode();
        let wanted = if kind.is_dir() || mode & 0o111 != 0 { 0o755 } else { 0o644 };
        if mode & 0o7777 != wanted {
            fs::set_permissions(&path, std::fs::Permissions::from_mode(wanted))?;
        }
    }
    Ok(())
}

/// Copies the tree at `from` to `to` (made if need be): folders, files with their permission bits, links as links. No
/// file of the copy shares storage that a writer could reach.
///
/// # Errors
/// When a file cannot be read or written, or is neither file, folder nor link.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for (path, kind) in walk(from)? {
        let there = to.join(path.strip_prefix(from).map_err(io::Error::other)?);
        if kind.is_dir() {
            fs::create_dir_all(&there)?;
            fs::set_permissions(&there, fs::metadata(&path)?.permissions())?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&path)?, &there)?;
        } else if kind.is_file() {
            fs::copy(&path, &there)?;
        } else {
            return Err(io::Error::other(format!("{} is neither file, folder nor link", path.display())));
        }
    }
    Ok(())
}

/// Makes `to` a folder with the tree at `from`, its files shared with it where the file system can.
pub(super) fn link_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for (path, kind) in walk(from)? {
        let there = to.join(path.strip_prefix(from).map_err(io::Error::other)?);
        if kind.is_dir() {
            fs::create_dir_all(&there)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&path)?, &there)?;
        } else {
            link_or_copy(&path, &there)?;
        }
    }
    Ok(())
}

/// Makes `to` the file `from`: by a hard link where the file system can, else by a copy.
pub(super) fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/file"), "text").unwrap();
        fs::write(folder.path().join("run"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(folder.path().join("run"), std::fs::Permissions::from_mode(0o4777)).unwrap();
        fs::set_permissions(folder.path().join("a/b"), std::fs::Permissions::from_mode(0o700)).unwrap();
        symlink("a/b/file", folder.path().join("link")).unwrap();
        folder
    }

    #[test]
    fn contents_tell_files_links_and_executables_apart() {
        let folder = tree();
        let found = contents(folder.path()).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a/b/file", "link", "run"]);
        assert_eq!(found["link"], "-> a/b/file");
        assert_eq!(found["a/b/file"], "644 982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1");
        assert!(found["run"].starts_with("755 "));
    }

    #[test]
    fn every_kind_of_difference_is_named() {
        let folder = tree();
        let before = contents(folder.path()).unwrap();
        assert_eq!(first_difference(&before, &before), None);
        fs::write(folder.path().join("a/b/file"), "tex7").unwrap();
        let changed = contents(folder.path()).unwrap();
        assert_eq!(first_difference(&before, &changed).unwrap(), "a/b/file was changed");
        fs::write(folder.path().join("new"), "").unwrap();
        assert_eq!(first_difference(&before, &contents(folder.path()).unwrap()).unwrap(), "new was added");
        fs::remove_file(folder.path().join("link")).unwrap();
        assert_eq!(first_difference(&before, &contents(folder.path()).unwrap()).unwrap(), "link is gone");
    }

    #[test]
    fn readers_may_read_and_nobody_else_may_write() {
        let folder = tree();
        open_to_readers(folder.path()).unwrap();
        let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("a/b"), mode("a/b/file"), mode("run")), (0o755, 0o644, 0o755));
    }

    #[test]
    fn a_copy_is_equal_and_shares_nothing() {
        let (folder, other) = (tree(), tempfile::tempdir().unwrap());
        let to = other.path().join("copy");
        copy(folder.path(), &to).unwrap();
        assert_eq!(contents(folder.path()).unwrap(), contents(&to).unwrap());
        fs::write(to.join("a/b/file"), "other").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("a/b/file")).unwrap(), "text");
    }

    #[test]
    fn a_tree_of_links_is_equal_and_on_the_disk_once() {
        use std::os::unix::fs::MetadataExt as _;

        let (folder, other) = (tree(), tempfile::tempdir().unwrap());
        let to = other.path().join("linked");
        link_all(folder.path(), &to).unwrap();
        assert_eq!(contents(folder.path()).unwrap(), contents(&to).unwrap());
        assert_eq!(fs::metadata(to.join("run")).unwrap().nlink(), 2);
    }

    #[test]
    fn parts_cannot_run_into_each_other() {
        assert_ne!(digest(["ab", "c"]), digest(["a", "bc"]));
    }
}
