//! **Constraints**: combinations of levels that no cell may have.

use serde::{Deserialize, Serialize};

use crate::cell::Assignment;

/// A forbidden combination: a cell is refused when every named factor has one of the named levels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forbidden {
    /// (factor index, level indices), at least one pair; factors are distinct.
    pub when: Vec<(usize, Vec<u16>)>,
}

impl Forbidden {
    /// Whether this combination stands in `levels`.
    #[must_use]
    pub fn matches(&self, levels: &Assignment) -> bool {
        self.when.iter().all(|(factor, set)| set.contains(&levels.level(*factor)))
    }
}
