//! A **capture**: everything one cell was seen to do. Plain data, never an opinion.
//!
//! Also the [`Record`], which pairs a cell with its capture or with the engine's failure to run it.

use std::sync::{Arc, OnceLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cell::{Cell, CellId};

/// Bytes of a body, known by their SHA-256. The bytes are shared, so that equal bodies may cost memory once.
#[derive(Clone)]
pub struct Body {
    /// The bytes as they stood on the wire (after TLS and chunked framing, before any content decoding).
    pub bytes: Arc<Vec<u8>>,
    /// Taken when it is first asked for: where bodies are stored, on as many threads as there are, and not where they come
    /// in. What is redacted before is never asked.
    digest: Arc<OnceLock<String>>,
}

impl Body {
    /// Takes bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: Arc::new(bytes.into()), digest: Arc::default() }
    }

    /// Lower-case hex SHA-256 of the bytes.
    #[must_use]
    pub fn sha256(&self) -> &str {
        use sha2::Digest as _;
        self.digest.get_or_init(|| hex::encode(sha2::Sha256::digest(self.bytes.as_slice())))
    }

    /// The body as text, invalid sequences replaced.
    #[must_use]
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Body {}

impl Default for Body {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({} bytes, sha256 {:.12})", self.bytes.len(), self.sha256())
    }
}

/// How a request reached the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// Straight to the host that it names.
    Direct,
    /// Through a forward proxy's CONNECT tunnel.
    Connect,
    /// To a forward proxy, with the absolute form of the request target.
    Absolute,
    /// Through a SOCKS proxy.
    Socks,
}

/// How a forward proxy was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HopForm {
    /// By CONNECT.
    Connect,
    /// By the absolute form of the request target.
    Absolute,
    /// By SOCKS, version 4 or 4a.
    Socks4,
    /// By SOCKS, version 5.
    Socks5,
}

/// A forward proxy on the way of a request, and what was said to it alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hop {
    /// How it was asked.
    pub form: HopForm,
    /// Whether TLS lay between the client and the proxy.
    pub secure: bool,
    /// Where it was told to go, `host:port`, as it was named: by name or by address.
    pub toward: String,
    /// Header lines that were for the proxy; credentials of SOCKS stand as a `proxy-authorization`.
    pub headers: Vec<(String, String)>,
}

/// One HTTP request as the agent sent it, and what it was answered. A message over a WebSocket is one too: its method is
/// `MESSAGE`, its body the message, and its target that of the upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Seconds since the cell began.
    pub at: f64_eq::Seconds,
    /// `http` or `https`.
    pub scheme: String,
    /// Host that the request names (the authority without its port), lower case.
    pub host: String,
    /// Port that the request names.
    pub port: u16,
    /// Address and port that were dialled, as the gateway's `getsockname` saw them.
    pub dialled: String,
    /// How it came.
    pub via: Via,
    /// HTTP version, `1.0`, `1.1` or `2`.
    pub version: String,
    /// Method, as sent.
    pub method: String,
    /// Path and query, origin form, whatever form it was sent in.
    pub target: String,
    /// Header lines in the order and case of the wire, duplicates kept.
    pub headers: Vec<(String, String)>,
    /// The request's body.
    pub body: Body,
    /// Status that the stub answered.
    pub status: u16,
    /// The proxies on its way, outermost first.
    pub hops: Vec<Hop>,
    /// What of it was not kept, and why.
    pub note: Option<String>,
    /// The raw bytes of its head, and behind them of what frames its chunks, where it came by HTTP/1 and they are other
    /// bytes than the rest of the record is written as: each line `Name: value` with its CR and LF. Where there are none,
    /// the record gives the head back byte for byte.
    pub head: Option<Body>,
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            at: Seconds::default(),
            scheme: String::from("http"),
            host: String::new(),
            port: 80,
            dialled: String::new(),
            via: Via::Direct,
            version: String::from("1.1"),
            method: String::from("GET"),
            target: String::from("/"),
            headers: Vec::new(),
            body: Body::default(),
            status: 0,
            hops: Vec::new(),
            note: None,
            head: None,
        }
    }
}

/// Seconds that can be compared and hashed by their milliseconds.
pub mod f64_eq {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    /// A span of time in whole microseconds, written as seconds.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
    #[schemars(with = "f64")]
    pub struct Seconds(pub u64);

    impl Seconds {
        /// Converts from seconds; negative and non-finite values become 0.
        #[must_use]
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded above, never negative")]
        pub fn from_f64(seconds: f64) -> Self {
            if seconds.is_finite() && seconds > 0.0 { Self((seconds.min(1e12) * 1e6).round() as u64) } else { Self(0) }
        }

        /// The span in seconds.
        #[must_use]
        #[allow(clippy::cast_precision_loss, reason = "microseconds of years fit in 53 bits")]
        pub fn as_f64(self) -> f64 {
            self.0 as f64 / 1e6
        }
    }

    impl From<std::time::Duration> for Seconds {
        fn from(span: std::time::Duration) -> Self {
            Self(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
        }
    }

    impl Serialize for Seconds {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_f64(self.as_f64())
        }
    }

    impl<'de> Deserialize<'de> for Seconds {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            f64::deserialize(deserializer).map(Self::from_f64)
        }
    }
}
pub use f64_eq::Seconds;

/// What carries a DNS question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DnsTransport {
    /// DNS itself: UDP, or TCP, under TLS or not.
    #[default]
    Dns,
    /// HTTPS.
    #[serde(rename = "doh")]
    Https,
}

impl DnsTransport {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde calls takes a reference")]
    fn is_dns(&self) -> bool {
        *self == Self::Dns
    }
}

/// A DNS question that the agent asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct DnsQuestion {
    /// Seconds since the cell began.
    pub at: Seconds,
    /// Name asked for, lower case, without the final dot.
    pub name: String,
    /// Record type, such as `A`.
    pub kind: String,
    /// Address of the resolver that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<String>,
    /// What carried it.
    #[serde(default, skip_serializing_if = "DnsTransport::is_dns")]
    pub transport: DnsTransport,
}

/// What a TLS client's hello has beside its cipher suites. Greased values are left out of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HelloDetail {
    /// Extensions, in order, four hex digits each.
    pub extensions: Vec<String>,
    /// Groups of key exchange, in order, four hex digits each.
    pub groups: Vec<String>,
    /// Signature algorithms, in order, four hex digits each.
    pub signatures: Vec<String>,
    /// Digest of the hello as JA4 has it: `t13d1516h2_8daaf6152771_e5627efa2ab1`. Version, name or address, number of
    /// suites and of extensions, first protocol; digest of the sorted suites; digest of the sorted extensions with the
    /// signature algorithms behind them. What clients permute from run to run is sorted, so that it does not move.
    pub ja4: String,
}

/// What a TLS client said first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TlsHello {
    /// Seconds since the cell began.
    pub at: Seconds,
    /// Server name indicated, if any.
    pub sni: Option<String>,
    /// Protocols offered, in order.
    pub alpn: Vec<String>,
    /// Cipher suites offered, in order, as four hex digits.
    pub cipher_suites: Vec<String>,
    /// Whether the handshake came to its end (an agent that does not trust our CA stops it).
    pub completed: bool,
    /// The rest of the hello, where it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<HelloDetail>,
}

/// What became of a connection that carried no request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionKind {
    /// It was accepted.
    #[default]
    Accepted,
    /// Nobody listened there.
    Refused,
    /// It was a datagram, which nobody answered.
    Datagram,
}

impl ConnectionKind {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde calls takes a reference")]
    fn is_accepted(&self) -> bool {
        *self == Self::Accepted
    }
}

/// A connection that carried no HTTP request: bare, refused, in another protocol, or no more than an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connection {
    /// Seconds since the cell began.
    pub at: Seconds,
    /// Address and port dialled.
    pub dialled: String,
    /// Name that this address was given out for, if DNS gave it.
    pub name: Option<String>,
    /// The first bytes sent, at most 256; through a tunnel, inside it.
    pub first_bytes: Vec<u8>,
    /// Where a proxy's tunnel was to lead, `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toward: Option<String>,
    /// What became of it.
    #[serde(default, skip_serializing_if = "ConnectionKind::is_accepted")]
    pub kind: ConnectionKind,
}

/// Something of which there was too much to keep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Dropped {
    /// What it was: `connections`, `bytes of bodies`.
    pub what: String,
    /// How many of it were not kept.
    pub count: u64,
}

/// How the agent's process ended. Crashes and limits are observations, not errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Outcome {
    /// It exited by itself.
    Exited {
        /// Exit status.
        code: i32,
    },
    /// A signal ended it that was not ours.
    Signalled {
        /// Signal number.
        signal: i32,
    },
    /// It was ended at its deadline.
    TimedOut,
    /// It was ended at its memory limit.
    MemoryLimit,
    /// It reached its limit of processes (and was ended at its deadline, or gave up).
    ProcessLimit,
}

/// A file that the agent made, changed or removed under its home, workspace or temporary folders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileChange {
    /// Absolute path inside the pod.
    pub path: String,
    /// What became of it.
    pub change: Change,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Added,
    /// Its contents or mode changed.
    Modified,
    /// It is gone.
    Deleted,
}

/// What can be seen in a pod's network at all: a kernel may lack what the rest takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// Whether connections to every port are accepted and read, not only to those that are served by name.
    pub every_port: bool,
    /// Whether connections that are refused, and datagrams that nobody answers, are seen.
    pub watched: bool,
    /// Whether IPv6 addresses end at the gateway too. Where they do not, there is no IPv6 in the pod.
    pub ipv6: bool,
}

/// Everything one cell was seen to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Wall clock at the start of the agent, milliseconds since the Unix epoch, UTC.
    pub started_unix_ms: i64,
    /// Wall time of the agent process.
    pub wall: Seconds,
    /// CPU time of the agent's processes, where the engine can tell.
    pub cpu: Option<Seconds>,
    /// How it ended.
    pub outcome: Outcome,
    /// Standard output, at most 1 MiB.
    pub stdout: Body,
    /// Standard error, at most 1 MiB.
    pub stderr: Body,
    /// Requests, in order of their first byte.
    pub exchanges: Vec<Exchange>,
    /// DNS questions, in order.
    pub dns: Vec<DnsQuestion>,
    /// TLS hellos, in order.
    pub tls: Vec<TlsHello>,
    /// Connections without a request, in order.
    pub connections: Vec<Connection>,
    /// Files changed, sorted by path.
    pub files: Vec<FileChange>,
    /// Connections still open when the agent had ended, closed by the gateway.
    pub left_open: u32,
    /// What there was too much of to keep.
    pub dropped: Vec<Dropped>,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            started_unix_ms: 0,
            wall: Seconds::default(),
            cpu: None,
            outcome: Outcome::Exited { code: 0 },
            stdout: Body::default(),
            stderr: Body::default(),
            exchanges: Vec::new(),
            dns: Vec::new(),
            tls: Vec::new(),
            connections: Vec::new(),
            files: Vec::new(),
            left_open: 0,
            dropped: Vec::new(),
        }
    }
}

/// A cell and what came of it: the line that the store keeps and that the campaign absorbs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The cell that was run.
    pub cell: Cell,
    /// Attempts it took, 1 upward. Only engine failures are retried.
    pub attempts: u32,
    /// What was seen, or why the engine could not run it. An engine failure is never agent behaviour.
    pub outcome: Result<Arc<Capture>, EngineFailure>,
}

/// What is kept of every record: which cell, and how it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// Which cell.
    pub cell: Cell,
    /// Attempts it took.
    pub attempts: u32,
    /// Why the engine could not run it.
    pub failure: Option<String>,
    /// Wall clock at its start, milliseconds since the Unix epoch.
    pub started_unix_ms: i64,
    /// How long it took.
    pub wall: Seconds,
    /// Requests that it sent.
    pub requests: usize,
}

impl Ran {
    /// What is kept of a record.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let capture = record.outcome.as_ref().ok();
        Self {
            cell: record.cell.clone(),
            attempts: record.attempts,
            failure: record.outcome.as_ref().err().map(|failure| failure.message.clone()),
            started_unix_ms: capture.map_or(0, |capture| capture.started_unix_ms),
            wall: capture.map_or(Seconds(0), |capture| capture.wall),
            requests: capture.map_or(0, |capture| capture.exchanges.len()),
        }
    }
}

/// Why an engine could not run a cell, after all attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EngineFailure {
    /// One line for a person.
    pub message: String,
}

/// Gives captures back to whoever has seen them and not kept them.
pub trait Recall: std::fmt::Debug + Send + Sync {
    /// The capture of a cell; `None` where it is not to be had, or the engine could not run the cell.
    fn recall(&self, cell: &CellId) -> Option<Arc<Capture>>;
}
