//! **Conditions**: under which a claim holds, and how hard was looked. A claim without them says nothing.

use serde::{Deserialize, Serialize};

use super::hypothesis::{Seen, Tests, channel_name};
use crate::finding::{Class, Finding, Findings, Stale};
use crate::store::Manifest;

/// Version of these conditions.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// What was varied, how, and what could have been missed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// When the run began, RFC 3339, UTC: the age of the evidence.
    pub observed: String,
    /// When this was written, RFC 3339, UTC.
    pub certified: String,
    /// What was varied, baseline first.
    pub factors: Vec<Varied>,
    /// What was held constant and so cannot have been found.
    pub not_varied: Vec<String>,
    /// Every combination of levels of this many factors was to be run.
    pub strength: u8,
    /// Such combinations that were run.
    pub combinations_covered: u64,
    /// Such combinations that the scenario allows.
    pub combinations_total: u64,
    /// Cells that were observed.
    pub cells_observed: u32,
    /// Cells that the engine lost.
    pub cells_failed: u32,
    /// Replicates of the baseline.
    pub replicates: u32,
    /// Family-wise error rate of what is said to be found.
    pub alpha: f64,
    /// Probability with which a marker is seen that shows at [`Conditions::smallest_detectable_rate`] under its trigger.
    pub power: f64,
    /// The smallest such rate, where the trigger is the rarest combination of `strength` levels.
    pub smallest_detectable_rate: f64,
    /// Whether cells were lost, the agent was silent or the budget ended the search.
    pub inconclusive: bool,
    /// Signals that were seen and could be laid to no factor, or were not confirmed.
    pub unexplained: usize,
    /// Channels that carried anything.
    pub channels: Vec<String>,
    /// Hypotheses that were not tested.
    pub untested: Vec<String>,
    /// Everything that was found, whether it is open, disclosed or explained.
    pub dependences: Vec<Dependence>,
    /// Disclosures that the run does not bear out.
    pub stale: Vec<Stale>,
    /// The engine and the kernel under it.
    pub engine: String,
    /// What ran the target, `Node.js 22.1.0`.
    pub runtime: Option<String>,
    /// Architecture of the machine.
    pub architecture: String,
    /// The time-zone database.
    pub tzdb: String,
}

/// A factor and its levels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Varied {
    /// Its name in the scenario.
    pub name: String,
    /// What it is: `timezone`, `env`, …
    pub kind: String,
    /// Its levels, the baseline first; `(unset)` where it is not there at all.
    pub levels: Vec<String>,
}

/// Something that was found to depend on the environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependence {
    /// The finding's id.
    pub finding: String,
    /// How visible it is.
    pub class: Class,
    /// Where it shows.
    pub channels: Vec<String>,
    /// On what it depends.
    pub factors: Vec<String>,
    /// Whether anyone speaks of it.
    pub standing: Standing,
    /// What the vendor says, or what explains it.
    pub says: Option<String>,
}

/// Whether anyone speaks of a dependence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Neither explained nor disclosed.
    Open,
    /// The vendor says so.
    Disclosed,
    /// Expected of any agent: an echo of a level, a local date.
    Explained,
}

impl Dependence {
    /// What a finding says, without any text of the agent's.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        let (standing, says) = match (&finding.explained_by, &finding.disclosed) {
            (Some(why), _) => (Standing::Explained, Some(why.clone())),
            (None, Some(says)) => (Standing::Disclosed, Some(says.clone())),
            (None, None) => (Standing::Open, None),
        };
        let mut channels = finding.channels.clone();
        if channels.is_empty() {
            channels.push(finding.channel);
        }
        Self {
            finding: finding.id.clone(),
            class: finding.class,
            channels: channels.into_iter().map(channel_name).collect(),
            factors: finding.factors.clone(),
            standing,
            says,
        }
    }
}

impl Conditions {
    /// The conditions of a run.
    #[must_use]
    pub fn of(manifest: &Manifest, findings: &Findings, seen: &Seen, tests: &Tests, certified: String) -> Self {
        let scenario = &manifest.scenario;
        let varied = |factor: &crate::scenario::Factor| Varied {
            name: factor.name.clone(),
            kind: factor.kind.name().to_owned(),
            levels: factor.levels.iter().map(|level| level.label().to_owned()).collect(),
        };
        Self {
            schema_version: SCHEMA_VERSION,
            scenario: scenario.name.clone(),
            observed: manifest.started.clone(),
            certified,
            factors: scenario.factors.iter().map(varied).collect(),
            not_varied: findings.not_varied.clone(),
            strength: findings.power.strength,
            combinations_covered: findings.power.tuples_covered,
            combinations_total: findings.power.tuples_total,
            cells_observed: findings.cells.observed,
            cells_failed: findings.cells.failed,
            replicates: scenario.design.replicates,
            alpha: findings.power.alpha,
            power: 0.95,
            smallest_detectable_rate: findings.power.smallest_rate,
            inconclusive: findings.inconclusive,
            unexplained: findings.power.unexplained.len(),
            channels: seen.channels.iter().map(|channel| channel_name(*channel)).collect(),
            untested: tests.untested.clone(),
            dependences: findings.findings.iter().map(Dependence::of).collect(),
            stale: findings.stale.clone(),
            engine: format!("{}; kernel {}", manifest.engine, manifest.kernel),
            runtime: manifest.target.runtime.clone(),
            architecture: manifest.architecture.clone(),
            tzdb: manifest.tzdb.clone(),
        }
    }
}
