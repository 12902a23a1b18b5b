//! Which processor is whose: one for the side that is measured, another for the load and for what receives. Where the kernel
//! moves them about, how soon it does so is measured too.

use std::sync::OnceLock;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The first two that we may use: for what is measured, and for us. None where there are fewer: then all stays as it is.
static PAIR: OnceLock<Option<[usize; 2]>> = OnceLock::new();

/// Takes one for ourselves, and for whatever threads and processes we start from now on.
pub(crate) fn take_ours() {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let mut cpus = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let pair = cpus.next().zip(cpus.next()).map(|(one, other)| [one, other]);
    if let Some([_, ours]) = *PAIR.get_or_init(|| pair) {
        stay(0, ours);
    }
}

/// Gives the other to a process that is to be measured.
pub(crate) fn give_other(process: u32) {
    if let Some(Some([measured, _])) = PAIR.get() {
        stay(i32::try_from(process).unwrap(), *measured);
    }
}

fn stay(process: i32, cpu: usize) {
    let mut one = CpuSet::new();
    one.set(cpu).unwrap();
    sched_setaffinity(Pid::from_raw(process), &one).unwrap();
}
