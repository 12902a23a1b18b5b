//! Lays a cell's files into a pod's root: those that the environment brings, and the names that every machine has.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use nix::mount::{MntFlags, umount2};

use super::spec::{FileSpec, NodeSpec, PodSpec};
use super::{mounts, root};

/// The machine's time-zone database.
const ZONES: &str = "/usr/share/zoneinfo";

/// Where files wait that are to be laid over the host's read-only folders.
const STAGE: &str = "/.stage";

/// The resolver's address. Any would do, since all end at the gateway; the docker engine has the same.
const NAME_SERVER: &str = "10.96.0.10";

/// Lays everything. The host's files must be out of reach.
pub(super) fn lay(spec: &PodSpec) -> Result<()> {
    for (path, text) in names(spec) {
        if !spec.files.iter().any(|file| file.path == path) {
            fs::write(path, text).with_context(|| format!("writing {path}"))?;
        }
    }
    let mut over: Vec<&FileSpec> = Vec::new();
    for file in &spec.files {
        let path = checked(&file.path)?;
        if root::on_host(path, spec) {
            if !stands_already(file, path)? {
                over.push(file);
            }
        } else {
            place(file, path)?;
            // A folder made on the way to a file of the agent's is the agent's too: only its own, never `/home`.
            for ancestor in path.ancestors().skip(1).filter(|ancestor| owned(ancestor, spec)) {
                root::give(ancestor, spec)?;
            }
            if file.owned_by_user {
                root::give(path, spec)?;
            }
        }
    }
    if over.is_empty() { Ok(()) } else { lay_over(&over) }
}

/// What every machine has: names, accounts, the resolver. An environment's own file of the same path wins.
fn names(spec: &PodSpec) -> BTreeMap<&'static str, String> {
    let PodSpec { hostname, user, uid, gid, home, shell, .. } = spec;
    let search = spec.dns_search.as_ref().map(|domain| format!("search {domain}\n")).unwrap_or_default();
    BTreeMap::from([
        ("/etc/hostname", format!("{hostname}\n")),
        (
            "/etc/hosts",
            format!(
                "127.0.0.1\tlocalhost\n127.0.1.1\t{hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n\
                 ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
            ),
        ),
        ("/etc/resolv.conf", format!("{search}nameserver {NAME_SERVER}\n")),
        (
            "/etc/passwd",
            format!(
                "root:x:0:0:root:/root:/bin/bash\n{user}:x:{uid}:{gid}::{home}:{shell}\n\
                 nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
            ),
        ),
        ("/etc/group", format!("root:x:0:\n{user}:x:{gid}:\nnogroup:x:65534:\n")),
    ])
}

/// Whether a folder is the agent's own: its home, its workspace, and what is below them.
fn owned(path: &Path, spec: &PodSpec) -> bool {
    path.starts_with(&spec.home) || path.starts_with(&spec.workdir)
}

/// Refuses a path that is not absolute and normalised, and places that are not files' places.
fn checked(path: &str) -> Result<&Path> {
    let path = Path::new(path);
    let normal = path.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
    ensure!(path.is_absolute() && normal && path != Path::new("/"), "{} is not a file's path", path.display());
    if path.starts_with("/proc") || path.starts_with("/dev") {
        bail!("{}: no file can be laid there", path.display());
    }
    Ok(path)
}

/// Writes one file, whatever stood there.
fn place(file: &FileSpec, path: &Path) -> Result<()> {
    let what = || format!("laying {}", file.path);
    if let Some(parent) = path.parent() {
        root::make_folder(parent, 0o755)?;
    }
    let stands = fs::symlink_metadata(path).ok();
    if stands.as_ref().is_some_and(|metadata| !metadata.is_dir()) {
        fs::remove_file(path).with_context(what)?;
    }
    match &file.node {
        NodeSpec::Folder => fs::create_dir_all(path),
        NodeSpec::File { bytes, .. } => fs::write(path, bytes),
        NodeSpec::Link(to) => return symlink(to, path).with_context(what),
        NodeSpec::Zone(name) => fs::write(path, zone(name)?),
    }
    .with_context(what)?;
    fs::set_permissions(path, fs::Permissions::from_mode(file.mode)).with_context(what)
}

/// A zone's file.
fn zone(name: &str) -> Result<Vec<u8>> {
    let normal = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    ensure!(normal, "{name:?} is not a zone's name");
    fs::read(Path::new(ZONES).join(name)).with_context(|| {
        format!("reading the zone {name} from {ZONES}: install this machine's time-zone database (the package tzdata)")
    })
}

/// Whether the host has this very file there.
fn stands_already(file: &FileSpec, path: &Path) -> Result<bool> {
    Ok(match &file.node {
        NodeSpec::Folder => path.is_dir(),
        NodeSpec::File { bytes, .. } => fs::read(path).is_ok_and(|stands| stands == *bytes),
        NodeSpec::Link(to) => fs::read_link(path).is_ok_and(|stands| stands == Path::new(to)),
        NodeSpec::Zone(name) => {
            let zone = zone(name)?;
            fs::read(path).is_ok_and(|stands| stands == zone)
        }
    })
}

/// Lays files over read-only folders: they are staged, and each deepest folder that exists gets its stage as an upper
/// layer. Overlays are made from the top down, so that one does not hide another.
fn lay_over(files: &[&FileSpec]) -> Result<()> {
    root::make_folder(Path::new(STAGE), 0o755)?;
    mounts::tmpfs(STAGE, "mode=0755")?;
    let mut layers: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for file in files {
        let path = Path::new(&file.path);
        let existing = path.ancestors().skip(1).find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
        // Through links, so that `/lib/x` and `/usr/lib/x` share a layer.
        let lower = existing.canonicalize().with_context(|| format!("finding {}", existing.display()))?;
        let number = layers.len();
        let stage = layers.entry(lower).or_insert_with(|| Path::new(STAGE).join(number.to_string())).clone();
        root::make_folder(&stage, 0o755)?;
        let rest = path.strip_prefix(existing).unwrap_or(path);
        place(file, &stage.join(rest))?;
    }
    for (lower, stage) in &layers {
        mounts::overlay(stage, lower)?;
    }
    umount2(STAGE, MntFlags::MNT_DETACH).context("letting go of the stage")?;
    fs::remove_dir(STAGE).context("removing the stage")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_absolute_paths_are_laid() {
        for good in ["/etc/localtime", "/home/a b/.x"] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in ["", "/", "etc/x", "/a/../b", "../x", "/proc/1/x", "/dev/null", "/dev"] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_zone_that_leaves_the_database_is_refused() {
        for bad in ["../../etc/passwd", "/etc/passwd", "No/Such_Zone"] {
            assert!(zone(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_replaces_what_stood_there_and_a_link_is_never_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("deep/x"), folder.path().join("elsewhere"));
        fs::write(&elsewhere, "untouched").unwrap();
        let file = |node| FileSpec { path: "/x".to_owned(), node, mode: 0o640, owned_by_user: false };
        place(&file(NodeSpec::Link(elsewhere.to_string_lossy().into_owned())), &path).unwrap();
        place(&file(NodeSpec::File { length: 3, bytes: b"new".to_vec() }), &path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read(&elsewhere).unwrap(), b"untouched");
    }
}
