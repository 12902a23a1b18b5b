//! One **connection**, from its first byte to its last: its layers (TLS, tunnel, HTTP) are peeled one at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::http::{self, Next};
use super::ledger::Ledger;
use super::proxy::Authority;
use super::reply::{Reply, Request, Stub};
use super::sniff::{Protocol, sniff};
use super::tee::{Duplex, Mortal, Tee};
use super::tls::{Certificates, Handshake, Hello};
use super::{doh, http2, redirect, resolver, socks, websocket};
use crate::capture::{Connection, ConnectionKind, Hop, HopForm, TlsHello, Via};

/// TLS and tunnels inside one another, at most.
pub(super) const MOST_LAYERS: usize = 8;

/// How long a client of an unknown protocol may pause before it is hung up on.
const UNKNOWN_PAUSE: Duration = Duration::from_millis(250);

/// How long a client may say nothing on a port that nothing is meant for: it may wait for the server to begin, and there is
/// none.
const SILENCE: Duration = Duration::from_secs(2);

/// Where DNS is spoken under TLS.
const DNS_OVER_TLS: u16 = 853;

/// What all connections of a gateway share.
#[derive(Debug)]
pub(super) struct Shared {
    /// How requests are answered.
    pub(super) stub: Stub,
    /// TLS.
    pub(super) certificates: Certificates,
    /// Whether names have IPv6 addresses.
    pub(super) ipv6_names: bool,
}

impl Shared {
    /// The answer to a request.
    pub(super) fn answer(&self, request: &Request<'_>, place: &Place, ledger: &Ledger) -> Reply {
        doh::answer(request, place, self, ledger).unwrap_or_else(|| self.stub.answer(request, ledger.attempts()))
    }
}

/// Where a request travels.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// What was dialled.
    pub(super) dialled: SocketAddr,
    /// Whether the innermost layer is TLS.
    pub(super) secure: bool,
    /// The name that the innermost TLS was asked for.
    pub(super) server_name: Option<String>,
    /// The tunnel that it is in.
    pub(super) tunnel: Option<Authority>,
    /// The proxies on the way, outermost first.
    pub(super) hops: Vec<Hop>,
}

impl Place {
    /// How a request in origin form came here.
    pub(super) fn via(&self) -> Via {
        match self.hops.last().map(|hop| hop.form) {
            None => Via::Direct,
            Some(HopForm::Socks4 | HopForm::Socks5) => Via::Socks,
            Some(HopForm::Connect | HopForm::Absolute) => Via::Connect,
        }
    }

    /// Enters a tunnel: what comes now is inside.
    fn enter(&mut self, authority: Authority, hop: Hop) {
        self.tunnel = Some(authority);
        self.hops.push(hop);
        self.secure = false;
        self.server_name = None;
    }
}

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// Whatever is spoken.
    Any,
    /// DNS over TCP.
    Dns,
    /// Whatever is spoken, on the ports that nothing is meant for.
    Rest,
}

/// What was seen on a connection.
#[derive(Debug, Default)]
struct Seen {
    requests: u32,
    first_bytes: Vec<u8>,
    toward: Option<String>,
}

/// Serves a connection until it ends; reports it if it carried no request.
pub(super) async fn serve(socket: TcpStream, service: Service, shared: Arc<Shared>, ledger: Arc<Ledger>) {
    let began = Instant::now();
    let _open = ledger.open();
    let redirected = if service == Service::Rest { redirect::dialled(&socket) } else { None };
    let Some(dialled) = redirected.or_else(|| socket.local_addr().ok()) else { return };
    // An IPv4 address reaches a socket of both families in its mapped form.
    let dialled = SocketAddr::new(dialled.ip().to_canonical(), dialled.port());
    let _ = socket.set_nodelay(true);
    serve_stream(Mortal::new(socket, ledger.stop()), dialled, service, &shared, &ledger, began).await;
}

/// Serves a stream that was dialled at `dialled`, whatever it is made of.
pub(super) async fn serve_stream(
    stream: impl Duplex + 'static,
    dialled: SocketAddr,
    service: Service,
    shared: &Arc<Shared>,
    ledger: &Arc<Ledger>,
    began: Instant,
) {
    let stream = Tee::new(Box::new(stream));
    let place = Place { dialled, secure: false, server_name: None, tunnel: None, hops: Vec::new() };
    let seen = match service {
        Service::Any => layers(stream, place, None, shared, ledger).await,
        Service::Rest => layers(stream, place, Some(SILENCE), shared, ledger).await,
        Service::Dns => resolver::serve_stream(stream, dialled.ip(), shared, ledger).await.into(),
    };
    seen.report(dialled, began, ledger);
}

/// Serves what is inside a tunnel that was opened on one stream of several, as a connection of its own.
pub(super) fn serve_tunnel(
    stream: impl Duplex + 'static,
    mut place: Place,
    authority: Authority,
    hop: Hop,
    shared: Arc<Shared>,
    ledger: Arc<Ledger>,
) -> BoxFuture<'static, ()> {
    let (dialled, began) = (place.dialled, Instant::now());
    place.enter(authority, hop);
    Box::pin(async move {
        let seen = layers(Tee::new(Box::new(stream)), place, None, &shared, &ledger).await;
        seen.report(dialled, began, &ledger);
    })
}

/// DNS questions are recorded as such; a stream of them is no bare connection.
impl From<resolver::Answered> for Seen {
    fn from(answered: resolver::Answered) -> Self {
        Self { requests: answered.questions, first_bytes: answered.first_bytes, toward: None }
    }
}

async fn layers(
    mut stream: Tee,
    mut place: Place,
    silence: Option<Duration>,
    shared: &Arc<Shared>,
    ledger: &Arc<Ledger>,
) -> Seen {
    let mut seen = Seen { toward: place.hops.last().map(|hop| hop.toward.clone()), ..Seen::default() };
    let dialled = place.dialled;
    for _ in 0..MOST_LAYERS {
        match recognise(&mut stream, silence).await {
            Some(Protocol::Tls) => {
                let at = ledger.at(stream.arrived());
                // The hello is random bytes: it is reported as a hello, and what counts as first bytes comes inside.
                seen.first_bytes.clear();
                let tunnel = place.tunnel.as_ref().map(|authority| authority.host.as_str());
                match shared.certificates.accept(stream, dialled.ip(), tunnel, ledger.http2()).await {
                    Handshake::Completed(hello, inner) => {
                        place.server_name.clone_from(&hello.sni);
                        ledger.hello(report(hello, at, true));
                        place.secure = true;
                        stream = Tee::new(inner);
                    }
                    Handshake::Stopped(hello) => {
                        ledger.hello(report(hello, at, false));
                        return seen;
                    }
                    Handshake::Unreadable => return seen,
                }
            }
            Some(Protocol::Http1) => match http::serve(&mut stream, &place, shared, ledger, &mut seen.requests).await {
                Next::Closed => break,
                // Recorded even on a connection that carried requests before.
                Next::Malformed(bytes) => {
                    seen.requests = 0;
                    seen.first_bytes = bytes;
                    let _ = stream.shutdown().await;
                    return seen;
                }
                Next::Tunnel(authority, hop) => {
                    seen.toward = Some(hop.toward.clone());
                    place.enter(authority, hop);
                    stream.restart();
                }
                Next::WebSocket(named) => {
                    websocket::serve(stream, named, &place, shared, ledger).await;
                    return seen;
                }
            },
            Some(Protocol::Socks) => {
                // What follows may be credentials: it is told by the hop, if it can be.
                let greeting = stream.first_bytes().first().copied();
                let Some((authority, hop)) = socks::serve(&mut stream, place.secure, ledger).await else {
                    seen.first_bytes = greeting.into_iter().collect();
                    let _ = stream.shutdown().await;
                    return seen;
                };
                seen.toward = Some(hop.toward.clone());
                place.enter(authority, hop);
                stream.restart();
            }
            Some(Protocol::Http2) => {
                seen.keep_first_bytes(&stream);
                seen.requests += http2::serve(stream, place, Arc::clone(shared), Arc::clone(ledger)).await;
                return seen;
            }
            Some(Protocol::Other) if place.secure && dialled.port() == DNS_OVER_TLS => {
                return resolver::serve_stream(stream, dialled.ip(), shared, ledger).await.into();
            }
            Some(Protocol::Other) => {
                // What it wants is not known; what it says first is worth having.
                while stream.first_bytes().len() < 256
                    && matches!(tokio::time::timeout(UNKNOWN_PAUSE, stream.fill()).await, Ok(1..))
                {}
                break;
            }
            None => break,
        }
    }
    seen.keep_first_bytes(&stream);
    let _ = stream.shutdown().await;
    seen
}

/// Waits until the stream's protocol is known; `None` when it ends before, or is silent for too long.
async fn recognise(stream: &mut Tee, silence: Option<Duration>) -> Option<Protocol> {
    loop {
        if let Some(protocol) = sniff(stream.buffer()) {
            return Some(protocol);
        }
        let came = match silence {
            None => stream.fill().await,
            Some(silence) => tokio::time::timeout(silence, stream.fill()).await.unwrap_or(0),
        };
        if came == 0 {
            return None;
        }
    }
}

impl Seen {
    /// Reports a connection that carried no request.
    fn report(self, dialled: SocketAddr, began: Instant, ledger: &Ledger) {
        if self.requests == 0 {
            ledger.connection(Connection {
                at: ledger.at(began),
                dialled: dialled.to_string(),
                name: ledger.name_of(dialled.ip()),
                first_bytes: self.first_bytes,
                toward: self.toward,
                kind: ConnectionKind::Accepted,
            });
        }
    }

    /// Keeps the innermost layer's first bytes.
    fn keep_first_bytes(&mut self, stream: &Tee) {
        self.first_bytes = stream.first_bytes().to_vec();
    }
}

fn report(hello: Hello, at: crate::capture::Seconds, completed: bool) -> TlsHello {
    let Hello { sni, alpn, cipher_suites, detail } = hello;
    TlsHello { at, sni, alpn, cipher_suites, completed, detail }
}
