//! What the program tells a pod's init, and what that says back: one message each way over a socket pair.
//!
//! A message down is the length of a JSON head, the head, and then the files' bytes one after another: files may be
//! large, and bytes are poor JSON.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::capture::{FileChange, Outcome};
use crate::engine::environment::{Environment, Node, clock_library};

/// How a pod's user namespace is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Standing {
    /// By root: mounts are made first, then the pod drops to this outer user and group id.
    Root {
        /// Id outside.
        outer: u32,
    },
    /// By an ordinary user, below the gateway's user namespace.
    Rootless,
}

/// What stands at `/opt/target`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum TargetMount {
    /// Nothing: the command is a program of the host's program folders.
    Nothing,
    /// A folder.
    Folder {
        /// On the host, canonical.
        path: PathBuf,
        /// Whether the pod may write (install scripts).
        writable: bool,
    },
    /// One program, as `/opt/target/parallax`.
    Program {
        /// On the host, canonical.
        path: PathBuf,
    },
}

/// Everything that a pod's init must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PodSpec {
    /// How its user namespace is made.
    pub(super) standing: Standing,
    /// Process id of the gateway whose network it joins.
    pub(super) gateway: u32,
    /// What stands at `/opt/target`.
    pub(super) target: TargetMount,
    /// Variables.
    pub(super) variables: BTreeMap<String, String>,
    /// Files, contents apart.
    pub(super) files: Vec<FileSpec>,
    /// The machine's name.
    pub(super) hostname: String,
    /// The resolver's search domain.
    pub(super) dns_search: Option<String>,
    /// Account name.
    pub(super) user: String,
    /// User id inside.
    pub(super) uid: u32,
    /// Group id inside.
    pub(super) gid: u32,
    /// Home folder.
    pub(super) home: String,
    /// Login shell.
    pub(super) shell: String,
    /// Working folder.
    pub(super) workdir: String,
    /// Argument vector.
    pub(super) command: Vec<String>,
    /// Processors to show, and which comes first.
    pub(super) cpus: Option<(u32, u32)>,
    /// Whether the gateway is to show a network interface.
    pub(super) interface: bool,
    /// Whether it is to agree on HTTP/2.
    pub(super) http2: bool,
    /// Bytes of memory at most.
    pub(super) memory_bytes: u64,
    /// Processes and threads at most.
    pub(super) processes: u32,
    /// Deadline.
    pub(super) timeout_ms: u64,
    /// A file inside whose text is wanted when everything has ended.
    pub(super) wanted: Option<String>,
}

/// A file to lay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileSpec {
    /// Absolute path inside.
    pub(super) path: String,
    /// What stands there.
    pub(super) node: NodeSpec,
    /// Permission bits.
    pub(super) mode: u32,
    /// Whether it is the agent's.
    pub(super) owned_by_user: bool,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum NodeSpec {
    /// A folder.
    Folder,
    /// A file; its bytes follow the head.
    File {
        /// How many.
        length: usize,
        /// They themselves.
        #[serde(skip)]
        bytes: Vec<u8>,
    },
    /// A symbolic link.
    Link(String),
    /// A zone of the time-zone database.
    Zone(String),
}

/// What the init says before it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Status {
    /// The agent ran.
    Ended(Ended),
    /// The pod could not be built, or the command could not be started.
    Failed {
        /// What went wrong, with its causes.
        message: String,
    },
}

/// How the agent ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ended {
    /// Wall clock at its start.
    pub(super) started_unix_ms: i64,
    /// Wall time, microseconds.
    pub(super) wall_us: u64,
    /// CPU time of all its processes, microseconds.
    pub(super) cpu_us: u64,
    /// How it ended.
    pub(super) outcome: Outcome,
    /// Files changed.
    pub(super) files: Vec<FileChange>,
    /// The text of the file that was wanted, its beginning.
    pub(super) wanted: Option<String>,
}

/// A head longer than this is not one of ours.
const HEAD_LIMIT: usize = 64 << 20;

impl PodSpec {
    /// A pod with nothing in it yet.
    pub(super) fn bare(standing: Standing, gateway: u32) -> Self {
        Self {
            standing,
            gateway,
            target: TargetMount::Nothing,
            variables: BTreeMap::new(),
            files: Vec::new(),
            hostname: String::new(),
            dns_search: None,
            user: String::new(),
            uid: 1000,
            gid: 1000,
            home: String::new(),
            shell: String::new(),
            workdir: String::new(),
            command: Vec::new(),
            cpus: None,
            interface: false,
            http2: false,
            memory_bytes: 1 << 30,
            processes: 256,
            timeout_ms: 60_000,
            wanted: None,
        }
    }

    /// The message, ready to be sent.
    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        let head = serde_json::to_vec(self)?;
        let length = u32::try_from(head.len()).map_err(io::Error::other)?;
        let mut message = length.to_le_bytes().to_vec();
        message.extend_from_slice(&head);
        for file in &self.files {
            if let NodeSpec::File { bytes, .. } = &file.node {
                message.extend_from_slice(bytes);
            }
        }
        Ok(message)
    }

    /// Reads a message.
    pub(super) fn decode(reader: &mut impl Read) -> io::Result<Self> {
        let mut length = [0; 4];
        reader.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_le_bytes(length)).map_err(io::Error::other)?;
        if length > HEAD_LIMIT {
            return Err(io::Error::other("the head is too long"));
        }
        let mut head = vec![0; length];
        reader.read_exact(&mut head)?;
        let mut spec: Self = serde_json::from_slice(&head)?;
        for file in &mut spec.files {
            if let NodeSpec::File { length, bytes } = &mut file.node {
                let expected = u64::try_from(*length).map_err(io::Error::other)?;
                if reader.take(expected).read_to_end(bytes)? != *length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        Ok(spec)
    }

    /// Takes over what an environment says.
    pub(super) fn set_environment(&mut self, environment: &Environment, slot: usize) {
        let user = &environment.user;
        self.variables.clone_from(&environment.variables);
        self.hostname.clone_from(&environment.hostname);
        self.dns_search.clone_from(&environment.dns_search);
        self.user.clone_from(&user.name);
        (self.uid, self.gid) = (user.uid, user.gid);
        self.home.clone_from(&user.home);
        self.shell.clone_from(&user.shell);
        self.workdir.clone_from(&environment.workdir);
        self.command.clone_from(&environment.command);
        self.cpus = environment.cpus.map(|count| (count, u32::try_from(slot).unwrap_or(0).wrapping_mul(count)));
        self.interface = environment.interface;
        self.http2 = environment.http2;
        self.files = environment
            .files
            .iter()
            .map(|file| FileSpec {
                path: file.path.clone(),
                node: match &file.node {
                    Node::Folder => NodeSpec::Folder,
                    Node::File(bytes) => file_of(bytes.clone()),
                    Node::Link(to) => NodeSpec::Link(to.clone()),
                    Node::Zone(name) => NodeSpec::Zone(name.clone()),
                    Node::Clock(setting) => file_of(clock_library(*setting, chrono::Utc::now().timestamp_millis())),
                },
                mode: file.mode,
                owned_by_user: file.owned_by_user,
            })
            .collect();
    }
}

fn file_of(bytes: Vec<u8>) -> NodeSpec {
    NodeSpec::File { length: bytes.len(), bytes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::environment::{PodFile, User};

    fn spec() -> PodSpec {
        let mut spec = PodSpec::bare(Standing::Root { outer: 7 }, 12);
        spec.target = TargetMount::Folder { path: "/x".into(), writable: false };
        let file = |path: &str, node| PodFile { path: path.to_owned(), node, mode: 0o644, owned_by_user: true };
        let environment = Environment {
            variables: BTreeMap::from([("TZ".to_owned(), "UTC".to_owned())]),
            files: vec![
                file("/a", Node::File(b"first \0\xff".to_vec())),
                file("/b", Node::Zone("UTC".to_owned())),
                file("/c", Node::File(Vec::new())),
                file("/d", Node::File(b"last".to_vec())),
            ],
            hostname: "h".to_owned(),
            dns_search: Some("corp.example".to_owned()),
            user: User { name: "u".into(), uid: 1000, gid: 1001, home: "/home/u".into(), shell: "/bin/sh".into() },
            workdir: "/w".to_owned(),
            command: vec!["true".to_owned()],
            cpus: Some(2),
            interface: false,
            http2: false,
        };
        spec.set_environment(&environment, 3);
        spec
    }

    #[test]
    fn a_message_comes_back_whole() {
        let spec = spec();
        assert_eq!(spec.cpus, Some((2, 6)));
        let message = spec.encode().unwrap();
        assert_eq!(PodSpec::decode(&mut message.as_slice()).unwrap(), spec);
    }

    #[test]
    fn a_cut_message_is_an_error() {
        let message = spec().encode().unwrap();
        for cut in [0, 3, 4, 50, message.len() - 1] {
            assert!(PodSpec::decode(&mut &message[..cut]).is_err(), "cut at {cut}");
        }
        assert!(PodSpec::decode(&mut [255u8; 8].as_slice()).is_err());
    }
}
