//! The **owner** of what we make in an engine: the process that made it, so that a sweep removes what dead runs left
//! behind and never hurts a live one.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use crate::engine::pod::LABEL;

/// The label that says whose a container is.
pub(super) const OWNER_LABEL: &str = "dev.parallax.owner";

/// The label that says what a thing is for: `gateway`, `agent`, `canary`, `base`, `target`.
pub(super) const ROLE_LABEL: &str = "dev.parallax.role";

/// The label that says which cell a container was made for.
pub(super) const CELL_LABEL: &str = "dev.parallax.cell";

/// A process of some machine. Process ids mean something only within one boot and one pid namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    machine: String,
    boot: String,
    namespace: String,
    pid: u32,
    started: u64,
}

/// What is known of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It runs.
    Alive,
    /// It does not run any more.
    Dead,
    /// It is of another machine or namespace.
    Unknown,
}

impl Owner {
    /// This process.
    pub(super) fn current() -> Self {
        let pid = std::process::id();
        let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let name = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        Self {
            // Only a digest leaves the machine: a remote engine need not learn its id.
            machine: hex::encode(&Sha256::digest(format!("{} {name}", machine.trim()))[..6]),
            boot: std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .unwrap_or_default()
                .trim()
                .split('-')
                .next()
                .unwrap_or_default()
                .to_owned(),
            namespace: namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect(),
            pid,
            started: started(pid).unwrap_or(0),
        }
    }

    /// Reads a label's value.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let mut next = || parts.next().map(str::to_owned);
        let (machine, boot, namespace, pid, started) = (next()?, next()?, next()?, next()?, next()?);
        let owner = Self { machine, boot, namespace, pid: pid.parse().ok()?, started: started.parse().ok()? };
        parts.next().is_none().then_some(owner)
    }

    /// Whether this owner still runs, as far as `us` can tell.
    fn life(&self, us: &Self) -> Life {
        if self.machine != us.machine {
            Life::Unknown
        } else if self.boot != us.boot {
            Life::Dead
        } else if self.namespace != us.namespace {
            Life::Unknown
        } else if started(self.pid) == Some(self.started) {
            Life::Alive
        } else {
            Life::Dead
        }
    }

    /// What is known of the owner of something with these labels.
    pub(super) fn life_of(labels: &HashMap<String, String>, us: &Self) -> Life {
        labels.get(OWNER_LABEL).and_then(|text| Self::parse(text)).map_or(Life::Unknown, |owner| owner.life(us))
    }

    /// The labels of something made for `run`.
    pub(super) fn labels(&self, run: &str, role: &str) -> HashMap<String, String> {
        HashMap::from([
            (LABEL.to_owned(), run.to_owned()),
            (OWNER_LABEL.to_owned(), self.to_string()),
            (ROLE_LABEL.to_owned(), role.to_owned()),
        ])
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}/{}/{}", self.machine, self.boot, self.namespace, self.pid, self.started)
    }
}

/// When a process was started, in clock ticks since boot; `None` where there is no such process.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may itself have spaces and parentheses; what follows the last one is fields 3 and on.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_read_back_and_this_process_lives() {
        let us = Owner::current();
        assert_eq!(Owner::parse(&us.to_string()).as_ref(), Some(&us));
        assert_eq!(us.life(&us), Life::Alive);
        let labels = us.labels("abcdefgh", "agent");
        assert_eq!(Owner::life_of(&labels, &us), Life::Alive);
    }

    #[test]
    fn a_reused_process_id_a_reboot_and_another_machine_are_told_apart() {
        let us = Owner::current();
        let reused = Owner { started: us.started + 1, ..us.clone() };
        assert_eq!(reused.life(&us), Life::Dead);
        let rebooted = Owner { boot: String::from("00000000"), ..us.clone() };
        assert_eq!(rebooted.life(&us), Life::Dead);
        let elsewhere = Owner { machine: String::from("another"), ..us.clone() };
        assert_eq!(elsewhere.life(&us), Life::Unknown);
        let boxed = Owner { namespace: String::from("1"), ..us.clone() };
        assert_eq!(boxed.life(&us), Life::Unknown);
    }

    #[test]
    fn nonsense_is_unknown() {
        for text in ["", "a/b/c", "a/b/c/x/1", "a/b/c/1/1/more"] {
            assert_eq!(Owner::parse(text), None, "{text}");
        }
        assert_eq!(Owner::life_of(&HashMap::new(), &Owner::current()), Life::Unknown);
    }
}
