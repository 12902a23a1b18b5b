//! A **cell**: one complete environment assignment plus a replicate number. The unit of work, of retry and of resume.
//!
//! Knows nothing of containers or captures: it is only *which* environment, by level index.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Identifies a cell within one run, `c0000` upward in plan order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CellId(pub String);

impl CellId {
    /// Names the `n`th cell of a plan (counted from 0).
    #[must_use]
    pub fn nth(n: usize) -> Self {
        Self(format!("c{n:04}"))
    }
}

impl std::fmt::Display for CellId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One level index per factor, in the scenario's factor order. Level 0 is the factor's baseline.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Assignment(pub Vec<u16>);

impl Assignment {
    /// The assignment in which each of `factors` factors has its baseline level.
    #[must_use]
    pub fn baseline(factors: usize) -> Self {
        Self(vec![0; factors])
    }

    /// The level index of factor `factor`.
    ///
    /// # Panics
    /// If `factor` is not a factor of the scenario that made this assignment.
    #[must_use]
    pub fn level(&self, factor: usize) -> u16 {
        self.0[factor]
    }

    /// A copy in which `factor` has `level`.
    #[must_use]
    pub fn with(&self, factor: usize, level: u16) -> Self {
        let mut copy = self.clone();
        copy.0[factor] = level;
        copy
    }
}

/// What a cell was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A row of the covering array, or a baseline replicate.
    Cover,
    /// A run asked for while localising a difference.
    Explain,
    /// A fair-coin run.
    Confirm,
}

/// One planned run of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// Its name in this run.
    pub id: CellId,
    /// Which adaptive round asked for it, counted from 0.
    pub round: u32,
    /// What it was asked for.
    pub phase: Phase,
    /// The environment.
    pub levels: Assignment,
    /// How many cells of the same assignment stand before it in the plan.
    pub replicate: u32,
}
