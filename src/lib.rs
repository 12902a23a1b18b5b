//! Look at the same agent from many places: whatever moves depends on where you stand.
//!
//! ```text
//! scenario ─► design ─► cell ─► [engine runs it in a pod: gateway + agent] ─► capture ─► feature ─► attribution
//!                                                                                                     │
//!                        report ◄── campaign (cover, explain, confirm as one fold) ◄── finding ◄──────┘
//! ```
//!
//! The core (`scenario` to `campaign`) is synchronous and pure; `engine`, `gateway`, `run`, `store` and `cli` have the
//! effects. `tests/architecture.rs` keeps the arrows.

pub mod attestation;
pub mod attribution;
pub mod campaign;
pub mod capture;
pub mod cell;
pub mod cli;
pub mod design;
pub mod engine;
pub mod feature;
pub mod finding;
pub mod gateway;
pub mod report;
pub mod run;
pub mod scenario;
pub mod series;
pub mod store;
pub mod wire;
