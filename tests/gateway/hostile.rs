//! Clients that mean no good, or know no better. The gateway keeps serving, keeps what it can and says what it dropped.

use std::io::Write as _;
use std::time::Duration;

use parallax::gateway::Traffic;
use parallax::scenario::{Stub, Turn};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::lab::{Lab, pour, read_to_end};
use crate::pod::raise_open_files;

/// That an ordinary request is still answered, and recorded.
pub(crate) async fn still_serves(lab: &mut Lab) -> Traffic {
    assert!(lab.post("/v1/messages", &json!({"model": "after"})).await.contains("OK"));
    let traffic = lab.end().await;
    assert!(traffic.exchanges.iter().any(|exchange| exchange.body.text() == r#"{"model":"after"}"#));
    traffic
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let mut lab = Lab::simple().await;
    let mut socket = lab.connect().await;
    socket.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let poured = pour(&mut socket, &b"X-More: and more\r\n".repeat(100), 64 << 20).await;
    assert!(poured < 64 << 20, "it took everything");
    let mut many = lab.connect().await;
    many.write_all(format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(5000)).as_bytes()).await.unwrap();
    assert!(read_to_end(&mut many).await.starts_with("HTTP/1.1 4"));
    let traffic = still_serves(&mut lab).await;
    assert_eq!(traffic.connections.len(), 2);
}

#[tokio::test]
async fn a_body_without_end_is_cut_with_a_note() {
    let mut lab = Lab::simple().await;
    for framing in ["Content-Length: 1073741824\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n40000000\r\n"] {
        let mut socket = lab.connect().await;
        socket.write_all(format!("POST /large HTTP/1.1\r\nHost: h\r\n{framing}").as_bytes()).await.unwrap();
        let poured = pour(&mut socket, &b"x".repeat(1 << 20), 1 << 30).await;
        assert!(poured < 256 << 20, "it took {poured} bytes");
    }
    let traffic = still_serves(&mut lab).await;
    for exchange in &traffic.exchanges[..2] {
        assert_eq!((exchange.target.as_str(), exchange.status), ("/large", 413));
        assert_eq!(exchange.body.bytes.len(), 64 << 20);
        assert!(exchange.note.as_deref().is_some_and(|note| note.starts_with("cut")));
    }
    let dropped: Vec<_> = traffic.dropped.iter().map(|dropped| (dropped.what.as_str(), dropped.count)).collect();
    assert_eq!(dropped, [("bytes of bodies", 2 * ((1 << 30) - (64 << 20)))]);
}

#[tokio::test]
async fn a_bomb_is_kept_as_it_is_and_not_unfolded() {
    let mut lab = Lab::simple().await;
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..1024 {
        encoder.write_all(&b" ".repeat(1 << 20)).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let head =
        format!("POST /v1/messages HTTP/1.1\r\nContent-Encoding: zstd\r\nContent-Length: {}\r\n\r\n", bomb.len());
    let answer = lab.talk(&[head.as_bytes(), &bomb].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let layered = ["gzip"; 500].join(", ");
    let head = format!("POST /v1/messages HTTP/1.1\r\nContent-Encoding: {layered}\r\nContent-Length: 2\r\n\r\nhi");
    assert!(lab.talk(head.as_bytes()).await.starts_with("HTTP/1.1 200 "));
    let traffic = still_serves(&mut lab).await;
    assert_eq!(*traffic.exchanges[0].body.bytes, *bomb);
}

#[tokio::test]
async fn chunks_that_are_none_are_told() {
    let mut lab = Lab::simple().await;
    let long = format!("1;{}\r\nx\r\n", "x".repeat(40_000));
    let bad =
        ["zz\r\n", "-1\r\n", "ffffffffffffffffff\r\n", "1\r\nxyz\r\n", "\r\n\r\n", "0\r\nno colon\r\n\r\n", &long];
    for chunks in bad {
        let answer = lab
            .talk(format!("POST /bad HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}").as_bytes())
            .await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{chunks:.20}: {answer}");
    }
    let traffic = still_serves(&mut lab).await;
    let notes: Vec<_> = traffic.exchanges.iter().filter_map(|e| e.note.as_deref()).collect();
    assert_eq!(notes, vec!["cut: its chunks are malformed"; bad.len()]);
}

#[tokio::test]
async fn two_lengths_hide_no_request() {
    let mut lab = Lab::simple().await;
    let hidden = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n";
    let both = format!(
        "POST /both HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"
    );
    let answer = lab.talk(both.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    let two = format!("POST /two HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 30\r\n\r\n{hidden}");
    assert!(lab.talk(two.as_bytes()).await.starts_with("HTTP/1.1 400 "));
    let traffic = still_serves(&mut lab).await;
    let seen: Vec<_> = traffic.exchanges.iter().map(|e| (e.target.as_str(), e.note.is_some())).collect();
    assert_eq!(seen, [("/both", true), ("/two", true), ("/v1/messages", false)]);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_kept() {
    let mut lab = Lab::simple().await;
    let body = b"\xff\xfe\x00 not text \x00\xc3\x28";
    let mut request = b"POST /caf\xc3\xa9 HTTP/1.1\r\nHost: h\r\nX-Odd: \xff\xfe\r\n".to_vec();
    request.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
    request.extend(body);
    lab.talk(&request).await;
    for odd in [
        &b"GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\nX-\x00: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \x00\r\n\r\n",
    ] {
        lab.talk(odd).await;
    }
    let mut traffic = still_serves(&mut lab).await;
    assert_eq!(traffic.exchanges.len() + traffic.connections.len(), 5);
    let first = traffic.exchanges.remove(0);
    assert_eq!(*first.body.bytes, *body);
    assert_eq!(first.headers[1].1, "\u{ff}\u{fe}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_at_once_and_thousands_in_a_row() {
    raise_open_files();
    let mut lab = Lab::simple().await;
    let mut crowd = Vec::new();
    for _ in 0..1000 {
        crowd.push(lab.connect().await);
    }
    for (n, socket) in crowd.iter_mut().enumerate() {
        let request =
            format!("POST /crowd/{n} HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
        socket.write_all(request.as_bytes()).await.unwrap();
    }
    for socket in &mut crowd {
        assert!(read_to_end(socket).await.starts_with("HTTP/1.1 404 "));
    }
    drop(crowd);
    for n in 0..5000 {
        let mut socket = lab.connect().await;
        socket.write_all(format!("GET /row/{n} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await.unwrap();
        if n % 100 == 0 {
            let _ = socket.read_u8().await;
        }
    }
    let traffic = still_serves(&mut lab).await;
    let count = |start: &str| traffic.exchanges.iter().filter(|e| e.target.starts_with(start)).count();
    assert_eq!((count("/crowd/"), count("/row/")), (1000, 5000));
    assert!(traffic.dropped.is_empty());
}

#[tokio::test]
async fn hellos_beyond_all_bounds_are_survived() {
    let mut lab = Lab::simple().await;
    let hello = |extensions: &[u8], claimed: usize| {
        let mut body = vec![3, 3];
        body.extend([0; 32]);
        body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
        body.extend(u16::try_from(claimed & 0xffff).unwrap().to_be_bytes());
        body.extend(extensions);
        let mut message = vec![1];
        message.extend(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
        message.extend(body);
        let mut wire = Vec::new();
        for chunk in message.chunks(16_000) {
            wire.extend([0x16, 3, 1]);
            wire.extend(u16::try_from(chunk.len()).unwrap().to_be_bytes());
            wire.extend(chunk);
        }
        wire
    };
    let many: Vec<u8> = (0..15_000_u16).flat_map(|kind| [kind.to_be_bytes(), [0, 0]].concat()).collect();
    let name = [&[0, 0, 0xff, 0xff, 0xff, 0xfd, 0, 0xff, 0xfa][..], &b"a".repeat(65_000)].concat();
    let nested = [0, 0x0a, 0, 4, 0xff, 0xff, 0, 0x1d];
    let wires = [
        hello(&many, many.len()),
        hello(&name, name.len()),
        hello(&nested, nested.len()),
        hello(&[], 60_000),
        [&[0x16, 3, 1, 0xff, 0xff][..], &[1].repeat(70_000)].concat(),
        [0x16, 3, 1, 0, 1, 1].repeat(30_000),
        [0x16, 3, 1, 0, 0].repeat(1000),
    ];
    for wire in &wires {
        let mut socket = lab.connect().await;
        let _ = socket.write_all(wire).await;
        let _ = socket.shutdown().await;
        let mut sink = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut sink)).await.expect("stuck");
    }
    let traffic = still_serves(&mut lab).await;
    // None of them carried a request: each is a connection, once, whose noise is nobody's first bytes.
    let seen: Vec<_> = traffic.connections.iter().map(|c| (c.dialled.clone(), c.first_bytes.len())).collect();
    assert_eq!(seen, vec![(lab.stream.to_string(), 0); wires.len()]);
    // What could be read of them is told, as a hello that came to nothing.
    assert!(traffic.tls.iter().all(|hello| !hello.completed), "{:?}", traffic.tls);
    assert_eq!(traffic.exchanges.len(), 1);
}

#[tokio::test]
async fn a_websocket_that_floods_is_ended_with_a_note() {
    let mut lab =
        Lab::with(Stub { script: vec![Turn::Text(String::from("OK"))], websocket: true, ..Stub::default() }).await;
    let mut socket = lab.connect().await;
    let upgrade = "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    socket.write_all(upgrade.as_bytes()).await.unwrap();
    // A frame that claims to be of 2⁴⁰ bytes.
    socket.write_all(&[0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4]).await.unwrap();
    let _ = pour(&mut socket, &[0].repeat(65_536), 32 << 20).await;
    drop(socket);
    let traffic = still_serves(&mut lab).await;
    assert_eq!(traffic.exchanges[0].status, 101);
    assert!(
        traffic.exchanges[1].note.as_deref().is_some_and(|note| note.starts_with("not kept")),
        "{:?}",
        traffic.exchanges[1]
    );
}
