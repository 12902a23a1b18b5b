//! The **canary**: a small program that runs in a pod exactly as an agent does and tries to get out. Before a run every
//! engine lets it fly; unless everything that must reach the gateway does (positive control) and nothing else is
//! reachable, nothing runs. Knows no particular engine.

mod inside;
mod resolve;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use serde::{Deserialize, Serialize};

use super::{Engine, EngineError};
use crate::capture::{Connection, ConnectionKind};
use crate::gateway::client::Traffic;

pub use inside::run_inside;

/// The hidden subcommand under which our program is the canary: `parallax canary CHALLENGE`.
pub const SUBCOMMAND: &str = "canary";

/// What the canary is told to try: its one argument, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Random text that each request of the positive control carries in its path.
    pub token: String,
    /// Name that nobody ever resolved.
    pub name: String,
    /// Address of IPv4 that nobody named.
    pub v4: Ipv4Addr,
    /// Address of IPv6 that nobody named.
    pub v6: Ipv6Addr,
    /// Where the host listens, TCP and UDP: every address it has. Nothing may arrive there.
    pub host: Vec<SocketAddr>,
    /// A place where even the gateway does not listen.
    pub closed: SocketAddr,
}

/// What came of one thing tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What it was, `v4-80`; also the last part of the request's path.
    pub what: String,
    /// `answered 404`, `connected`, `refused`, `unreachable`, `timeout` or another error's text.
    pub outcome: String,
}

/// What the canary saw from inside, printed as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Real, effective, saved and file-system user ids.
    pub uids: Vec<u32>,
    /// The five capability sets by name, hex.
    pub capabilities: Vec<(String, String)>,
    /// Whether `no_new_privs` is set.
    pub no_new_privileges: bool,
    /// Names of network interfaces.
    pub interfaces: Vec<String>,
    /// Other processes that `/proc` shows.
    pub processes: Vec<u32>,
    /// Of those, the ones whose memory or environment could be opened.
    pub readable: Vec<u32>,
    /// Container engines' and system sockets that exist, and named sockets of this network namespace.
    pub sockets: Vec<String>,
    /// Requests of the positive control.
    pub fetched: Vec<Attempt>,
    /// Dials of the host's addresses.
    pub dialled: Vec<Attempt>,
    /// Dial of the closed place.
    pub closed: Option<Attempt>,
}

/// What the positive control fetches: label, whether by name, whether IPv6, port.
const CONTROLS: [(&str, Where, u16); 6] = [
    ("name-80", Where::Name, 80),
    ("name-443", Where::Name, 443),
    ("v4-80", Where::V4, 80),
    ("v4-443", Where::V4, 443),
    ("v6-80", Where::V6, 80),
    ("v6-443", Where::V6, 443),
];

/// How a control names its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Name,
    V4,
    V6,
}

impl Challenge {
    /// Makes a challenge with fresh random names and addresses.
    #[must_use]
    pub fn random(host: Vec<SocketAddr>) -> Self {
        let bits: [u8; 8] = rand::random();
        // First octets 11 to 99 and 2a00::/8: ordinary global addresses, never loopback, private, test or multicast ones.
        let v4 = Ipv4Addr::new(11 + bits[0] % 89, bits[1], bits[2], 1 + bits[3] % 250);
        let v6 =
            Ipv6Addr::new(0x2a00 | u16::from(bits[4]), u16::from_be_bytes([bits[5], bits[6]]), 0, 0, 0, 0, 0, 0x51);
        let nobody = Ipv4Addr::new(11 + bits[7] % 89, bits[6], bits[5], 1 + bits[4] % 250);
        let closed = SocketAddr::new(IpAddr::V4(nobody), 20000 + u16::from(bits[0]) * 40);
        let token = hex::encode(bits);
        Self { name: format!("n{token}.example.net"), token, v4, v6, host, closed }
    }

    /// The path that control `what` asks for.
    fn path(&self, what: &str) -> String {
        format!("/{}/{what}", self.token)
    }
}

/// Flies the canary in slot `slot`.
pub async fn run(engine: &dyn Engine, slot: usize) -> Result<(), EngineError> {
    let host = HostListener::open()
        .map_err(|error| EngineError::Failed { step: "listening for the canary", message: error.to_string() })?;
    let challenge = Challenge::random(host.addresses());
    let argument = serde_json::to_string(&challenge)
        .map_err(|error| EngineError::Failed { step: "writing the canary's challenge", message: error.to_string() })?;
    let (stdout, traffic) = engine.run_canary(slot, &[argument]).await?;
    let report: Report = serde_json::from_str(&stdout).map_err(|error| {
        let said: String = stdout.chars().take(200).collect();
        EngineError::Canary(format!("the canary did not report ({error}): {said:?}"))
    })?;
    check(&report, &traffic, &challenge).map_err(EngineError::Canary)?;
    match host.visitors() {
        0 => Ok(()),
        n => Err(EngineError::Canary(format!("{n} packets or connections left the pod and reached this machine"))),
    }
}

/// Judges what the canary saw and what the gateway saw of it.
pub fn check(report: &Report, traffic: &Traffic, challenge: &Challenge) -> Result<(), String> {
    check_standing(report)?;
    check_controls(report, traffic, challenge)?;
    for attempt in &report.dialled {
        if attempt.outcome != "refused" && !unreachable(&attempt.outcome) && !recorded(traffic, &attempt.what) {
            return Err(format!("dialling this machine at {} gave {:?}", attempt.what, attempt.outcome));
        }
    }
    if report.dialled.len() != challenge.host.len() {
        return Err("the canary did not dial all of this machine's addresses".to_owned());
    }
    match &report.closed {
        Some(attempt) if attempt.outcome == "refused" || recorded(traffic, &attempt.what) => Ok(()),
        Some(attempt) => Err(format!("{}, which nobody serves, gave {:?}", attempt.what, attempt.outcome)),
        None => Err("the canary did not dial the closed port".to_owned()),
    }
}

/// The process's own standing: user, capabilities, what it sees of others.
fn check_standing(report: &Report) -> Result<(), String> {
    if report.uids.is_empty() || report.uids.contains(&0) {
        return Err(format!("the agent's user ids are {:?}", report.uids));
    }
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        let value = report.capabilities.iter().find(|(name, _)| name == set).map_or("missing", |(_, value)| value);
        if value.is_empty() || value.chars().any(|c| c != '0') {
            return Err(format!("the agent's capability set {set} is {value}"));
        }
    }
    if !report.no_new_privileges {
        return Err("the agent may gain privileges (no_new_privs is not set)".to_owned());
    }
    if report.interfaces != ["lo"] {
        return Err(format!("the pod's network interfaces are {:?}, not only lo", report.interfaces));
    }
    // Process 1 may be the pod's own init; it must be closed, though.
    if let Some(pid) = report.processes.iter().find(|pid| **pid != 1) {
        return Err(format!("the agent sees process {pid}, which is not the pod's"));
    }
    if let Some(pid) = report.readable.first() {
        return Err(format!("the agent can read or trace process {pid}"));
    }
    match report.sockets.first() {
        Some(socket) => Err(format!("the agent sees the socket {socket}")),
        None => Ok(()),
    }
}

/// The positive control: what must reach the gateway did, and the gateway saw it.
fn check_controls(report: &Report, traffic: &Traffic, challenge: &Challenge) -> Result<(), String> {
    if !traffic.dns.iter().any(|question| question.name == challenge.name) {
        return Err("the gateway saw no DNS question for the canary's name".to_owned());
    }
    for (what, place, port) in CONTROLS {
        let outcome = report.fetched.iter().find(|attempt| attempt.what == what).map_or("missing", |a| &a.outcome);
        if place == Where::V6 && unreachable(outcome) {
            continue; // A kernel without IPv6 has no way out by IPv6 either.
        }
        if !outcome.starts_with("answered ") {
            return Err(format!("the positive control {what} did not reach the gateway: {outcome}"));
        }
        let path = challenge.path(what);
        // What was dialled counts, not the port that the request names: plain HTTP to 443 names none.
        let reached = |dialled: &str| {
            dialled.parse::<SocketAddr>().is_ok_and(|at| {
                let same = match place {
                    Where::Name => true,
                    Where::V4 => at.ip() == IpAddr::V4(challenge.v4),
                    Where::V6 => at.ip() == IpAddr::V6(challenge.v6),
                };
                same && at.port() == port
            })
        };
        if !traffic.exchanges.iter().any(|exchange| exchange.target == path && reached(&exchange.dialled)) {
            return Err(format!("the gateway did not record the positive control {what}"));
        }
    }
    Ok(())
}

fn unreachable(outcome: &str) -> bool {
    outcome == "unreachable"
}

/// Whether the gateway itself recorded a connection dialled to `place`.
fn recorded(traffic: &Traffic, place: &str) -> bool {
    let Ok(place) = place.parse::<SocketAddr>() else { return false };
    let same = |dialled: &str| dialled.parse::<SocketAddr>().is_ok_and(|address| address == place);
    let accepted = |connection: &Connection| connection.kind == ConnectionKind::Accepted && same(&connection.dialled);
    traffic.connections.iter().any(accepted) || traffic.exchanges.iter().any(|exchange| same(&exchange.dialled))
}

/// Sockets of this machine, on every address it has, at which nothing may arrive.
struct HostListener {
    tcp: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
    addresses: Vec<SocketAddr>,
}

impl HostListener {
    fn open() -> std::io::Result<Self> {
        let first = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let port = first.local_addr()?.port();
        let mut listener = Self { tcp: vec![first], udp: Vec::new(), addresses: Vec::new() };
        // The other three sockets are best effort: a machine may lack IPv6, or the port may be taken for UDP.
        listener.tcp.extend(TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)));
        listener.udp.extend(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)));
        listener.udp.extend(UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)));
        for socket in &listener.tcp {
            socket.set_nonblocking(true)?;
        }
        for socket in &listener.udp {
            socket.set_nonblocking(true)?;
        }
        listener.addresses = host_addresses().into_iter().map(|address| SocketAddr::new(address, port)).collect();
        Ok(listener)
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// How many connections and datagrams arrived.
    fn visitors(&self) -> usize {
        let mut count = 0;
        for socket in &self.tcp {
            loop {
                match socket.accept() {
                    Ok(_) => count += 1,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        }
        for socket in &self.udp {
            let mut buffer = [0; 16];
            while socket.recv_from(&mut buffer).is_ok() {
                count += 1;
            }
        }
        count
    }
}

/// Every address of this machine, loopback included, sorted.
fn host_addresses() -> Vec<IpAddr> {
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    for interface in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let Some(address) = interface.address else { continue };
        if let Some(v4) = address.as_sockaddr_in() {
            addresses.push(IpAddr::V4(v4.ip()));
        } else if let Some(v6) = address.as_sockaddr_in6() {
            // Link-local addresses cannot be dialled without naming an interface.
            if v6.ip().segments()[0] & 0xffc0 != 0xfe80 {
                addresses.push(IpAddr::V6(v6.ip()));
            }
        }
    }
    addresses.sort();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Body, DnsQuestion, Exchange, Seconds, Via};

    fn good() -> (Report, Traffic, Challenge) {
        let challenge = Challenge::random(vec!["192.0.2.1:4000".parse().unwrap()]);
        let attempt = |what: &str, outcome: &str| Attempt { what: what.to_owned(), outcome: outcome.to_owned() };
        let report = Report {
            uids: vec![1000; 4],
            capabilities: ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]
                .map(|name| (name.to_owned(), "0000000000000000".to_owned()))
                .to_vec(),
            no_new_privileges: true,
            interfaces: vec!["lo".to_owned()],
            processes: vec![1],
            readable: Vec::new(),
            sockets: Vec::new(),
            fetched: CONTROLS.iter().map(|(what, ..)| attempt(what, "answered 404")).collect(),
            dialled: vec![attempt("192.0.2.1:4000", "refused")],
            closed: Some(attempt(&challenge.closed.to_string(), "refused")),
        };
        let exchange = |(what, place, port): (&str, Where, u16)| {
            let address = if place == Where::V6 { IpAddr::V6(challenge.v6) } else { IpAddr::V4(challenge.v4) };
            Exchange {
                at: Seconds(0),
                scheme: "http".to_owned(),
                host: "x".to_owned(),
                port,
                dialled: SocketAddr::new(address, port).to_string(),
                via: Via::Direct,
                version: "1.1".to_owned(),
                method: "GET".to_owned(),
                target: challenge.path(what),
                headers: Vec::new(),
                body: Body::default(),
                status: 404,
                ..Exchange::default()
            }
        };
        let question = DnsQuestion {
            at: Seconds(0),
            name: challenge.name.clone(),
            kind: "A".to_owned(),
            ..DnsQuestion::default()
        };
        let traffic = Traffic { exchanges: CONTROLS.map(exchange).to_vec(), dns: vec![question], ..Traffic::default() };
        (report, traffic, challenge)
    }

    #[test]
    fn a_closed_pod_passes() {
        let (report, traffic, challenge) = good();
        assert_eq!(check(&report, &traffic, &challenge), Ok(()));
    }

    #[test]
    fn each_opening_is_found() {
        type Breach = fn(&mut Report, &mut Traffic);
        let breaches: [(&str, Breach); 11] = [
            ("user ids", |r, _| r.uids[1] = 0),
            ("CapBnd", |r, _| r.capabilities[3].1 = "00000000a80425fb".to_owned()),
            ("no_new_privs", |r, _| r.no_new_privileges = false),
            ("interfaces", |r, _| r.interfaces.push("eth0".to_owned())),
            ("process 7", |r, _| r.processes.push(7)),
            ("trace process 1", |r, _| r.readable.push(1)),
            ("docker.sock", |r, _| r.sockets.push("/run/docker.sock".to_owned())),
            ("v4-443", |r, _| r.fetched[3].outcome = "refused".to_owned()),
            ("did not record", |_, t| drop(t.exchanges.pop())),
            ("DNS", |_, t| t.dns.clear()),
            ("this machine", |r, _| r.dialled[0].outcome = "connected".to_owned()),
        ];
        for (word, breach) in breaches {
            let (mut report, mut traffic, challenge) = good();
            breach(&mut report, &mut traffic);
            let message = check(&report, &traffic, &challenge).unwrap_err();
            assert!(message.contains(word), "{word}: {message}");
        }
    }

    #[test]
    fn a_kernel_without_ipv6_passes_only_where_ipv6_is_unreachable() {
        let (mut report, mut traffic, challenge) = good();
        traffic.exchanges.truncate(4);
        report.fetched[4].outcome = "unreachable".to_owned();
        report.fetched[5].outcome = "unreachable".to_owned();
        assert_eq!(check(&report, &traffic, &challenge), Ok(()));
        report.fetched[5].outcome = "timeout".to_owned();
        assert!(check(&report, &traffic, &challenge).is_err());
    }

    #[test]
    fn the_host_notices_visitors() {
        let host = HostListener::open().unwrap();
        assert_eq!(host.visitors(), 0);
        let port = host.addresses()[0].port();
        let _connection = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert_eq!(host.visitors(), 1);
    }
}
