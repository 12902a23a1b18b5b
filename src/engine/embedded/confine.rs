//! Takes from a process everything that an agent must not have. What is given up here cannot be had back.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use caps::CapSet;
use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Pid, Uid, setgroups, setresgid, setresuid};

use super::spec::{PodSpec, Standing};
use super::sys;

/// Drops to the agent's account in a user namespace of its own, without capabilities, for good.
///
/// `outside` is the process that writes the id map where root is needed for that.
pub(super) fn confine(spec: &PodSpec, sysctl: &File, outside: &mut UnixStream) -> Result<()> {
    sys::leave_keyring();
    if let Standing::Root { .. } = spec.standing {
        setgroups(&[]).context("leaving supplementary groups")?;
        unshare(CloneFlags::CLONE_NEWUSER).context("making the user namespace")?;
        outside.write_all(b"?").context("asking for the id map")?;
        outside.read_exact(&mut [0]).context("waiting for the id map")?;
        setresgid(Gid::from_raw(spec.gid), Gid::from_raw(spec.gid), Gid::from_raw(spec.gid))
            .context("setting the group")?;
        setresuid(Uid::from_raw(spec.uid), Uid::from_raw(spec.uid), Uid::from_raw(spec.uid))
            .context("setting the user")?;
    }
    // No further user namespaces: they would bring back capabilities, if only over themselves, and with them a large
    // part of the kernel. The folder was opened before /proc/sys was made read-only.
    let limit = format!("/proc/self/fd/{}/max_user_namespaces", sysctl.as_raw_fd());
    fs::write(limit, "0").context("forbidding further user namespaces")?;
    prctl::set_no_new_privs().context("setting no_new_privs")?;
    for set in [CapSet::Bounding, CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set).with_context(|| format!("clearing the capability set {set:?}"))?;
    }
    // The init itself must not be traced or read by the agent, which has the same id.
    prctl::set_dumpable(false).context("closing the init")?;
    Ok(())
}

/// Sets the limits that the kernel keeps, and the processors. `ours` is how many processes of the pod are not the agent's.
pub(super) fn limit(spec: &PodSpec, ours: u64) -> Result<()> {
    if counts_tasks_by_namespace() {
        let tasks = u64::from(spec.processes).saturating_add(ours);
        let (_, hard) = getrlimit(Resource::RLIMIT_NPROC).context("reading the process limit")?;
        let tasks = tasks.min(hard);
        setrlimit(Resource::RLIMIT_NPROC, tasks, tasks).context("limiting processes")?;
    }
    setrlimit(Resource::RLIMIT_CORE, 0, 0).context("forbidding core files")?;
    if let Some((count, first)) = spec.cpus {
        choose_processors(count as usize, first as usize)?;
    }
    Ok(())
}

/// Since Linux 5.14 `RLIMIT_NPROC` counts per user namespace; before, a user's other programs would count as the agent's,
/// and the init's own watch must do.
fn counts_tasks_by_namespace() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-', '\n']).map_while(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 14)
}

fn choose_processors(count: usize, first: usize) -> Result<()> {
    let me = Pid::from_raw(0);
    let allowed = sched_getaffinity(me).context("reading the processors")?;
    let usable: Vec<usize> = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false)).collect();
    ensure!(
        (1..=usable.len()).contains(&count),
        "the cell asks for {count} processors, this machine has {}",
        usable.len()
    );
    let mut chosen = CpuSet::new();
    for cpu in usable.iter().cycle().skip(first % usable.len()).take(count) {
        chosen.set(*cpu).context("choosing processors")?;
    }
    sched_setaffinity(me, &chosen).context("setting the processors")
}

/// Writes the id maps of another process's fresh user namespace: one id each, `inside` to `outside`.
pub(super) fn write_map(process: &Path, inside: (u32, u32), outside: (u32, u32), deny_setgroups: bool) -> Result<()> {
    let write =
        |name: &str, text: String| fs::write(process.join(name), text).with_context(|| format!("writing {name}"));
    if deny_setgroups {
        write("setgroups", "deny".to_owned())?;
    }
    write("uid_map", format!("{} {} 1", inside.0, outside.0))?;
    write("gid_map", format!("{} {} 1", inside.1, outside.1))
}
