//! The few system calls that have no safe wrapper.
//!
//! `unsafe` stands here and nowhere else: a pod's init must be a *forked child* of the process that made its pid
//! namespace (the namespace takes effect for children only), what was inherited must be closed whatever it is, and
//! keyrings and the raw end of a process are reached through the system call alone.
#![allow(unsafe_code, reason = "these calls have no safe form; each use is argued below")]

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use nix::unistd::{ForkResult, fork};

/// Forks.
///
/// Only to be called before any thread is started; every caller is a hidden subcommand, entered at the top of `main`.
/// A second thread is refused here, since the child of a threaded process could deadlock on another thread's lock.
pub(super) fn fork_single_threaded() -> io::Result<ForkResult> {
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        return Err(io::Error::other(format!("{threads} threads run where only one may")));
    }
    // SAFETY: this is the only thread, so the child has a complete and consistent copy of all state.
    Ok(unsafe { fork() }?)
}

/// Leaves the caller's session keyring, which the agent could otherwise read, for a fresh empty one.
///
/// A kernel without keyrings, or a sandbox that forbids the call, has nothing to read either.
pub(super) fn leave_keyring() {
    const JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: the call takes an optional name, here null (an anonymous keyring), and touches no memory of ours.
    let _ = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) };
}

/// Closes every descriptor but the standard three: a parent may have leaked some, and the agent must not have them.
///
/// Only to be called at the entry of a hidden subcommand, before anything is opened.
pub(super) fn close_inherited() {
    // SAFETY: nothing was opened yet, so no value of this program owns a descriptor above 2.
    let closed =
        unsafe { libc::syscall(libc::SYS_close_range, 3 as libc::c_uint, libc::c_uint::MAX, 0 as libc::c_uint) };
    if closed == 0 {
        return;
    }
    // Before Linux 5.9. The listing's own descriptor is among those found, and gone when they are closed.
    let listing: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    for fd in listing.into_iter().filter(|fd| *fd > 2) {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
}

/// A child that has ended, orphans that came to us included; `None` while none has. An error of kind `NotFound` says
/// that there are no children.
///
/// Beside the wrapper in `nix` this knows real-time signals too.
pub(super) fn reap() -> io::Result<Option<(i32, ExitStatus)>> {
    let mut status: libc::c_int = 0;
    // SAFETY: `status` is ours and outlives the call.
    match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) } {
        0 => Ok(None),
        pid if pid > 0 => Ok(Some((pid, ExitStatus::from_raw(status)))),
        _ => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ECHILD) => Err(io::ErrorKind::NotFound.into()),
            error if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            error => Err(error),
        },
    }
}

/// Gives every signal its default disposition, the two that the C library keeps for itself included: what a parent
/// ignored would stay ignored in the agent.
pub(super) fn default_signals() {
    // Longer than the kernel's `sigaction` on any architecture; all zero it says: default, no flags, empty mask.
    let default = [0_u64; 8];
    for signal in 1..=64 as libc::c_int {
        // SAFETY: the kernel only reads `default`, which outlives the call; 8 is the size of its signal set. It refuses
        // SIGKILL and SIGSTOP, whose disposition cannot differ.
        let _ = unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null_mut::<u64>(), 8_usize)
        };
    }
}
