//! Stand-in until the gateway's own client is merged.

use crate::capture::{Connection, DnsQuestion, Exchange, TlsHello};

/// What a gateway saw of one cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests.
    pub exchanges: Vec<Exchange>,
    /// Questions.
    pub dns: Vec<DnsQuestion>,
    /// Hellos.
    pub tls: Vec<TlsHello>,
    /// Connections without a request.
    pub connections: Vec<Connection>,
    /// Left open.
    pub left_open: u32,
}
