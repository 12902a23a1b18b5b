//! mitmproxy, in reverse mode, answering by itself and writing what it saw.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::client::Load;
use crate::{CONNECTIONS, PEER_CELLS, PROMPT, REQUESTS, Round, Watch, cores};

/// What it answers with: about what the gateway's stub says.
const SCRIPT: &str = r#"
from mitmproxy import http

BODY = b'{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"OK"}],"stop_reason":"end_turn"}'

def request(flow):
    flow.response = http.Response.make(200, BODY, {"Content-Type": "application/json"})
"#;

pub(crate) struct Peer {
    child: tokio::process::Child,
    folder: tempfile::TempDir,
    ports: [u16; 2],
}

impl Peer {
    /// Starts it, where `MITMDUMP` says what it is.
    pub(crate) async fn start() -> Option<Self> {
        let program = std::env::var_os("MITMDUMP")?;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("answer.py"), SCRIPT).unwrap();
        let ports = [free_port(), free_port()];
        let child = tokio::process::Command::new(program)
            .args(["-q", "--mode"])
            .arg(format!("reverse:http://127.0.0.1:9@{}", ports[0]))
            .arg("--mode")
            .arg(format!("reverse:https://127.0.0.1:9@{}", ports[1]))
            .args(["-w", "/dev/null", "--set", "connection_strategy=lazy", "--set"])
            .arg(format!("confdir={}", folder.path().display()))
            .arg("-s")
            .arg(folder.path().join("answer.py"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        cores::give_other(child.id().unwrap());
        let began = Instant::now();
        for port in ports {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                assert!(began.elapsed() < Duration::from_mins(1), "mitmproxy does not answer");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Some(Self { child, folder, ports })
    }

    pub(crate) async fn round(&mut self, secure: bool) -> Round {
        let authority = || std::fs::read_to_string(self.folder.path().join("mitmproxy-ca-cert.pem")).unwrap();
        let port = self.ports[usize::from(secure)];
        let watch = Watch::start(self.child.id().unwrap());
        for _ in 0..PEER_CELLS {
            let roots = secure.then(authority);
            Load { port, roots, prompt: PROMPT, connections: CONNECTIONS, requests: REQUESTS }.run().await;
        }
        watch.stop(PEER_CELLS * REQUESTS)
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
