//! What the program and a gateway say to each other: JSON lines, [`Command`]s on the gateway's standard input and
//! [`Report`]s on its standard output, bodies behind their lines. The first command is [`Command::Configure`].

use serde::{Deserialize, Serialize};

use super::authority::Validity;
use crate::capture::{Connection, DnsQuestion, Dropped, Hop, TlsHello, Via};
use crate::scenario::Stub;

/// What a gateway is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Bring up the network and serve. Answered by [`Report::Ready`] or [`Report::Fault`].
    Configure(Configuration),
    /// Show a network interface beside `lo`, or none. Between cells only. Answered by [`Report::Appeared`] or
    /// [`Report::Fault`].
    Appear {
        /// Whether there is to be one.
        interface: bool,
    },
    /// A cell begins: its clock starts, the script starts over, state of earlier cells is gone.
    /// Answered by [`Report::Begun`].
    Begin {
        /// Its name.
        cell: String,
        /// Agree on `h2` under TLS with clients that offer it beside `http/1.1`. Default: `http/1.1`.
        #[serde(default)]
        http2: bool,
    },
    /// The cell's agent has ended: close what is left open, then [`Report::Ended`].
    End {
        /// Its name.
        cell: String,
    },
}

/// What a gateway needs to serve.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Configuration {
    /// The run's certificate authority, PEM.
    pub ca_certificate: String,
    /// Its private key, PEM.
    pub ca_key: String,
    /// The days on which certificates in its name are valid.
    pub validity: Validity,
    /// TCP ports beside 80 and 443, sorted: those that the scenario's URLs name. Every port sniffs its protocol
    /// (TLS, HTTP, CONNECT, absolute-form).
    pub ports: Vec<u16>,
    /// How requests are answered.
    pub stub: Stub,
    /// Give names an IPv6 address too, where IPv6 is up. Default: no. Clients race the two families against each other,
    /// which makes a difference between identical runs; IPv6 addresses that an agent knows by itself end here anyway.
    #[serde(default)]
    pub ipv6_names: bool,
}

/// What a gateway says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// It serves.
    Ready {
        /// Whether IPv6 ends here too.
        ipv6: bool,
        /// Whether every port is served. Where not, those that nobody serves are refused.
        #[serde(default)]
        every_port: bool,
        /// Whether what is refused is seen.
        #[serde(default)]
        watched: bool,
    },
    /// The network looks as it was asked to.
    Appeared,
    /// The cell has begun.
    Begun {
        /// Its name.
        cell: String,
    },
    /// A request was received, whole or cut short.
    Exchange {
        /// The current cell.
        cell: String,
        /// The request.
        exchange: WireExchange,
    },
    /// A DNS question.
    Dns {
        /// The current cell.
        cell: String,
        /// The question.
        question: DnsQuestion,
    },
    /// A TLS hello, reported when the handshake ended either way.
    Tls {
        /// The current cell.
        cell: String,
        /// The hello.
        hello: TlsHello,
    },
    /// A connection that carried no request, reported when it ended.
    Connection {
        /// The current cell.
        cell: String,
        /// The connection.
        connection: Connection,
    },
    /// Everything of this cell has been reported.
    Ended {
        /// Its name.
        cell: String,
        /// Connections that were still open.
        left_open: u32,
        /// What there was too much of to report.
        #[serde(default)]
        dropped: Vec<Dropped>,
    },
    /// The gateway cannot serve. It ends after this.
    Fault {
        /// One line for a person.
        message: String,
    },
}

/// An [`Exchange`](crate::capture::Exchange) on the wire between gateway and program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireExchange {
    /// Seconds since the cell began.
    pub at: crate::capture::Seconds,
    /// `http` or `https`.
    pub scheme: String,
    /// Host named.
    pub host: String,
    /// Port named.
    pub port: u16,
    /// Address and port dialled.
    pub dialled: String,
    /// How it came.
    pub via: Via,
    /// HTTP version.
    pub version: String,
    /// Method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Header lines in wire order and case; bytes that are not UTF-8 are read as Latin-1.
    pub headers: Vec<(String, String)>,
    /// Bytes of the body, which follow the line.
    pub length: usize,
    /// The body.
    #[serde(skip)]
    pub body: Vec<u8>,
    /// Status answered.
    pub status: u16,
    /// Proxies on the way.
    #[serde(default)]
    pub hops: Vec<Hop>,
    /// What was not kept, and why.
    #[serde(default)]
    pub note: Option<String>,
    /// Raw bytes of head and framing, where the rest does not give them back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub head: Vec<u8>,
}
