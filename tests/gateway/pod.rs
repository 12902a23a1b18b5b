//! The program's own gateway, a process of its own in a network namespace of its own, in which every address ends at it;
//! its clients are in the same namespace. A test of it runs in two halves: the outer one starts the tests' program again
//! in a fresh namespace, where it runs the inner one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use parallax::cell::CellId;
use parallax::gateway::{Authority, GatewayClient, Traffic};
use parallax::scenario::{Stub, Turn};
use tokio::net::TcpStream;

use crate::lab::{configuration, skip};
use crate::unfolding::peak_memory;

/// By this variable the outer half tells the inner one which namespace it is not to be in.
const OUTSIDE: &str = "PARALLAX_TEST_OUTSIDE";

/// Where the tests' clients say that they go.
pub(crate) const PLACE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));

fn namespace() -> String {
    std::fs::read_link("/proc/self/ns/net").unwrap().display().to_string()
}

/// Runs the inner half `name` in a namespace.
pub(crate) fn inside(name: &str) {
    let unshare = || {
        let mut command = Command::new("unshare");
        // As root of a namespace of users, where we are not the machine's.
        let user = (!nix::unistd::geteuid().is_root()).then_some("--map-root-user");
        command.args(user).arg("--net").env(OUTSIDE, namespace());
        command
    };
    match unshare().arg("true").output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => return skip("embedded", &String::from_utf8_lossy(&output.stderr)),
        Err(error) => return skip("embedded", &format!("unshare: {error}")),
    }
    let tests = std::env::current_exe().unwrap();
    let output = unshare().arg(tests).args(["--exact", name, "--ignored", "--nocapture"]).output().unwrap();
    let said = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success() && said.contains("1 passed"), "{name}:\n{said}");
}

/// A gateway and its client.
pub(crate) struct Pod {
    child: tokio::process::Child,
    pub(crate) client: GatewayClient,
    pub(crate) authority: Authority,
    cells: usize,
}

impl Pod {
    pub(crate) async fn open() -> Self {
        let outside = std::env::var(OUTSIDE).expect("this half of the test is run by the other");
        // It makes every address its own: never do that to the machine.
        assert_ne!(outside, namespace());
        raise_open_files();
        let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_parallax"))
            .arg("gateway")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let authority = Authority::mint("Corporate Root CA").unwrap();
        let stub = Stub { script: vec![Turn::Text(String::from("OK"))], ..Stub::default() };
        let (reader, writer) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
        let client = GatewayClient::start(reader, writer, configuration(&authority, stub)).await.unwrap();
        let mut pod = Self { child, client, authority, cells: 0 };
        pod.client.begin(&CellId::nth(0)).await.unwrap();
        pod
    }

    /// Ends the cell and begins the next.
    pub(crate) async fn end(&mut self) -> Traffic {
        let traffic = self.client.end(&CellId::nth(self.cells)).await.unwrap();
        self.cells += 1;
        self.client.begin(&CellId::nth(self.cells)).await.unwrap();
        traffic
    }

    /// MB that the gateway has ever had in memory at once.
    pub(crate) fn peak_memory(&self) -> u64 {
        peak_memory(&self.child.id().unwrap().to_string())
    }
}

/// Raises this process's limit of open files as far as it goes.
pub(crate) fn raise_open_files() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
}

pub(crate) async fn dial(address: IpAddr, port: u16) -> TcpStream {
    TcpStream::connect(SocketAddr::new(address, port)).await.unwrap()
}
