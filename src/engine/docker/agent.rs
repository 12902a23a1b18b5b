//! The **agent container**: joined to a gateway's network, with nothing that an unprivileged process does not need, made for
//! one cell and never used again.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::Docker as Client;
use bollard::models::{ContainerCreateBody, ContainerState, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum};
use bollard::query_parameters::{
    KillContainerOptionsBuilder, StatsOptionsBuilder, UploadToContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use chrono::DateTime;
use futures_util::StreamExt as _;

use super::account::{Account, Usage};
use super::attach::{Output, listen};
use super::connection::failed;
use super::holder::{Gateway, no_log};
use super::owner::CELL_LABEL;
use super::upper::Layers;
use crate::capture::Outcome;
use crate::cell::CellId;
use crate::engine::EngineError;
use crate::gateway::client::Traffic;
use crate::scenario::Limits;

/// How long a container may take to end once it was killed.
const KILLED: Duration = Duration::from_secs(30);

/// How long its last output may take to arrive once it has ended.
const LAST_OUTPUT: Duration = Duration::from_secs(10);

/// What runs in an agent container.
#[derive(Debug)]
pub(super) struct Spec<'a> {
    /// Image.
    pub(super) image: &'a str,
    /// Labels.
    pub(super) labels: std::collections::HashMap<String, String>,
    /// The cell.
    pub(super) cell: &'a CellId,
    /// Argument vector.
    pub(super) command: &'a [String],
    /// All its variables.
    pub(super) variables: &'a BTreeMap<String, String>,
    /// Variables that the image would add.
    pub(super) image_variables: &'a [String],
    /// User and group id.
    pub(super) user: (u32, u32),
    /// Working folder.
    pub(super) workdir: &'a str,
    /// Limits.
    pub(super) limits: Limits,
    /// Processors to show.
    pub(super) cpus: Option<u32>,
    /// Whether to show a network interface.
    pub(super) interface: bool,
    /// Whether to agree on HTTP/2.
    pub(super) http2: bool,
    /// Deadline.
    pub(super) timeout: Duration,
    /// Whether the engine puts an init of its own before the program, so that signals and orphans are as anywhere else.
    pub(super) init: bool,
}

impl Spec<'_> {
    /// The container: joined to the container `gateway`, below the control group `parent`.
    fn body(&self, gateway: &str, parent: Option<String>) -> ContainerCreateBody {
        let mut labels = self.labels.clone();
        labels.insert(CELL_LABEL.to_owned(), self.cell.0.clone());
        let (program, arguments) = self.command.split_first().map_or((None, &[][..]), |(p, a)| (Some(p.clone()), a));
        let memory = i64::try_from(self.limits.memory_bytes).unwrap_or(i64::MAX);
        ContainerCreateBody {
            image: Some(self.image.to_owned()),
            labels: Some(labels),
            user: Some(format!("{}:{}", self.user.0, self.user.1)),
            working_dir: Some(self.workdir.to_owned()),
            env: Some(self.environment()),
            entrypoint: Some(program.into_iter().collect()),
            cmd: Some(arguments.to_vec()),
            attach_stdin: Some(false),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            open_stdin: Some(false),
            tty: Some(false),
            // An image's own health check would run beside the agent.
            healthcheck: Some(HealthConfig { test: Some(vec![String::from("NONE")]), ..HealthConfig::default() }),
            host_config: Some(HostConfig {
                network_mode: Some(format!("container:{gateway}")),
                cap_drop: Some(vec![String::from("ALL")]),
                security_opt: Some(vec![String::from("no-new-privileges")]),
                memory: Some(memory),
                // Memory and swap together: no swap.
                memory_swap: Some(memory),
                pids_limit: Some(i64::from(self.limits.processes)),
                cpuset_cpus: self.cpus.map(|count| match count {
                    0 | 1 => String::from("0"),
                    count => format!("0-{}", count - 1),
                }),
                cgroup_parent: parent,
                // The names of control groups on the machine are no agent's business.
                cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
                ipc_mode: Some(String::from("private")),
                init: Some(self.init),
                log_config: Some(no_log()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }

    /// Exactly the environment's variables. A name without a value takes away what the engine or the image would add; only
    /// HOME comes back if it is not set (from the passwd entry).
    fn environment(&self) -> Vec<String> {
        let added = self.image_variables.iter().map(String::as_str).chain(["HOSTNAME", "PATH", "TERM"]);
        let taken_away: std::collections::BTreeSet<&str> =
            added.filter(|name| !self.variables.contains_key(*name)).collect();
        let set = self.variables.iter().map(|(name, value)| format!("{name}={value}"));
        set.chain(taken_away.into_iter().map(str::to_owned)).collect()
    }

    /// Makes the container.
    pub(super) async fn create(
        &self,
        client: &Client,
        gateway: &str,
        account: Option<&Account>,
    ) -> Result<String, EngineError> {
        let body = self.body(gateway, account.map(Account::parent));
        Ok(client.create_container(None, body).await.map_err(failed("creating the agent container"))?.id)
    }

    /// Starts the container and follows it to its end.
    pub(super) async fn run(
        &self,
        client: &Client,
        container: &str,
        overlay: Vec<u8>,
        gateway: &mut Gateway,
        account: Option<&Account>,
    ) -> Result<Ended, EngineError> {
        let (output, ()) = tokio::try_join!(listen(client, container), upload(client, container, overlay))?;
        let output = tokio::spawn(output);
        let before = account.map(Account::usage).unwrap_or_default();
        gateway.client.appear(self.interface).await.map_err(|error| gateway.explain(error))?;
        gateway.client.offer_http2(self.http2);
        gateway.client.begin(self.cell).await.map_err(|error| gateway.explain(error))?;
        client.start_container(container, None).await.map_err(failed("starting the agent container"))?;
        let end = self.wait(client, container).await?;
        let state = async {
            let found =
                client.inspect_container(container, None).await.map_err(failed("asking how the agent ended"))?;
            let layers = found.graph_driver.and_then(|driver| Layers::open(&driver.name, &driver.data));
            let state = found.state.ok_or_else(|| EngineError::Failed {
                step: "asking how the agent ended",
                message: String::from("the engine does not say"),
            })?;
            Ok::<_, EngineError>((state, layers))
        };
        let traffic = async { gateway.client.end(self.cell).await };
        let (state, traffic) = tokio::join!(state, traffic);
        let ((state, layers), traffic) = (state?, traffic.map_err(|error| gateway.explain(error))?);
        let output = tokio::time::timeout(LAST_OUTPUT, output).await.ok().and_then(Result::ok);
        let output = output.ok_or_else(|| EngineError::Failed {
            step: "reading the agent's output",
            message: String::from("it did not end with the agent"),
        })?;
        let after = account.map(Account::usage).unwrap_or_default();
        if let Some(reason) = never_started(&state, &output) {
            return Err(EngineError::Failed {
                step: "starting the agent",
                message: format!("`{}` cannot be run in the pod: {reason}", self.command.join(" ")),
            });
        }
        Ok(Ended { layers, ..self.ended(&state, end, (before, after), output, traffic) })
    }

    /// Waits for the end, and brings it about at the deadline.
    async fn wait(&self, client: &Client, container: &str) -> Result<End, EngineError> {
        if let Ok(waited) = tokio::time::timeout(self.timeout, exit(client, container)).await {
            waited?;
            return Ok(End::ByItself);
        }
        let crowded = crowded(client, container, self.limits.processes).await;
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        if let Err(error) = client.kill_container(container, Some(options)).await {
            // It may have ended in this very moment. If not, waiting for it says so.
            tracing::debug!(container, %error, "not killed");
        }
        match tokio::time::timeout(KILLED, exit(client, container)).await {
            Ok(waited) => waited.map(|()| End::AtDeadline { crowded }),
            Err(_) => Err(EngineError::Failed {
                step: "ending the agent container",
                message: format!("it still ran {} s after it was killed", KILLED.as_secs()),
            }),
        }
    }

    fn ended(
        &self,
        state: &ContainerState,
        end: End,
        (before, after): (Usage, Usage),
        output: Output,
        traffic: Traffic,
    ) -> Ended {
        let code = state.exit_code.unwrap_or_default();
        let outcome =
            outcome(code, end, state.oom_killed.unwrap_or_default(), after.reached(before, self.limits.processes));
        let moment = |text: &Option<String>| text.as_deref().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        let (started, finished) = (moment(&state.started_at), moment(&state.finished_at));
        let wall = started.zip(finished).and_then(|(started, finished)| (finished - started).to_std().ok());
        Ended {
            outcome,
            output,
            traffic,
            started_unix_ms: started.map_or(0, |started| started.timestamp_millis()),
            wall: wall.unwrap_or_default(),
            cpu: after.cpu_since(before),
            layers: None,
        }
    }
}

/// How an agent came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    ByItself,
    AtDeadline {
        /// Whether it had as many processes as it may have.
        crowded: bool,
    },
}

/// What became of one container.
#[derive(Debug)]
pub(super) struct Ended {
    /// How it ended.
    pub(super) outcome: Outcome,
    /// What it printed.
    pub(super) output: Output,
    /// What it sent.
    pub(super) traffic: Traffic,
    /// When it was started, by the engine's clock.
    pub(super) started_unix_ms: i64,
    /// How long it ran, by the engine's clock.
    pub(super) wall: Duration,
    /// What it used.
    pub(super) cpu: Option<Duration>,
    /// Where its files lie, if they can be read from here.
    pub(super) layers: Option<Layers>,
}

/// Says how it ended. A limit that was reached counts where the agent did not come to a good end by itself. Engines report
/// a death by signal as a code above 128, as shells do.
fn outcome(code: i64, end: End, out_of_memory: bool, out_of_processes: bool) -> Outcome {
    let crowded = out_of_processes || matches!(end, End::AtDeadline { crowded: true });
    let good = end == End::ByItself && code == 0;
    match (end, code) {
        _ if out_of_memory && !good => Outcome::MemoryLimit,
        _ if crowded && !good => Outcome::ProcessLimit,
        (End::AtDeadline { .. }, _) => Outcome::TimedOut,
        (End::ByItself, 129..=192) => Outcome::Signalled { signal: i32::try_from(code - 128).unwrap_or_default() },
        (End::ByItself, _) => Outcome::Exited { code: i32::try_from(code).unwrap_or(i32::MAX) },
    }
}

/// Why the engine's init could not run the program at all, which is no behaviour of the program. It says so on the standard
/// error that it shares with it.
fn never_started(state: &ContainerState, output: &Output) -> Option<String> {
    let said = std::str::from_utf8(&output.stderr).ok()?.lines().next()?;
    let reason = said.strip_prefix("[FATAL tini (")?.split_once(" failed: ")?.1;
    (matches!(state.exit_code, Some(126 | 127)) && output.stdout.is_empty()).then(|| reason.to_owned())
}

async fn upload(client: &Client, container: &str, overlay: Vec<u8>) -> Result<(), EngineError> {
    if overlay.is_empty() {
        return Ok(());
    }
    let options = UploadToContainerOptionsBuilder::new().path("/").build();
    let body = bollard::body_full(overlay.into());
    client.upload_to_container(container, Some(options), body).await.map_err(failed("laying the cell's files"))
}

/// Waits until a container does not run. The client takes an exit code other than 0 for an error of its own.
async fn exit(client: &Client, container: &str) -> Result<(), EngineError> {
    let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
    let mut stream = std::pin::pin!(client.wait_container(container, Some(options)));
    match stream.next().await {
        Some(Ok(_) | Err(bollard::errors::Error::DockerContainerWaitError { .. })) => Ok(()),
        Some(Err(error)) => Err(failed("waiting for the agent")(error)),
        None => Err(EngineError::Failed { step: "waiting for the agent", message: String::from("the engine hung up") }),
    }
}

/// Whether a container has as many processes as it may have. No answer is a no.
async fn crowded(client: &Client, container: &str, limit: u32) -> bool {
    let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
    let mut stream = std::pin::pin!(client.stats(container, Some(options)));
    let Ok(Some(Ok(stats))) = tokio::time::timeout(Duration::from_secs(5), stream.next()).await else { return false };
    stats.pids_stats.and_then(|pids| pids.current).is_some_and(|current| current >= u64::from(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec<'a>(cell: &'a CellId, variables: &'a BTreeMap<String, String>, command: &'a [String]) -> Spec<'a> {
        Spec {
            image: "image",
            labels: std::collections::HashMap::new(),
            cell,
            command,
            variables,
            image_variables: &[],
            user: (1000, 1001),
            workdir: "/workspace",
            limits: Limits { memory_bytes: 1 << 20, processes: 64 },
            cpus: Some(2),
            interface: false,
            http2: false,
            timeout: Duration::from_secs(1),
            init: true,
        }
    }

    #[test]
    fn an_agent_has_no_privileges() {
        let (cell, variables) = (CellId::nth(3), BTreeMap::new());
        let command = ["sh", "-c", "true"].map(String::from);
        let body = spec(&cell, &variables, &command).body("gateway-id", Some(String::from("/parent")));
        assert_eq!(body.user.as_deref(), Some("1000:1001"));
        assert_eq!(body.entrypoint, Some(vec![String::from("sh")]));
        assert_eq!(body.cmd, Some(vec![String::from("-c"), String::from("true")]));
        let host = body.host_config.unwrap();
        assert_eq!(host.network_mode.as_deref(), Some("container:gateway-id"));
        assert_eq!(host.cap_drop, Some(vec![String::from("ALL")]));
        assert_eq!(host.security_opt, Some(vec![String::from("no-new-privileges")]));
        assert_eq!((host.memory, host.memory_swap, host.pids_limit), (Some(1 << 20), Some(1 << 20), Some(64)));
        assert_eq!(host.cpuset_cpus.as_deref(), Some("0-1"));
        assert!(host.cap_add.is_none() && host.privileged.is_none() && host.binds.is_none() && host.mounts.is_none());
        assert!(host.devices.is_none() && host.pid_mode.is_none() && host.auto_remove.is_none());
    }

    #[test]
    fn variables_are_exactly_those_asked_for() {
        let cell = CellId::nth(0);
        let variables = BTreeMap::from([("PATH", "/bin"), ("A", "b=c")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        let image_variables = ["PATH", "NODE_VERSION", "A"].map(String::from);
        let spec = Spec { image_variables: &image_variables, ..spec(&cell, &variables, &[]) };
        assert_eq!(spec.environment(), ["A=b=c", "PATH=/bin", "HOSTNAME", "NODE_VERSION", "TERM"]);
    }

    #[test]
    fn an_end_is_called_what_it_is() {
        let deadline = End::AtDeadline { crowded: false };
        let rows = [
            (outcome(0, End::ByItself, false, false), Outcome::Exited { code: 0 }),
            (outcome(1, End::ByItself, false, false), Outcome::Exited { code: 1 }),
            (outcome(137, End::ByItself, false, false), Outcome::Signalled { signal: 9 }),
            (outcome(255, End::ByItself, false, false), Outcome::Exited { code: 255 }),
            (outcome(137, End::ByItself, true, false), Outcome::MemoryLimit),
            (outcome(0, End::ByItself, true, true), Outcome::Exited { code: 0 }),
            (outcome(2, End::ByItself, false, true), Outcome::ProcessLimit),
            (outcome(137, deadline, false, false), Outcome::TimedOut),
            (outcome(0, deadline, false, true), Outcome::ProcessLimit),
            (outcome(137, End::AtDeadline { crowded: true }, false, false), Outcome::ProcessLimit),
            (outcome(137, deadline, true, false), Outcome::MemoryLimit),
        ];
        for (found, expected) in rows {
            assert_eq!(found, expected);
        }
    }
}
