//! **Discovery**: what an agent reads, by one traced run at a scenario's baseline, outside of any measured cell: tracing
//! changes what the agent can see. Gives what was read and what of it could be a factor; says what it cannot see.
//!
//! Runs in an embedded pod, whatever engine the scenario's cells will run on: there the tracer is the agent's own parent,
//! needs no power and sees every process of it.

mod mentions;
mod reads;
mod strace;
mod suggestion;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::embedded::Embedded;
use super::environment::{Context, Environment, Node, PodFile, realise};
use super::pod::PodOptions;
use super::target::{self, Userland, find_program};
use super::{EngineError, Job};
use crate::capture::{Capture, ConnectionKind, Outcome};
use crate::cell::{Assignment, CellId};
use crate::gateway::Authority;
use crate::scenario::{Scenario, Source};

pub use reads::{FileRead, Reads, VariableRead};
pub use suggestion::{Suggestion, suggest};

/// The shim, empty where this program was built without it.
const SHIM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/getenv.so"));

/// Where the shim and the trace stand in the pod.
const SHIM_FILE: &str = "/run/getenv.so";
const TRACE_FILE: &str = "/run/trace";

/// The calls that are traced.
const TRACED: &str = "trace=%file,connect,uname,sched_getaffinity,sysinfo,clone,clone3,fork,vfork";

/// Folders of this machine that pods see.
const SEEN: [&str; 5] = ["/usr", "/bin", "/sbin", "/nix/store", "/gnu/store"];

/// How much longer a traced run may take than a cell.
const SLOWER: u32 = 3;

/// The common name of the authority, as in a run.
const AUTHORITY: &str = "Network Root CA";

/// What one traced run showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Discovery {
    /// The target's package URL or path.
    pub target: String,
    /// How the agent ended.
    pub outcome: Outcome,
    /// The end of what it wrote on standard error, where it did not end well.
    pub complaint: Option<String>,
    /// What it read.
    pub reads: Reads,
    /// Variables that its own files mention and that it was not seen to ask for, each with a file that does.
    pub mentioned: BTreeMap<String, String>,
    /// Names that it asked the resolver for.
    pub names: BTreeSet<String>,
    /// Hosts that requests went to, as origins: `https://api.vendor.example`, with how many.
    pub hosts: BTreeMap<String, usize>,
    /// Connections and datagrams without a request, by address or name.
    pub connections: BTreeSet<String>,
    /// What could not be seen in this run.
    pub blind: Vec<String>,
}

/// Runs a scenario's agent once, traced, at the baseline of every factor. `program` is our own executable.
///
/// # Errors
/// [`EngineError::Missing`] says what this machine lacks: strace, namespaces, the target.
pub async fn discover(
    scenario: &Scenario,
    program: PathBuf,
    notice: &(dyn Fn(String) + Sync),
) -> Result<Discovery, EngineError> {
    if matches!(scenario.target.source, Source::Image { .. }) {
        return Err(EngineError::Missing(String::from(
            "a target that is a container image cannot be traced: `parallax probe` needs a pod of the embedded engine; \
             name the agent's package (npm, pypi) or a local program instead",
        )));
    }
    let tracer = tracer()?;
    let cache = target::cache_folder();
    let installed = target::install_for(&scenario.target, &cache, Userland::Machine, notice).await?;
    let authority = Authority::mint(AUTHORITY).map_err(|error| EngineError::Failed {
        step: "making the certificate authority",
        message: error.to_string(),
    })?;
    let context = Context {
        ca_certificate_pem: authority.certificate_pem.clone(),
        search: installed.search.clone(),
        variables: installed.variables.clone(),
        resolver: None,
    };
    let levels = Assignment::baseline(scenario.factors.len());
    let mut environment = realise(scenario, &levels, &context);
    let (set, workdir) = (environment.variables.clone(), environment.workdir.clone());
    trace(&mut environment, &tracer);
    notice(String::from("opening the engine and checking its isolation"));
    let mut limits = scenario.target.limits;
    // The tracer itself.
    limits.processes = limits.processes.saturating_add(2);
    limits.memory_bytes = limits.memory_bytes.saturating_add(256 << 20);
    let engine = Embedded::open(PodOptions {
        run: format!("probe{:08x}", rand::random::<u32>()),
        slots: 1,
        authority,
        ports: scenario.urls_ports(),
        stub: scenario.stub.clone(),
        program,
        target: installed.clone(),
        limits,
        cache,
    })
    .await?;
    notice(String::from("running the agent once, traced"));
    let timeout = scenario.target.timeout.saturating_mul(SLOWER);
    let job = Job { cell: CellId(String::from("probe")), levels, environment, limits, timeout };
    let ran = engine.run_and_read(0, &job, TRACE_FILE).await;
    super::Engine::close(&engine).await;
    let (capture, trace) = ran?;
    let reads = Reads::of(&trace, &workdir, &set);
    if reads.programs.is_empty() {
        let said = capture.stderr.text().into_owned();
        let said = said.trim();
        return Err(EngineError::Missing(format!(
            "the agent could not be traced: {}; the kernel must let a process trace its own children \
             (/proc/sys/kernel/yama/ptrace_scope below 2), and strace must be 5.3 or newer",
            if said.is_empty() { "strace said nothing" } else { said }
        )));
    }
    let executable = installed.facts.executable.as_deref();
    let opened = reads.opened_programs.iter().map(String::as_str).chain(executable);
    let mut mentioned = mentions::mentions(installed.root.as_deref(), opened);
    mentioned.retain(|name, _| !reads.variables.get(name).is_some_and(|read| read.own));
    Ok(gather(installed.facts.package, &capture, reads, mentioned))
}

fn gather(target: String, capture: &Capture, reads: Reads, mentioned: BTreeMap<String, String>) -> Discovery {
    let mut hosts = BTreeMap::new();
    for exchange in &capture.exchanges {
        let usual = matches!((exchange.scheme.as_str(), exchange.port), ("http", 80) | ("https", 443));
        let port = if usual { String::new() } else { format!(":{}", exchange.port) };
        *hosts.entry(format!("{}://{}{port}", exchange.scheme, exchange.host)).or_default() += 1;
    }
    let connections = capture.connections.iter().map(|connection| {
        let place = connection.toward.as_deref().unwrap_or(&connection.dialled);
        let name = connection.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
        let how = match connection.kind {
            ConnectionKind::Accepted => "",
            ConnectionKind::Refused => ", refused",
            ConnectionKind::Datagram => ", datagram",
        };
        format!("{place}{name}{how}")
    });
    let ended_well = capture.outcome == Outcome::Exited { code: 0 };
    let said = capture.stderr.text();
    let end: Vec<&str> = said.lines().rev().filter(|line| !line.trim().is_empty()).take(3).collect();
    Discovery {
        target,
        outcome: capture.outcome.clone(),
        complaint: (!ended_well && !end.is_empty()).then(|| end.into_iter().rev().collect::<Vec<_>>().join("\n")),
        names: capture.dns.iter().map(|question| question.name.clone()).collect(),
        hosts,
        connections: connections.collect(),
        blind: blind(&reads),
        mentioned,
        reads,
    }
}

/// What this run could not show.
fn blind(reads: &Reads) -> Vec<String> {
    let mut blind = Vec::new();
    if SHIM.is_empty() {
        blind.push(String::from(
            "which variables programs ask for: this executable was built without the shim, on a machine whose compiler \
             could not link a shared library",
        ));
    } else if reads.variables.is_empty() {
        blind.push(String::from(
            "which variables the agent reads: nothing in it asked the C library for one. Shells, Python and some compiled \
             scripts copy the whole environment when they start, and what is linked statically asks nobody",
        ));
    } else {
        blind.push(String::from(
            "variables that are not asked of the C library: programs that are linked statically, Go programs, and \
             runtimes that copy the whole environment when they start (shells, Python, some compiled scripts) read what \
             they like of it unseen",
        ));
    }
    blind.push(String::from(
        "what only a longer or another conversation would make the agent read: this was one run, of the scenario's script, \
         at the baseline of every factor",
    ));
    blind.push(String::from("the clock (read without a system call), and what the processor says of itself"));
    blind.push(String::from(
        "an agent that behaves differently where it is traced: it can see that it is (TracerPid, LD_PRELOAD)",
    ));
    blind
}

/// Where strace is, if the pod sees it too.
fn tracer() -> Result<String, EngineError> {
    let remedy = "install it as this machine's package (apt-get install strace, dnf install strace)";
    let Some(found) = find_program("strace") else {
        return Err(EngineError::Missing(format!("`parallax probe` needs strace, and it is not here: {remedy}")));
    };
    let real = found.canonicalize().unwrap_or(found);
    if SEEN.iter().any(|folder| real.starts_with(folder)) {
        return Ok(real.display().to_string());
    }
    Err(EngineError::Missing(format!(
        "pods do not see strace in {}, only this machine's program folders: {remedy}",
        real.parent().unwrap_or(Path::new("/")).display()
    )))
}

/// Puts the tracer before the agent's command, and what it needs into the pod.
fn trace(environment: &mut Environment, tracer: &str) {
    let mut command: Vec<String> =
        [tracer, "-f", "-qq", "-y", "--seccomp-bpf", "-s", "1024", "-e", TRACED, "-o", TRACE_FILE]
            .map(String::from)
            .into();
    let file = |path: &str, bytes: &[u8], mode, owned_by_user| PodFile {
        path: path.to_owned(),
        node: Node::File(bytes.to_vec()),
        mode,
        owned_by_user,
    };
    environment.files.push(file(TRACE_FILE, b"", 0o600, true));
    if !SHIM.is_empty() {
        environment.files.push(file(SHIM_FILE, SHIM, 0o755, false));
        // Behind the scenario's own, if it has one. Set for the agent alone, not for the tracer.
        let own = environment.variables.get("LD_PRELOAD").map(|own| format!("{own}:")).unwrap_or_default();
        command.extend([String::from("-E"), format!("LD_PRELOAD={own}{SHIM_FILE}")]);
    }
    command.push(String::from("--"));
    command.append(&mut environment.command);
    environment.command = command;
}
