//! The **redirect** of every port that nobody serves to one socket of ours, so that what is sent there is seen and not only
//! that it was tried. Two small tables in the namespace's own packet filter, written by netlink. Where the kernel has
//! none, those ports stay closed and are watched (see [`watch`](super::watch)).
//!
//! Ports that are served are not even tracked, so that the redirect costs them nothing. Neither are the loopback
//! addresses: what an agent serves to itself is its own affair.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket};
use nix::sys::time::{TimeVal, TimeValLike as _};
use tokio::net::TcpStream;

/// The port to which everything else is redirected. One that no program uses, and that a browser would not dial.
pub(super) const PORT: u16 = 1;

/// The name of our tables.
const TABLE: &str = "rest";

// Numbers of linux/netlink.h, linux/netfilter/nfnetlink.h and linux/netfilter/nf_tables.h.
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const SUBSYSTEM: u16 = 10;
const NEW_TABLE: u16 = 0;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const NESTED: u16 = 0x8000;
const ERROR: u16 = 2;
const LOCAL_OUT: u32 = 3;
const RAW_PRIORITY: i32 = -300;
const NAT_PRIORITY: i32 = -100;
const REGISTER: u32 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// The families that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4 = 2,
    V6 = 10,
}

/// Redirects every TCP port of this family but those that are served.
///
/// # Errors
/// When the kernel has no packet filter, or does not let us.
pub(super) fn install(family: Family, served: &[u16]) -> io::Result<()> {
    let batch = batch(family, served);
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter)?;
    nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::ReceiveTimeout, &TimeVal::seconds(1))?;
    sendto(socket.as_raw_fd(), &batch, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    // The last rule alone is acknowledged: a batch takes as a whole or not at all, and says at once why not.
    let mut answer = vec![0; 8192];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    verdict(answer.get(..length).unwrap_or_default())
}

/// Where a connection that was redirected had been dialled.
pub(super) fn dialled(socket: &TcpStream) -> Option<SocketAddr> {
    let socket = socket2::SockRef::from(socket);
    socket.original_dst_v4().or_else(|_| socket.original_dst_v6()).ok()?.as_socket()
}

/// What the kernel says of a batch: the first message that is an error or an acknowledgement.
fn verdict(answer: &[u8]) -> io::Result<()> {
    let short = |at: usize| answer.get(at..at + 2).and_then(|two| two.try_into().ok()).map(u16::from_ne_bytes);
    let code = answer.get(16..20).and_then(|four| four.try_into().ok()).map(i32::from_ne_bytes);
    match (short(4), code) {
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(code)) => Err(io::Error::from_raw_os_error(-code)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// A batch of messages under construction.
struct Batch {
    bytes: Vec<u8>,
    family: Family,
    sequence: u32,
}

fn batch(family: Family, served: &[u16]) -> Vec<u8> {
    let mut batch = Batch { bytes: Vec::new(), family, sequence: 0 };
    batch.message(BATCH_BEGIN, REQUEST, 0, SUBSYSTEM, &[]);
    batch.add(NEW_TABLE, CREATE, &text(1, TABLE));
    batch.chain("raw", "filter", RAW_PRIORITY);
    batch.chain("nat", "nat", NAT_PRIORITY);
    // Answers of the socket behind the redirect must be tracked, wherever they go.
    batch.rule("raw", &[protocol(TCP), port(0, PORT), accept()], 0);
    batch.rule("raw", &[loopback(family), plain("notrack")], 0);
    batch.rule("raw", &[protocol(UDP), plain("notrack")], 0);
    for served in served {
        for side in [2, 0] {
            batch.rule("raw", &[protocol(TCP), port(side, *served), plain("notrack")], 0);
        }
    }
    batch.rule("nat", &[protocol(TCP), redirect()], ACK);
    batch.message(BATCH_END, REQUEST, 0, SUBSYSTEM, &[]);
    batch.bytes
}

impl Batch {
    /// A message: its header, the family, its attributes.
    fn message(&mut self, kind: u16, flags: u16, family: u8, resource: u16, attributes: &[u8]) {
        let length = u32::try_from(20 + attributes.len()).unwrap_or(u32::MAX);
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend(self.sequence.to_ne_bytes());
        self.bytes.extend(0_u32.to_ne_bytes());
        self.bytes.extend([family, 0]);
        self.bytes.extend(resource.to_be_bytes());
        self.bytes.extend_from_slice(attributes);
        self.sequence += 1;
    }

    fn add(&mut self, kind: u16, flags: u16, attributes: &[u8]) {
        self.message((SUBSYSTEM << 8) | kind, REQUEST | flags, self.family as u8, 0, attributes);
    }

    /// A chain at the hook of what leaves a process of this machine.
    fn chain(&mut self, name: &str, kind: &str, priority: i32) {
        let hook = [number(1, LOCAL_OUT), attribute(2, &priority.to_be_bytes())].concat();
        self.add(NEW_CHAIN, CREATE, &[text(1, TABLE), text(3, name), nested(4, &hook), text(7, kind)].concat());
    }

    fn rule(&mut self, chain: &str, expressions: &[Vec<u8>], flags: u16) {
        let list = expressions.concat();
        let attributes = [text(1, TABLE), text(2, chain), nested(4, &list)].concat();
        self.add(NEW_RULE, CREATE | APPEND | flags, &attributes);
    }
}

/// An attribute, padded to four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(4 + value.len()).unwrap_or(u16::MAX).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn nested(kind: u16, attributes: &[u8]) -> Vec<u8> {
    attribute(kind | NESTED, attributes)
}

fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, &[value.as_bytes(), &[0]].concat())
}

/// One expression of a rule, as an element of its list.
fn expression(name: &str, attributes: &[u8]) -> Vec<u8> {
    nested(1, &[text(1, name), nested(2, attributes)].concat())
}

/// An expression without attributes.
fn plain(name: &str) -> Vec<u8> {
    nested(1, &text(1, name))
}

/// Goes on only where the register holds these bytes.
fn equal(value: &[u8]) -> Vec<u8> {
    expression("cmp", &[number(1, REGISTER), number(2, 0), nested(3, &attribute(1, value))].concat())
}

/// Loads bytes of a header: 1 is the network's, 2 the transport's.
fn load(header: u32, offset: u32, length: u32) -> Vec<u8> {
    expression("payload", &[number(1, REGISTER), number(2, header), number(3, offset), number(4, length)].concat())
}

/// Goes on only for this transport protocol.
fn protocol(protocol: u8) -> Vec<u8> {
    // Key 16: the transport protocol.
    [expression("meta", &[number(1, REGISTER), number(2, 16)].concat()), equal(&[protocol])].concat()
}

/// Goes on only for this port; at offset 0 the source's, at 2 the destination's.
fn port(offset: u32, port: u16) -> Vec<u8> {
    [load(2, offset, 2), equal(&port.to_be_bytes())].concat()
}

/// Goes on only for loopback destinations.
fn loopback(family: Family) -> Vec<u8> {
    match family {
        Family::V4 => [load(1, 16, 1), equal(&[127])].concat(),
        Family::V6 => [load(1, 24, 16), equal(&std::net::Ipv6Addr::LOCALHOST.octets())].concat(),
    }
}

fn accept() -> Vec<u8> {
    // Register 0 is the verdict, and 1 is to accept.
    expression("immediate", &[number(1, 0), nested(2, &nested(2, &number(1, 1)))].concat())
}

fn redirect() -> Vec<u8> {
    let load = [number(1, REGISTER), nested(2, &attribute(1, &PORT.to_be_bytes()))].concat();
    [expression("immediate", &load), expression("redir", &number(1, REGISTER))].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_messages_know_their_length() {
        assert_eq!(text(1, "ab"), [7, 0, 1, 0, b'a', b'b', 0, 0]);
        for family in [Family::V4, Family::V6] {
            let bytes = batch(family, &[80, 443]);
            let (mut at, mut messages) = (0, 0);
            while at < bytes.len() {
                at += u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
                messages += 1;
            }
            assert_eq!((at, messages), (bytes.len(), 13));
        }
    }

    #[test]
    fn what_the_kernel_says_is_read() {
        let answer = |code: i32| {
            let mut bytes = vec![0; 36];
            bytes[4..6].copy_from_slice(&ERROR.to_ne_bytes());
            bytes[16..20].copy_from_slice(&code.to_ne_bytes());
            bytes
        };
        assert!(verdict(&answer(0)).is_ok());
        assert_eq!(verdict(&answer(-1)).unwrap_err().raw_os_error(), Some(1));
        assert!(verdict(&[]).is_err());
    }
}
