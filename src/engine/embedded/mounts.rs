//! Mounts, by the few forms that a pod needs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::mount::{MsFlags, mount};

/// Nothing set-user-id, no device nodes: true of every mount that a pod makes.
const TAME: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV);

/// Mounts a fresh temporary file system.
pub(super) fn tmpfs(target: &str, options: &str) -> Result<()> {
    mount(Some("tmpfs"), target, Some("tmpfs"), TAME, Some(options))
        .with_context(|| format!("mounting tmpfs at {target}"))
}

/// Mounts a pseudo file system of `kind`.
pub(super) fn pseudo(kind: &str, target: &str, flags: MsFlags, options: Option<&str>) -> Result<()> {
    mount(Some(kind), target, Some(kind), flags | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC, options)
        .with_context(|| format!("mounting {kind} at {target}"))
}

/// Lets `source`, with whatever is mounted below it, stand at `target` too.
pub(super) fn bind(source: &Path, target: &Path) -> Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(source), target, None::<&str>, flags, None::<&str>)
        .with_context(|| format!("binding {} to {}", source.display(), target.display()))
}

/// Lays `upper` over the folder `lower`, both read-only, visible at `lower`.
pub(super) fn overlay(upper: &Path, lower: &Path) -> Result<()> {
    let options = format!("lowerdir={}:{}", upper.display(), lower.display());
    mount(Some("overlay"), lower, Some("overlay"), TAME | MsFlags::MS_RDONLY, Some(options.as_str()))
        .with_context(|| format!("laying files over {} (this needs overlayfs, Linux 5.11)", lower.display()))
}

/// Makes every mount at or below one of `places` read-only, as `mountinfo` lists them.
///
/// Restrictions that a mount already has are kept: in a user namespace they are locked, and a remount that drops one is
/// refused.
pub(super) fn make_read_only(mountinfo: &str, places: &[PathBuf]) -> Result<()> {
    let table = fs::read_to_string(mountinfo).with_context(|| format!("reading {mountinfo}"))?;
    for (place, flags) in table.lines().filter_map(parse_line) {
        if places.iter().any(|root| place.starts_with(root)) {
            let flags = flags | TAME | MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            mount(None::<&str>, &place, None::<&str>, flags, None::<&str>)
                .with_context(|| format!("making {} read-only", place.display()))?;
        }
    }
    Ok(())
}

/// The mount point and the flags of one line of `mountinfo`.
fn parse_line(line: &str) -> Option<(PathBuf, MsFlags)> {
    let mut fields = line.split(' ').skip(4);
    let place = unescape(fields.next()?);
    let flags = fields.next()?.split(',').map(|option| match option {
        "nosuid" => MsFlags::MS_NOSUID,
        "nodev" => MsFlags::MS_NODEV,
        "noexec" => MsFlags::MS_NOEXEC,
        "noatime" => MsFlags::MS_NOATIME,
        "nodiratime" => MsFlags::MS_NODIRATIME,
        "relatime" => MsFlags::MS_RELATIME,
        _ => MsFlags::empty(),
    });
    Some((PathBuf::from(place), flags.fold(MsFlags::empty(), MsFlags::union)))
}

/// Undoes the octal escapes of `mountinfo` (`\040` for a space).
fn unescape(field: &str) -> String {
    let mut text = String::new();
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        if let Some(byte) = rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            text.push(char::from(byte));
            rest = &rest[at + 4..];
        } else {
            text.push('\\');
            rest = &rest[at + 1..];
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_mountinfo() {
        let line = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime,nosuid master:1 - ext3 /dev/root rw,errors=continue";
        let (place, flags) = parse_line(line).unwrap();
        assert_eq!(place, Path::new("/mnt 2"));
        assert_eq!(flags, MsFlags::MS_NOATIME | MsFlags::MS_NOSUID);
        assert_eq!(parse_line("36 35"), None);
    }

    #[test]
    fn escapes_are_undone_and_a_broken_one_is_kept() {
        assert_eq!(unescape("a\\011b\\134"), "a\tb\\");
        assert_eq!(unescape("a\\9\\é"), "a\\9\\é");
    }
}
