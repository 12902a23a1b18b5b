//! **Entry points** for fuzzing and for `tests/robustness.rs`: one connection of whatever bytes, without a socket, and what
//! the program reads from a gateway.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;

use super::connection::{self, Service, Shared};
use super::ledger::{Ledger, Outbox};
use super::protocol::Report;
use super::reply::Stub;
use super::tls::Certificates;
use super::{Authority, GatewayError, frame};
use crate::scenario;

/// Bytes on their way at most.
const ROOM: usize = 64 << 10;

/// A gateway without a network.
#[derive(Debug)]
pub struct Parlour {
    runtime: Runtime,
    shared: Arc<Shared>,
}

/// What came of one connection.
#[derive(Debug)]
pub struct Heard {
    /// What the gateway reported.
    pub reports: Vec<Report>,
    /// What the client was answered.
    pub answer: Vec<u8>,
}

impl Parlour {
    /// A gateway that answers as the stub does.
    ///
    /// # Errors
    /// When no certificate can be made, or the machine refuses a thread.
    pub fn open(stub: scenario::Stub) -> Result<Self, GatewayError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let authority = Authority::mint("Network Root CA")?;
        let certificates = Certificates::new(&authority.certificate_pem, &authority.key_pem, authority.validity)?;
        Ok(Self { runtime, shared: Arc::new(Shared { stub: Stub::new(stub), certificates, ipv6_names: false }) })
    }

    /// A client connects to `port`, sends these bytes, and ends.
    ///
    /// # Errors
    /// When a report cannot be read: the gateway then broke its own protocol.
    pub fn hear(&self, port: u16, bytes: &[u8]) -> Result<Heard, GatewayError> {
        self.runtime.block_on(async {
            let (reports, mut told) = tokio::io::duplex(ROOM);
            let (outbox, writer) = Outbox::new(reports);
            tokio::spawn(writer);
            let told = tokio::spawn(async move {
                let mut text = Vec::new();
                told.read_to_end(&mut text).await.map(|_| text)
            });
            let ledger = Arc::new(Ledger::begin(String::from("c0001"), true, outbox));
            let (client, server) = tokio::io::duplex(ROOM);
            let (mut from, mut to) = tokio::io::split(client);
            let sent = bytes.to_vec();
            // A gateway may hang up before everything is sent.
            tokio::spawn(async move { drop((to.write_all(&sent).await, to.shutdown().await)) });
            let answer = tokio::spawn(async move {
                let mut answer = Vec::new();
                from.read_to_end(&mut answer).await.map(|_| answer)
            });
            let dialled = SocketAddr::from((Ipv4Addr::new(203, 0, 113, 9), port));
            let service = if port == 53 { Service::Dns } else { Service::Any };
            connection::serve_stream(server, dialled, service, &self.shared, &ledger, Instant::now()).await;
            ledger.close().await;
            drop(ledger);
            let lost = |error: tokio::task::JoinError| GatewayError::Protocol(error.to_string());
            let (told, answer) = (told.await.map_err(lost)??, answer.await.map_err(lost)??);
            Ok(Heard { reports: all(&told).await?, answer })
        })
    }
}

/// Reads what a gateway says, to its end, as the program does.
///
/// # Errors
/// When something in it is no report, or ends in its middle.
pub fn reports(said: &[u8]) -> Result<Vec<Report>, GatewayError> {
    // Bytes that are all there are never waited for.
    all(said).now_or_never().unwrap_or(Err(GatewayError::Gone))
}

/// What a gateway says when it has these reports to make.
///
/// # Errors
/// When one of them cannot be written as JSON.
pub fn said(reports: impl IntoIterator<Item = Report>) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for report in reports {
        let body = frame::line(report, &mut bytes)?;
        if !body.is_empty() {
            bytes.extend_from_slice(&body);
            bytes.push(b'\n');
        }
    }
    Ok(bytes)
}

async fn all(mut said: &[u8]) -> Result<Vec<Report>, GatewayError> {
    let (mut line, mut reports) = (Vec::new(), Vec::new());
    while let Some(report) = frame::read(&mut said, &mut line).await? {
        reports.push(report);
    }
    Ok(reports)
}
