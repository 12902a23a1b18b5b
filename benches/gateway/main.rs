//! How many prompts of 100 KB a gateway takes, plain and under TLS, beside mitmproxy in reverse mode on the same machine, in
//! turns. `MITMDUMP=/path/to/mitmdump cargo bench --bench gateway` prints the table; without it the gateway runs alone.
//! `-- plain` or `-- TLS` behind it measures one of the two; `-- crowd` opens connections by the hundred thousand instead.
//!
//! Both are processes of their own on loopback and answer a model request by themselves: the gateway as its stub does,
//! mitmproxy by a script of three lines, without any server behind it (`--set connection_strategy=lazy`). Both record: the
//! gateway's time ends when every request has been reported to us and its body compared, byte for byte; mitmproxy writes
//! its flows, to nowhere (`-w /dev/null`).

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a bench prints, and fails by panicking"
)]

mod client;
mod cores;
mod crowd;
mod peer;

use std::process::Stdio;
use std::time::Instant;

use client::Load;
use parallax::capture::Body;
use parallax::cell::CellId;
use parallax::gateway::protocol::Configuration;
use parallax::gateway::serve::{serve_on, standard_output};
use parallax::gateway::{Authority, GatewayClient, Sockets};
use parallax::scenario::{Stub, Turn};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes of one prompt.
const PROMPT: usize = 100 * 1024;
/// Connections at once, each kept alive: enough for neither side to wait for the load.
const CONNECTIONS: usize = 16;
/// Requests that these carry before they are closed and opened anew: a cell of the gateway's, whose bodies are kept to its
/// end.
const REQUESTS: usize = 1000;
/// How often that is done in one round, so that a round takes either side about as long.
const GATEWAY_CELLS: usize = 10;
const PEER_CELLS: usize = 1;
const ROUNDS: usize = 15;

/// One round.
struct Round {
    seconds: f64,
    /// CPU seconds of the gateway, or of mitmproxy.
    cpu: f64,
    /// CPU seconds of that and of us.
    all: f64,
    requests: usize,
}

impl Round {
    fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    fn cpu_each(&self) -> f64 {
        self.cpu / self.requests as f64
    }
}

/// Measures a round.
struct Watch {
    process: u32,
    began: Instant,
    before: [f64; 2],
}

impl Watch {
    /// Looks at the clock, at what `process` has used, and at what we have.
    fn start(process: u32) -> Self {
        let before = [process, std::process::id()].map(client::ticks);
        Self { process, began: Instant::now(), before }
    }

    fn stop(self, requests: usize) -> Round {
        let seconds = self.began.elapsed().as_secs_f64();
        let [cpu, ours] = [self.process, std::process::id()].map(client::ticks);
        let cpu = cpu - self.before[0];
        Round { seconds, cpu, all: cpu + ours - self.before[1], requests }
    }
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return serve();
    }
    cores::take_ours();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if std::env::args().any(|argument| argument == "crowd") {
        return runtime.block_on(crowd::measure());
    }
    runtime.block_on(compare());
}

/// A gateway on loopback, whose port goes to standard error. One thread, as in a pod.
fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        #[allow(clippy::print_stderr, reason = "the way to the parent that is left")]
        {
            eprintln!("{}", listener.local_addr().unwrap().port());
        }
        let sockets = Sockets { streams: vec![listener], ..Sockets::default() };
        let _ = serve_on(tokio::io::stdin(), standard_output(), sockets).await;
    });
    runtime.shutdown_background();
}

/// The gateway's side.
struct Gateway {
    child: tokio::process::Child,
    client: GatewayClient,
    port: u16,
    authority: Authority,
    cells: usize,
}

impl Gateway {
    async fn start() -> Self {
        use tokio::io::AsyncBufReadExt as _;
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        cores::give_other(child.id().unwrap());
        let mut line = String::new();
        tokio::io::BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).await.unwrap();
        let authority = Authority::mint("Bench Root CA").unwrap();
        let configuration = Configuration {
            ca_certificate: authority.certificate_pem.clone(),
            ca_key: authority.key_pem.clone(),
            validity: authority.validity,
            ports: Vec::new(),
            stub: Stub { script: vec![Turn::Text(String::from("OK"))], ..Stub::default() },
            ipv6_names: false,
        };
        let (reader, writer) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
        let client = GatewayClient::start(reader, writer, configuration).await.unwrap();
        Self { child, client, port: line.trim().parse().unwrap(), authority, cells: 0 }
    }

    /// Begins the next cell.
    async fn begin(&mut self) -> CellId {
        self.cells += 1;
        let cell = CellId(format!("c{:04}", self.cells));
        self.client.begin(&cell).await.unwrap();
        cell
    }

    async fn round(&mut self, secure: bool) -> Round {
        let sent = Body::new(client::body(PROMPT));
        let watch = Watch::start(self.child.id().unwrap());
        let mut checks = tokio::task::JoinSet::new();
        for _ in 0..GATEWAY_CELLS {
            let cell = self.begin().await;
            let roots = secure.then(|| self.authority.certificate_pem.clone());
            Load { port: self.port, roots, prompt: PROMPT, connections: CONNECTIONS, requests: REQUESTS }.run().await;
            let traffic = self.client.end(&cell).await.unwrap();
            let sent = sent.clone();
            checks.spawn_blocking(move || {
                assert_eq!(traffic.exchanges.len(), REQUESTS, "every request was reported");
                assert!(traffic.exchanges.iter().all(|exchange| exchange.body == sent), "and whole");
            });
        }
        while let Some(checked) = checks.join_next().await {
            checked.unwrap();
        }
        watch.stop(GATEWAY_CELLS * REQUESTS)
    }
}

async fn compare() {
    let mut gateway = Gateway::start().await;
    let mut peer = peer::Peer::start().await;
    println!(
        "| | | requests/s | MB/s | CPU, ms a request | with the load and what receives |\n|---|---|---:|---:|---:|---:|"
    );
    let wanted: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (secure, transport) in [(false, "plain"), (true, "TLS")] {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == transport) {
            continue;
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        // In turns, so that whatever else the machine does falls on both. The first round of each is not counted.
        for round in 0..=ROUNDS {
            let one = gateway.round(secure).await;
            let other = match &mut peer {
                Some(peer) => Some(peer.round(secure).await),
                None => None,
            };
            if round > 0 {
                ours.push(one);
                theirs.extend(other);
            }
        }
        // Of one round with the same round: what the machine's speed does meanwhile falls on both.
        let ratios = |of: fn(&Round, &Round) -> f64| {
            let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(own, other)| of(own, other)).collect();
            ratios.sort_by(f64::total_cmp);
            ratios
        };
        let speeds = ratios(|own, other| own.per_second() / other.per_second());
        let costs = ratios(|own, other| other.cpu_each() / own.cpu_each());
        row("gateway", transport, &mut ours);
        if let ([least, .., most], [cheapest, .., dearest]) = (&speeds[..], &costs[..]) {
            row("mitmproxy", transport, &mut theirs);
            let [speed, cost] = [&speeds, &costs].map(|ratios| ratios[ratios.len() / 2]);
            println!(
                "| ratio | {transport} | {speed:.1} × ({least:.1} to {most:.1}) | | {cost:.1} × ({cheapest:.1} to {dearest:.1}) | |"
            );
        }
    }
    if peer.is_none() {
        println!("\nmitmproxy: not here; MITMDUMP names its program");
    }
}

/// Prints the round in the middle.
fn row(who: &str, transport: &str, rounds: &mut [Round]) {
    rounds.sort_by(|a, b| a.per_second().total_cmp(&b.per_second()));
    let middle = &rounds[rounds.len() / 2];
    let megabytes = middle.per_second() * PROMPT as f64 / 1e6;
    let [cpu, all] = [middle.cpu, middle.all].map(|seconds| seconds * 1e3 / middle.requests as f64);
    println!("| {who} | {transport} | {:.0} | {megabytes:.0} | {cpu:.2} | {all:.2} |", middle.per_second());
}
