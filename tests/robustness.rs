//! What fuzzing does for hours (`fuzz/`), for moments and the same each time: good messages of every kind, spoiled at
//! random, through the gateway and the readers of captures, reports and records. Nothing may panic, hang, or report what
//! cannot be read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use parallax::engine::external::is_capture;
use parallax::gateway::entry::{Parlour, reports, said};
use parallax::gateway::protocol::Report;
use parallax::scenario::{Stub, Turn};
use parallax::store::entry::{framed, read, written};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Good messages, with the port that they are for and whether they carry a request.
fn good() -> Vec<(u16, Vec<u8>, bool)> {
    let body = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"input":"x"}"#;
    let post = |path: &str| {
        let length = body.len();
        format!("POST {path} HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
    };
    let mut all: Vec<(u16, Vec<u8>, bool)> = [
        "/v1/messages",
        "/v1/chat/completions",
        "/v1/responses",
        "/v1beta/models/g:streamGenerateContent?alt=sse",
        "/model/m/invoke-with-response-stream",
        "/api/chat",
        "http://api.example.com/v1/messages",
    ]
    .map(|path| (80, post(path), true))
    .into();
    let chunked = b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    all.push((80, chunked.to_vec(), true));
    all.push((3128, [&b"CONNECT api.example.com:443 HTTP/1.1\r\n\r\n"[..], &post("/v1/messages")].concat(), true));
    all.push((1080, [&b"\x05\x01\x00\x05\x01\x00\x03\x01h\x00\x50"[..], &post("/v1/messages")].concat(), true));
    all.push((1080, [&b"\x04\x01\x00\x50\x00\x00\x00\x01me\x00h\x00"[..], &post("/v1/messages")].concat(), true));
    let upgrade = b"GET /v1/responses HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x82\0\0\0\0hi";
    all.push((80, upgrade.to_vec(), true));
    all.push((80, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(), false));
    // A hello without extensions, and a question for the address of a.b.
    let mut hello = b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03".to_vec();
    hello.extend([7; 32]);
    hello.extend(b"\x00\x00\x04\x13\x01\xc0\x2f\x01\x00");
    all.push((443, hello, false));
    all.push((53, b"\0\x15\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x01b\0\0\x01\0\x01".to_vec(), false));
    all.push((4317, b"SSH-2.0-x\r\n".to_vec(), false));
    all
}

/// Spoils a message in a few places: bits, bytes, pieces that are cut, doubled or moved.
fn spoil(bytes: &mut Vec<u8>, chance: &mut ChaCha8Rng) {
    for _ in 0..chance.random_range(1..=4) {
        if bytes.is_empty() {
            return;
        }
        let at = chance.random_range(0..bytes.len());
        let end = (at + chance.random_range(1..=16)).min(bytes.len());
        match chance.random_range(0..7) {
            0 => bytes[at] ^= 1 << chance.random_range(0..8),
            1 => bytes[at] = chance.random(),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            4 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            5 => bytes.insert(
                at,
                *[0, b'\r', b'\n', b':', b' ', b'"', b'{', 0xff][..].get(chance.random_range(0..8)).unwrap(),
            ),
            _ => {
                let digits =
                    *[&b"99999999999999999999"[..], b"-1", b"0", b"ffffffff"].get(chance.random_range(0..4)).unwrap();
                bytes.splice(at..end, digits.iter().copied());
            }
        }
    }
}

fn parlour() -> Parlour {
    let tool = Turn::Tool { name: String::from("bash"), input: serde_json::json!({"command": "ls"}) };
    Parlour::open(Stub { script: vec![tool, Turn::Text(String::from("OK"))], answers: Vec::new(), websocket: true })
        .unwrap()
}

#[test]
fn good_messages_are_understood() {
    let parlour = parlour();
    for (port, bytes, request) in good() {
        let heard = parlour.hear(port, &bytes).unwrap();
        let requests = heard.reports.iter().filter(|report| matches!(report, Report::Exchange { .. })).count();
        assert_eq!(requests > 0, request, "{}: {:?}", bytes.escape_ascii(), heard.reports);
        assert!(!heard.reports.is_empty(), "{}", bytes.escape_ascii());
    }
}

#[test]
fn spoiled_messages_harm_nobody_and_are_seen() {
    let parlour = parlour();
    let good = good();
    let mut chance = ChaCha8Rng::seed_from_u64(11);
    for _ in 0..1500 {
        let (port, mut bytes, _) = good[chance.random_range(0..good.len())].clone();
        spoil(&mut bytes, &mut chance);
        let heard = parlour.hear(port, &bytes).unwrap();
        // Whatever it was: that somebody connected is known, if only by a connection that carried nothing.
        assert!(!heard.reports.is_empty(), "{}", bytes.escape_ascii());
    }
    let heard = parlour.hear(80, &good[0].1).unwrap();
    assert!(heard.answer.starts_with(b"HTTP/1.1 200 "), "it still serves");
}

#[test]
fn spoiled_captures_are_refused_or_read_and_never_worse() {
    let line = br#"{"cell":"c1","exit":0,"seconds":1.2,"stdout":"a","exchanges":[{"at":0.4,"scheme":"https","host":"h","port":443,
        "method":"POST","target":"/v1/messages","headers":[["Host","h"]],"body_base64":"e30="}],"dns":["h"],
        "connections":[{"dialled":"1.2.3.4:5"}],"files":["/a"]}"#;
    assert!(is_capture(line));
    let told = br#"{"report":"dns","cell":"c1","question":{"at":0.5,"name":"a.b","kind":"A","resolver":"8.8.8.8"}}"#;
    assert!(serde_json::from_slice::<Report>(told).is_ok());
    let mut chance = ChaCha8Rng::seed_from_u64(12);
    let mut read = 0;
    for _ in 0..20_000 {
        let mut bytes = line.to_vec();
        spoil(&mut bytes, &mut chance);
        read += usize::from(is_capture(&bytes));
        let mut bytes = told.to_vec();
        spoil(&mut bytes, &mut chance);
        if let Ok(report) = serde_json::from_slice::<Report>(&bytes) {
            let again = serde_json::to_vec(&report).unwrap();
            assert!(serde_json::from_slice::<Report>(&again).is_ok(), "{}", bytes.escape_ascii());
        }
    }
    assert!((1..20_000).contains(&read), "the spoiling spoils nothing, or everything: {read}");
}

/// What a target of `fuzz/` begins with, by name.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut seeds: Vec<_> = files
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()))
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{target}");
    seeds
}

/// A fuzzer that begins with what is refused at its first byte finds nothing.
#[test]
fn what_fuzzing_begins_with_is_understood() {
    for (name, seed) in seeds("capture") {
        let understood = is_capture(&seed) || reports(&seed).is_ok_and(|reports| !reports.is_empty());
        assert!(understood, "capture/{name}: {:?}", reports(&seed));
    }
    for (name, seed) in seeds("store") {
        let records = read(&framed(&seed).unwrap());
        assert_eq!(records.unwrap_or_else(|error| panic!("store/{name}: {error}")).len(), 1);
    }
    for (name, seed) in seeds("dialect") {
        assert!(serde_json::from_slice::<serde_json::Value>(&seed[1..]).is_ok(), "dialect/{name}");
    }
    assert_eq!((seeds("sniff").len(), seeds("proxy").len()), (9, 7));
}

#[test]
fn spoiled_reports_and_records_are_refused_or_read_and_never_worse() {
    let mut chance = ChaCha8Rng::seed_from_u64(13);
    let (mut told, mut recorded) = ([0; 2], [0; 2]);
    let (said_seeds, stored_seeds) = (seeds("capture"), seeds("store"));
    for n in 0..5_000 {
        let mut bytes = said_seeds[n % said_seeds.len()].1.clone();
        spoil(&mut bytes, &mut chance);
        let understood = reports(&bytes);
        told[usize::from(understood.is_ok())] += 1;
        if let Ok(understood) = understood {
            let once = said(understood).unwrap();
            assert_eq!(said(reports(&once).unwrap()).unwrap(), once, "{}", bytes.escape_ascii());
        }
        // What is spoiled is the line, and then the frame around it, as on a disk.
        let mut line = stored_seeds[n % stored_seeds.len()].1.clone();
        spoil(&mut line, &mut chance);
        let whole = framed(&line).unwrap();
        let mut torn = whole.clone();
        spoil(&mut torn, &mut chance);
        for file in [whole, torn] {
            let understood = read(&file);
            recorded[usize::from(understood.is_ok())] += 1;
            if let Ok(records) = understood {
                assert_eq!(read(&written(&records).unwrap()).unwrap(), records, "{}", line.escape_ascii());
            }
        }
    }
    for counts in [told, recorded] {
        assert!(counts.iter().all(|count| *count > 50), "the spoiling spoils nothing, or everything: {counts:?}");
    }
}
