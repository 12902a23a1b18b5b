//! The **overlay**: the files of a cell's environment as one archive, laid over the image before the start.

use std::collections::BTreeSet;
use std::path::Path;

use crate::engine::environment::{Environment, Node, PodFile, User, clock_library};

/// The machine's time-zone database.
const ZONES: &str = "/usr/share/zoneinfo";

/// When every file of a pod was last changed, as far as an agent can see: it must not depend on the cell.
pub(super) const MTIME: u64 = 1_735_689_600;

/// The files of an environment with the folders that it takes for granted: home and workspace, and what lies between them and a
/// file. Those are the agent's own; all other parents are the image's, or made by the engine as root's.
pub(super) fn complete(environment: &Environment) -> Vec<PodFile> {
    let own = [environment.user.home.as_str(), environment.workdir.as_str()];
    let named: BTreeSet<&str> = environment.files.iter().map(|file| file.path.as_str()).collect();
    let folder = |path: &str| PodFile { path: path.to_owned(), node: Node::Folder, mode: 0o755, owned_by_user: true };
    let mut made: BTreeSet<&str> = BTreeSet::new();
    let mut files: Vec<PodFile> = Vec::new();
    for path in own {
        if !named.contains(path) && path != "/" && made.insert(path) {
            files.push(folder(path));
        }
    }
    for file in &environment.files {
        for parent in ancestors(&file.path) {
            let is_own = own.iter().any(|own| is_below(parent, own));
            if is_own && !named.contains(parent) && made.insert(parent) {
                files.push(folder(parent));
            }
        }
        files.push(file.clone());
    }
    files
}

/// Whether `path` lies below `folder`.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1)
}

/// The folders above a path, from the top.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.char_indices().filter(|(at, letter)| *letter == '/' && *at > 0).map(|(at, _)| &path[..at])
}

/// Packs the files into a tar archive, to be unpacked at `/`. `in_image` says whether the image already
/// has the zone file that belongs at a path.
///
/// # Errors
/// When a zone cannot be read, or a path cannot be archived.
pub(super) fn pack(files: &[PodFile], user: &User, in_image: impl Fn(&str) -> bool) -> Result<Vec<u8>, String> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        append(&mut archive, file, user, &in_image).map_err(|error| format!("{}: {error}", file.path))?;
    }
    archive.into_inner().map_err(|error| error.to_string())
}

fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    file: &PodFile,
    user: &User,
    in_image: impl Fn(&str) -> bool,
) -> Result<(), std::io::Error> {
    let path = file.path.trim_start_matches('/');
    let mut header = tar::Header::new_gnu();
    header.set_mtime(MTIME);
    header.set_mode(file.mode);
    let (uid, gid) = if file.owned_by_user { (user.uid, user.gid) } else { (0, 0) };
    header.set_uid(u64::from(uid));
    header.set_gid(u64::from(gid));
    let mut regular = |bytes: &[u8]| {
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, path, bytes)
    };
    match &file.node {
        Node::File(bytes) => regular(bytes),
        Node::Zone(_) if in_image(&file.path) => Ok(()),
        Node::Zone(name) => regular(&zone(name)?),
        Node::Clock(setting) => regular(&clock_library(*setting, chrono::Utc::now().timestamp_millis())),
        Node::Folder => {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_size(0);
            archive.append_data(&mut header, format!("{path}/"), std::io::empty())
        }
        Node::Link(to) => {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            archive.append_link(&mut header, path, to)
        }
    }
}

/// Reads a zone file of this machine. The name has been checked; that it stays inside the folder is checked again.
fn zone(name: &str) -> Result<Vec<u8>, std::io::Error> {
    if name.starts_with('/') || name.split('/').any(|part| part == ".." || part.is_empty()) {
        return Err(std::io::Error::other(format!("`{name}` is no name of a time zone")));
    }
    std::fs::read(Path::new(ZONES).join(name)).map_err(|error| {
        std::io::Error::other(format!(
            "neither the image nor this machine has the time zone {name} ({ZONES}/{name}: {error}): install tzdata"
        ))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use super::*;

    fn environment(files: Vec<PodFile>) -> Environment {
        Environment {
            variables: BTreeMap::new(),
            files,
            hostname: String::from("box"),
            dns_search: None,
            user: User {
                name: String::from("dev"),
                uid: 1000,
                gid: 1001,
                home: String::from("/home/dev"),
                shell: String::from("/bin/sh"),
            },
            workdir: String::from("/workspace"),
            command: vec![String::from("true")],
            cpus: None,
            interface: false,
            http2: false,
        }
    }

    fn file(path: &str, node: Node, owned_by_user: bool) -> PodFile {
        PodFile { path: path.to_owned(), node, mode: 0o640, owned_by_user }
    }

    #[test]
    fn every_node_arrives_with_its_owner_and_mode() {
        let long = format!("/home/dev/{}", "x".repeat(140));
        let user = environment(Vec::new()).user;
        let packed = pack(
            &[
                file("/home/dev", Node::Folder, true),
                file(&long, Node::File(b"text".to_vec()), true),
                file("/etc/localtime", Node::Link(String::from("/usr/share/zoneinfo/UTC")), false),
                file("/usr/share/zoneinfo/UTC", Node::Zone(String::from("UTC")), false),
            ],
            &user,
            |_| true,
        )
        .unwrap();
        let mut archive = tar::Archive::new(packed.as_slice());
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let header = entry.header();
            let (uid, gid, mode) = (header.uid().unwrap(), header.gid().unwrap(), header.mode().unwrap());
            assert_eq!((mode, header.mtime().unwrap()), (0o640, MTIME));
            let link = entry.link_name().unwrap().map(|to| to.display().to_string()).unwrap_or_default();
            seen.push((entry.path().unwrap().display().to_string(), uid, gid, text, link));
        }
        let row = |path: &str, uid, gid, text: &str, link: &str| {
            (path.trim_start_matches('/').to_owned(), uid, gid, text.to_owned(), link.to_owned())
        };
        assert_eq!(
            seen,
            [
                row("/home/dev/", 1000, 1001, "", ""),
                row(&long, 1000, 1001, "text", ""),
                row("/etc/localtime", 0, 0, "", "/usr/share/zoneinfo/UTC"),
            ]
        );
    }

    #[test]
    fn a_zone_cannot_lead_out_of_the_database() {
        for name in ["../../../etc/passwd", "/etc/passwd", "Europe//Paris", ""] {
            let files = [file("/z", Node::Zone(name.to_owned()), false)];
            let packed = pack(&files, &environment(Vec::new()).user, |_| false);
            assert!(packed.unwrap_err().contains("no name of a time zone"), "{name}");
        }
    }

    #[test]
    fn folders_taken_for_granted_are_the_agents_own() {
        let files = vec![
            file("/etc/agent/policy", Node::File(Vec::new()), false),
            file("/home/dev/.config/agent/settings", Node::File(Vec::new()), true),
            file("/home/dev/.config/agent/more", Node::File(Vec::new()), true),
        ];
        let complete = complete(&environment(files));
        let paths: Vec<(&str, bool)> = complete.iter().map(|file| (file.path.as_str(), file.owned_by_user)).collect();
        assert_eq!(
            paths,
            [
                ("/home/dev", true),
                ("/workspace", true),
                ("/etc/agent/policy", false),
                ("/home/dev/.config", true),
                ("/home/dev/.config/agent", true),
                ("/home/dev/.config/agent/settings", true),
                ("/home/dev/.config/agent/more", true),
            ]
        );
    }

    #[test]
    fn places_are_compared_by_whole_names() {
        assert!(is_below("/tmp/x", "/tmp") && is_below("/tmp/x", "/tmp/") && !is_below("/tmpx", "/tmp"));
        assert!(!is_below("/tmp", "/tmp") && !is_below("/tmp/", "/tmp"));
        assert_eq!(ancestors("/a/b/c").collect::<Vec<_>>(), ["/a", "/a/b"]);
    }
}
