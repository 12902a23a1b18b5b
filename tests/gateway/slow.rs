//! Clients that never come to their point: heads, bodies, chunks, hellos, greetings and questions a byte at a time. The
//! gateway keeps serving others at once, and tells of each what came of it.

use std::time::{Duration, Instant};

use parallax::gateway::Traffic;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::hostile::still_serves;
use crate::lab::Lab;

/// How many of a kind there are at once.
const CLIENTS: usize = 40;

/// How many bytes each says after its beginning, one at a time.
const TICKS: usize = 12;
const PAUSE: Duration = Duration::from_millis(10);

/// How long an honest client may wait beside them. It takes milliseconds; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens clients that begin so and go on with `drop` for ever, asks honestly in between, and gives what was told.
async fn trickle(begin: &[u8], drop: u8, to_resolver: bool) -> (Lab, Traffic) {
    let mut lab = Lab::simple().await;
    let place = if to_resolver { lab.dns_stream } else { lab.stream };
    let mut slow = Vec::new();
    for _ in 0..CLIENTS {
        let mut socket = TcpStream::connect(place).await.unwrap();
        socket.write_all(begin).await.unwrap();
        slow.push(socket);
    }
    for tick in 0..TICKS {
        for socket in &mut slow {
            socket.write_all(&[drop]).await.unwrap();
        }
        let asked = Instant::now();
        let body = json!({"model": "beside", "tick": tick});
        let answer = tokio::time::timeout(PATIENCE, lab.post("/v1/messages", &body)).await.expect("held up");
        assert!(answer.contains("OK") && asked.elapsed() < PATIENCE, "{answer}");
        tokio::time::sleep(PAUSE).await;
    }
    let mut traffic = still_serves(&mut lab).await;
    assert_eq!(traffic.left_open, u32::try_from(CLIENTS).unwrap());
    assert!(traffic.dropped.is_empty());
    let honest = traffic.exchanges.iter().filter(|exchange| exchange.target == "/v1/messages").count();
    assert_eq!(honest, TICKS + 1, "none of those who asked beside them is lost");
    traffic.exchanges.retain(|exchange| exchange.target != "/v1/messages");
    // Nobody is answered who has not finished.
    assert!(traffic.exchanges.iter().all(|exchange| exchange.status == 0));
    for socket in &mut slow {
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/"), "{}", answer.escape_ascii());
    }
    (lab, traffic)
}

/// That each was a request, with these bytes of a body.
fn requests(traffic: &Traffic, target: &str, body: &str) {
    assert!(traffic.connections.is_empty(), "{:?}", traffic.connections);
    let seen: Vec<_> = traffic.exchanges.iter().map(|e| (e.target.as_str(), e.body.text().into_owned())).collect();
    assert_eq!(seen, vec![(target, body.to_owned()); CLIENTS]);
}

/// That each was a connection that said this and nothing that is understood.
fn connections(traffic: &Traffic, first: &[u8]) {
    assert!(traffic.exchanges.is_empty() && traffic.tls.is_empty() && traffic.dns.is_empty());
    let seen: Vec<_> = traffic.connections.iter().map(|connection| connection.first_bytes.as_slice()).collect();
    assert_eq!(seen, vec![first; CLIENTS]);
}

#[tokio::test]
async fn heads() {
    let (_, traffic) = trickle(b"GET /slow HTTP/1.1\r\nHost: h\r\nX-", b'a', false).await;
    requests(&traffic, "/slow", "");
    // Before the first line is whole there is no request, but there are its bytes.
    let (_, traffic) = trickle(b"GET /", b'a', false).await;
    connections(&traffic, &[&b"GET /"[..], &[b'a'; TICKS]].concat());
}

#[tokio::test]
async fn bodies() {
    let body = "b".repeat(TICKS);
    let (_, traffic) = trickle(b"POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n", b'b', false).await;
    requests(&traffic, "/slow", &body);
    let chunked = b"POST /slow HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nff\r\n";
    let (_, traffic) = trickle(chunked, b'b', false).await;
    requests(&traffic, "/slow", &format!("abc{body}"));
    // A chunk's size, and a trailer, without end.
    let size = b"POST /slow HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0";
    let (_, traffic) = trickle(size, b'0', false).await;
    requests(&traffic, "/slow", "abc");
    let trailer = b"POST /slow HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-";
    let (_, traffic) = trickle(trailer, b'c', false).await;
    requests(&traffic, "/slow", "abc");
}

#[tokio::test]
async fn hellos() {
    // The noise of a handshake is nobody's first bytes.
    let (_, traffic) = trickle(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 7, false).await;
    connections(&traffic, b"");
    // A record's head, and never the record.
    let (_, traffic) = trickle(b"\x16\x03\x01\x40", 0x16, false).await;
    connections(&traffic, b"");
}

#[tokio::test]
async fn greetings_of_socks() {
    // Methods that do not come; a name; credentials, of which no byte may be told; a user of version 4.
    for begin in [&b"\x05\x10\x00"[..], b"\x05\x01\x00\x05\x01\x00\x03\xff", b"\x05\x01\x02\x01\xff"] {
        let (_, traffic) = trickle(begin, b's', false).await;
        connections(&traffic, &[5]);
    }
    let (_, traffic) = trickle(b"\x04\x01\x00\x50\x00\x00\x00\x01", b's', false).await;
    connections(&traffic, &[4]);
}

#[tokio::test]
async fn questions_over_tcp() {
    let (_, traffic) = trickle(b"\x02\x00\x12\x34\x01\x00", 0, true).await;
    connections(&traffic, &[&b"\x02\x00\x12\x34\x01\x00"[..], &[0; TICKS]].concat());
    // Whoever has been answered once has asked: what trickles behind it takes nothing from that.
    let question = b"\x00\x1d\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03own\x07example\x00\x00\x01\x00\x01";
    let (lab, traffic) = trickle(&[&question[..], &[0xff]].concat(), 0xff, true).await;
    let asked: Vec<_> = traffic.dns.iter().map(|q| (q.name.as_str(), q.kind.as_str())).collect();
    assert_eq!(asked, [("own.example", "A")], "{}", lab.dns_stream);
    assert!(traffic.connections.is_empty());
}
