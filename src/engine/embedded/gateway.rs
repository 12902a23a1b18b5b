//! The program's side of a gateway: one process a slot, which lives for the run and holds the slot's network namespace.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::engine::EngineError;
use crate::gateway::Authority;
use crate::gateway::client::GatewayClient;
use crate::gateway::protocol::Configuration;
use crate::scenario::Stub;

/// The hidden subcommand that is a gateway.
pub(super) const SUBCOMMAND: &str = "pod-gateway";

/// A running gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    /// Speaks to it. Dropping it closes the gateway's standard input, at which it ends.
    pub(super) client: GatewayClient,
    child: Child,
    /// Its process id.
    pub(super) pid: u32,
}

impl Gateway {
    /// Starts one. `outer`: the id outside, where root builds pods.
    pub(super) async fn start(
        program: &Path,
        configuration: Configuration,
        outer: Option<u32>,
    ) -> Result<Self, EngineError> {
        let step = "starting a gateway";
        let mut child = Command::new(program)
            .arg(SUBCOMMAND)
            .arg(outer.map_or_else(|| "-".to_owned(), |id| id.to_string()))
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| EngineError::Failed { step, message: error.to_string() })?;
        let gone = || EngineError::Failed { step, message: "it ended at once".to_owned() };
        let pid = child.id().ok_or_else(gone)?;
        let (reader, writer) = (child.stdout.take().ok_or_else(gone)?, child.stdin.take().ok_or_else(gone)?);
        let client = GatewayClient::start(reader, writer, configuration)
            .await
            .map_err(|error| EngineError::Failed { step, message: error.to_string() })?;
        Ok(Self { client, child, pid })
    }

    /// What a gateway of these pods is told.
    pub(super) fn configuration(authority: &Authority, ports: &[u16], stub: &Stub) -> Configuration {
        Configuration {
            ca_certificate: authority.certificate_pem.clone(),
            ca_key: authority.key_pem.clone(),
            validity: authority.validity,
            ports: ports.to_vec(),
            stub: stub.clone(),
            ipv6_names: false,
        }
    }

    /// Lets it end, and ends it if it does not.
    pub(super) async fn stop(self) {
        let Self { client, mut child, .. } = self;
        drop(client);
        if tokio::time::timeout(Duration::from_secs(2), child.wait()).await.is_err() {
            // Already gone is as good.
            let _ = child.kill().await;
        }
    }
}
