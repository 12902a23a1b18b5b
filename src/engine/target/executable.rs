//! The **executable** of a target: the file that a command's first word ends at, links followed, and its digest.

use std::path::{Component, Path, PathBuf};

use fs_err as fs;

use super::tree;
use crate::engine::pod::TARGET_ROOT;

/// Links followed at most, as the kernel does.
const LINKS: u32 = 40;

/// Finds the file that `command0` runs in a pod whose `/opt/target` is the folder `root`: its path inside the pod, links
/// followed, and its SHA-256. Never leaves `root`: a program of the base image, or a link that leads out, gives `None`.
/// For a script that Node.js or Python runs it is the script itself.
#[must_use]
pub fn executable_facts(root: &Path, search: &[String], command0: &str) -> Option<(String, String)> {
    let candidates: Vec<String> = if command0.contains('/') {
        vec![command0.to_owned()]
    } else {
        search.iter().map(|folder| format!("{folder}/{command0}")).collect()
    };
    candidates.iter().find_map(|path| {
        let below = resolve(root, Path::new(path))?;
        let file = root.join(&below);
        let sha256 =
            fs::metadata(&file).ok().filter(std::fs::Metadata::is_file).and_then(|_| tree::hash_file(&file).ok())?;
        Some((format!("{TARGET_ROOT}/{}", below.display()), sha256))
    })
}

/// Whether a file is a program that is linked statically: an ELF file of 64 bits that asks for no interpreter. False for
/// scripts, and for what cannot be read.
#[must_use]
pub fn is_static(file: &Path) -> bool {
    fs::read(file).is_ok_and(|bytes| asks_for_interpreter(&bytes) == Some(false))
}

/// Whether an ELF file has the program header that names an interpreter. `None` for anything else.
fn asks_for_interpreter(elf: &[u8]) -> Option<bool> {
    const INTERPRETER: u32 = 3;
    let bytes = |at: usize, length: usize| elf.get(at..at.checked_add(length)?);
    let short = |at| Some(usize::from(u16::from_le_bytes(bytes(at, 2)?.try_into().ok()?)));
    if bytes(0, 6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let table = usize::try_from(u64::from_le_bytes(bytes(0x20, 8)?.try_into().ok()?)).ok()?;
    let (size, count) = (short(0x36)?, short(0x38)?);
    let kind = |index: usize| {
        let header = table.checked_add(index.checked_mul(size)?)?;
        Some(u32::from_le_bytes(bytes(header, 4)?.try_into().ok()?))
    };
    Some((0..count).any(|index| kind(index) == Some(INTERPRETER)))
}

/// The path inside the pod at which `command0` is found, links not followed: where a target's install scripts may still put
/// another file in its place.
pub(super) fn entry_point(root: &Path, search: &[String], command0: &str) -> Option<String> {
    let stands = |path: &str| {
        let below = Path::new(path).strip_prefix(TARGET_ROOT).ok()?;
        fs::symlink_metadata(root.join(below)).ok().map(|_| path.to_owned())
    };
    if command0.contains('/') {
        return stands(command0);
    }
    search.iter().find_map(|folder| stands(&format!("{folder}/{command0}")))
}

/// Where `path` (inside the pod) ends, relative to `root`, with every link on the way followed as the pod would.
fn resolve(root: &Path, path: &Path) -> Option<PathBuf> {
    // The links stay relative to the pod's own root, so that `/opt/target/…` and `../…` mean what they mean there.
    let mut rest: Vec<std::ffi::OsString> = components(path);
    let mut done = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = rest.pop() {
        if name == ".." {
            done.pop();
            continue;
        }
        let next = done.join(&name);
        let Ok(below) = next.strip_prefix(TARGET_ROOT) else {
            done = next;
            continue;
        };
        match fs::read_link(root.join(below)) {
            Ok(target) if !below.as_os_str().is_empty() => {
                links += 1;
                if links > LINKS {
                    return None;
                }
                if target.is_absolute() {
                    done = PathBuf::from("/");
                }
                rest.extend(components(&target));
            }
            _ => done = next,
        }
    }
    done.strip_prefix(TARGET_ROOT).ok().filter(|below| !below.as_os_str().is_empty()).map(Path::to_path_buf)
}

/// The components of a path, last first, without its root.
fn components(path: &Path) -> Vec<std::ffi::OsString> {
    let named = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    let mut names: Vec<_> = path.components().filter_map(named).collect();
    names.reverse();
    names
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const HASH: &str = "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1";

    fn root() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["bin", "node_modules/x/lib"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("node_modules/x/lib/cli.js"), "text").unwrap();
        folder
    }

    fn facts(root: &Path, command: &str) -> Option<(String, String)> {
        executable_facts(root, &[String::from("/opt/target/bin")], command)
    }

    #[test]
    fn links_are_followed_as_in_the_pod() {
        let root = root();
        let found = Some((String::from("/opt/target/node_modules/x/lib/cli.js"), HASH.to_owned()));
        symlink("../node_modules/x/main", root.path().join("bin/relative")).unwrap();
        symlink("lib/cli.js", root.path().join("node_modules/x/main")).unwrap();
        symlink("/opt/target/bin/relative", root.path().join("bin/absolute")).unwrap();
        symlink("/opt/target/node_modules", root.path().join("modules")).unwrap();
        assert_eq!(facts(root.path(), "relative"), found);
        assert_eq!(facts(root.path(), "absolute"), found);
        assert_eq!(facts(root.path(), "/opt/target/modules/x/lib/cli.js"), found);
        assert_eq!(facts(root.path(), "/opt/target/bin/../../target/bin/relative"), found);
        let search = [String::from("/opt/none"), String::from("/opt/target/bin")];
        assert_eq!(entry_point(root.path(), &search, "relative").unwrap(), "/opt/target/bin/relative");
        assert_eq!(entry_point(root.path(), &search, "missing"), None);
    }

    #[test]
    fn nothing_outside_is_read() {
        let root = root();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "text").unwrap();
        symlink(outside.path().join("secret"), root.path().join("bin/out")).unwrap();
        symlink("../../../etc/passwd", root.path().join("bin/up")).unwrap();
        symlink("loop", root.path().join("bin/loop")).unwrap();
        for command in ["out", "up", "loop", "missing", "/bin/sh", "/opt/target", "/opt/target/bin", "", "../bin"] {
            assert_eq!(facts(root.path(), command), None, "{command}");
        }
    }

    #[test]
    fn a_static_program_is_known_from_one_that_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let elf = |kinds: &[u32]| {
            let mut bytes = vec![0; 64 + 56 * kinds.len()];
            bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
            bytes[0x20] = 64;
            bytes[0x36] = 56;
            bytes[0x38] = u8::try_from(kinds.len()).unwrap();
            for (index, kind) in kinds.iter().enumerate() {
                bytes[64 + 56 * index..][..4].copy_from_slice(&kind.to_le_bytes());
            }
            let path = folder.path().join("program");
            fs::write(&path, bytes).unwrap();
            is_static(&path)
        };
        assert!(elf(&[1, 2]));
        assert!(!elf(&[1, 3]));
        fs::write(folder.path().join("script"), "#!/bin/sh\n").unwrap();
        assert!(!is_static(&folder.path().join("script")) && !is_static(&folder.path().join("missing")));
    }
}
