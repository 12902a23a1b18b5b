//! **`WebSocket`s**, where the scenario accepts them: every message of the agent's is recorded like a request, and one that
//! asks a model is answered as that request would be, an event a message, a failure as an event of its own.

use std::sync::Arc;
use std::time::Instant;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use super::connection::{Place, Shared};
use super::head::Head;
use super::http::Named;
use super::ledger::Ledger;
use super::protocol::WireExchange;
use super::reply::{Payload, Reply, Request};
use super::tee::Tee;

/// The longest message that is taken.
const LONGEST_MESSAGE: usize = 16 * 1024 * 1024;

/// What a message's exchange has for its method.
const METHOD: &str = "MESSAGE";

/// The answer that accepts an upgrade, if the head asks for one as it should.
pub(super) fn acceptance(head: &Head) -> Option<String> {
    let wanted = head.method == "GET"
        && head.header("upgrade").is_some_and(|to| to.eq_ignore_ascii_case("websocket"))
        && head.has_token("connection", "upgrade");
    let key = derive_accept_key(head.header("sec-websocket-key").filter(|_| wanted)?.as_bytes());
    // The first protocol offered is the one that the client likes best.
    let protocol = head.header("sec-websocket-protocol").and_then(|offers| offers.split(',').next());
    let protocol = protocol.map_or_else(String::new, |name| format!("Sec-WebSocket-Protocol: {}\r\n", name.trim()));
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {key}\r\n{protocol}\r\n"
    ))
}

/// Serves messages until the stream ends.
pub(super) async fn serve(stream: Tee, named: Named, place: &Place, shared: &Arc<Shared>, ledger: &Arc<Ledger>) {
    let limits =
        WebSocketConfig::default().max_message_size(Some(LONGEST_MESSAGE)).max_frame_size(Some(LONGEST_MESSAGE));
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(limits)).await;
    loop {
        let (mut bytes, mut note) = match socket.next().await {
            Some(Ok(Message::Text(text))) => (text.as_bytes().to_vec(), None),
            Some(Ok(Message::Binary(bytes))) => (bytes.to_vec(), None),
            Some(Ok(Message::Close(_))) | None => return,
            // Pings are answered underneath.
            Some(Ok(_)) => continue,
            Some(Err(tokio_tungstenite::tungstenite::Error::Capacity(error))) => {
                (Vec::new(), Some(format!("not kept: {error}")))
            }
            Some(Err(_)) => return,
        };
        let began = Instant::now();
        let broken = note.is_some();
        let reply = (!broken).then(|| {
            let body = streaming(&bytes);
            let (host, target) = (named.host.as_str(), named.target.as_str());
            let request = Request { method: "POST", host, target, headers: &[], body: &body };
            shared.stub.answer(&request, ledger.attempts())
        });
        let room = ledger.limits().body(bytes.len());
        if room < bytes.len() {
            ledger.limits().drop("bytes of bodies", (bytes.len() - room) as u64);
            bytes.truncate(room);
            note = Some(String::from("cut: the cell has sent more than is kept"));
        }
        ledger
            .exchange(WireExchange {
                at: ledger.at(began),
                scheme: named.scheme.to_owned(),
                host: named.host.clone(),
                port: named.port,
                dialled: place.dialled.to_string(),
                via: named.via,
                version: String::from("websocket"),
                method: String::from(METHOD),
                target: named.target.clone(),
                headers: Vec::new(),
                length: 0,
                body: bytes,
                status: reply.as_ref().map_or(0, |reply| reply.status),
                hops: place.hops.clone(),
                note,
                head: Vec::new(),
            })
            .await;
        let Some(reply) = reply else { return };
        for text in said(&reply) {
            if socket.send(Message::text(text)).await.is_err() {
                return;
            }
        }
        // The stream breaks without a word of farewell.
        if reply.cut {
            return;
        }
    }
}

/// The message as a request whose answer is a stream: here it cannot be anything else, so it need not be asked for.
fn streaming(message: &[u8]) -> Vec<u8> {
    match serde_json::from_slice(message) {
        Ok(Value::Object(mut members)) => {
            members.insert(String::from("stream"), true.into());
            serde_json::to_vec(&members).unwrap_or_default()
        }
        _ => message.to_vec(),
    }
}

/// What is said in return: the data of a stream's events, half of them where the script cuts it; a failure as one event.
/// Anything else has no form here.
fn said(reply: &Reply) -> Vec<String> {
    let events = match &reply.payload {
        Payload::Events(events) => events,
        Payload::Bytes(body) => return failure(reply.status, body).into_iter().collect(),
        Payload::Frames(_) => return Vec::new(),
    };
    let data = events.iter().flat_map(|event| event.lines()).filter_map(|line| line.strip_prefix("data: "));
    let mut said: Vec<String> = data.filter(|data| *data != "[DONE]").map(str::to_owned).collect();
    if reply.cut {
        said.truncate(said.len() / 2);
    }
    said
}

/// The event that tells a failure: what the answer's body says of it, with the status that an answer would have had.
fn failure(status: u16, body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let error = body.get("error").filter(|_| status >= 400)?;
    Some(json!({ "type": "error", "status": status, "error": error }).to_string())
}
