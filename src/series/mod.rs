//! A **series**: versions of one target, and what becomes of a finding from one to the next. Takes findings and captures
//! of several versions, says where a finding is seen and which version to look at next; refuses to know engines, files
//! and registries.

pub mod search;
pub mod sides;
pub mod sighting;
pub mod trace;
