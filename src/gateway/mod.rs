//! The **gateway**: a whole fake Internet around one agent. It owns the pod's network namespace, answers every name and
//! address, and reports every byte that it was sent. It knows nothing of scenarios beyond the stub's script, and nothing
//! of designs, features or findings.
//!
//! Two halves. Inside the pod: [`serve`] brings up the network, and each connection goes through
//! sniff → (TLS →) (CONNECT or SOCKS →) HTTP (→ WebSocket), the layers peeled one at a time, the bytes kept before
//! anything parses them.
//! Outside, beside the engine: [`client`], which tells a gateway which cell is current and gathers what it reports.
//!
//! Nothing that an agent can see may depend on earlier cells, and nothing of one cell is ever reported into another:
//! every connection belongs to the [`Ledger`](ledger) of the cell under which it was accepted.

pub mod authority;
mod body;
pub mod client;
mod connection;
mod dns;
mod doh;
#[doc(hidden)]
pub mod entry;
mod error;
mod frame;
mod head;
mod hello;
mod http;
mod http2;
mod interface;
mod ledger;
mod limits;
mod network;
pub mod protocol;
mod proxy;
mod redirect;
mod reply;
mod resolver;
mod script;
pub mod serve;
mod sniff;
mod socks;
mod tee;
mod tls;
mod watch;
mod websocket;

pub use authority::{Authority, Validity};
pub use client::{GatewayClient, Traffic};
pub use error::GatewayError;
pub use network::Sockets;
