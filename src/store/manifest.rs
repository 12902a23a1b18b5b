//! The **manifest**: everything that is needed to do a run again, or to read what came of it.

use serde::{Deserialize, Serialize};

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
}

impl Manifest {
    /// Version of `manifest.json`.
    pub const SCHEMA_VERSION: u32 = 1;
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
