//! Whether this machine lets us build pods from namespaces: by building the bones of one in a short-lived process.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};
use caps::{CapSet, Capability};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, getegid, geteuid};

use super::{confine, mounts, sys};

/// The hidden subcommand under which our program tries it.
pub(super) const SUBCOMMAND: &str = "pod-probe";

/// What the trial says when all went well.
const FINE: &str = "pods can be built";

/// What the embedded engine found of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedFacts {
    /// Kernel release.
    pub kernel: String,
    /// Whether pods are built by root (they drop to an id of their own) or by an ordinary user.
    pub root: bool,
}

/// Ids that no account and no other container tool uses; the second only where the first is not ours to use.
const OUTER_IDS: [u32; 2] = [1_900_000_000, 64_000];

/// Capabilities with which pods are built by root. Missing any, they are built as an ordinary user builds them.
const NEEDED: [Capability; 7] = [
    Capability::CAP_SYS_ADMIN,
    Capability::CAP_SETUID,
    Capability::CAP_SETGID,
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FOWNER,
    Capability::CAP_SYS_PTRACE,
];

/// The first of the outer ids for pods, where root can build them.
pub(super) fn outer_ids() -> Option<u32> {
    let able = NEEDED.iter().all(|cap| caps::has_cap(None, CapSet::Effective, *cap).unwrap_or(false));
    let maps = ["/proc/self/uid_map", "/proc/self/gid_map"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let mapped = |id: &u32| maps.iter().all(|map| map_has(map, *id) && map_has(map, *id + 1000));
    OUTER_IDS.into_iter().find(mapped).filter(|_| able && geteuid().is_root())
}

/// Whether an id map has `id`.
fn map_has(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        matches!(numbers[..], [first, _, count] if (first..first.saturating_add(count)).contains(&u64::from(id)))
    })
}

/// Whether this machine lets us build pods; if not, what blocks it and how to mend that.
pub fn probe() -> Result<EmbeddedFacts, String> {
    let program = std::env::current_exe().map_err(|error| format!("finding our own executable: {error}"))?;
    probe_with(&program)
}

/// As [`probe`], with our executable given.
pub(super) fn probe_with(program: &Path) -> Result<EmbeddedFacts, String> {
    let output = Command::new(program)
        .arg(SUBCOMMAND)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("starting {}: {error}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if said == FINE {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
        return Ok(EmbeddedFacts { kernel, root: outer_ids().is_some() });
    }
    let said = if said.is_empty() { format!("the trial ended with {}", output.status) } else { said };
    let read = |path: &str| fs::read_to_string(path).ok();
    let container = Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists();
    let filtered = read("/proc/self/status").is_some_and(|status| status.contains("Seccomp:\t2"));
    Err(format!(
        "this machine does not let us build pods from namespaces ({said}). {}",
        mend(read, container || filtered)
    ))
}

/// What to do about it, most likely cause first.
fn mend(read: impl Fn(&str) -> Option<String>, container: bool) -> String {
    let is = |path: &str, value: &str| read(path).is_some_and(|text| text.trim() == value);
    if is("/proc/sys/user/max_user_namespaces", "0") {
        "User namespaces are switched off: sudo sysctl -w user.max_user_namespaces=15000".to_owned()
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "User namespaces are for root only: sudo sysctl -w kernel.unprivileged_userns_clone=1, or run as root"
            .to_owned()
    } else if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "AppArmor takes the powers of user namespaces: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, \
         or run as root"
            .to_owned()
    } else if container {
        "This seems to be a container. Start it with --privileged, or with --security-opt seccomp=unconfined \
         --security-opt apparmor=unconfined --security-opt systempaths=unconfined"
            .to_owned()
    } else {
        "Run as root, or use --engine docker".to_owned()
    }
}

/// The trial itself. To be called before any thread is started.
#[must_use]
pub(super) fn run() -> ExitCode {
    sys::close_inherited();
    let (said, code) = match trial() {
        Ok(true) => (FINE.to_owned(), ExitCode::SUCCESS),
        Ok(false) => return ExitCode::SUCCESS,
        Err(error) => (format!("{error:#}"), ExitCode::FAILURE),
    };
    let _ = writeln!(std::io::stdout().lock(), "{said}");
    code
}

/// Builds a pod's bones. `Ok(false)` in a child whose parent has the last word.
fn trial() -> Result<bool> {
    let user = if outer_ids().is_some() { CloneFlags::empty() } else { CloneFlags::CLONE_NEWUSER };
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let others = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    unshare(user | others).context("making namespaces")?;
    if !user.is_empty() {
        confine::write_map(&PathBuf::from("/proc/self"), (1000, 1000), (uid, gid), true)?;
    }
    match sys::fork_single_threaded().context("forking")? {
        ForkResult::Parent { child } => match waitpid(child, None).context("waiting")? {
            WaitStatus::Exited(_, 0) => Ok(true),
            // It has said why.
            WaitStatus::Exited(..) => Ok(false),
            other => bail!("the trial ended with {other:?}"),
        },
        ForkResult::Child => {
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
                .context("making mounts private")?;
            mounts::tmpfs("/usr", "mode=0755")?;
            fs::create_dir("/usr/proc").context("writing to a fresh file system")?;
            mounts::pseudo("proc", "/usr/proc", MsFlags::MS_NODEV, None)?;
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_named_with_its_cure() {
        let only = |wanted: &'static str, value: &'static str| {
            move |path: &str| (path.ends_with(wanted)).then(|| format!("{value}\n"))
        };
        assert!(mend(only("max_user_namespaces", "0"), false).contains("user.max_user_namespaces"));
        assert!(mend(only("unprivileged_userns_clone", "0"), true).contains("unprivileged_userns_clone=1"));
        assert!(mend(only("apparmor_restrict_unprivileged_userns", "1"), false).contains("AppArmor"));
        assert!(mend(only("unprivileged_userns_clone", "1"), true).contains("container"));
        assert!(mend(|_| None, false).contains("root"));
    }

    #[test]
    fn id_maps_are_read() {
        let whole = "         0          0 4294967295\n";
        assert!(map_has(whole, 1_900_000_000));
        let nested = "0 100000 65536\n";
        assert!(!map_has(nested, 1_900_000_000) && map_has(nested, 64_000) && !map_has(nested, 65_536));
        assert!(!map_has("", 0));
    }
}
