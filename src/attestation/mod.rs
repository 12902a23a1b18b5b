//! **Attestation**: what a run showed, as a signed statement that others can check: which environments were tried, how
//! hard, and what depends on what. Takes a finished run's manifest, plan and findings, gives a DSSE envelope with an in-toto
//! statement; and takes such an envelope, and says why it is not to be relied on. Knows no files and no clock: whoever
//! calls gives bytes and the time.
//!
//! What was not tested is never said to have passed.

pub mod badge;
mod conditions;
pub mod envelope;
mod hypothesis;
pub mod key;
pub mod policy;
pub mod statement;
mod subject;
pub mod verify;

pub use conditions::{Conditions, Dependence, Standing};
pub use hypothesis::{Outcome, Seen, Tests};
pub use statement::{Evidence, Predicate, Statement, TestOutcome};
pub use subject::Descriptor;
