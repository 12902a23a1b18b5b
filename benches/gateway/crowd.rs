//! Connections by the hundred thousand, one after another, and a thousand at once: how long they take, how much memory the
//! gateway has before and after, and how many of the records that it promises are there.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use parallax::gateway::Traffic;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::Gateway;

/// As many as one cell has records of a kind.
const IN_A_ROW: usize = 100_000;
const AT_ONCE: usize = 1000;
/// Connections from one address: an ended one keeps its port for a minute.
const FROM_ONE_ADDRESS: usize = 20_000;

/// What came of one cell.
struct Outcome {
    seconds: f64,
    requests: usize,
    bare: usize,
    dropped: u64,
}

pub(crate) async fn measure() {
    let mut gateway = Gateway::start().await;
    println!(
        "| | connections | seconds | a second | requests kept | bare connections kept | dropped | memory before, MB | after, MB | peak, MB |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    );
    // Twice: what is not given back would show.
    for what in ["with a request", "with a request, again", "without a byte", "at once, with a request"] {
        let before = gateway.memory("VmRSS:");
        let outcome = match what {
            "without a byte" => in_a_row(&mut gateway, b"").await,
            "at once, with a request" => at_once(&mut gateway).await,
            _ => in_a_row(&mut gateway, b"GET /row HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await,
        };
        let Outcome { seconds, requests, bare, dropped } = outcome;
        let count = if what.starts_with("at once") { AT_ONCE } else { IN_A_ROW };
        println!(
            "| {what} | {count} | {seconds:.1} | {:.0} | {requests} | {bare} | {dropped} | {before} | {} | {} |",
            count as f64 / seconds,
            gateway.memory("VmRSS:"),
            gateway.memory("VmHWM:")
        );
        assert_eq!(requests + bare, count, "records that were promised");
        assert_eq!(dropped, 0);
    }
}

impl Gateway {
    /// MB of the gateway's process.
    fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1000
    }
}

async fn in_a_row(gateway: &mut Gateway, bytes: &[u8]) -> Outcome {
    let cell = gateway.begin().await;
    let began = Instant::now();
    for n in 0..IN_A_ROW {
        let mut socket = connect(gateway.port, n).await;
        socket.write_all(bytes).await.unwrap();
        if bytes.is_empty() {
            socket.shutdown().await.unwrap();
        }
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer.is_empty(), bytes.is_empty());
    }
    let traffic = gateway.client.end(&cell).await.unwrap();
    outcome(began, &traffic)
}

async fn at_once(gateway: &mut Gateway) -> Outcome {
    let cell = gateway.begin().await;
    let began = Instant::now();
    let mut crowd = Vec::new();
    for n in 0..AT_ONCE {
        crowd.push(connect(gateway.port, n).await);
    }
    for socket in &mut crowd {
        socket
            .write_all(b"POST /crowd HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
            .await
            .unwrap();
    }
    for socket in &mut crowd {
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 404 "));
    }
    drop(crowd);
    let traffic = gateway.client.end(&cell).await.unwrap();
    outcome(began, &traffic)
}

async fn connect(port: u16, n: usize) -> TcpStream {
    let from = u8::try_from(n / FROM_ONE_ADDRESS).unwrap() + 2;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, from), 0))).unwrap();
    socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.unwrap()
}

fn outcome(began: Instant, traffic: &Traffic) -> Outcome {
    Outcome {
        seconds: began.elapsed().as_secs_f64(),
        requests: traffic.exchanges.len(),
        bare: traffic.connections.len(),
        dropped: traffic.dropped.iter().map(|dropped| dropped.count).sum(),
    }
}
