//! **HTTP/2**, where it is a level or where a client speaks nothing else. Frames are parsed by hyper: header names are
//! lower case by definition, and their order is kept within what hyper keeps of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::{self, BoxStream, StreamExt as _};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper_util::rt::TokioIo;

use super::body::LARGEST_BODY;
use super::connection::{self, MOST_LAYERS, Place, Shared};
use super::http::resolve_authority;
use super::ledger::Ledger;
use super::protocol::WireExchange;
use super::proxy::{self, Authority};
use super::reply::{Payload, Reply, Request};
use super::tee::Tee;
use crate::capture::{Hop, HopForm, Via};

/// How long what was said has to leave before its stream breaks: a reset overtakes it, and takes it along.
const BEFORE_BREAKING: Duration = Duration::from_millis(50);

type Body = StreamBody<BoxStream<'static, Result<Frame<Bytes>, std::io::Error>>>;

/// Spawns hyper's streams as tasks of the cell, so that the cell is not over before they are.
#[derive(Clone, Debug)]
struct CellExecutor(Arc<Ledger>);

impl<F> hyper::rt::Executor<F> for CellExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        self.0.spawn(async move {
            task.await;
        });
    }
}

/// Serves a connection that begins with the preface; gives how many requests it carried.
pub(super) async fn serve(stream: Tee, place: Place, shared: Arc<Shared>, ledger: Arc<Ledger>) -> u32 {
    let requests = Arc::new(AtomicU32::new(0));
    let service = hyper::service::service_fn(|request: hyper::Request<Incoming>| {
        requests.fetch_add(1, Ordering::Relaxed);
        exchange(request, place.clone(), Arc::clone(&shared), Arc::clone(&ledger))
    });
    let _ = hyper::server::conn::http2::Builder::new(CellExecutor(Arc::clone(&ledger)))
        .serve_connection(TokioIo::new(stream), service)
        .await;
    requests.load(Ordering::Relaxed)
}

async fn exchange(
    mut request: hyper::Request<Incoming>,
    place: Place,
    shared: Arc<Shared>,
    ledger: Arc<Ledger>,
) -> Result<hyper::Response<Body>, std::convert::Infallible> {
    let began = Instant::now();
    if request.method() == hyper::Method::CONNECT {
        return Ok(respond(Reply::empty(connect(&mut request, place, shared, &ledger))));
    }
    let (head, body) = request.into_parts();
    let authority = head.uri.authority().and_then(|authority| Authority::parse(authority.as_str()));
    let host_header = head.headers.get("host").and_then(|value| value.to_str().ok()).and_then(Authority::parse);
    let absolute = authority.as_ref().and_then(|authority| beyond(&head.uri, authority, &place, &ledger));
    let scheme = absolute.unwrap_or(if place.secure { "https" } else { "http" });
    let (host, port) = resolve_authority(authority.or(host_header), scheme, &place, &ledger);
    let target = head.uri.path_and_query().map_or_else(|| String::from("/"), ToString::to_string);
    let headers = lines(&head.headers);
    let (mut hops, mut via) = (place.hops.clone(), place.via());
    if absolute.is_some() {
        via = if hops.is_empty() { Via::Absolute } else { via };
        hops.push(proxy::absolute_hop(&headers, &host, port, place.secure));
    }

    let (bytes, whole, note) = collect(body, &ledger).await;
    let request =
        Request { method: head.method.as_str(), host: &host, target: &target, headers: &headers, body: &bytes };
    let reply = if whole {
        Some(shared.answer(&request, &place, &ledger))
    } else {
        // Larger than what is kept, or cut short.
        note.is_some().then(|| Reply::empty(413))
    };
    let exchange = WireExchange {
        at: ledger.at(began),
        scheme: scheme.to_owned(),
        host: host.clone(),
        port,
        dialled: place.dialled.to_string(),
        via,
        version: String::from("2"),
        method: head.method.to_string(),
        target: target.clone(),
        headers: headers.clone(),
        length: 0,
        body: bytes,
        status: reply.as_ref().map_or(0, |reply| reply.status),
        hops,
        note,
        // There are no bytes of it: names and values are compressed.
        head: Vec::new(),
    };
    ledger.exchange(exchange).await;
    Ok(respond(reply.unwrap_or_else(|| Reply::empty(400))))
}

/// The scheme of a request that is to go on from here, as to a proxy: what HTTP/1 says by the absolute form of its target.
/// Here every request has a scheme and an authority, so that it shows only where both are others than the connection's.
/// (In the clear, a request of the same scheme to a foreign authority may as well be one whose name was resolved elsewhere.)
fn beyond(uri: &hyper::Uri, authority: &Authority, place: &Place, ledger: &Ledger) -> Option<&'static str> {
    let scheme = match (uri.scheme_str()?, place.secure) {
        ("http", true) => "http",
        ("https", false) => "https",
        _ => return None,
    };
    let address = place.dialled.ip();
    let own = [place.server_name.clone(), ledger.name_of(address), Some(address.to_string())];
    let tunnel = place.tunnel.as_ref().map(|tunnel| tunnel.host.as_str());
    let is_own =
        own.iter().flatten().map(String::as_str).chain(tunnel).any(|own| own.eq_ignore_ascii_case(&authority.host));
    (!is_own).then_some(scheme)
}

/// Opens a tunnel on the request's stream; gives the status to answer with. What comes in it is served beside the
/// connection's other streams.
fn connect(request: &mut hyper::Request<Incoming>, place: Place, shared: Arc<Shared>, ledger: &Arc<Ledger>) -> u16 {
    let Some(toward) = request.uri().authority().map(ToString::to_string) else { return 400 };
    let Some(authority) = Authority::parse(&toward).filter(|_| place.hops.len() < MOST_LAYERS) else { return 400 };
    let hop = Hop { form: HopForm::Connect, secure: place.secure, toward, headers: lines(request.headers()) };
    let (upgrade, inner) = (hyper::upgrade::on(request), Arc::clone(ledger));
    ledger.spawn(async move {
        if let Ok(stream) = upgrade.await {
            connection::serve_tunnel(TokioIo::new(stream), place, authority, hop, shared, inner).await;
        }
    });
    200
}

fn lines(headers: &hyper::HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), super::head::text(value.as_bytes()))).collect()
}

/// The body as far as it came, whether that is all of it, and why not.
async fn collect(mut body: Incoming, ledger: &Ledger) -> (Vec<u8>, bool, Option<String>) {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return (bytes, false, None) };
        if let Some(data) = frame.data_ref() {
            let kept = ledger.limits().body(data.len().min(LARGEST_BODY - bytes.len()));
            bytes.extend_from_slice(&data[..kept]);
            if kept < data.len() {
                ledger.limits().drop("bytes of bodies", (data.len() - kept) as u64);
                return (bytes, false, Some(String::from("cut: larger than what is kept")));
            }
        }
    }
    (bytes, true, None)
}

/// What a stream breaks by.
async fn breaking() -> Result<Frame<Bytes>, std::io::Error> {
    tokio::time::sleep(BEFORE_BREAKING).await;
    Err(std::io::ErrorKind::ConnectionReset.into())
}

fn respond(reply: Reply) -> hyper::Response<Body> {
    let parts = match reply.payload {
        // Where it breaks off, it is to break in its middle.
        Payload::Bytes(bytes) if reply.cut => {
            bytes.chunks(bytes.len().div_ceil(2).max(1)).map(Bytes::copy_from_slice).collect()
        }
        Payload::Bytes(bytes) => vec![Bytes::from(bytes)],
        Payload::Events(events) => events.into_iter().map(Bytes::from).collect(),
        Payload::Frames(frames) => frames.into_iter().map(Bytes::from).collect(),
    };
    let whole = parts.len();
    let kept = if reply.cut { whole / 2 } else { whole };
    let frames = stream::iter(parts.into_iter().take(kept).map(|part| Ok(Frame::data(part))));
    let frames = if reply.cut { frames.chain(stream::once(breaking())).boxed() } else { frames.boxed() };
    let mut response = hyper::Response::new(StreamBody::new(frames));
    *response.status_mut() = hyper::StatusCode::from_u16(reply.status).unwrap_or(hyper::StatusCode::NOT_FOUND);
    for (name, value) in &reply.headers {
        if let (Ok(name), Ok(value)) =
            (hyper::header::HeaderName::try_from(name.as_str()), hyper::header::HeaderValue::try_from(value.as_str()))
        {
            response.headers_mut().append(name, value);
        }
    }
    response
}
