//! The **gateway container**: it holds the pod's network namespace, in which our own program serves a whole Internet. Agents
//! join it, and inherit its hostname, hosts and resolver from it.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use bollard::Docker as Client;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig};
use bollard::query_parameters::RemoveContainerOptionsBuilder;

use super::attach::{Dialogue, LastWords, converse};
use super::connection::failed;
use super::owner::Owner;
use crate::capture::Sight;
use crate::engine::EngineError;
use crate::engine::environment::Environment;
use crate::gateway::client::GatewayClient;
use crate::gateway::protocol::Configuration;

/// The resolver that agents are told of: any address ends at the gateway, so it is one that an ordinary home network has.
const RESOLVER: &str = "192.168.1.1";

/// What the gateway may use: bodies are held until they are reported.
const MEMORY: i64 = 2 << 30;

/// What agents inherit from a gateway, so that cells that differ in it need another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    hostname: String,
    dns_search: Option<String>,
}

impl Identity {
    /// One that no cell asks for, for the canary.
    pub(super) fn plain() -> Self {
        Self { hostname: String::from("localhost"), dns_search: None }
    }

    /// What this environment asks for.
    pub(super) fn of(environment: &Environment) -> Self {
        Self { hostname: environment.hostname.clone(), dns_search: environment.dns_search.clone() }
    }
}

/// A running gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    /// What agents inherit from it.
    pub(super) identity: Identity,
    /// Its container.
    pub(super) container: String,
    /// What we talk to it by.
    pub(super) client: GatewayClient,
    last_words: LastWords,
}

/// How gateways of this run are made.
#[derive(Debug)]
pub(super) struct Blueprint {
    /// Their image.
    pub(super) image: String,
    /// The run.
    pub(super) run: String,
    /// Its owner.
    pub(super) owner: Owner,
    /// What they are told.
    pub(super) configuration: Configuration,
    /// Whether this kernel has IPv6, as far as is known.
    pub(super) ipv6: AtomicBool,
    /// What the first gateway said of itself; the others are on the same kernel.
    pub(super) sight: OnceLock<Sight>,
}

impl Blueprint {
    /// Makes and starts a gateway.
    pub(super) async fn open(&self, client: &Client, identity: Identity) -> Result<Gateway, EngineError> {
        loop {
            let ipv6 = self.ipv6.load(Ordering::Relaxed);
            match self.try_open(client, &identity, ipv6).await {
                Err(EngineError::Failed { message, .. }) if ipv6 && message.contains("ipv6") => {
                    tracing::info!(message, "no IPv6 here");
                    self.ipv6.store(false, Ordering::Relaxed);
                }
                other => return other,
            }
        }
    }

    async fn try_open(&self, client: &Client, identity: &Identity, ipv6: bool) -> Result<Gateway, EngineError> {
        let step = "starting a gateway";
        let body = self.body(identity, ipv6);
        let container = client.create_container(None, body).await.map_err(failed(step))?.id;
        let started = async {
            let Dialogue { output, input, last_words } = converse(client, &container).await?;
            client.start_container(&container, None).await.map_err(failed(step))?;
            let talk = GatewayClient::start(output, input, self.configuration.clone()).await;
            let talk = talk.map_err(|error| {
                let message = format!("{error} {}", last_words.text()).trim_end().to_owned();
                EngineError::Failed { step, message }
            })?;
            Ok((talk, last_words))
        };
        match started.await {
            Ok((talk, last_words)) => {
                self.sight.get_or_init(|| talk.sight());
                Ok(Gateway { identity: identity.clone(), container, client: talk, last_words })
            }
            Err(error) => {
                remove(client, &container).await;
                Err(error)
            }
        }
    }

    fn body(&self, identity: &Identity, ipv6: bool) -> ContainerCreateBody {
        let sysctls = ipv6.then(|| HashMap::from([entry("net.ipv6.conf.all.disable_ipv6", "0")]));
        ContainerCreateBody {
            image: Some(self.image.clone()),
            hostname: Some(identity.hostname.clone()),
            labels: Some(self.owner.labels(&self.run, "gateway")),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            // Its input ends with our connection, and it ends with its input: a gateway never outlives us.
            open_stdin: Some(true),
            stdin_once: Some(true),
            host_config: Some(HostConfig {
                network_mode: Some(String::from("none")),
                cap_drop: Some(vec![String::from("ALL")]),
                // NET_RAW: to see what is dialled where nobody listens.
                cap_add: Some(["NET_ADMIN", "NET_BIND_SERVICE", "NET_RAW"].map(String::from).to_vec()),
                security_opt: Some(vec![String::from("no-new-privileges")]),
                readonly_rootfs: Some(true),
                memory: Some(MEMORY),
                pids_limit: Some(64),
                sysctls,
                dns: Some(vec![String::from(RESOLVER)]),
                // A lone dot is the engine's word for none at all: else it would take the machine's own.
                dns_search: Some(vec![identity.dns_search.clone().unwrap_or_else(|| String::from("."))]),
                dns_options: Some(Vec::new()),
                // As on a machine that was installed by hand, its own name is not asked for.
                extra_hosts: Some(vec![format!("{}:127.0.1.1", identity.hostname)]),
                log_config: Some(no_log()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }
}

impl Gateway {
    /// Adds what the gateway itself said to a failure in talking to it.
    pub(super) fn explain(&self, error: impl std::fmt::Display) -> EngineError {
        let message = format!("{error} {}", self.last_words.text()).trim_end().to_owned();
        EngineError::Failed { step: "talking to the gateway", message }
    }
}

fn entry(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

/// Output is read as it comes; the engine need not keep it.
pub(super) fn no_log() -> HostConfigLogConfig {
    HostConfigLogConfig { typ: Some(String::from("none")), config: None }
}

/// Removes a container and whatever it made, running or not.
pub(super) async fn remove(client: &Client, container: &str) {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match client.remove_container(container, Some(options)).await {
        Ok(()) => {}
        Err(error) if super::connection::is_absent(&error) => {}
        // Its label is still on it: the sweep at the end, or the next one, finds it.
        Err(error) => tracing::debug!(container, %error, "left for the sweep"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blueprint() -> Blueprint {
        Blueprint {
            image: String::from("parallax-gateway:0"),
            run: String::from("abcdefgh"),
            owner: Owner::current(),
            configuration: Configuration {
                ca_certificate: String::new(),
                ca_key: String::new(),
                validity: crate::gateway::Validity::default(),
                ports: Vec::new(),
                stub: crate::scenario::Stub::default(),
                ipv6_names: false,
            },
            ipv6: AtomicBool::new(true),
            sight: OnceLock::new(),
        }
    }

    #[test]
    fn a_gateway_has_no_way_out_and_three_capabilities() {
        let identity = Identity { hostname: String::from("box"), dns_search: None };
        let body = blueprint().body(&identity, true);
        let host = body.host_config.unwrap();
        assert_eq!(host.network_mode.as_deref(), Some("none"));
        assert_eq!(host.cap_drop, Some(vec![String::from("ALL")]));
        assert_eq!(host.cap_add.unwrap().len(), 3);
        assert_eq!(host.readonly_rootfs, Some(true));
        assert!(host.privileged.is_none() && host.binds.is_none() && host.mounts.is_none());
        assert_eq!(host.dns_search, Some(vec![String::from(".")]));
        assert_eq!(body.stdin_once, Some(true));
        assert!(host.sysctls.is_some() && blueprint().body(&identity, false).host_config.unwrap().sysctls.is_none());
    }
}
