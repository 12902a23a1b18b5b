//! What every engine that builds **pods** must know before its first cell, whatever it builds them from.

use std::path::PathBuf;

use super::target::Installed;
use crate::gateway::authority::Authority;
use crate::scenario::{Limits, Stub};

/// The label that everything we make carries, so that a sweep finds it. Its value is the run's id.
pub const LABEL: &str = "dev.parallax.run";

/// Where the installed target stands inside a pod, read-only.
pub const TARGET_ROOT: &str = "/opt/target";

/// The default workspace folder.
pub const WORKSPACE: &str = "/workspace";

/// Folders of the machine that hold programs and nothing personal, without their leading slash: what pods show of it where
/// they have no image. Links among them are kept as links.
pub(in crate::engine) const PROGRAM_FOLDERS: [&str; 9] =
    ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store", "gnu/store"];

/// What an engine needs to open.
#[derive(Clone, Debug)]
pub struct PodOptions {
    /// Short random id of the run, `[a-z0-9]{8,}`.
    pub run: String,
    /// Cells at once.
    pub slots: usize,
    /// The run's certificate authority.
    pub authority: Authority,
    /// TCP ports beside 80 and 443 that gateways listen on.
    pub ports: Vec<u16>,
    /// How gateways answer.
    pub stub: Stub,
    /// Our own executable, for the gateway, the pod's init and the canary.
    pub program: PathBuf,
    /// The installed target.
    pub target: Installed,
    /// Limits of one cell.
    pub limits: Limits,
    /// Cache folder (images' build contexts, unpacked bases).
    pub cache: PathBuf,
}
