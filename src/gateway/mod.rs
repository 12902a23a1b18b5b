//! The **gateway**: a whole fake Internet around one agent. It owns the pod's network namespace, answers every name and
//! address, and reports every byte that it was sent. It knows nothing of scenarios beyond the stub's script, and nothing
//! of designs, features or findings.

pub mod authority;
pub mod protocol;
