//! A gateway that serves on loopback, its own client on one side, raw TCP and TLS clients on the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parallax::capture::Exchange;
use parallax::cell::CellId;
use parallax::gateway::protocol::Configuration;
use parallax::gateway::{Authority, GatewayClient, Sockets, Traffic, serve};
use parallax::scenario::{Answer, Stub, Turn};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// A gateway that serves on loopback, and its client.
pub(crate) struct Lab {
    client: GatewayClient,
    pub(crate) authority: Authority,
    pub(crate) stream: SocketAddr,
    pub(crate) dns: SocketAddr,
    pub(crate) dns_stream: SocketAddr,
    cells: usize,
}

impl Lab {
    pub(crate) async fn open(script: Vec<Turn>, answers: Vec<Answer>) -> Self {
        Self::with(Stub { script, answers, websocket: false }).await
    }

    pub(crate) async fn with(stub: Stub) -> Self {
        Self::listening(TcpListener::bind("127.0.0.1:0").await.unwrap(), stub).await
    }

    /// A gateway whose one port for everything is this one.
    pub(crate) async fn listening(stream: TcpListener, stub: Stub) -> Self {
        let dns = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let dns_stream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = (stream.local_addr().unwrap(), dns.local_addr().unwrap(), dns_stream.local_addr().unwrap());
        let sockets = Sockets {
            streams: vec![stream],
            dns: vec![dns],
            dns_streams: vec![dns_stream],
            ipv6: true,
            ..Sockets::default()
        };
        let authority = Authority::mint("Corporate Root CA").unwrap();
        let configuration = configuration(&authority, stub);
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (commands, reports) = tokio::io::split(theirs);
        tokio::spawn(serve::serve_on(commands, reports, sockets));
        let (reader, writer) = tokio::io::split(ours);
        let client = GatewayClient::start(reader, writer, configuration).await.unwrap();
        let mut lab =
            Self { client, authority, stream: addresses.0, dns: addresses.1, dns_stream: addresses.2, cells: 0 };
        lab.begin().await;
        lab
    }

    pub(crate) async fn simple() -> Self {
        Self::open(vec![Turn::Text(String::from("OK"))], Vec::new()).await
    }

    /// Lets cells from the next on agree on HTTP/2, or not.
    pub(crate) fn offer_http2(&mut self, http2: bool) {
        self.client.offer_http2(http2);
    }

    pub(crate) async fn begin(&mut self) {
        self.client.begin(&CellId::nth(self.cells)).await.unwrap();
    }

    /// Ends the cell and begins the next.
    pub(crate) async fn end(&mut self) -> Traffic {
        let traffic = self.client.end(&CellId::nth(self.cells)).await.unwrap();
        self.cells += 1;
        self.begin().await;
        traffic
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.stream).await.unwrap()
    }

    /// Sends these bytes and no more; gives all that comes back.
    pub(crate) async fn talk(&self, bytes: &[u8]) -> String {
        let mut socket = self.connect().await;
        socket.write_all(bytes).await.unwrap();
        socket.shutdown().await.unwrap();
        read_to_end(&mut socket).await
    }

    /// Posts JSON to a path; gives the response.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> String {
        let body = body.to_string();
        let request =
            format!("POST {path} HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        self.talk(request.as_bytes()).await
    }

    pub(crate) fn tls(&self, trusting: bool) -> tokio_rustls::TlsConnector {
        tls(&self.authority, trusting)
    }
}

/// A client of TLS that trusts this authority, or nobody.
pub(crate) fn tls(authority: &Authority, trusting: bool) -> tokio_rustls::TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    if trusting {
        roots.add(CertificateDer::from_pem_slice(authority.certificate_pem.as_bytes()).unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config).into()
}

/// Says that something is left out, or fails where `PARALLAX_REQUIRE` names what it lacks.
pub(crate) fn skip(what: &str, reason: &str) {
    let required = std::env::var("PARALLAX_REQUIRE").unwrap_or_default();
    assert!(!required.split([',', ' ']).any(|name| name == what), "{what} is required: {reason}");
    println!("skipped, no {what}: {reason}");
}

pub(crate) fn configuration(authority: &Authority, stub: Stub) -> Configuration {
    Configuration {
        ca_certificate: authority.certificate_pem.clone(),
        ca_key: authority.key_pem.clone(),
        validity: authority.validity,
        ports: Vec::new(),
        stub,
        ipv6_names: true,
    }
}

pub(crate) async fn read_to_end(socket: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut bytes)).await.expect("no end");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Writes until the other side has had enough, at most `most` bytes; gives how many were taken.
pub(crate) async fn pour(socket: &mut TcpStream, chunk: &[u8], most: usize) -> usize {
    let mut poured = 0;
    while poured < most {
        match tokio::time::timeout(Duration::from_secs(10), socket.write(chunk))
            .await
            .expect("neither taken nor refused")
        {
            Ok(count) => poured += count,
            Err(_) => break,
        }
    }
    poured
}

/// Reads until `end` has come.
pub(crate) async fn read_until(socket: &mut (impl AsyncRead + Unpin), end: &str) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        let byte = tokio::time::timeout(Duration::from_secs(10), socket.read_u8()).await.expect("too slow");
        bytes.push(byte.expect("ended early"));
    }
    String::from_utf8(bytes).unwrap()
}

pub(crate) async fn exchange(socket: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> String {
    socket.write_all(request.as_bytes()).await.unwrap();
    read_until(socket, "{}").await
}

pub(crate) fn body(response: &str) -> Value {
    serde_json::from_str(response.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// The data of a stream's events, its chunks joined.
pub(crate) fn events(response: &str) -> Vec<Value> {
    assert!(response.contains("Transfer-Encoding: chunked\r\n") && response.ends_with("0\r\n\r\n"), "{response}");
    let data = response.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

pub(crate) fn said(events: &[Value], pointer: &str) -> String {
    events.iter().filter_map(|event| event.pointer(pointer)?.as_str()).collect()
}

pub(crate) fn lines(exchange: &Exchange) -> Vec<String> {
    exchange.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect()
}
