//! A client that sends prompts as fast as they are answered, over connections that it keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What is sent.
pub(crate) struct Load {
    pub(crate) port: u16,
    /// The certificate that is trusted, PEM; plain HTTP without one.
    pub(crate) roots: Option<String>,
    pub(crate) prompt: usize,
    pub(crate) connections: usize,
    pub(crate) requests: usize,
}

impl Load {
    pub(crate) async fn run(self) {
        let body = body(self.prompt);
        let request = format!(
            "POST /v1/messages HTTP/1.1\r\nHost: api.example.com\r\nContent-Type: application/json\r\n\
             anthropic-version: 2023-06-01\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (request, left) = (Arc::new(request.into_bytes()), Arc::new(AtomicUsize::new(self.requests)));
        let connector = self.roots.map(|pem| connector(&pem));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..self.connections {
            let (request, left, connector) = (Arc::clone(&request), Arc::clone(&left), connector.clone());
            let port = self.port;
            tasks.spawn(async move {
                let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                socket.set_nodelay(true).unwrap();
                match connector {
                    None => pour(socket, &request, &left).await,
                    Some(connector) => {
                        let name = ServerName::try_from("api.example.com").unwrap();
                        pour(connector.connect(name, socket).await.unwrap(), &request, &left).await;
                    }
                }
            });
        }
        while let Some(end) = tasks.join_next().await {
            end.unwrap();
        }
    }
}

/// A request's body, whose prompt has this many bytes or a few more.
pub(crate) fn body(prompt: usize) -> String {
    format!(
        r#"{{"model":"m","max_tokens":64,"messages":[{{"role":"user","content":"{}"}}]}}"#,
        "Lorem ipsum dolor sit amet. ".repeat(prompt.div_ceil(28))
    )
}

fn connector(pem: &str) -> tokio_rustls::TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config).into()
}

/// Sends requests until none are left.
async fn pour(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8], left: &AtomicUsize) {
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        stream.write_all(request).await.unwrap();
        stream.flush().await.unwrap();
        answer(&mut stream).await;
    }
}

/// Reads an answer to its end.
async fn answer(stream: &mut (impl AsyncRead + Unpin)) {
    let mut bytes = Vec::new();
    loop {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the answer broke off");
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let length: usize =
            head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap().trim().parse().unwrap();
        while bytes.len() < end + 4 + length {
            assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the answer broke off");
        }
        return;
    }
}

/// CPU seconds that a process has used.
pub(crate) struct Ticks(pub(crate) f64);

impl Ticks {
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self(self.0 - before.0)
    }
}

/// Reads them from `/proc`.
pub(crate) fn ticks(process: u32) -> Ticks {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<f64> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse().unwrap())
        .collect();
    // A hundred ticks a second, on every Linux there is.
    Ticks((fields[0] + fields[1]) / 100.0)
}
