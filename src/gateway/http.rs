//! **HTTP/1**: requests off a stream, one after the other, each recorded from its raw bytes before it is answered.

use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::body::{self, End, Framing, Received};
use super::connection::{Place, Shared};
use super::head::{Head, LONGEST_HEAD, Parsed};
use super::ledger::Ledger;
use super::protocol::WireExchange;
use super::proxy::{self, Authority};
use super::reply::{Payload, Reply, Request};
use super::tee::Tee;
use super::websocket;
use crate::capture::{Hop, HopForm, Via};

/// What follows on a stream once HTTP/1 is done with it.
#[derive(Debug)]
pub(super) enum Next {
    /// Nothing.
    Closed,
    /// Nothing: these bytes came where a request should have begun.
    Malformed(Vec<u8>),
    /// A tunnel was opened to this authority: whatever comes now is inside.
    Tunnel(Authority, Hop),
    /// A WebSocket was accepted: what comes now are its frames.
    WebSocket(Named),
}

/// The head at a stream's front.
enum Front {
    Head(Head, Instant),
    CutShort(Head, Instant),
    Bad(&'static str),
    Ended,
}

/// Serves requests until the stream ends or becomes a tunnel, counting those that were recorded.
pub(super) async fn serve(
    stream: &mut Tee,
    place: &Place,
    shared: &Arc<Shared>,
    ledger: &Arc<Ledger>,
    requests: &mut u32,
) -> Next {
    loop {
        let (head, began) = match front(stream).await {
            Front::Head(head, began) => (head, began),
            Front::CutShort(head, began) => {
                *requests += 1;
                let received = Received { end: End::CutShort, ..Received::default() };
                ledger.exchange(record(&head, received, &named(&head, place, ledger), 0, began, place, ledger)).await;
                return Next::Closed;
            }
            Front::Bad(status) => {
                let first = stream.buffer()[..stream.buffer().len().min(256)].to_vec();
                let _ = write_all(
                    stream,
                    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").as_bytes(),
                )
                .await;
                return Next::Malformed(first);
            }
            Front::Ended => return Next::Closed,
        };
        if head.method.eq_ignore_ascii_case("CONNECT")
            && let Some(authority) = Authority::parse(&head.target)
        {
            if write_all(stream, b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_err() {
                return Next::Closed;
            }
            let hop = Hop {
                form: HopForm::Connect,
                secure: place.secure,
                toward: head.target.clone(),
                headers: head.headers,
            };
            return Next::Tunnel(authority, hop);
        }

        *requests += 1;
        let named = named(&head, place, ledger);
        if shared.stub.accepts_websockets()
            && let Some(acceptance) = websocket::acceptance(&head)
        {
            ledger.exchange(record(&head, Received::default(), &named, 101, began, place, ledger)).await;
            if write_all(stream, acceptance.as_bytes()).await.is_err() {
                return Next::Closed;
            }
            return Next::WebSocket(named);
        }
        let received = receive(stream, &head, ledger).await;
        let whole = received.end == End::Whole;
        let keep = whole && keeps_alive(&head) && !body::has_both_framings(&head);
        let reply = match received.end {
            End::Whole => Some(shared.stub.answer(
                &Request {
                    method: &head.method,
                    host: &named.host,
                    target: &named.target,
                    headers: &head.headers,
                    body: &received.bytes,
                },
                ledger.attempts(),
            )),
            End::CutShort => None,
            End::TooLarge => Some(Reply::empty(413)),
            End::Malformed => Some(Reply::empty(400)),
        };
        let status = reply.as_ref().map_or(0, |reply| reply.status);
        // Recorded first: whatever becomes of the answer, the request was sent.
        ledger.exchange(record(&head, received, &named, status, began, place, ledger)).await;
        let Some(reply) = reply else { return Next::Closed };
        let mut bytes = serialise(&reply, &head, keep);
        if reply.cut {
            bytes.truncate(middle(&bytes));
        }
        if write_all(stream, &bytes).await.is_err() || !keep || reply.cut {
            return Next::Closed;
        }
    }
}

/// Waits for a whole head at the stream's front, and takes it off.
async fn front(stream: &mut Tee) -> Front {
    let mut began = None;
    let mut looked_at = 0;
    loop {
        let blank = stream.buffer().iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if looked_at == 0 {
            stream.consume(blank);
        }
        let buffer = stream.buffer();
        if !buffer.is_empty() {
            began.get_or_insert(stream.arrived());
            // Parsed only once its end is there, so that a head that trickles in costs no more than its length.
            if ends_within(buffer, looked_at) {
                match Head::parse(buffer) {
                    Parsed::Complete(head, length) => {
                        stream.consume(length);
                        return Front::Head(head, began.unwrap_or_else(Instant::now));
                    }
                    Parsed::Partial => {}
                    Parsed::Invalid => return Front::Bad("400 Bad Request"),
                }
            }
            if buffer.len() > LONGEST_HEAD {
                return Front::Bad("431 Request Header Fields Too Large");
            }
            looked_at = buffer.len();
        }
        if stream.fill().await == 0 {
            return match (Head::parse_cut_short(stream.buffer()), began) {
                (Some(head), Some(began)) => Front::CutShort(head, began),
                _ => Front::Ended,
            };
        }
    }
}

/// Whether an empty line ends in what came after the first `looked_at` bytes.
fn ends_within(buffer: &[u8], looked_at: usize) -> bool {
    let from = looked_at.saturating_sub(3);
    buffer[from..].windows(2).any(|pair| pair == b"\n\n") || buffer[from..].windows(3).any(|three| three == b"\n\r\n")
}

/// The middle of an answer's payload.
fn middle(bytes: &[u8]) -> usize {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
    head + (bytes.len() - head) / 2
}

async fn receive(stream: &mut Tee, head: &Head, ledger: &Ledger) -> Received {
    let Some(framing) = body::framing(head) else {
        return Received { end: End::Malformed, ..Received::default() };
    };
    let expects = framing != Framing::Length(0) && head.version == "1.1" && head.has_token("expect", "100-continue");
    if expects && stream.buffer().is_empty() && write_all(stream, b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err() {
        return Received { end: End::CutShort, ..Received::default() };
    }
    body::receive(stream, framing, ledger.limits()).await
}

fn keeps_alive(head: &Head) -> bool {
    let says = |token| head.has_token("connection", token) || head.has_token("proxy-connection", token);
    if head.version == "1.0" { says("keep-alive") } else { !says("close") }
}

/// Where a request goes, by its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) scheme: &'static str,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) target: String,
    pub(super) via: Via,
}

/// Where the request goes: its absolute target says, else its `Host`, else the tunnel that it is in, else the name for
/// which the dialled address was given out, else that address.
fn named(head: &Head, place: &Place, ledger: &Ledger) -> Named {
    let scheme = if place.secure { "https" } else { "http" };
    if let Some(absolute) = proxy::absolute(&head.target) {
        let port = absolute.authority.port.unwrap_or_else(|| proxy::default_port(absolute.scheme));
        let via = if place.hops.is_empty() { Via::Absolute } else { place.via() };
        return Named { scheme: absolute.scheme, host: absolute.authority.host, port, target: absolute.target, via };
    }
    let target = head.target.clone();
    let (host, port) = resolve_authority(head.header("host").and_then(Authority::parse), scheme, place, ledger);
    Named { scheme, host, port, target, via: place.via() }
}

/// Completes what a request says of its authority from where it travels.
pub(super) fn resolve_authority(
    named: Option<Authority>,
    scheme: &str,
    place: &Place,
    ledger: &Ledger,
) -> (String, u16) {
    if let Some(authority) = named.or_else(|| place.tunnel.clone()) {
        let port = authority.port.unwrap_or_else(|| proxy::default_port(scheme));
        return (authority.host, port);
    }
    let address = place.dialled.ip();
    (ledger.name_of(address).unwrap_or_else(|| address.to_string()), place.dialled.port())
}

fn record(
    head: &Head,
    received: Received,
    named: &Named,
    status: u16,
    began: Instant,
    place: &Place,
    ledger: &Ledger,
) -> WireExchange {
    let note = note(head, received.end);
    let mut headers = head.headers.clone();
    headers.extend(received.trailers);
    let mut hops = place.hops.clone();
    if proxy::absolute(&head.target).is_some() {
        let own = head.headers.iter().filter(|(name, _)| proxy::is_for_the_proxy(name));
        let toward = proxy::joined(&named.host, named.port);
        hops.push(Hop { form: HopForm::Absolute, secure: place.secure, toward, headers: own.cloned().collect() });
    }
    WireExchange {
        at: ledger.at(began),
        scheme: named.scheme.to_owned(),
        host: named.host.clone(),
        port: named.port,
        dialled: place.dialled.to_string(),
        via: named.via,
        version: head.version.to_owned(),
        method: head.method.clone(),
        target: named.target.clone(),
        headers,
        length: 0,
        body: received.bytes,
        status,
        hops,
        note,
    }
}

/// What is odd about a request's body, or was not kept of it.
fn note(head: &Head, end: End) -> Option<String> {
    let note = match end {
        End::TooLarge => "cut: larger than what is kept",
        End::Malformed if body::framing(head).is_none() => "not read: its lengths contradict each other",
        End::Malformed => "cut: its chunks are malformed",
        End::Whole | End::CutShort if body::has_both_framings(head) => {
            "it has a length and chunks; the chunks were read"
        }
        End::Whole | End::CutShort => return None,
    };
    Some(String::from(note))
}

/// The answer's bytes.
fn serialise(reply: &Reply, head: &Head, keep: bool) -> Vec<u8> {
    let bodiless = head.method == "HEAD" || matches!(reply.status, 204 | 304);
    let reason = reason(reply.status);
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", reply.status).into_bytes();
    let mut line = |name: &str, value: &str| bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    line("Date", &Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    for (name, value) in &reply.headers {
        line(name, value);
    }
    // A stream's length is not known before its end: chunks for HTTP/1.1, the connection's end for HTTP/1.0.
    let parts = reply.payload.parts();
    let chunked = parts.is_some() && head.version == "1.1";
    match &reply.payload {
        Payload::Bytes(body) if reply.status != 204 => line("Content-Length", &body.len().to_string()),
        Payload::Bytes(_) => {}
        _ if chunked => line("Transfer-Encoding", "chunked"),
        _ => {}
    }
    let closes = !keep || (parts.is_some() && !chunked);
    if closes {
        line("Connection", "close");
    } else if head.version == "1.0" {
        line("Connection", "keep-alive");
    }
    bytes.extend_from_slice(b"\r\n");
    if bodiless {
        return bytes;
    }
    if let Payload::Bytes(body) = &reply.payload {
        bytes.extend_from_slice(body);
    }
    for part in parts.iter().flatten() {
        if chunked {
            bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        }
        bytes.extend_from_slice(part);
        if chunked {
            bytes.extend_from_slice(b"\r\n");
        }
    }
    if chunked {
        bytes.extend_from_slice(b"0\r\n\r\n");
    }
    bytes
}

/// The words that commonly follow a status.
fn reason(status: u16) -> &'static str {
    hyper::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Unknown")
}

async fn write_all(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}
