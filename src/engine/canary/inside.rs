//! The canary's inside: tries what the challenge says, and looks at its own standing, as an agent would.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::resolve::resolve;
use super::{Attempt, CONTROLS, Challenge, Report, Where};

/// How long one dial may take. Inside a pod everything is local: what does not answer at once, is not there.
const PATIENCE: Duration = Duration::from_secs(2);

/// Places at which container engines and system services listen.
const SOCKETS: [&str; 9] = [
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/docker/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
    "/run/dbus/system_bus_socket",
    "/run/systemd/private",
    "/run/user",
];

/// The canary itself: reads the challenge from the last argument, prints the report as JSON.
#[must_use]
pub fn run_inside() -> ExitCode {
    let Some(challenge) =
        std::env::args().next_back().and_then(|argument| serde_json::from_str::<Challenge>(&argument).ok())
    else {
        return ExitCode::from(2);
    };
    let report = look(&challenge);
    let written = serde_json::to_vec(&report)
        .map_err(std::io::Error::other)
        .and_then(|bytes| std::io::stdout().lock().write_all(&bytes));
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Inits that container engines put before a program, in its own container and under its own account. There is nothing in
/// one that the program has not been given itself.
const INITS: [&str; 3] = ["docker-init", "tini", "catatonit"];

fn look(challenge: &Challenge) -> Report {
    let mut report = Report { sockets: sockets(), interfaces: interfaces(), ..Report::default() };
    standing(&mut report);
    for pid in processes() {
        report.processes.push(pid);
        // The kernel grants these exactly where it would grant tracing.
        let open = ["environ", "mem", "maps"].iter().any(|file| readable(&format!("/proc/{pid}/{file}")));
        if open && !(pid == 1 && is_plain_init(Path::new("/proc"))) {
            report.readable.push(pid);
        }
    }
    let resolved = resolve(&challenge.name);
    for (what, place, port) in CONTROLS {
        let address = match place {
            Where::Name => match &resolved {
                Ok(address) => IpAddr::V4(*address),
                Err(error) => {
                    report.fetched.push(attempt(what, format!("no address for the name: {error}")));
                    continue;
                }
            },
            Where::V4 => IpAddr::V4(challenge.v4),
            Where::V6 => IpAddr::V6(challenge.v6),
        };
        let host = if place == Where::Name { challenge.name.clone() } else { bracketed(address) };
        let outcome = fetch(SocketAddr::new(address, port), &host, &challenge.path(what));
        report.fetched.push(attempt(what, outcome));
    }
    for place in &challenge.host {
        shout(*place);
        report.dialled.push(attempt(&place.to_string(), dial(*place)));
    }
    report.closed = Some(attempt(&challenge.closed.to_string(), dial(challenge.closed)));
    report
}

fn attempt(what: &str, outcome: String) -> Attempt {
    Attempt { what: what.to_owned(), outcome }
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}

/// Reads user ids, capabilities and `no_new_privs` of this process.
fn standing(report: &mut Report) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match key {
            "Uid" => report.uids = value.split_whitespace().filter_map(|id| id.parse().ok()).collect(),
            "NoNewPrivs" => report.no_new_privileges = value == "1",
            _ if key.starts_with("Cap") => report.capabilities.push((key.to_owned(), value.to_owned())),
            _ => {}
        }
    }
}

fn interfaces() -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/dev").unwrap_or_default();
    table.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim().to_owned()).collect()
}

fn processes() -> Vec<u32> {
    let me = std::process::id();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut pids: Vec<u32> = pids.filter(|pid| *pid != me).collect();
    pids.sort_unstable();
    pids
}

/// Whether process 1 below `proc` is an engine's init that sees the very files that we see. A process of that name from
/// elsewhere, such as one that came in with the network's holder, is not.
fn is_plain_init(proc: &Path) -> bool {
    let mounts = |process: &str| std::fs::read_link(proc.join(process).join("ns/mnt")).ok();
    let named = std::fs::read_to_string(proc.join("1/comm")).is_ok_and(|name| INITS.contains(&name.trim_end()));
    named && mounts("self").is_some() && mounts("self") == mounts("1")
}

fn readable(path: &str) -> bool {
    std::fs::File::open(path).is_ok_and(|mut file| {
        let mut byte = [0];
        // `environ` of a closed process opens and then reads as nothing; `mem` opens only where tracing is allowed.
        path.ends_with("/mem") || file.read(&mut byte).is_ok_and(|read| read > 0)
    })
}

/// Known sockets in the file system, and sockets with a name in this network namespace.
fn sockets() -> Vec<String> {
    let known = SOCKETS.iter().filter(|path| std::path::Path::new(path).exists()).map(|path| (*path).to_owned());
    let table = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let named = table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(7)).map(str::to_owned);
    known.chain(named).collect()
}

/// One request by hand; the outcome says how it ended.
fn fetch(place: SocketAddr, host: &str, path: &str) -> String {
    let mut stream = match TcpStream::connect_timeout(&place, PATIENCE) {
        Ok(stream) => stream,
        Err(error) => return failure(&error),
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut head = [0; 64];
    let answered = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.write_all(request.as_bytes()))
        .and_then(|()| stream.read(&mut head));
    match answered {
        Ok(length) => {
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            match head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)) {
                Some(status) => format!("answered {status}"),
                None => format!("answered something else: {head:?}"),
            }
        }
        Err(error) => failure(&error),
    }
}

fn dial(place: SocketAddr) -> String {
    match TcpStream::connect_timeout(&place, PATIENCE) {
        Ok(_) => "connected".to_owned(),
        Err(error) => failure(&error),
    }
}

/// Sends a datagram and forgets it: only the other side can tell whether it got out.
fn shout(place: SocketAddr) {
    let local: SocketAddr = if place.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    if let Ok(socket) = UdpSocket::bind(local) {
        let _ = socket.send_to(b"canary", place);
    }
}

fn failure(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "refused".to_owned(),
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::AddrNotAvailable => {
            "unreachable".to_owned()
        }
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "timeout".to_owned(),
        // No IPv6 in this kernel at all.
        _ if error.raw_os_error() == Some(97) => "unreachable".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_init_that_sees_our_own_files_may_be_open() {
        let plain = |name: &str, theirs: &str| {
            let proc = tempfile::tempdir().unwrap();
            for (process, mounts) in [("1", theirs), ("self", "mnt:[7]")] {
                std::fs::create_dir_all(proc.path().join(process).join("ns")).unwrap();
                std::os::unix::fs::symlink(mounts, proc.path().join(process).join("ns/mnt")).unwrap();
            }
            std::fs::write(proc.path().join("1/comm"), name).unwrap();
            is_plain_init(proc.path())
        };
        assert!(plain("docker-init\n", "mnt:[7]"));
        assert!(!plain("docker-init\n", "mnt:[8]"), "an init of another container");
        assert!(!plain("parallax\n", "mnt:[7]"), "not an init at all");
        assert!(!is_plain_init(Path::new("/nowhere")), "nothing known");
    }
}
