//! The hidden subcommand `parallax pod-gateway`: a gateway that owns a fresh network namespace. It lives for a run, in a
//! user namespace of its own in which it may do anything to that network and nothing to the host; pods join it.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Gid, Pid, Uid, getegid, geteuid, setgroups, setresgid, setresuid};

use super::{confine, sys};
use crate::gateway::protocol::Report;

/// Enters the namespaces, then serves the gateway's protocol. To be called before any thread is started.
///
/// The last argument is the outer id of the user namespace's root, or `-` without root.
#[must_use]
pub(super) fn run() -> ExitCode {
    sys::close_inherited();
    let outer = std::env::args().next_back().and_then(|argument| argument.parse().ok());
    match enter(outer) {
        Ok(None) => crate::gateway::serve::run_stdio(),
        Ok(Some(code)) => code,
        Err(error) => {
            let fault = Report::Fault { message: format!("{error:#}") };
            let mut line = serde_json::to_vec(&fault).unwrap_or_default();
            line.push(b'\n');
            // The program sees the end of the stream if this fails.
            let _ = std::io::stdout().lock().write_all(&line);
            ExitCode::FAILURE
        }
    }
}

/// Makes the user, network, name and message namespaces and becomes root of them. In the process that was forked to write
/// the id map it gives that process's exit code.
fn enter(outer: Option<u32>) -> Result<Option<ExitCode>> {
    let namespaces =
        CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
    sys::leave_keyring();
    match outer {
        None => {
            let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
            unshare(namespaces).context("making the user and network namespaces")?;
            confine::write_map(&PathBuf::from("/proc/self"), (0, 0), (uid, gid), true)?;
        }
        Some(outer) => {
            setgroups(&[]).context("leaving supplementary groups")?;
            let (mut here, mut there) = UnixStream::pair().context("making a socket pair")?;
            let me = PathBuf::from(format!("/proc/{}", Pid::this()));
            // The map to an id that is not ours can only be written from outside.
            match sys::fork_single_threaded().context("forking the writer of the id map")? {
                ForkResult::Child => {
                    drop(here);
                    let written = there.read_exact(&mut [0]).is_ok()
                        && confine::write_map(&me, (0, 0), (outer, outer), true).is_ok()
                        && there.write_all(b"!").is_ok();
                    return Ok(Some(if written { ExitCode::SUCCESS } else { ExitCode::FAILURE }));
                }
                ForkResult::Parent { child } => {
                    drop(there);
                    unshare(namespaces).context("making the user and network namespaces")?;
                    here.write_all(b"?").context("asking for the id map")?;
                    let answer = here.read_exact(&mut [0]);
                    waitpid(child, None).context("waiting for the writer of the id map")?;
                    if answer.is_err() {
                        bail!("the id map could not be written");
                    }
                    setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0)).context("setting the group")?;
                    setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).context("setting the user")?;
                }
            }
        }
    }
    Ok(None)
}
