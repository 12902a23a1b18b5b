//! Bytes that mean nothing, on every port there is. See `pod.rs` for why the test has two halves.

use std::net::{IpAddr, SocketAddr};

use parallax::capture::ConnectionKind;
use parallax::gateway::Traffic;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UdpSocket;

use crate::lab::{read_to_end, skip, tls};
use crate::pod::{PLACE, Pod, dial, inside};

/// Those that are served (80, 443, 53), that of DNS under TLS, that to which the others are redirected, the well-known
/// ones of protocols in which the server speaks first or binary, and the last.
const PORTS: [u16; 52] = [
    1, 7, 9, 13, 19, 21, 22, 23, 25, 53, 69, 79, 80, 81, 88, 110, 111, 119, 123, 135, 139, 143, 161, 179, 389, 443,
    445, 465, 514, 587, 631, 853, 873, 993, 995, 1080, 1433, 1521, 2049, 2375, 3128, 3306, 3389, 4317, 5432, 6379,
    6667, 8080, 8443, 9200, 27017, 65535,
];

/// How the protocols begin that are told apart; what follows is noise.
const BEGINNINGS: [&[u8]; 8] = [
    b"\x16\x03\x01",
    b"\x16\x03\x01\x00\x40\x01\x00\x00\x3c",
    b"\x05\x01\x00",
    b"\x04\x01",
    b"GET ",
    b"POST / HTTP/1.1\r\n",
    b"CONNECT ",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

/// How much of what nobody understands is kept.
const KEPT: usize = 256;

#[test]
fn garbage_on_every_port_is_seen() {
    inside("garbage::everywhere");
}

fn noise(chance: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..chance.random_range(1..600)).map(|_| chance.random()).collect();
    // No protocol that is known begins so.
    bytes[0] |= 0x80;
    bytes
}

/// Sends bytes to every port, one after another; gives what came of them.
async fn send(pod: &mut Pod, address: IpAddr, bytes: &mut dyn FnMut() -> Vec<u8>) -> (Vec<Vec<u8>>, Traffic) {
    let mut sent = Vec::new();
    for port in PORTS {
        let bytes = bytes();
        let mut socket = dial(address, port).await;
        // A gateway may hang up before it has heard everything.
        let _ = socket.write_all(&bytes).await;
        let _ = socket.shutdown().await;
        read_to_end(&mut socket).await;
        sent.push(bytes);
    }
    (sent, pod.end().await)
}

#[tokio::test]
#[ignore = "run by another test, in a namespace"]
async fn everywhere() {
    let mut pod = Pod::open().await;
    if !pod.client.sight().every_port {
        return skip("nftables", "ports that nobody named are refused");
    }
    let mut chance = ChaCha8Rng::seed_from_u64(4);
    let mut places = vec![PLACE];
    if pod.client.sight().ipv6 {
        places.push("2001:db8::9".parse().unwrap());
    } else {
        skip("ipv6", "not in this kernel, or switched off");
    }
    for place in places {
        // What is no protocol at all: a connection each, with what was said first.
        let (sent, traffic) = send(&mut pod, place, &mut || noise(&mut chance)).await;
        let seen: Vec<_> =
            traffic.connections.iter().map(|c| (c.dialled.clone(), c.kind, c.first_bytes.clone())).collect();
        let expected: Vec<_> = PORTS
            .iter()
            .zip(sent)
            .map(|(port, bytes)| {
                let first = bytes[..bytes.len().min(KEPT)].to_vec();
                (SocketAddr::new(place, *port).to_string(), ConnectionKind::Accepted, first)
            })
            .collect();
        assert_eq!(seen, expected);
        assert!(traffic.exchanges.is_empty() && traffic.tls.is_empty() && traffic.dropped.is_empty());

        // What begins as something: a record each, whatever it is taken for.
        for beginning in BEGINNINGS {
            let (_, traffic) = send(&mut pod, place, &mut || [beginning, noise(&mut chance).as_slice()].concat()).await;
            for port in PORTS {
                let dialled = SocketAddr::new(place, port).to_string();
                let seen = traffic.connections.iter().filter(|c| c.dialled == dialled).count()
                    + traffic.exchanges.iter().filter(|e| e.dialled == dialled).count();
                assert!(seen > 0, "nothing of port {port} and {}", beginning.escape_ascii());
            }
        }
    }
    under_tls(&mut pod, &mut chance).await;
    datagrams(&mut pod, &mut chance).await;
}

/// Inside a good TLS connection; on port 853 it stands where DNS should.
async fn under_tls(pod: &mut Pod, chance: &mut ChaCha8Rng) {
    let mut sent = Vec::new();
    for port in [443, 853, 8443] {
        let name = ServerName::try_from("api.example.com").unwrap();
        let mut socket = tls(&pod.authority, true).connect(name, dial(PLACE, port).await).await.unwrap();
        let mut bytes = noise(chance);
        // Behind it: a message of DNS cannot be longer than it says.
        bytes.insert(1, 0xff);
        socket.write_all(&bytes).await.unwrap();
        let _ = socket.shutdown().await;
        read_to_end(&mut socket).await;
        bytes.truncate(KEPT);
        sent.push((SocketAddr::new(PLACE, port).to_string(), bytes));
    }
    let traffic = pod.end().await;
    let seen: Vec<_> = traffic.connections.into_iter().map(|c| (c.dialled, c.first_bytes)).collect();
    assert_eq!(seen, sent);
    assert_eq!(traffic.tls.iter().filter(|hello| hello.completed).count(), 3);
}

/// The resolver's port is served, the others are watched.
async fn datagrams(pod: &mut Pod, chance: &mut ChaCha8Rng) {
    if !pod.client.sight().watched {
        return skip("embedded", "this process may not look at packets");
    }
    let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
    let mut sent = Vec::new();
    for port in PORTS {
        let mut bytes = noise(chance);
        socket.send_to(&bytes, SocketAddr::new(PLACE, port)).await.unwrap();
        bytes.truncate(KEPT);
        sent.push((SocketAddr::new(PLACE, port).to_string(), ConnectionKind::Datagram, bytes));
    }
    let traffic = pod.end().await;
    let mut seen: Vec<_> = traffic.connections.into_iter().map(|c| (c.dialled, c.kind, c.first_bytes)).collect();
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    sent.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(seen, sent);
}
