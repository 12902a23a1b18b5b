//! Which **files** an agent changed, from the engine's list of what differs from the image. That list also has the folders
//! above every change and the files that we laid over the image ourselves.

use std::collections::BTreeSet;

use super::overlay::{ancestors, is_below};
use super::upper::Layers;
use crate::capture::{Change, FileChange};
use crate::engine::environment::{Environment, Node, PodFile};

/// The places of a pod that are an agent's to write to.
fn areas(environment: &Environment) -> [&str; 3] {
    [environment.user.home.as_str(), environment.workdir.as_str(), "/tmp"]
}

/// Files of the overlay that an agent could have changed and that must be looked at to know: path, size and permission bits.
pub(super) fn to_inspect<'a>(environment: &Environment, laid: &'a [PodFile]) -> Vec<(&'a str, u64, u32)> {
    let areas = areas(environment);
    let ours = laid.iter().filter(|file| areas.iter().any(|area| is_below(&file.path, area)));
    ours.filter_map(|file| match &file.node {
        Node::File(bytes) => Some((file.path.as_str(), bytes.len() as u64, file.mode)),
        Node::Folder | Node::Link(_) | Node::Zone(_) | Node::Clock(_) => None,
    })
    .collect()
}

/// Reads a container's layers where they lie.
pub(super) fn read_layers(environment: &Environment, overlay: &[PodFile], layers: &Layers) -> Vec<FileChange> {
    let list = layers.changes(&areas(environment));
    let inspected = to_inspect(environment, overlay).into_iter();
    let touched = inspected.filter(|(path, size, mode)| !layers.is_as_laid(path, *size, *mode));
    read(environment, overlay, &list, &touched.map(|(path, ..)| path.to_owned()).collect())
}

/// Reads the engine's `list`: path and what became of it. `overlay` is what we laid, and `touched` those of its files that were
/// found changed. A folder counts where it is new and empty, or gone; else what is in it does. Sorted by path.
pub(super) fn read(
    environment: &Environment,
    overlay: &[PodFile],
    list: &[(String, Change)],
    touched: &BTreeSet<String>,
) -> Vec<FileChange> {
    let areas = areas(environment);
    let parents: BTreeSet<&str> = list.iter().flat_map(|(path, _)| ancestors(path)).collect();
    let laid: BTreeSet<&str> = overlay.iter().map(|file| file.path.as_str()).collect();
    let inside = |path: &str| areas.iter().any(|area| is_below(path, area)) && !areas.contains(&path);
    let mut found: Vec<FileChange> = list
        .iter()
        .filter(|(path, _)| inside(path) && !parents.contains(path.as_str()))
        .filter_map(|(path, change)| {
            let change = match change {
                // What we laid shows as added although nobody changed it.
                Change::Added | Change::Modified if laid.contains(path.as_str()) => {
                    touched.contains(path).then_some(Change::Modified)?
                }
                other => *other,
            };
            Some(FileChange { path: path.clone(), change })
        })
        .collect();
    // What we laid and is listed no more is gone: the image never had it.
    let listed: BTreeSet<&str> = list.iter().map(|(path, _)| path.as_str()).collect();
    let gone = to_inspect(environment, overlay).into_iter().filter(|(path, ..)| !listed.contains(path) && inside(path));
    found.extend(gone.map(|(path, ..)| FileChange { path: path.to_owned(), change: Change::Deleted }));
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::environment::User;

    fn environment() -> Environment {
        let file = |path: &str, node| PodFile { path: path.to_owned(), node, mode: 0o644, owned_by_user: true };
        Environment {
            variables: std::collections::BTreeMap::new(),
            files: vec![
                file("/etc/passwd", Node::File(Vec::new())),
                file("/home/dev", Node::Folder),
                file("/home/dev/.settings", Node::File(b"{}".to_vec())),
                file("/home/dev/.gone", Node::File(Vec::new())),
                file("/home/dev/.kept", Node::File(Vec::new())),
                file("/workspace", Node::Folder),
            ],
            hostname: String::from("box"),
            dns_search: None,
            user: User {
                name: String::from("dev"),
                uid: 1000,
                gid: 1000,
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

    #[test]
    fn only_what_the_agent_did_remains() {
        let list = [
            ("/etc", Change::Modified),
            ("/etc/passwd", Change::Modified),
            ("/home", Change::Modified),
            ("/home/dev", Change::Added),
            ("/home/dev/.settings", Change::Added),
            ("/home/dev/.kept", Change::Added),
            ("/home/dev/.cache", Change::Added),
            ("/home/dev/.cache/a", Change::Added),
            ("/home/developer/x", Change::Added),
            ("/tmp", Change::Modified),
            ("/tmp/empty", Change::Added),
            ("/tmp/old", Change::Deleted),
            ("/var/log/x", Change::Added),
            ("/workspace", Change::Added),
        ]
        .map(|(path, change)| (path.to_owned(), change));
        let touched = BTreeSet::from([String::from("/home/dev/.settings")]);
        let environment = environment();
        let found = read(&environment, &environment.files, &list, &touched);
        let rows: Vec<(&str, Change)> = found.iter().map(|file| (file.path.as_str(), file.change)).collect();
        assert_eq!(
            rows,
            [
                ("/home/dev/.cache/a", Change::Added),
                ("/home/dev/.gone", Change::Deleted),
                ("/home/dev/.settings", Change::Modified),
                ("/tmp/empty", Change::Added),
                ("/tmp/old", Change::Deleted),
            ]
        );
    }
}
