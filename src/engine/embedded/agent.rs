//! The hidden subcommand `parallax pod-agent`: joins a gateway's network, makes the pod's user and pid namespaces, and
//! forks the pod's init. Stays outside only to write the id map and to tie the pod to the program: when this process is
//! killed, the kernel kills the init, and with it the pod.
//!
//! Standard input is a socket to the program (specification in, status out); the other two are the agent's own.

use std::fs::File;
use std::io::{BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid};

use super::spec::{PodSpec, Standing, Status};
use super::{confine, init, sys};

/// Runs one pod. To be called before any thread is started.
#[must_use]
pub(super) fn run() -> ExitCode {
    sys::close_inherited();
    let Ok(control) = std::io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from) else {
        return ExitCode::FAILURE;
    };
    match enter(&control) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let status = Status::Failed { message: format!("{error:#}") };
            let bytes = serde_json::to_vec(&status).unwrap_or_default();
            // Nobody to tell if this fails: the program sees the end of the stream and says so.
            let _ = (&control).write_all(&bytes);
            ExitCode::FAILURE
        }
    }
}

fn enter(control: &UnixStream) -> Result<()> {
    let spec = PodSpec::decode(&mut BufReader::new(control)).context("reading the pod's specification")?;
    let namespace = |name: &str| {
        let path = PathBuf::from(format!("/proc/{}/ns/{name}", spec.gateway));
        File::open(&path).with_context(|| format!("opening {}", path.display()))
    };
    let network = namespace("net")?;
    match spec.standing {
        Standing::Root { .. } => {
            setns(network, CloneFlags::CLONE_NEWNET).context("joining the gateway's network")?;
            unshare(CloneFlags::CLONE_NEWPID).context("making the process namespace")?;
        }
        Standing::Rootless => {
            setns(namespace("user")?, CloneFlags::CLONE_NEWUSER).context("joining the gateway's user namespace")?;
            setns(network, CloneFlags::CLONE_NEWNET).context("joining the gateway's network")?;
            unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID)
                .context("making the user and process namespaces")?;
            confine::write_map(&PathBuf::from("/proc/self"), (spec.uid, spec.gid), (0, 0), true)?;
        }
    }
    let (mut outside, inside) = UnixStream::pair().context("making a socket pair")?;
    match sys::fork_single_threaded().context("forking the pod's init")? {
        ForkResult::Child => {
            drop(outside);
            init::run(&spec, control, inside);
            Ok(())
        }
        ForkResult::Parent { child } => {
            drop(inside);
            map(&spec, child, &mut outside)?;
            waitpid(child, None).context("waiting for the pod's init")?;
            Ok(())
        }
    }
}

/// Writes the init's id map when it asks for it. An init that ends before it asks has reported why.
fn map(spec: &PodSpec, init: Pid, outside: &mut UnixStream) -> Result<()> {
    let Standing::Root { outer } = spec.standing else { return Ok(()) };
    if outside.read_exact(&mut [0]).is_ok() {
        let process = PathBuf::from(format!("/proc/{init}"));
        confine::write_map(&process, (spec.uid, spec.gid), (outer, outer), true)?;
        outside.write_all(b"!").context("answering the pod's init")?;
    }
    Ok(())
}
