//! The host's side of a gateway: says which cell is current, and gathers what is reported of it.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::protocol::{Command, Configuration, Report, WireExchange};
use super::{GatewayError, frame};
use crate::capture::{Body, Connection, DnsQuestion, Dropped, Exchange, Sight, TlsHello};
use crate::cell::CellId;

/// How long a gateway may take to bring up its network.
const READY_SECONDS: u64 = 30;

/// How long it may take to begin a cell, or to end one.
const ANSWER_SECONDS: u64 = 30;

/// Bytes of reports that are read at once. A few lines' worth: what of a body comes along with its line is copied once
/// more than the rest, which is read to where it stays.
const BUFFER: usize = 8 * 1024;

/// Everything that one cell sent, each kind in the order of its first byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests.
    pub exchanges: Vec<Exchange>,
    /// DNS questions.
    pub dns: Vec<DnsQuestion>,
    /// TLS hellos.
    pub tls: Vec<TlsHello>,
    /// Connections without a request.
    pub connections: Vec<Connection>,
    /// Connections that were still open at the end, and were closed.
    pub left_open: u32,
    /// What there was too much of to report.
    pub dropped: Vec<Dropped>,
}

/// A gateway that runs elsewhere, behind a reader of its reports and a writer of its commands.
pub struct GatewayClient {
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    reports: mpsc::UnboundedReceiver<Result<Heard, GatewayError>>,
    reader: JoinHandle<()>,
    sight: Sight,
    interface: bool,
    http2: bool,
    current: Option<String>,
}

impl std::fmt::Debug for GatewayClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayClient")
            .field("sight", &self.sight)
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}

impl GatewayClient {
    /// Configures the gateway whose standard output is `reader` and whose standard input is `writer`, and waits until
    /// it serves. Its reports are read in a task of their own, so that a gateway never waits for us.
    ///
    /// # Errors
    /// When the gateway cannot serve, is gone, or says nothing within half a minute.
    pub async fn start<R, W>(reader: R, writer: W, configuration: Configuration) -> Result<Self, GatewayError>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, reports) = mpsc::unbounded_channel();
        let reader = tokio::spawn(read_reports(reader, sender));
        let mut client = Self {
            writer: Box::new(writer),
            reports,
            reader,
            sight: Sight::default(),
            interface: false,
            http2: false,
            current: None,
        };
        client.tell(&Command::Configure(configuration)).await?;
        match client.hear("configure", READY_SECONDS).await? {
            Heard::Report(Report::Ready { ipv6, every_port, watched }) => {
                client.sight = Sight { every_port, watched, ipv6 };
            }
            other => return Err(unexpected(&other)),
        }
        Ok(client)
    }

    /// What it can see of an agent.
    #[must_use]
    pub fn sight(&self) -> Sight {
        self.sight
    }

    /// Lets the network show an interface beside `lo`, or none. Before a cell begins.
    ///
    /// # Errors
    /// When the kernel has no such interface, or the gateway is gone or is silent: it must then be replaced.
    pub async fn appear(&mut self, interface: bool) -> Result<(), GatewayError> {
        if self.interface == interface {
            return Ok(());
        }
        self.tell(&Command::Appear { interface }).await?;
        match self.hear("appear", ANSWER_SECONDS).await? {
            Heard::Report(Report::Appeared) => {
                self.interface = interface;
                Ok(())
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Lets the cells that begin from now on agree on HTTP/2 under TLS, or on HTTP/1.1 alone, as at first.
    pub fn offer_http2(&mut self, http2: bool) {
        self.http2 = http2;
    }

    /// Begins a cell. One that was begun before and never ended is ended first, and what it sent is dropped.
    ///
    /// # Errors
    /// When the gateway failed, is gone or is silent: it must then be replaced.
    pub async fn begin(&mut self, cell: &CellId) -> Result<(), GatewayError> {
        if let Some(stale) = self.current.take() {
            self.end(&CellId(stale)).await?;
        }
        self.tell(&Command::Begin { cell: cell.0.clone(), http2: self.http2 }).await?;
        self.current = Some(cell.0.clone());
        match self.hear("begin", ANSWER_SECONDS).await? {
            Heard::Report(Report::Begun { cell: begun }) if begun == cell.0 => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Ends a cell, whose agent must be dead, and gives what it sent.
    ///
    /// # Errors
    /// When the gateway failed, is gone or is silent: it must then be replaced, and what the cell sent is lost.
    pub async fn end(&mut self, cell: &CellId) -> Result<Traffic, GatewayError> {
        self.current = None;
        self.tell(&Command::End { cell: cell.0.clone() }).await?;
        let mut traffic = Traffic::default();
        loop {
            let report = match self.hear("end", ANSWER_SECONDS).await? {
                Heard::Exchange { cell: of, exchange } if of == cell.0 => {
                    traffic.exchanges.push(exchange);
                    continue;
                }
                Heard::Report(report) => report,
                other @ Heard::Exchange { .. } => return Err(unexpected(&other)),
            };
            match report {
                Report::Dns { cell: of, question } if of == cell.0 => traffic.dns.push(question),
                Report::Tls { cell: of, hello } if of == cell.0 => traffic.tls.push(hello),
                Report::Connection { cell: of, connection } if of == cell.0 => traffic.connections.push(connection),
                Report::Ended { cell: of, left_open, dropped } if of == cell.0 => {
                    (traffic.left_open, traffic.dropped) = (left_open, dropped);
                    break;
                }
                // A cell that was begun and given up while we waited for its beginning.
                Report::Begun { .. } => {}
                other => return Err(unexpected(&Heard::Report(other))),
            }
        }
        traffic.exchanges.sort_by_key(|exchange| exchange.at);
        traffic.dns.sort_by_key(|question| question.at);
        traffic.tls.sort_by_key(|hello| hello.at);
        traffic.connections.sort_by_key(|connection| connection.at);
        Ok(traffic)
    }

    async fn tell(&mut self, command: &Command) -> Result<(), GatewayError> {
        let mut line = serde_json::to_vec(command).map_err(|error| GatewayError::Protocol(error.to_string()))?;
        line.push(b'\n');
        let written = async {
            self.writer.write_all(&line).await?;
            self.writer.flush().await
        };
        let written = written.await;
        match written {
            Ok(()) => Ok(()),
            // A gateway that cannot serve says why before it goes.
            Err(error) => Err(self.last_words().unwrap_or(GatewayError::Io(error))),
        }
    }

    async fn hear(&mut self, command: &'static str, seconds: u64) -> Result<Heard, GatewayError> {
        match tokio::time::timeout(Duration::from_secs(seconds), self.reports.recv()).await {
            Ok(Some(Ok(Heard::Report(Report::Fault { message })))) => Err(GatewayError::Fault(message)),
            Ok(Some(heard)) => heard,
            Ok(None) => Err(GatewayError::Gone),
            Err(_) => Err(GatewayError::Silent { command, seconds }),
        }
    }

    fn last_words(&mut self) -> Option<GatewayError> {
        while let Ok(heard) = self.reports.try_recv() {
            if let Ok(Heard::Report(Report::Fault { message })) = heard {
                return Some(GatewayError::Fault(message));
            }
        }
        None
    }
}

impl Drop for GatewayClient {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// What the reader has for us.
#[derive(Debug)]
enum Heard {
    /// A request.
    Exchange { cell: String, exchange: Exchange },
    /// Anything else.
    Report(Report),
}

impl From<Report> for Heard {
    fn from(report: Report) -> Self {
        match report {
            Report::Exchange { cell, exchange } => Self::Exchange { cell, exchange: read(exchange) },
            other => Self::Report(other),
        }
    }
}

async fn read_reports<R>(reader: R, sender: mpsc::UnboundedSender<Result<Heard, GatewayError>>)
where
    R: AsyncRead + Send + Unpin,
{
    let mut reader = BufReader::with_capacity(BUFFER, reader);
    let mut line = Vec::new();
    loop {
        let Some(report) = frame::read(&mut reader, &mut line).await.transpose() else { return };
        // After a report that cannot be read nothing says where the next begins.
        let last = report.is_err();
        if sender.send(report.map(Heard::from)).is_err() || last {
            return;
        }
    }
}

fn read(exchange: WireExchange) -> Exchange {
    let WireExchange { at, scheme, host, port, dialled, via, version, method, target, headers, body, .. } = exchange;
    let WireExchange { status, hops, note, head, .. } = exchange;
    let body = Body::new(body);
    let head = Some(head).filter(|head| !head.is_empty()).map(Body::new);
    Exchange { at, scheme, host, port, dialled, via, version, method, target, headers, body, status, hops, note, head }
}

fn unexpected(heard: &Heard) -> GatewayError {
    let text = match heard {
        Heard::Exchange { cell, exchange } => format!("{} {} of cell {cell}", exchange.method, exchange.target),
        Heard::Report(report) => serde_json::to_string(report).unwrap_or_default(),
    };
    GatewayError::Protocol(format!("unexpected: {}", text.chars().take(200).collect::<String>()))
}
