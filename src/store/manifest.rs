//! The **manifest**: everything that is needed to do a run again, or to read what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::capture::Sight;
use crate::engine::target::TargetFacts;
use crate::scenario::Scenario;

/// `manifest.json`. Secrets are already taken out of every part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`Manifest::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Version of this program.
    pub parallax: String,
    /// The run's id, also the value of the label on whatever the engine made.
    pub run: String,
    /// When it began, RFC 3339, UTC.
    pub started: String,
    /// The scenario file as a reader of this folder is told to run it again.
    pub scenario_path: String,
    /// The scenario file's text.
    pub scenario_text: String,
    /// SHA-256 of `scenario_text`, lower-case hex.
    pub scenario_sha256: String,
    /// What the command line changed in it, `target.version=1.2.3`.
    pub overrides: Vec<String>,
    /// The checked scenario: every factor with every level that was made real, level sets written out.
    pub scenario: Scenario,
    /// Decides the plan and every coin.
    pub seed: u64,
    /// The engine's name and version.
    pub engine: String,
    /// Cells at once.
    pub jobs: usize,
    /// What was run.
    pub target: TargetFacts,
    /// Version of the time-zone database that this program carries (not the one inside the pod).
    pub tzdb: String,
    /// Release of the kernel under the pods.
    pub kernel: String,
    /// Architecture of this machine.
    pub architecture: String,
    /// Processors of this machine.
    pub cores: usize,
    /// What the run cost, all its sessions together; absent while it goes on for the first time.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// What every cell is given where nothing varies it: the baseline made real. Absent where cells are made elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Pinned>,
    /// What could be seen in the pods' networks. Absent where they are not ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sight: Option<Sight>,
}

impl Manifest {
    /// Version of `manifest.json`.
    pub const SCHEMA_VERSION: u32 = 1;
}

/// The baseline's environment, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// Variables, those that runtimes and the run's certificate need among them.
    pub variables: BTreeMap<String, String>,
    /// Files that are laid, by path: `folder`, `file of 12 bytes, sha256 …`, `link to /x`, `time zone UTC`, `clock +0s`.
    pub files: BTreeMap<String, String>,
    /// The machine's name.
    pub hostname: String,
    /// The resolver's search domain.
    pub dns_search: Option<String>,
    /// The account's name.
    pub user: String,
    /// Its user and group id inside the pod.
    pub ids: [u32; 2],
    /// Its home folder.
    pub home: String,
    /// Its login shell.
    pub shell: String,
    /// The working folder.
    pub workdir: String,
    /// The argument vector.
    pub command: Vec<String>,
    /// Processors that are shown, where they are limited.
    pub cpus: Option<u32>,
    /// Whether the machine shows a network interface.
    pub interface: bool,
    /// Whether HTTP/2 is agreed on.
    pub http2: bool,
}

/// What a run cost, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time of the agents' processes, as the engine measured it.
    pub agent_cpu: f64,
    /// What else the machine's processors did while cells ran: engine, gateways, this program, and whatever else was
    /// running.
    pub overhead: f64,
    /// What the machine's processors did not do while cells ran.
    pub idle: f64,
    /// Wall time from the first cell to the findings.
    pub wall: f64,
    /// Wall time before the first cell: installing, opening the engine, the isolation check.
    pub preparing: f64,
}

impl std::ops::Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            agent_cpu: self.agent_cpu + other.agent_cpu,
            overhead: self.overhead + other.overhead,
            idle: self.idle + other.idle,
            wall: self.wall + other.wall,
            preparing: self.preparing + other.preparing,
        }
    }
}
