//! A cell's **environment** as an engine makes it real: variables, files, names and a command. Pure.

use std::collections::BTreeMap;

/// The environment of one cell, complete: an engine adds nothing that an agent could see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// All variables, PATH included.
    pub variables: BTreeMap<String, String>,
    /// Files to lay over the image before the start, parents before children.
    pub files: Vec<PodFile>,
    /// The machine's name.
    pub hostname: String,
    /// The resolver's search domain.
    pub dns_search: Option<String>,
    /// The account.
    pub user: User,
    /// Working folder, absolute.
    pub workdir: String,
    /// Argument vector; the first is found by PATH unless it has a slash.
    pub command: Vec<String>,
    /// Processors to show, if limited.
    pub cpus: Option<u32>,
}

/// The account that the agent runs under. Always unprivileged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// User id inside the pod.
    pub uid: u32,
    /// Group id inside the pod.
    pub gid: u32,
    /// Home folder, absolute.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// A file, folder or link laid into the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFile {
    /// Absolute path inside the pod, normalised (no `..`).
    pub path: String,
    /// What stands there.
    pub node: Node,
    /// Permission bits.
    pub mode: u32,
    /// Whether it belongs to the agent's account; else to root.
    pub owned_by_user: bool,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder,
    /// A file with this content.
    File(Vec<u8>),
    /// A symbolic link.
    Link(String),
    /// The zone file of this IANA name, from the machine's time-zone database (the engine reads it).
    Zone(String),
}
