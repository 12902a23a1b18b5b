//! **Targets**: from a scenario's source to a folder of files that a pod can run. Installed once, cached by what was
//! asked for; package install scripts are never run on this machine, only inside a pod.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// An installed target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Folder on this machine that must stand at `/opt/target` in a pod, world-readable. `None`: the image has it all.
    pub root: Option<PathBuf>,
    /// The complete image, for `image` sources.
    pub image: Option<String>,
    /// Folders inside the pod that go first into PATH.
    pub search: Vec<String>,
    /// Variables that the installed files need (`PYTHONPATH`), pinned in every cell.
    pub variables: std::collections::BTreeMap<String, String>,
    /// Install scripts still to be run, inside a closed pod with `/opt/target` writable, in order.
    pub scripts: Vec<InstallScript>,
    /// Debian packages that a base image must have beside its own, sorted: `python3-minimal`.
    pub packages: Vec<String>,
    /// Digest of all that was installed (lower-case hex), by which images are cached.
    pub digest: String,
    /// For the manifest.
    pub facts: TargetFacts,
}

/// A package's own install script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallScript {
    /// Folder inside the pod.
    pub folder: String,
    /// Shell command.
    pub command: String,
}

/// What the manifest says of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFacts {
    /// Package URL, `pkg:npm/%40scope/name@1.2.3`, or the path or image reference.
    pub package: String,
    /// Resolved version.
    pub version: Option<String>,
    /// Registry integrity of the package's archive (`sha512-…`), and of every other package installed with it, by name@version.
    pub integrity: std::collections::BTreeMap<String, String>,
    /// The executable: path inside the pod (links followed).
    pub executable: Option<String>,
    /// SHA-256 of the executable after install scripts, lower-case hex.
    pub executable_sha256: Option<String>,
    /// Version of the Node.js or Python that runs it.
    pub runtime: Option<String>,
    /// Whether this run installed it (false: it came from the cache).
    #[serde(skip)]
    pub fresh: bool,
}
