//! The **matrix**: what kind of design the first phase runs, and what it must have beside the strength that is asked for.

use serde::{Deserialize, Serialize};

use crate::cell::Assignment;

/// Which cells the first phase runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Matrix {
    /// The kind of design.
    pub kind: MatrixKind,
    /// Higher strength over named factors (mixed strength); none for other kinds than a covering array.
    pub stronger: Vec<Stronger>,
    /// Cells that must be run, each allowed by the constraints and none of them twice.
    pub given: Vec<Assignment>,
}

impl Matrix {
    /// Whether nothing but a plain covering array is asked for.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// A kind of design.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatrixKind {
    /// Every combination of levels of `strength` factors stands in some row.
    #[default]
    Covering,
    /// Every combination of levels of all factors is a row.
    FullFactorial,
    /// The baseline, and every level of every factor alone.
    OneFactor,
}

impl MatrixKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Covering, Self::FullFactorial, Self::OneFactor];

    /// Its name in a scenario.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Covering => "covering",
            Self::FullFactorial => "full_factorial",
            Self::OneFactor => "one_factor",
        }
    }
}

/// A higher strength over some of the factors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stronger {
    /// Factor indices, sorted, each once.
    pub factors: Vec<usize>,
    /// Every combination of levels of so many of them stands in some row.
    pub strength: u8,
}
