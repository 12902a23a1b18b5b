//! The **ledger** of one cell: its clock, its names, its open connections, and the way on which its reports leave. A
//! connection holds the ledger of the cell under which it was accepted, so it cannot report into another.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dns::Asked;
use super::frame;
use super::limits::Limits;
use super::protocol::{Report, WireExchange};
use super::script::Attempts;
use super::watch::Attempt;
use crate::capture::{Connection, ConnectionKind, DnsQuestion, Seconds, TlsHello};

/// How long connections have to come to their own end once the agent is dead. The kernel closed them when it died, so
/// this is waited out only where some process is still alive.
const GRACE: Duration = Duration::from_millis(150);

/// Different DNS questions that one cell may have recorded.
const MOST_QUESTIONS: usize = 10_000;

/// KiB of reports that may wait to be written; beyond it, agents wait.
const WAITING_KIB: u32 = 256 * 1024;

/// Bytes of reports without a body that are written at once, about.
const BATCH: usize = 64 * 1024;

/// The way on which reports leave, in order, through one writer.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    queue: mpsc::UnboundedSender<(Report, Option<OwnedSemaphorePermit>)>,
    room: Arc<Semaphore>,
}

impl Outbox {
    /// An outbox and the writer that empties it onto `output`.
    pub(super) fn new<W>(mut output: W) -> (Self, impl Future<Output = ()> + Send)
    where
        W: AsyncWrite + Unpin + Send,
    {
        let (queue, mut waiting) = mpsc::unbounded_channel::<(Report, Option<OwnedSemaphorePermit>)>();
        let writer = async move {
            let (mut lines, mut permits) = (Vec::new(), Vec::new());
            while let Some((report, permit)) = waiting.recv().await {
                permits.push(permit);
                // What cannot be written as JSON is none of ours.
                let mut body = frame::line(report, &mut lines).unwrap_or_default();
                while body.is_empty()
                    && lines.len() < BATCH
                    && let Ok((report, permit)) = waiting.try_recv()
                {
                    permits.push(permit);
                    body = frame::line(report, &mut lines).unwrap_or_default();
                }
                if frame::write(&mut output, &lines, &body).await.is_err()
                    || (waiting.is_empty() && output.flush().await.is_err())
                {
                    // Nobody listens any more: the program is gone, and its end of our input with it.
                    return;
                }
                lines.clear();
                permits.clear();
            }
        };
        let room = Arc::new(Semaphore::new(usize::try_from(WAITING_KIB).unwrap_or(usize::MAX)));
        (Self { queue, room }, writer)
    }

    /// Queues a report.
    pub(super) fn send(&self, report: Report) {
        let _ = self.queue.send((report, None));
    }

    /// Queues a report of about `bytes` bytes, as soon as there is room.
    async fn send_large(&self, report: Report, bytes: usize) {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(WAITING_KIB);
        let permit = Arc::clone(&self.room).acquire_many_owned(kib).await.ok();
        let _ = self.queue.send((report, permit));
    }
}

/// One cell's ledger.
#[derive(Debug)]
pub(super) struct Ledger {
    cell: String,
    http2: bool,
    began: Instant,
    outbox: Outbox,
    stop: CancellationToken,
    tasks: TaskTracker,
    open: AtomicU32,
    names: Mutex<HashMap<IpAddr, String>>,
    asked: Mutex<HashSet<DnsQuestion>>,
    tried: Mutex<HashSet<(SocketAddr, ConnectionKind)>>,
    limits: Limits,
    attempts: Attempts,
}

impl Ledger {
    /// The ledger of a cell that begins now.
    pub(super) fn begin(cell: String, http2: bool, outbox: Outbox) -> Self {
        Self {
            cell,
            http2,
            began: Instant::now(),
            outbox,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            open: AtomicU32::new(0),
            names: Mutex::default(),
            asked: Mutex::default(),
            tried: Mutex::default(),
            limits: Limits::default(),
            attempts: Attempts::default(),
        }
    }

    /// The cell's name.
    pub(super) fn cell(&self) -> &str {
        &self.cell
    }

    /// Whether its clients get HTTP/2 where they offer it beside HTTP/1.1.
    pub(super) fn http2(&self) -> bool {
        self.http2
    }

    /// Cancelled when the cell ends.
    pub(super) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Runs a task that belongs to the cell: the cell is not over before it is.
    pub(super) fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(task);
    }

    /// Counts a connection as open as long as the guard lives.
    pub(super) fn open(self: &Arc<Self>) -> OpenConnection {
        self.open.fetch_add(1, Ordering::Relaxed);
        OpenConnection(Arc::clone(self))
    }

    /// Waits until every connection has ended, closing those that do not end by themselves. Gives how many those were.
    pub(super) async fn close(&self) -> u32 {
        self.tasks.close();
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_ok() {
            return 0;
        }
        let left_open = self.open.load(Ordering::Relaxed);
        self.stop.cancel();
        self.tasks.wait().await;
        left_open
    }

    /// Seconds from the cell's begin to `moment`.
    pub(super) fn at(&self, moment: Instant) -> Seconds {
        moment.saturating_duration_since(self.began).into()
    }

    /// How much of the cell is kept.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How often the script has failed the cell's requests.
    pub(super) fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// Reports a request.
    pub(super) async fn exchange(&self, exchange: WireExchange) {
        if !self.limits.record("requests") {
            return;
        }
        let bytes = exchange.body.len();
        self.outbox.send_large(Report::Exchange { cell: self.cell.clone(), exchange }, bytes).await;
    }

    /// Reports a TLS hello.
    pub(super) fn hello(&self, hello: TlsHello) {
        if !self.limits.record("TLS hellos") {
            return;
        }
        self.outbox.send(Report::Tls { cell: self.cell.clone(), hello });
    }

    /// Reports a connection that carried no request.
    pub(super) fn connection(&self, connection: Connection) {
        if self.limits.record("connections") {
            self.outbox.send(Report::Connection { cell: self.cell.clone(), connection });
        }
    }

    /// Reports something that ended nowhere, the first time.
    pub(super) fn attempt(&self, attempt: Attempt) {
        let Attempt { dialled, kind, bytes } = attempt;
        let mut tried = lock(&self.tried);
        if tried.len() >= MOST_QUESTIONS {
            return self.limits.drop("attempts", 1);
        }
        if tried.insert((dialled, kind)) {
            self.connection(Connection {
                at: self.at(Instant::now()),
                dialled: dialled.to_string(),
                name: self.name_of(dialled.ip()),
                first_bytes: bytes,
                toward: None,
                kind,
            });
        }
    }

    /// Reports a DNS question, the first time it is asked of this resolver in this way.
    pub(super) fn question(&self, name: String, kind: String, asked: Asked) {
        let resolver = asked.resolver.map(|address| address.to_string());
        let mut question = DnsQuestion { at: Seconds::default(), name, kind, resolver, transport: asked.transport };
        let mut asked = lock(&self.asked);
        if asked.contains(&question) {
            return;
        }
        if asked.len() >= MOST_QUESTIONS {
            return self.limits.drop("DNS questions", 1);
        }
        asked.insert(question.clone());
        question.at = self.at(Instant::now());
        self.outbox.send(Report::Dns { cell: self.cell.clone(), question });
    }

    /// Remembers that `name` was given `address`.
    pub(super) fn give_out(&self, address: IpAddr, name: &str) {
        let mut names = lock(&self.names);
        if names.len() < MOST_QUESTIONS {
            names.insert(address, name.to_owned());
        }
    }

    /// The name that `address` was given out for.
    pub(super) fn name_of(&self, address: IpAddr) -> Option<String> {
        lock(&self.names).get(&address).cloned()
    }
}

/// Counts as an open connection while it lives.
#[derive(Debug)]
pub(super) struct OpenConnection(Arc<Ledger>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Locks; a holder that panicked left the data whole, as every change here is one insert.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
