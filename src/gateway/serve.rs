//! **Serving**: reads commands, keeps the current cell, accepts connections into it, and ends when its input does.

use std::net::TcpListener as StdListener;
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, BufReader};
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::connection::{self, Service, Shared};
use super::ledger::{Ledger, Outbox};
use super::network::{self, Sockets};
use super::protocol::{Command, Configuration, Report};
use super::reply::Stub;
use super::tls::Certificates;
use super::watch::Watch;
use super::{GatewayError, interface, resolver};

/// How long reports may take to be written once serving is over.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long to wait before accepting again when the process is out of descriptors.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(20);

/// Bytes of reports that standard output is to hold: as many as Linux lets anybody ask for.
const PIPE: i32 = 1 << 20;

/// The hidden subcommand `parallax gateway`: serves in the network namespace in which it was started, commands on
/// standard input, reports on standard output.
#[must_use]
pub fn run_stdio() -> ExitCode {
    network::raise_open_files();
    // One thread: the gateway shares its processors with the agents.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::from(4);
    };
    let result = runtime.block_on(async { serve(tokio::io::stdin(), standard_output()).await });
    // A read of standard input may still be under way; nobody waits for it.
    runtime.shutdown_background();
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(4) }
}

/// Standard output as reports are best written to it: where it is a pipe, without a thread in between. Within a runtime.
#[must_use]
pub fn standard_output() -> Box<dyn AsyncWrite + Send + Unpin> {
    let pipe = std::io::stdout().as_fd().try_clone_to_owned().ok().and_then(|output| {
        // A smaller one is as good, only slower.
        let _ = fcntl(&output, FcntlArg::F_SETPIPE_SZ(PIPE));
        pipe::Sender::from_owned_fd(output).ok()
    });
    match pipe {
        Some(pipe) => Box::new(pipe),
        None => Box::new(tokio::io::stdout()),
    }
}

/// Serves in the current network namespace, which it makes one where every address ends here, until `commands` ends.
///
/// # Errors
/// When it cannot serve; the same was said in a [`Report::Fault`].
pub async fn serve<R, W>(commands: R, reports: W) -> Result<(), GatewayError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    run(commands, reports, None).await
}

/// Serves on sockets that are already bound, and leaves the network as it is.
///
/// # Errors
/// When it cannot serve; the same was said in a [`Report::Fault`].
pub async fn serve_on<R, W>(commands: R, reports: W, sockets: Sockets) -> Result<(), GatewayError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    run(commands, reports, Some(sockets)).await
}

async fn run<R, W>(commands: R, reports: W, given: Option<Sockets>) -> Result<(), GatewayError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (outbox, writer) = Outbox::new(reports);
    let writer = tokio::spawn(writer);
    let result = obey(commands, &outbox, given).await;
    if let Err(error) = &result {
        outbox.send(Report::Fault { message: error.to_string() });
    }
    drop(outbox);
    let _ = tokio::time::timeout(LAST_WORDS, writer).await;
    result
}

async fn obey<R>(commands: R, outbox: &Outbox, given: Option<Sockets>) -> Result<(), GatewayError>
where
    R: AsyncRead + Unpin,
{
    let mut lines = BufReader::new(commands).lines();
    let Some(configuration) = next(&mut lines).await? else { return Ok(()) };
    let Command::Configure(configuration) = configuration else {
        return Err(GatewayError::Protocol(String::from("the first command must be `configure`")));
    };
    // A network that was given is somebody else's, and stays as it is.
    let own = given.is_none();
    let mut gateway = Gateway::open(configuration, given).await?;
    outbox.send(Report::Ready { ipv6: gateway.ipv6, every_port: gateway.every_port, watched: gateway.watch.is_some() });
    while let Some(command) = next(&mut lines).await? {
        match command {
            Command::Configure(_) => {
                return Err(GatewayError::Protocol(String::from("`configure` can be said only once")));
            }
            Command::Appear { interface } => {
                if !own {
                    return Err(GatewayError::Protocol(String::from("the network is not this gateway's to change")));
                }
                interface::show(interface).await?;
                outbox.send(Report::Appeared);
            }
            Command::Begin { cell, http2 } => {
                gateway.end(outbox).await;
                gateway.begin(cell.clone(), http2, outbox);
                outbox.send(Report::Begun { cell });
            }
            Command::End { cell } => {
                if gateway.cell().is_none_or(|current| current.cell() != cell) {
                    return Err(GatewayError::Protocol(format!("`{cell}` is not the current cell")));
                }
                gateway.end(outbox).await;
            }
        }
    }
    gateway.end(outbox).await;
    Ok(())
}

async fn next<R>(lines: &mut tokio::io::Lines<BufReader<R>>) -> Result<Option<Command>, GatewayError>
where
    R: AsyncRead + Unpin,
{
    loop {
        let Some(line) = lines.next_line().await? else { return Ok(None) };
        if !line.trim().is_empty() {
            return serde_json::from_str(&line).map(Some).map_err(|error| GatewayError::Protocol(error.to_string()));
        }
    }
}

/// The cell into which connections are accepted, if there is one.
type Current = Arc<Mutex<Option<Arc<Ledger>>>>;

/// A gateway that serves. Dropping it ends its listeners.
struct Gateway {
    shared: Arc<Shared>,
    current: Current,
    /// Second handles on the listening sockets, to take what waits in their queues when a cell begins or ends: whether
    /// something waits there cannot be told from a listener whose readiness the runtime has not looked at yet.
    queues: Vec<(StdListener, Service)>,
    datagrams: Vec<Arc<UdpSocket>>,
    watch: Option<Arc<Watch>>,
    ipv6: bool,
    every_port: bool,
    _listeners: JoinSet<()>,
}

impl Gateway {
    async fn open(configuration: Configuration, given: Option<Sockets>) -> Result<Self, GatewayError> {
        let Configuration { ca_certificate, ca_key, validity, ports, stub, ipv6_names } = configuration;
        let certificates = Certificates::new(&ca_certificate, &ca_key, validity)?;
        let sockets = match given {
            Some(sockets) => sockets,
            None => network::bring_up(&ports).await?,
        };
        let ipv6 = sockets.ipv6;
        let every_port = !sockets.rest.is_empty();
        let shared = Arc::new(Shared { stub: Stub::new(stub), certificates, ipv6_names: ipv6 && ipv6_names });
        let current = Current::default();
        let mut queues = Vec::new();
        let mut datagrams = Vec::new();
        let mut listeners = JoinSet::new();
        let streams = sockets.streams.into_iter().map(|listener| (listener, Service::Any));
        let dns_streams = sockets.dns_streams.into_iter().map(|listener| (listener, Service::Dns));
        let rest = sockets.rest.into_iter().map(|listener| (listener, Service::Rest));
        for (listener, service) in streams.chain(dns_streams).chain(rest) {
            let listener = listener.into_std()?;
            queues.push((listener.try_clone()?, service));
            let listener = TcpListener::from_std(listener)?;
            listeners.spawn(accept(listener, service, Arc::clone(&shared), Arc::clone(&current)));
        }
        for socket in sockets.dns {
            resolver::prepare(&socket)?;
            let socket = Arc::new(socket);
            datagrams.push(Arc::clone(&socket));
            listeners.spawn(resolve(socket, Arc::clone(&shared), Arc::clone(&current)));
        }
        let watch = sockets.watch.map(Arc::new);
        if let Some(watch) = watch.clone() {
            listeners.spawn(look(watch, Arc::clone(&current)));
        }
        Ok(Self { shared, current, queues, datagrams, watch, ipv6, every_port, _listeners: listeners })
    }

    fn cell(&self) -> Option<Arc<Ledger>> {
        cell(&self.current)
    }

    /// Makes `cell` the current one. What waits in the queues is from before, and is dropped.
    fn begin(&self, cell: String, http2: bool, outbox: &Outbox) {
        self.take_what_waits(None);
        let ledger = Arc::new(Ledger::begin(cell, http2, outbox.clone()));
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(ledger);
    }

    /// Ends the current cell, if there is one: what waits in the queues is still its own; then its connections are
    /// closed, and once all of its reports are queued, it is said to have ended.
    async fn end(&mut self, outbox: &Outbox) {
        let Some(ledger) = self.cell() else { return };
        self.take_what_waits(Some(&ledger));
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let left_open = ledger.close().await;
        let dropped = ledger.limits().dropped();
        outbox.send(Report::Ended { cell: ledger.cell().to_owned(), left_open, dropped });
    }

    fn take_what_waits(&self, ledger: Option<&Arc<Ledger>>) {
        for (queue, service) in &self.queues {
            while let Ok((socket, _)) = queue.accept() {
                let Some(ledger) = ledger else { continue };
                if socket.set_nonblocking(true).is_ok()
                    && let Ok(socket) = TcpStream::from_std(socket)
                {
                    spawn(socket, *service, &self.shared, ledger);
                }
            }
        }
        while let Some(Ok(attempt)) = self.watch.as_ref().map(|watch| watch.receive_now()) {
            if let (Some(attempt), Some(ledger)) = (attempt, ledger) {
                ledger.attempt(attempt);
            }
        }
        for socket in &self.datagrams {
            while let Ok(datagram) = resolver::receive_now(socket) {
                if let Some(ledger) = ledger {
                    resolver::respond(socket, &datagram, &self.shared, Some(ledger));
                }
            }
        }
    }
}

fn cell(current: &Current) -> Option<Arc<Ledger>> {
    current.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn spawn(socket: TcpStream, service: Service, shared: &Arc<Shared>, ledger: &Arc<Ledger>) {
    ledger.spawn(connection::serve(socket, service, Arc::clone(shared), Arc::clone(ledger)));
}

/// Accepts connections into the current cell; without one they are closed at once.
async fn accept(listener: TcpListener, service: Service, shared: Arc<Shared>, current: Current) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                if let Some(ledger) = cell(&current) {
                    spawn(socket, service, &shared, &ledger);
                }
            }
            Err(_) => tokio::time::sleep(OUT_OF_DESCRIPTORS).await,
        }
    }
}

/// Notes what ends nowhere under the current cell.
async fn look(watch: Arc<Watch>, current: Current) {
    loop {
        match watch.receive().await {
            Ok(attempt) => {
                if let (Some(attempt), Some(ledger)) = (attempt, cell(&current)) {
                    ledger.attempt(attempt);
                }
            }
            Err(_) => tokio::time::sleep(OUT_OF_DESCRIPTORS).await,
        }
    }
}

/// Answers datagrams under the current cell, or without one.
async fn resolve(socket: Arc<UdpSocket>, shared: Arc<Shared>, current: Current) {
    loop {
        match resolver::receive(&socket).await {
            Ok(datagram) => resolver::respond(&socket, &datagram, &shared, cell(&current).as_deref()),
            Err(_) => tokio::time::sleep(OUT_OF_DESCRIPTORS).await,
        }
    }
}
