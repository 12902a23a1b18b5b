//! The **embedded** engine: the pod of fresh user, network, mount, process, name and message namespaces. It needs no
//! daemon, and no root where the kernel allows user namespaces.
//!
//! ```text
//! program ──┬─ pod-gateway (a slot)   user + net + uts + ipc namespaces; serves the fake Internet; lives for the run
//!           └─ pod-agent   (a cell)   joins that network, makes user and pid namespaces, and stays outside
//!                 └─ init             process 1: builds the root, gives up every power, watches, reports
//!                      └─ the agent
//! ```
//!
//! All of these are our own executable under hidden subcommands ([`hidden`]). When the program dies, standard input of
//! the gateways ends and the init's socket hangs up: both end, and the kernel ends the rest.

mod agent;
mod confine;
mod gateway;
mod holder;
mod init;
mod launch;
mod lay;
mod mounts;
mod prepare;
mod probe;
mod root;
mod scan;
mod spec;
mod sys;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::Mutex;

use super::environment::{Environment, User};
use super::pod::{PodOptions, TARGET_ROOT};
use super::target::TargetFacts;
use super::{Engine, EngineError, Job, canary};
use crate::capture::{Body, Capture, Seconds, Sight};
use crate::cell::CellId;
use crate::gateway::Authority;
use crate::gateway::client::Traffic;
use crate::scenario::Stub;
use gateway::Gateway;
use launch::Finished;
use spec::{PodSpec, Standing, TargetMount};

pub use probe::{EmbeddedFacts, probe};

/// Runs the hidden subcommand that `name` names, if it is one of this engine's. To be called at the top of `main`,
/// before any thread is started.
#[must_use]
pub fn hidden(name: &str) -> Option<ExitCode> {
    match name {
        launch::SUBCOMMAND => Some(agent::run()),
        gateway::SUBCOMMAND => Some(holder::run()),
        probe::SUBCOMMAND => Some(probe::run()),
        _ => None,
    }
}

/// Pods from Linux namespaces.
#[derive(Debug)]
pub struct Embedded {
    options: PodOptions,
    program: PathBuf,
    target: TargetMount,
    facts: TargetFacts,
    machine: EmbeddedFacts,
    /// The first id outside for pods, where root builds them.
    outer: Option<u32>,
    slots: Vec<Mutex<Option<Gateway>>>,
    /// What the first gateway said of itself; the others are on the same kernel.
    sight: OnceLock<Sight>,
}

impl Embedded {
    /// Looks at the machine, starts the gateways, lets the canary fly in every slot, and runs the target's install
    /// scripts if they never ran.
    ///
    /// # Errors
    /// [`EngineError::Missing`] says what the machine lacks, [`EngineError::Canary`] that a pod is not closed.
    pub async fn open(options: PodOptions) -> Result<Self, EngineError> {
        if let Some(image) = &options.target.image {
            return Err(EngineError::Missing(format!("the image {image} needs Docker: use --engine docker")));
        }
        let resolve = |path: &PathBuf| {
            path.canonicalize()
                .map_err(|error| EngineError::Missing(format!("{} cannot be used: {error}", path.display())))
        };
        let program = resolve(&options.program)?;
        let trial = program.clone();
        let machine = tokio::task::spawn_blocking(move || probe::probe_with(&trial))
            .await
            .map_err(|error| EngineError::Failed { step: "looking at this machine", message: error.to_string() })?
            .map_err(EngineError::Missing)?;
        let target = match &options.target.root {
            Some(root) => TargetMount::Folder { path: resolve(root)?, writable: false },
            None => TargetMount::Nothing,
        };
        let slots = (0..options.slots.max(1)).map(|_| Mutex::new(None)).collect();
        let facts = options.target.facts.clone();
        let outer = probe::outer_ids();
        let mut engine = Self { options, program, target, facts, machine, outer, slots, sight: OnceLock::new() };
        // The canary goes first: install scripts, too, are somebody else's programs.
        let flights = join_all((0..engine.slots.len()).map(|slot| canary::run(&engine, slot))).await;
        let ready = match flights.into_iter().find_map(Result::err) {
            Some(error) => Err(error),
            None => prepare::prepare(&mut engine).await,
        };
        if let Err(error) = ready {
            engine.close().await;
            return Err(error);
        }
        Ok(engine)
    }

    /// A pod's specification without an environment.
    fn spec(&self, slot: usize, gateway: u32) -> PodSpec {
        let standing = self.outer_id(slot).map_or(Standing::Rootless, |outer| Standing::Root { outer });
        let mut spec = PodSpec::bare(standing, gateway);
        spec.target = self.target.clone();
        spec
    }

    /// The id outside of a slot's pods: each its own, so that the kernel counts their processes apart.
    fn outer_id(&self, slot: usize) -> Option<u32> {
        self.outer.map(|first| first + u32::try_from(slot % 500).unwrap_or(0))
    }

    /// As [`Engine::run`], and gives the text that the pod's file at `path` has when the agent has ended.
    pub(in crate::engine) async fn run_and_read(
        &self,
        slot: usize,
        job: &Job,
        path: &str,
    ) -> Result<(Capture, String), EngineError> {
        let specify = |spec: &mut PodSpec| {
            specify(spec, job, slot);
            spec.wanted = Some(path.to_owned());
        };
        let (mut finished, traffic) = self.fly(slot, &job.cell, specify).await?;
        let text = finished.ended.wanted.take().unwrap_or_default();
        Ok((capture(finished, traffic), text))
    }

    /// Runs a pod in a slot and gathers its traffic.
    async fn fly(
        &self,
        slot: usize,
        cell: &CellId,
        specify: impl FnOnce(&mut PodSpec) + Send,
    ) -> Result<(Finished, Traffic), EngineError> {
        let place = self.slots.get(slot).ok_or_else(|| EngineError::Failed {
            step: "finding the slot",
            message: format!("there is no slot {slot}, only {}", self.slots.len()),
        })?;
        let mut place = place.lock().await;
        // Taken out, and put back only after a cell that ended well: whatever goes wrong in between, or when we are
        // dropped half-way, the next cell gets a fresh gateway in a fresh network.
        let mut gateway = if let Some(gateway) = place.take() {
            gateway
        } else {
            let PodOptions { authority, ports, stub, .. } = &self.options;
            let configuration = Gateway::configuration(authority, ports, stub);
            // Beside the pods' ids: a gateway is no pod's equal.
            Gateway::start(&self.program, configuration, self.outer_id(slot).map(|id| id + 500)).await?
        };
        let told = |step: &'static str| {
            move |error: crate::gateway::GatewayError| EngineError::Failed { step, message: error.to_string() }
        };
        self.sight.get_or_init(|| gateway.client.sight());
        let mut spec = self.spec(slot, gateway.pid);
        specify(&mut spec);
        gateway.client.appear(spec.interface).await.map_err(told("giving the pod its looks"))?;
        gateway.client.offer_http2(spec.http2);
        gateway.client.begin(cell).await.map_err(told("beginning a cell"))?;
        let finished = launch::run(&self.program, &spec).await?;
        let traffic = gateway.client.end(cell).await.map_err(told("ending a cell"))?;
        *place = Some(gateway);
        Ok((finished, traffic))
    }
}

/// What can be seen in the networks of pods on this machine, by a gateway that `program`, our own executable, is for a moment.
///
/// # Errors
/// When no gateway can be started.
pub async fn sight(program: &Path) -> Result<Sight, EngineError> {
    let authority = Authority::mint("Network Root CA")?;
    let configuration = Gateway::configuration(&authority, &[], &Stub::default());
    let gateway = Gateway::start(program, configuration, probe::outer_ids().map(|id| id + 500)).await?;
    let sight = gateway.client.sight();
    gateway.stop().await;
    Ok(sight)
}

impl Engine for Embedded {
    fn describe(&self) -> String {
        let EmbeddedFacts { kernel, root } = &self.machine;
        let by = if *root { "root" } else { "rootless" };
        format!("embedded {} (Linux {kernel}, {by})", env!("CARGO_PKG_VERSION"))
    }

    fn target(&self) -> TargetFacts {
        self.facts.clone()
    }

    fn sight(&self) -> Option<Sight> {
        self.sight.get().copied()
    }

    fn run<'a>(&'a self, slot: usize, job: &'a Job) -> BoxFuture<'a, Result<Capture, EngineError>> {
        async move {
            let (finished, traffic) = self.fly(slot, &job.cell, |spec| specify(spec, job, slot)).await?;
            Ok(capture(finished, traffic))
        }
        .boxed()
    }

    fn run_canary<'a>(
        &'a self,
        slot: usize,
        arguments: &'a [String],
    ) -> BoxFuture<'a, Result<(String, Traffic), EngineError>> {
        async move {
            let specify = |spec: &mut PodSpec| {
                let mut command = vec![format!("{TARGET_ROOT}/parallax"), canary::SUBCOMMAND.to_owned()];
                command.extend_from_slice(arguments);
                spec.target = TargetMount::Program { path: self.program.clone() };
                spec.set_environment(&plain(command, "/tmp"), slot);
                spec.timeout_ms = 30_000;
            };
            let (finished, traffic) = self.fly(slot, &CellId("canary".to_owned()), specify).await?;
            let Finished { ended, stdout, stderr } = finished;
            if ended.outcome == (crate::capture::Outcome::Exited { code: 0 }) {
                return Ok((String::from_utf8_lossy(&stdout).into_owned(), traffic));
            }
            let said = String::from_utf8_lossy(&stderr);
            Err(EngineError::Canary(format!("the canary ended with {:?}: {}", ended.outcome, said.trim())))
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            join_all(self.slots.iter().map(|place| async move {
                if let Some(gateway) = place.lock().await.take() {
                    gateway.stop().await;
                }
            }))
            .await;
        }
        .boxed()
    }
}

fn specify(spec: &mut PodSpec, job: &Job, slot: usize) {
    spec.set_environment(&job.environment, slot);
    spec.memory_bytes = job.limits.memory_bytes;
    spec.processes = job.limits.processes;
    spec.timeout_ms = milliseconds(job.timeout);
}

fn capture(finished: Finished, traffic: Traffic) -> Capture {
    let Finished { ended, stdout, stderr } = finished;
    Capture {
        started_unix_ms: ended.started_unix_ms,
        wall: Seconds(ended.wall_us),
        cpu: Some(Seconds(ended.cpu_us)),
        outcome: ended.outcome,
        stdout: Body::new(stdout),
        stderr: Body::new(stderr),
        exchanges: traffic.exchanges,
        dns: traffic.dns,
        tls: traffic.tls,
        connections: traffic.connections,
        files: ended.files,
        left_open: traffic.left_open,
        dropped: traffic.dropped,
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A plain environment for programs that are not the agent: the canary, and install scripts.
fn plain(command: Vec<String>, workdir: &str) -> Environment {
    let variables = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/home/user"), ("LANG", "C.UTF-8")];
    Environment {
        variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        files: Vec::new(),
        hostname: "localhost".to_owned(),
        dns_search: None,
        user: User {
            name: "user".to_owned(),
            uid: 1000,
            gid: 1000,
            home: "/home/user".to_owned(),
            shell: "/bin/sh".to_owned(),
        },
        workdir: workdir.to_owned(),
        command,
        cpus: None,
        interface: false,
        http2: false,
    }
}
