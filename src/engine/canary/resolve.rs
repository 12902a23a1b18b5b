//! The canary's resolver: one question to the pod's name server, by hand, so that the canary needs no system library
//! and works in an image that has nothing but our program.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// Asks the first name server of `/etc/resolv.conf` for an IPv4 address of `name`.
pub(super) fn resolve(name: &str) -> io::Result<Ipv4Addr> {
    let configuration = std::fs::read_to_string("/etc/resolv.conf")?;
    let server = name_server(&configuration)
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no nameserver in /etc/resolv.conf"))?;
    let local: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(local)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.connect((server, 53))?;
    socket.send(&question(name))?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer)?;
    first_address(&answer[..length])
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no address in the answer"))
}

fn name_server(configuration: &str) -> Option<IpAddr> {
    configuration
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .find_map(|rest| rest.trim().parse().ok())
}

/// A question for the A record of `name`.
fn question(name: &str) -> Vec<u8> {
    let mut message = vec![0x51, 0x51, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        let label = &label.as_bytes()[..label.len().min(63)];
        message.push(u8::try_from(label.len()).unwrap_or(63));
        message.extend_from_slice(label);
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    message
}

/// The first A record's address.
fn first_address(message: &[u8]) -> Option<Ipv4Addr> {
    let count = |at: usize| Some(usize::from(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?])));
    let mut at = 12;
    for _ in 0..count(4)? {
        at = after_name(message, at)? + 4;
    }
    for _ in 0..count(6)? {
        at = after_name(message, at)?;
        let (kind, length) = (count(at)?, count(at + 8)?);
        let data = message.get(at + 10..at + 10 + length)?;
        if let (1, &[a, b, c, d]) = (kind, data) {
            return Some(Ipv4Addr::new(a, b, c, d));
        }
        at += 10 + length;
    }
    None
}

/// Where the name at `at` ends.
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            pointer if pointer >= 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_first_name_server() {
        assert_eq!(name_server("# x\nsearch a\nnameserver 10.1.2.3\nnameserver ::1\n"), Some([10, 1, 2, 3].into()));
        assert_eq!(name_server("nameserver fe80::1%eth0\n"), None);
    }

    #[test]
    fn reads_an_answer_behind_an_alias_and_survives_every_cut() {
        let mut message = question("a.example");
        message[7] = 2;
        message.extend_from_slice(&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 12]);
        message.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 93, 1, 2, 3]);
        assert_eq!(first_address(&message), Some(Ipv4Addr::new(93, 1, 2, 3)));
        for cut in 0..message.len() {
            assert_eq!(first_address(&message[..cut]), None, "cut at {cut}");
        }
    }
}
