//! A pod's **init**: process 1 of its pid namespace. Builds the root, gives up every power, starts the agent, keeps its
//! limits, and reports. When it ends, the kernel ends whatever is left of the pod.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, dup2_stdin, sethostname, setsid};

use super::scan::Snapshot;
use super::spec::{Ended, PodSpec, Standing, Status};
use super::{confine, lay, root, sys, watch};
use crate::capture::Outcome;

/// How often the limits are looked at.
const TICK: Duration = Duration::from_millis(20);

/// Bytes that are kept of a file that the program wants.
const WANTED_LIMIT: u64 = 128 << 20;

/// How long the killed may take to die before the init stops waiting for them.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the pod and reports over `control`. Never fails: a failure is what it reports.
pub(super) fn run(spec: &PodSpec, control: &UnixStream, outside: UnixStream) {
    let status = match build_and_run(spec, control, outside) {
        Ok(ended) => Status::Ended(ended),
        Err(error) => Status::Failed { message: format!("{error:#}") },
    };
    if let Ok(bytes) = serde_json::to_vec(&status) {
        // Nobody to tell if this fails: the program sees the end of the stream and says so.
        let _ = (&*control).write_all(&bytes);
    }
}

fn build_and_run(spec: &PodSpec, control: &UnixStream, mut outside: UnixStream) -> Result<Ended> {
    umask(Mode::from_bits_truncate(0o022));
    setsid().context("starting a session")?;
    sys::default_signals();
    SigSet::empty().thread_set_mask().context("clearing the signal mask")?;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC)
        .context("making the mount, name and message namespaces")?;
    // Hides the path of our control group; a kernel without these namespaces shows it.
    let _ = unshare(CloneFlags::CLONE_NEWCGROUP);
    sethostname(&spec.hostname).with_context(|| format!("naming the machine {:?}", spec.hostname))?;
    let sysctl = root::build(spec)?;
    lay::lay(spec)?;
    root::close(spec)?;
    look_like_init();
    confine::confine(spec, &sysctl, &mut outside)?;
    drop((sysctl, outside));
    prctl::set_pdeathsig(Signal::SIGKILL).context("tying the pod to its parent")?;
    let ours = if spec.standing == Standing::Rootless { 2 } else { 1 };
    confine::limit(spec, ours)?;
    dup2_stdin(File::open("/dev/null").context("opening /dev/null")?).context("closing standard input")?;
    supervise(spec, control)
}

/// Names this process as a machine's first process is named. The command line is ours to overwrite.
fn look_like_init() {
    let _ = prctl::set_name(c"init");
    let rename = || -> Option<()> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // Fields 48 and 49, counted from 1; the second, a name in parentheses, may hold spaces.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(45);
        let start: u64 = fields.next()?.parse().ok()?;
        let end: u64 = fields.next()?.parse().ok()?;
        let mut line = vec![0; usize::try_from(end.checked_sub(start)?).ok()?];
        let name = b"/sbin/init";
        let shown = name.len().min(line.len().saturating_sub(1));
        line[..shown].copy_from_slice(&name[..shown]);
        std::fs::OpenOptions::new().write(true).open("/proc/self/mem").ok()?.write_all_at(&line, start).ok()
    };
    // Cosmetic: where it fails the pod is as closed as before.
    let _ = rename();
}

/// Why the agent was stopped, if it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Deadline,
    Memory,
    Processes,
}

/// Starts the agent and waits for its end, or ends it.
fn supervise(spec: &PodSpec, control: &UnixStream) -> Result<Ended> {
    let watched = [Path::new(&spec.home), Path::new(&spec.workdir), Path::new("/tmp")];
    let watched: Vec<&Path> = watched.into_iter().filter(|path| !root::on_host(path, spec)).collect();
    let before = Snapshot::take(&watched);

    let started = Instant::now();
    let started_unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let agent = start(spec)?;
    // Only now: the agent would inherit the mask. An end before this is found by the first look below.
    let mut children = SigSet::empty();
    children.add(Signal::SIGCHLD);
    children.thread_block().context("holding back SIGCHLD")?;
    let ended = SignalFd::with_flags(&children, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .context("watching for the end of processes")?;
    let mut crowded = false;
    let deadline = started + Duration::from_millis(spec.timeout_ms);
    let mut tick = TICK;
    let end = loop {
        if let Some(end) = reap(agent)? {
            break Ok(end);
        }
        let now = Instant::now();
        if now >= deadline {
            break Err(Stop::Deadline);
        }
        let usage = watch::usage();
        // Just below the limit counts as reaching it: a bomb whose forks fail hovers there, and we only sample.
        crowded |= usage.tasks >= spec.processes - (spec.processes / 32).min(spec.processes / 2);
        if usage.tasks > spec.processes.saturating_add(spec.processes / 4) {
            break Err(Stop::Processes); // The kernel does not keep the limit here.
        }
        if usage.memory > spec.memory_bytes && watch::exact_memory() > spec.memory_bytes {
            break Err(Stop::Memory);
        }
        // Watching must stay cheap, also where there are hundreds of processes to look at.
        tick = tick.max(now.elapsed() * 10).min(TICK * 10);
        wait(&ended, control, tick.min(deadline.saturating_duration_since(Instant::now())))?;
    };
    let wall = started.elapsed();
    end_all();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("reading the processes' CPU time")?;
    let outcome = match end {
        Err(Stop::Memory) => Outcome::MemoryLimit,
        Err(Stop::Processes) => Outcome::ProcessLimit,
        _ if crowded => Outcome::ProcessLimit,
        Err(Stop::Deadline) => Outcome::TimedOut,
        Ok(outcome) => outcome,
    };
    Ok(Ended {
        started_unix_ms: i64::try_from(started_unix_ms).unwrap_or(i64::MAX),
        wall_us: u64::try_from(wall.as_micros()).unwrap_or(u64::MAX),
        cpu_us: microseconds(usage.user_time()) + microseconds(usage.system_time()),
        outcome,
        files: before.changes(&Snapshot::take(&watched)),
        wanted: spec.wanted.as_deref().map(read_wanted).transpose()?,
    })
}

/// The text of the file that the program wants, as far as it is kept.
fn read_wanted(path: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(|| format!("opening {path}"))?;
    file.take(WANTED_LIMIT).read_to_end(&mut bytes).with_context(|| format!("reading {path}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn microseconds(time: nix::sys::time::TimeVal) -> u64 {
    use nix::sys::time::TimeValLike as _;
    u64::try_from(time.num_microseconds()).unwrap_or(0)
}

/// Starts the agent: the standard library resets signals and looks the program up in the agent's own PATH.
fn start(spec: &PodSpec) -> Result<i32> {
    let (program, arguments) = spec.command.split_first().ok_or_else(|| anyhow!("the command is empty"))?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(&spec.variables).current_dir(&spec.workdir).stdin(Stdio::null());
    let child = command.spawn().with_context(|| format!("starting {program:?} in {}", spec.workdir))?;
    Ok(i32::try_from(child.id())?)
}

/// Reaps whatever has ended, orphans too; gives the agent's own end if it was among them.
fn reap(agent: i32) -> Result<Option<Outcome>> {
    while let Some((pid, status)) = sys::reap().context("waiting for the agent")? {
        if pid == agent {
            let signalled = || Outcome::Signalled { signal: status.signal().unwrap_or(0) };
            return Ok(Some(status.code().map_or_else(signalled, |code| Outcome::Exited { code })));
        }
    }
    Ok(None)
}

/// Sleeps until a process ends, the program goes away (an error), or `timeout` is over.
fn wait(ended: &SignalFd, control: &UnixStream, timeout: Duration) -> Result<()> {
    let timeout = PollTimeout::try_from(timeout.as_millis().max(1)).unwrap_or(PollTimeout::MAX);
    let mut waiting = [
        PollFd::new(ended.as_fd(), PollFlags::POLLIN),
        // The program sends nothing more: readable means that it hung up.
        PollFd::new(control.as_fd(), PollFlags::POLLIN),
    ];
    match poll(&mut waiting, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error).context("waiting"),
    }
    if waiting[1].any().unwrap_or(false) {
        return Err(std::io::Error::from(ErrorKind::BrokenPipe)).context("the program has gone");
    }
    while ended.read_signal().is_ok_and(|signal| signal.is_some()) {}
    Ok(())
}

/// Kills every other process of the pod and waits until they are gone.
fn end_all() {
    let patience = Instant::now() + GRACE;
    loop {
        // Everything that this process may signal, which is everything in its pid namespace but itself.
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        match sys::reap() {
            Err(_) => return,
            Ok(None) if Instant::now() > patience => return,
            Ok(None) => std::thread::sleep(Duration::from_micros(200)),
            Ok(Some(_)) => {}
        }
    }
}
