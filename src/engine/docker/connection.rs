//! The **connection** to a Docker engine: where it listens, what it is, and exact words where it is not there.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, Docker as Client};

use crate::engine::EngineError;

/// Names the engine's address, as for the `docker` command: `unix://…` or `tcp://…`.
const HOST_VARIABLE: &str = "DOCKER_HOST";

/// Where the engine listens if nothing else is said.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// The oldest API that has all that a pod needs (private cgroup namespaces came last).
const OLDEST_API: (u32, u32) = (1, 41);

/// How long the engine may take to begin an answer.
const ANSWER: Duration = Duration::from_mins(2);

/// How long it may take to say what it is. A dead remote host must not hold `doctor` up.
const PROBE: Duration = Duration::from_secs(10);

/// What a Docker engine says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerFacts {
    /// Version of the engine.
    pub version: String,
    /// API version that is spoken.
    pub api: String,
    /// Storage driver, `overlay2`.
    pub storage_driver: String,
    /// Version of its control groups, `1` or `2`.
    pub cgroup_version: String,
    /// Who makes its control groups, `cgroupfs` or `systemd`.
    pub cgroup_driver: String,
    /// Processors that it has.
    pub cpus: u32,
    /// Whether it runs without root.
    pub rootless: bool,
    /// Where it was reached.
    pub address: String,
}

/// A working connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    /// The client.
    pub(super) client: Client,
    /// What the engine is.
    pub(super) facts: DockerFacts,
    /// Whether it is reached by a socket on this machine.
    pub(super) local: bool,
}

/// Where an engine may be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Address {
    Socket(PathBuf),
    Tcp(String),
}

impl Address {
    /// Finds where to look, from the variable's value and the user's runtime folder.
    fn find(host: Option<&str>, runtime: Option<&Path>) -> Result<Self, String> {
        match host.filter(|host| !host.is_empty()) {
            None => {
                // A rootless engine listens below the user's runtime folder.
                let own = runtime.map(|folder| folder.join("docker.sock")).filter(|socket| socket.exists());
                Ok(Self::Socket(match own {
                    Some(socket) if !Path::new(DEFAULT_SOCKET).exists() => socket,
                    _ => PathBuf::from(DEFAULT_SOCKET),
                }))
            }
            Some(host) if host.starts_with("unix://") => Ok(Self::Socket(PathBuf::from(&host["unix://".len()..]))),
            Some(host) if host.starts_with("tcp://") || host.starts_with("http://") => Ok(Self::Tcp(host.to_owned())),
            Some(host) => Err(format!(
                "{HOST_VARIABLE} is `{host}`, and only unix:// and tcp:// can be used: forward the remote socket \
                 (`ssh -L /tmp/docker.sock:{DEFAULT_SOCKET} HOST`) and set {HOST_VARIABLE}=unix:///tmp/docker.sock"
            )),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(url) => f.write_str(url),
        }
    }
}

/// Asks the Docker engine what it is.
///
/// # Errors
/// One line for a person: what is missing and how to mend it.
pub async fn probe() -> Result<DockerFacts, String> {
    Connection::open().await.map(|connection| connection.facts)
}

impl Connection {
    /// Connects, and agrees on an API version.
    pub(super) async fn open() -> Result<Self, String> {
        let host = std::env::var(HOST_VARIABLE).ok();
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let address = Address::find(host.as_deref(), runtime.as_deref())?;
        let local = matches!(address, Address::Socket(_));
        let client = match &address {
            Address::Socket(path) => {
                // bollard says the same of every failure; a bare connect knows which one it is.
                reach(path).await?;
                Client::connect_with_unix(&path.to_string_lossy(), ANSWER.as_secs(), API_DEFAULT_VERSION)
            }
            Address::Tcp(url) => Client::connect_with_http(url, ANSWER.as_secs(), API_DEFAULT_VERSION),
        }
        .map_err(|error| format!("Docker at {address}: {error}"))?;
        let asked = tokio::time::timeout(PROBE, ask(client, &address)).await;
        let (client, facts) = asked.map_err(|_| {
            format!("Docker at {address} did not answer within {} s: look at its log, or restart it", PROBE.as_secs())
        })??;
        Ok(Self { client, facts, local })
    }
}

/// Tells apart why a socket cannot be used.
async fn reach(socket: &Path) -> Result<(), String> {
    let shown = socket.display();
    match tokio::net::UnixStream::connect(socket).await {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.kind() {
            ErrorKind::NotFound => format!(
                "Docker is not here: {shown} does not exist. Install it (Debian, Ubuntu: `sudo apt-get install \
                 docker.io`) and start it (`sudo systemctl start docker`), or use `--engine embedded`"
            ),
            ErrorKind::PermissionDenied => format!(
                "Docker's socket {shown} may not be used by this account. Join its group (`sudo usermod -aG docker \
                 $USER`, then log in again), or use `--engine embedded`"
            ),
            ErrorKind::ConnectionRefused => format!(
                "Docker is installed but does not run: nothing listens on {shown}. Start it (`sudo systemctl start \
                 docker`), or use `--engine embedded`"
            ),
            _ => format!("Docker's socket {shown} cannot be used: {error}"),
        }),
    }
}

async fn ask(client: Client, address: &Address) -> Result<(Client, DockerFacts), String> {
    let failed = |error: bollard::errors::Error| format!("Docker at {address} does not answer: {}", explain(&error));
    let client = client.negotiate_version().await.map_err(failed)?;
    let spoken = client.client_version();
    let api = format!("{}.{}", spoken.major_version, spoken.minor_version);
    let version = client.version().await.map_err(failed)?.version.unwrap_or_else(|| String::from("unknown"));
    if !api_is_enough(&api) {
        return Err(format!(
            "Docker {version} speaks API {api}, and {}.{} is needed: install Docker 20.10 or later",
            OLDEST_API.0, OLDEST_API.1
        ));
    }
    let info = client.info().await.map_err(failed)?;
    if info.os_type.as_deref().is_some_and(|os| os != "linux") {
        return Err(format!("Docker at {address} runs Windows containers, and pods are Linux containers"));
    }
    let facts = DockerFacts {
        version,
        api,
        storage_driver: info.driver.unwrap_or_default(),
        cgroup_version: info.cgroup_version.map(|version| version.to_string()).unwrap_or_default(),
        cgroup_driver: info.cgroup_driver.map(|driver| driver.to_string()).unwrap_or_default(),
        cpus: info.ncpu.and_then(|count| u32::try_from(count).ok()).unwrap_or(1),
        rootless: info.security_options.unwrap_or_default().iter().any(|option| option.contains("rootless")),
        address: address.to_string(),
    };
    Ok((client, facts))
}

fn api_is_enough(api: &str) -> bool {
    let mut numbers = api.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OLDEST_API
}

/// What went wrong, without the client's own preamble.
pub(super) fn explain(error: &bollard::errors::Error) -> String {
    use bollard::errors::Error;
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::DockerStreamError { error } => error.trim().to_owned(),
        Error::RequestTimeoutError => String::from("no answer in time"),
        other => {
            // The outermost message of the transport says only "client error".
            let mut text = other.to_string();
            let mut source = std::error::Error::source(other);
            while let Some(inner) = source {
                text = inner.to_string();
                source = inner.source();
            }
            text
        }
    }
}

/// Names the step at which the engine failed.
pub(super) fn failed(step: &'static str) -> impl Fn(bollard::errors::Error) -> EngineError {
    move |error| EngineError::Failed { step, message: explain(&error) }
}

/// Whether the engine says that there is no such thing.
pub(super) fn is_absent(error: &bollard::errors::Error) -> bool {
    matches!(error, bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_says_where_to_look() {
        let socket = Address::Socket(PathBuf::from("/run/elsewhere.sock"));
        assert_eq!(Address::find(Some("unix:///run/elsewhere.sock"), None), Ok(socket));
        let tcp = Address::Tcp(String::from("tcp://box:2375"));
        assert_eq!(Address::find(Some("tcp://box:2375"), None), Ok(tcp));
        assert_eq!(Address::find(Some(""), None), Ok(Address::Socket(PathBuf::from(DEFAULT_SOCKET))));
        let refused = Address::find(Some("ssh://box"), None).unwrap_err();
        assert!(refused.contains("ssh://box") && refused.contains("ssh -L"), "{refused}");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(api_is_enough("1.41") && api_is_enough("1.100") && api_is_enough("2.0"));
        assert!(!api_is_enough("1.9") && !api_is_enough("1.40") && !api_is_enough("") && !api_is_enough("x.y"));
    }

    #[tokio::test]
    async fn a_socket_that_is_not_there_is_told_from_one_that_nobody_serves() {
        let folder = tempfile::tempdir().unwrap();
        let absent = reach(&folder.path().join("none.sock")).await.unwrap_err();
        assert!(absent.contains("does not exist") && absent.contains("apt-get install"), "{absent}");
        let path = folder.path().join("dead.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let dead = reach(&path).await.unwrap_err();
        assert!(dead.contains("does not run"), "{dead}");
    }
}
