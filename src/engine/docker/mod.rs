//! The **docker** engine: pods made of containers. Takes environments, gives captures. The only place that knows a Docker
//! client; no type of it leaves this folder.
//!
//! A pod is a gateway container ([`holder`]) that owns a network namespace without a way out, and an agent container
//! ([`agent`]) that joins it. Images are found or built once ([`gateway_image`], [`base`], [`target_image`]); everything
//! made carries our label, and a [`sweep`] removes what a killed run left behind.

mod account;
mod agent;
mod attach;
mod base;
mod build;
mod changes;
mod connection;
mod context;
mod elf;
mod gateway_image;
mod holder;
mod overlay;
mod owner;
mod python;
mod sweep;
mod target_image;
mod upper;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bollard::models::ChangeType;
use bollard::query_parameters::ContainerArchiveInfoOptionsBuilder;
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::environment::{Environment, Node, PodFile};
use super::pod::PodOptions;
use super::target::TargetFacts;
use super::{Engine, EngineError, Job, canary};
use crate::capture::{Body, Capture, Change, FileChange, Seconds, Sight};
use crate::cell::CellId;
use crate::gateway::client::Traffic;
use crate::gateway::protocol::Configuration;
use account::Account;
use agent::{Ended, Spec};
use connection::{Connection, failed, is_absent};
use holder::{Blueprint, Gateway, Identity};
use overlay::MTIME;
use owner::Owner;
use target_image::TargetImage;
use upper::Layers;

pub use base::BASE_VARIABLE;
pub use connection::{DockerFacts, probe};
pub use sweep::{Report, clean, forget};

/// Gateways that a slot keeps. A scenario may have hundreds of hostnames.
const GATEWAYS: usize = 12;

/// Where every image keeps its time zones.
const ZONES: &str = "/usr/share/zoneinfo/";

/// How long removals under way may take when the engine is closed.
const LAST_REMOVALS: Duration = Duration::from_secs(20);

/// How long the canary may fly.
const CANARY: Duration = Duration::from_mins(1);

/// The docker engine.
#[derive(Debug)]
pub struct Docker {
    connection: Connection,
    options: PodOptions,
    owner: Owner,
    blueprint: Blueprint,
    target: TargetImage,
    slots: Vec<AsyncMutex<Slot>>,
    /// Whether a zone file is in the target's image, by path.
    zones: Mutex<BTreeMap<String, bool>>,
    /// Whether this engine has an init to put before programs, as far as is known.
    init: AtomicBool,
    closed: CancellationToken,
    removals: TaskTracker,
}

/// One cell runs here at a time.
#[derive(Debug)]
struct Slot {
    /// Gateways, the most recently used last.
    gateways: Vec<Gateway>,
    account: Option<Account>,
}

impl Docker {
    /// Connects to the engine, removes what dead runs left there, and provides the images. Starts no container yet.
    ///
    /// # Errors
    /// [`EngineError::Missing`] with what is missing and how to mend it; [`EngineError::Failed`] when an image cannot be built.
    pub async fn open(options: PodOptions) -> Result<Self, EngineError> {
        let connection = Connection::open().await.map_err(EngineError::Missing)?;
        let client = &connection.client;
        let owner = Owner::current();
        let swept = sweep::sweep_dead(client, &owner).await?;
        if swept > 0 {
            tracing::info!(containers = swept, "removed what a dead run left");
        }
        let (image, target) = tokio::try_join!(
            gateway_image::provide(client, &options.run, &options.program),
            target_image::provide(client, &owner, &options)
        )?;
        let configuration = Configuration {
            ca_certificate: options.authority.certificate_pem.clone(),
            ca_key: options.authority.key_pem.clone(),
            validity: options.authority.validity,
            ports: options.ports.clone(),
            stub: options.stub.clone(),
            ipv6_names: false,
        };
        let blueprint = Blueprint {
            image,
            run: options.run.clone(),
            owner: owner.clone(),
            configuration,
            ipv6: AtomicBool::new(true),
            sight: OnceLock::new(),
        };
        let processes = options.limits.processes;
        let slots = (0..options.slots.max(1))
            .map(|_| {
                let account = Account::open(&connection.facts, connection.local, processes);
                AsyncMutex::new(Slot { gateways: Vec::new(), account })
            })
            .collect();
        Ok(Self {
            connection,
            options,
            owner,
            blueprint,
            target,
            slots,
            zones: Mutex::default(),
            init: AtomicBool::new(true),
            closed: CancellationToken::new(),
            removals: TaskTracker::new(),
        })
    }

    /// What the engine says of itself.
    #[must_use]
    pub fn facts(&self) -> &DockerFacts {
        &self.connection.facts
    }

    /// Runs our program as the canary, from the gateway's image, under exactly the restrictions of an agent.
    async fn fly(&self, slot: usize, arguments: &[String]) -> Result<(String, Traffic), EngineError> {
        let mut command = vec![gateway_image::PROGRAM.to_owned(), canary::SUBCOMMAND.to_owned()];
        command.extend_from_slice(arguments);
        let (cell, variables) = (CellId(String::from("canary")), BTreeMap::new());
        let identity = Identity::plain();
        let ended = {
            let mut held = self.slot(slot)?.lock().await;
            let spec = self.spec(Spec {
                image: &self.blueprint.image,
                labels: self.owner.labels(&self.options.run, "canary"),
                cell: &cell,
                command: &command,
                variables: &variables,
                image_variables: &[],
                user: (1000, 1000),
                workdir: "/",
                limits: self.options.limits,
                cpus: None,
                interface: false,
                http2: false,
                timeout: CANARY,
                init: true,
            });
            let (ended, container) = self.execute(&mut held, identity, spec, |_| async { Ok(Vec::new()) }).await?;
            self.remove_later(container);
            ended
        };
        let stdout = String::from_utf8_lossy(&ended.output.stdout).into_owned();
        if ended.outcome == (crate::capture::Outcome::Exited { code: 0 }) {
            return Ok((stdout, ended.traffic));
        }
        let stderr = String::from_utf8_lossy(&ended.output.stderr);
        Err(EngineError::Canary(format!("the canary ended with {:?}: {}", ended.outcome, stderr.trim())))
    }

    async fn run_cell(&self, slot: usize, job: &Job) -> Result<Capture, EngineError> {
        let environment = &job.environment;
        self.check_cpus(environment)?;
        let mut held = self.slot(slot)?.lock().await;
        let spec = self.spec(Spec {
            image: &self.target.name,
            labels: self.owner.labels(&self.options.run, "agent"),
            cell: &job.cell,
            command: &environment.command,
            variables: &environment.variables,
            image_variables: &self.target.variables,
            user: (environment.user.uid, environment.user.gid),
            workdir: &environment.workdir,
            limits: job.limits,
            cpus: environment.cpus,
            interface: environment.interface,
            http2: environment.http2,
            timeout: job.timeout,
            init: true,
        });
        let identity = Identity::of(environment);
        let files = overlay::complete(environment);
        let laid = &files;
        let lay = |container: String| async move { self.pack(&container, environment, laid).await };
        let (ended, container) = self.execute(&mut held, identity, spec, lay).await?;
        // The next cell of this slot may begin; what the agent left in its files can be read meanwhile.
        drop(held);
        let changed = self.changed_files(&container, ended.layers.clone(), environment, &files).await;
        self.remove_later(container);
        Ok(capture(ended, changed?))
    }

    /// Takes a gateway, makes the container, runs it to its end, and gives the gateway back if all went well. One that has
    /// failed, or was abandoned half-way, is never used again.
    async fn execute<F, L>(
        &self,
        slot: &mut Slot,
        identity: Identity,
        mut spec: Spec<'_>,
        lay: F,
    ) -> Result<(Ended, String), EngineError>
    where
        F: Fn(String) -> L,
        L: Future<Output = Result<Vec<u8>, EngineError>>,
    {
        let client = &self.connection.client;
        self.renew_account(slot, spec.limits.processes);
        let mut gateway = self.gateway(slot, identity).await?;
        loop {
            let container = spec.create(client, &gateway.container, slot.account.as_ref()).await;
            let container = match container {
                Ok(container) => container,
                Err(error) => {
                    self.remove_later(gateway.container);
                    return Err(error);
                }
            };
            let run = async {
                let overlay = lay(container.clone()).await?;
                spec.run(client, &container, overlay, &mut gateway, slot.account.as_ref()).await
            };
            match run.await {
                Ok(ended) => {
                    slot.gateways.push(gateway);
                    return Ok((ended, container));
                }
                Err(EngineError::Failed { message, .. }) if spec.init && message.contains("docker-init") => {
                    tracing::info!(message, "this engine has no init");
                    self.init.store(false, Ordering::Relaxed);
                    spec.init = false;
                    self.remove_later(container);
                }
                Err(error) => {
                    self.remove_later(container);
                    self.remove_later(gateway.container);
                    return Err(error);
                }
            }
        }
    }

    fn slot(&self, slot: usize) -> Result<&AsyncMutex<Slot>, EngineError> {
        self.slots.get(slot).ok_or_else(|| EngineError::Failed {
            step: "choosing a slot",
            message: format!("there are {}, and number {slot} was asked for", self.slots.len()),
        })
    }

    fn spec<'a>(&self, spec: Spec<'a>) -> Spec<'a> {
        Spec { init: self.init.load(Ordering::Relaxed), ..spec }
    }

    fn check_cpus(&self, environment: &Environment) -> Result<(), EngineError> {
        let (asked, there) = (environment.cpus.unwrap_or(1), self.connection.facts.cpus);
        if asked <= there {
            return Ok(());
        }
        Err(EngineError::Missing(format!(
            "the cell asks for {asked} processors, and the Docker engine has {there}: lower the levels of that factor"
        )))
    }

    /// Takes the slot's gateway of this identity out of it, or makes one.
    async fn gateway(&self, slot: &mut Slot, identity: Identity) -> Result<Gateway, EngineError> {
        if let Some(at) = slot.gateways.iter().position(|gateway| gateway.identity == identity) {
            return Ok(slot.gateways.remove(at));
        }
        if slot.gateways.len() >= GATEWAYS {
            self.remove_later(slot.gateways.remove(0).container);
        }
        self.blueprint.open(&self.connection.client, identity).await
    }

    /// Replaces an account that cannot tell any more when the limit of processes is reached.
    fn renew_account(&self, slot: &mut Slot, processes: u32) {
        if slot.account.as_ref().is_some_and(|account| account.is_spent(processes)) {
            // The old one is held until there is a new one, else it would be taken again.
            slot.account = Account::open(&self.connection.facts, self.connection.local, processes);
        }
    }

    /// Packs the environment's files. Looks once a path whether the image has a zone file.
    async fn pack(
        &self,
        container: &str,
        environment: &Environment,
        files: &[PodFile],
    ) -> Result<Vec<u8>, EngineError> {
        for file in files {
            let unknown = matches!(file.node, Node::Zone(_))
                && file.path.starts_with(ZONES)
                && !self.zones.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&file.path);
            if unknown {
                let there = self.is_in_container(container, &file.path).await?;
                self.zones.lock().unwrap_or_else(PoisonError::into_inner).insert(file.path.clone(), there);
            }
        }
        let zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        overlay::pack(files, &environment.user, |path| zones.get(path).copied().unwrap_or(false))
            .map_err(|message| EngineError::Failed { step: "laying the cell's files", message })
    }

    async fn is_in_container(&self, container: &str, path: &str) -> Result<bool, EngineError> {
        let options = ContainerArchiveInfoOptionsBuilder::new().path(path).build();
        match self.connection.client.get_container_archive_info(container, Some(options)).await {
            Ok(_) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(failed("looking for a time zone in the image")(error)),
        }
    }

    /// What the agent changed. Of the files that we laid ourselves, size, mode and time are looked at.
    async fn changed_files(
        &self,
        container: &str,
        layers: Option<Layers>,
        environment: &Environment,
        overlay: &[PodFile],
    ) -> Result<Vec<FileChange>, EngineError> {
        if let Some(layers) = layers.filter(|_| self.connection.local) {
            let (environment, overlay) = (environment.clone(), overlay.to_vec());
            let read = move || changes::read_layers(&environment, &overlay, &layers);
            return tokio::task::spawn_blocking(read).await.map_err(|error| EngineError::Failed {
                step: "listing the files changed",
                message: error.to_string(),
            });
        }
        let client = &self.connection.client;
        let list = client.container_changes(container).await.map_err(failed("listing the files changed"))?;
        let list: Vec<(String, Change)> = list
            .unwrap_or_default()
            .into_iter()
            .map(|change| {
                let kind = match change.kind {
                    ChangeType::_0 => Change::Modified,
                    ChangeType::_1 => Change::Added,
                    ChangeType::_2 => Change::Deleted,
                };
                (change.path, kind)
            })
            .collect();
        let listed: BTreeSet<&str> = list.iter().map(|(path, _)| path.as_str()).collect();
        let looks = changes::to_inspect(environment, overlay).into_iter().filter(|(path, ..)| listed.contains(path));
        let touched = join_all(looks.map(|(path, size, mode)| async move {
            let options = ContainerArchiveInfoOptionsBuilder::new().path(path).build();
            match client.get_container_archive_info(container, Some(options)).await {
                Ok(found) => (!is_as_laid(&found, size, mode)).then(|| path.to_owned()),
                // It cannot be looked at any more: something else stands there now.
                Err(_) => Some(path.to_owned()),
            }
        }))
        .await;
        Ok(changes::read(environment, overlay, &list, &touched.into_iter().flatten().collect()))
    }

    /// Removes a container while other things go on.
    fn remove_later(&self, container: String) {
        let client = self.connection.client.clone();
        self.removals.spawn(async move { holder::remove(&client, &container).await });
    }

    async fn unless_closed<T>(&self, work: impl Future<Output = Result<T, EngineError>>) -> Result<T, EngineError> {
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(EngineError::Cancelled),
            done = work => done,
        }
    }

    async fn close_all(&self) {
        self.closed.cancel();
        let mut accounts = Vec::new();
        for slot in &self.slots {
            // Runs give their slot up as soon as they hear that the engine is closed.
            let mut slot = slot.lock().await;
            slot.gateways.clear();
            accounts.extend(slot.account.take());
        }
        self.removals.close();
        if tokio::time::timeout(LAST_REMOVALS, self.removals.wait()).await.is_err() {
            tracing::warn!("removing containers takes long; the rest is left for the next run's sweep");
        }
        match sweep::sweep_run(&self.connection.client, &self.options.run).await {
            Ok(count) => tracing::debug!(count, "swept"),
            Err(error) => tracing::warn!(%error, "not swept; the next run does it"),
        }
        for account in accounts {
            account.remove();
        }
    }
}

/// Whether a file is still as the overlay had it.
fn is_as_laid(found: &bollard::container::PathStatResponse, size: u64, mode: u32) -> bool {
    let time = found.modification_time.as_deref().and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
    let laid = i64::try_from(MTIME).unwrap_or_default();
    u64::try_from(found.size) == Ok(size)
        // The engine's mode has its own bits above the permissions.
        && found.file_mode & 0o777 == mode & 0o777
        && time.is_some_and(|time| time.timestamp() == laid && time.timestamp_subsec_nanos() == 0)
}

fn capture(ended: Ended, files: Vec<FileChange>) -> Capture {
    let Ended { outcome, output, traffic, started_unix_ms, wall, cpu, layers: _ } = ended;
    let Traffic { exchanges, dns, tls, connections, left_open, dropped } = traffic;
    Capture {
        started_unix_ms,
        wall: Seconds::from(wall),
        cpu: cpu.map(Seconds::from),
        outcome,
        stdout: Body::new(output.stdout),
        stderr: Body::new(output.stderr),
        exchanges,
        dns,
        tls,
        connections,
        files,
        left_open,
        dropped,
    }
}

impl Engine for Docker {
    fn describe(&self) -> String {
        format!("docker {} (API {})", self.connection.facts.version, self.connection.facts.api)
    }

    fn target(&self) -> TargetFacts {
        self.target.facts.clone()
    }

    fn sight(&self) -> Option<Sight> {
        self.blueprint.sight.get().copied()
    }

    fn run<'a>(&'a self, slot: usize, job: &'a Job) -> BoxFuture<'a, Result<Capture, EngineError>> {
        Box::pin(self.unless_closed(self.run_cell(slot, job)))
    }

    fn run_canary<'a>(
        &'a self,
        slot: usize,
        arguments: &'a [String],
    ) -> BoxFuture<'a, Result<(String, Traffic), EngineError>> {
        Box::pin(self.unless_closed(self.fly(slot, arguments)))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.close_all())
    }
}
