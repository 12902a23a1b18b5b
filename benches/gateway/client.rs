//! A client that sends prompts as fast as they are answered, over connections that it keeps. One thread, blocking calls and
//! nothing allocated for an answer, as a load generator has it: what it takes of the two cores it takes from the one that
//! is measured.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection};

/// The longest answer: about twice what comes.
const ANSWER: usize = 4096;

/// Half a page.
const ASIDE: usize = 2048;

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
    /// Sends all of it, on a thread of its own.
    pub(crate) async fn run(self) {
        tokio::task::spawn_blocking(|| self.pour()).await.unwrap();
    }

    fn pour(self) {
        let body = body(self.prompt);
        let request = format!(
            "POST /v1/messages HTTP/1.1\r\nHost: api.example.com\r\nContent-Type: application/json\r\n\
             anthropic-version: 2023-06-01\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        // Not at the front of what was allocated: a record is copied to a few bytes behind the front of an allocation of its
        // own, and where both lie alike within their pages such a copy is fifteen times as slow on some processors.
        let request = [&[0; ASIDE], request.as_bytes()].concat();
        let request = &request[ASIDE..];
        let config = self.roots.map(|pem| config(&pem));
        let sockets: Vec<_> = (0..self.connections)
            .map(|_| {
                let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
                socket.set_nodelay(true).unwrap();
                // A prompt is written in one go, and the next connection is looked at: a load that waits for the one that
                // is measured to read would measure how soon each wakes the other.
                socket2::SockRef::from(&socket).set_send_buffer_size(4 * self.prompt).unwrap();
                socket
            })
            .collect();
        let mut ready: Vec<_> = sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        let (mut left, mut answered) = (self.requests, 0);
        let mut connections = Vec::with_capacity(self.connections);
        for socket in sockets.iter().take(self.requests) {
            // A request is under way on each while the next shakes hands.
            let mut connection = Connection::open(socket, config.as_ref());
            connection.send(request);
            connections.push(connection);
            left -= 1;
        }
        while answered < self.requests {
            poll(&mut ready, PollTimeout::NONE).unwrap();
            for (ready, connection) in ready.iter().zip(&mut connections) {
                if ready.any().unwrap_or(true) && connection.hear() {
                    answered += 1;
                    if left > 0 {
                        connection.send(request);
                        left -= 1;
                    }
                }
            }
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

fn config(pem: &str) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// One connection, with one request under way at most.
struct Connection<'a> {
    socket: &'a TcpStream,
    tls: Option<ClientConnection>,
    answer: [u8; ANSWER],
    came: usize,
}

impl<'a> Connection<'a> {
    fn open(socket: &'a TcpStream, config: Option<&Arc<ClientConfig>>) -> Self {
        let tls = config.map(|config| {
            let name = ServerName::try_from("api.example.com").unwrap();
            let mut tls = ClientConnection::new(Arc::clone(config), name).unwrap();
            tls.set_buffer_limit(None);
            tls.complete_io(&mut { socket }).unwrap();
            tls
        });
        Self { socket, tls, answer: [0; ANSWER], came: 0 }
    }

    fn send(&mut self, request: &[u8]) {
        let Some(tls) = &mut self.tls else { return self.socket.write_all(request).unwrap() };
        tls.writer().write_all(request).unwrap();
        while tls.wants_write() {
            tls.write_tls(&mut self.socket).unwrap();
        }
    }

    /// Reads what is there. Whether that ends an answer.
    fn hear(&mut self) -> bool {
        let room = &mut self.answer[self.came..];
        self.came += match &mut self.tls {
            None => {
                let came = self.socket.read(room).unwrap();
                assert!(came > 0, "the answer broke off");
                came
            }
            Some(tls) => {
                assert!(tls.read_tls(&mut self.socket).unwrap() > 0, "the answer broke off");
                // What comes may be a ticket, or half a record.
                if tls.process_new_packets().unwrap().plaintext_bytes_to_read() == 0 {
                    return false;
                }
                tls.reader().read(room).unwrap()
            }
        };
        let whole = is_whole(&self.answer[..self.came]);
        if whole {
            self.came = 0;
        }
        whole
    }
}

/// Whether an answer has come to its end.
fn is_whole(answer: &[u8]) -> bool {
    let mut lines = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut lines);
    let httparse::Status::Complete(body) = head.parse(answer).unwrap() else { return false };
    assert_eq!(head.code, Some(200));
    let length = head.headers.iter().find(|line| line.name.eq_ignore_ascii_case("content-length")).unwrap();
    let length: usize = std::str::from_utf8(length.value).unwrap().parse().unwrap();
    answer.len() >= body + length
}

/// CPU seconds that a process has used, from `/proc`.
pub(crate) fn ticks(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
    // A hundred ticks a second, on every Linux there is.
    fields.map(|field| field.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}
