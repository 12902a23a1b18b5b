//! The **trace** of findings through versions: what `parallax bisect` tells, and what its `--json` holds.

use std::collections::BTreeMap;

use serde::Serialize;

use super::sighting::Sighting;
use crate::finding::Finding;

/// Version of the document's shape.
pub const SCHEMA_VERSION: u32 = 1;

/// Where findings come and go.
#[derive(Clone, Debug, Serialize)]
pub struct Trace {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The package, as the scenario names it.
    pub package: String,
    /// The seed of every cell's choice.
    pub seed: u64,
    /// All versions of the series, the oldest first.
    pub versions: Vec<String>,
    /// Those that were run, in the order in which they were.
    pub ran: Vec<Ran>,
    /// How many versions were installed; others were there.
    pub installed: usize,
    /// Versions that could not be run, with the reason.
    pub lost: BTreeMap<String, String>,
    /// The findings.
    pub findings: Vec<Traced>,
    /// What a reader must know beside it.
    pub notes: Vec<String>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// A version that was run.
#[derive(Clone, Debug, Serialize)]
pub struct Ran {
    /// The version.
    pub version: String,
    /// Cells that were observed.
    pub cells: usize,
    /// Whether the whole procedure was run, and not a few cells alone.
    pub whole: bool,
}

/// A finding through the versions.
#[derive(Clone, Debug, Serialize)]
pub struct Traced {
    /// As the run of [`Traced::version`] has it.
    pub finding: Finding,
    /// The version whose run found it.
    pub version: String,
    /// What was seen at each version that was looked at.
    pub sightings: BTreeMap<String, Sighting>,
    /// Where it comes and goes.
    pub edges: Vec<EdgeTold>,
    /// Whether it is seen in the newest version that could be judged.
    pub in_newest: Option<bool>,
}

/// Where a finding comes or goes.
#[derive(Clone, Debug, Serialize)]
pub struct EdgeTold {
    /// Whether it comes.
    pub appears: bool,
    /// The last version before: without it where it comes, with it where it goes.
    pub before: String,
    /// The first version after.
    pub after: String,
    /// Published versions between the two, which could not be judged or were not looked at.
    pub between: Vec<String>,
    /// What fresh cells showed at the version before.
    pub evidence_before: Option<Sighting>,
    /// What fresh cells showed at the version after.
    pub evidence_after: Option<Sighting>,
    /// Whether fresh cells have borne out both sides.
    pub confirmed: bool,
}

impl EdgeTold {
    /// Whether these are neighbours, and fresh cells bear it out.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.confirmed && self.between.is_empty()
    }
}

impl Traced {
    /// Whether nobody speaks of it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.finding.disclosed.is_none() && self.finding.explained_by.is_none()
    }
}

impl Trace {
    /// Whether something that nobody speaks of is in the newest version.
    #[must_use]
    pub fn is_alarm(&self) -> bool {
        self.findings.iter().any(|traced| traced.is_open() && traced.in_newest == Some(true))
    }

    /// Whether something stays open: an edge that is not exact, a newest version that could not be judged, or nothing
    /// that could be run.
    #[must_use]
    pub fn is_inconclusive(&self) -> bool {
        let open = |traced: &Traced| traced.in_newest.is_none() || !traced.edges.iter().all(EdgeTold::is_exact);
        self.ran.is_empty()
            || self.versions.last().is_some_and(|newest| self.lost.contains_key(newest))
            || self.findings.iter().any(open)
    }
}
