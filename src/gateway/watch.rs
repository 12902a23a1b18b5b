//! The **watch** over what ends nowhere: connections that the kernel refused because nobody listens, and datagrams to
//! ports other than the resolver's. It sees them as packets on `lo`; a filter in the kernel keeps all others away.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::libc;
use nix::sys::socket::{MsgFlags, recv};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::net::UdpSocket;

use crate::capture::ConnectionKind;

/// The largest packet that is looked at: what is kept of a datagram is far less.
const LARGEST_PACKET: usize = 2048;

/// The port of the resolver, which is served.
const DNS: u16 = 53;

/// Loopback ports from here on are the ones that programs are given for their own ends.
const FIRST_EPHEMERAL: u16 = 32_768;

/// A socket that sees packets. The runtime only waits for it, and knows no kind of socket that says less of itself than
/// one for datagrams.
#[derive(Debug)]
pub struct Watch(UdpSocket);

/// Something that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) dialled: SocketAddr,
    pub(super) kind: ConnectionKind,
    /// What a datagram carried.
    pub(super) bytes: Vec<u8>,
}

impl Watch {
    /// Opens a watch over this namespace.
    ///
    /// # Errors
    /// When the process may not look at packets.
    pub(super) fn open() -> io::Result<Self> {
        let everything = i32::from(u16::try_from(libc::ETH_P_ALL).unwrap_or_default().to_be());
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(everything)))?;
        socket.attach_filter(&PROGRAM.map(|(code, yes, no, value)| SockFilter::new(code, yes, no, value)))?;
        socket.set_nonblocking(true)?;
        Ok(Self(UdpSocket::from_std(OwnedFd::from(socket).into())?))
    }

    /// Waits for the next packet; `None` for one that says nothing.
    ///
    /// # Errors
    /// When the socket fails.
    pub(super) async fn receive(&self) -> io::Result<Option<Attempt>> {
        self.0.async_io(tokio::io::Interest::READABLE, || self.receive_now()).await
    }

    /// Takes a packet that has already come.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    pub(super) fn receive_now(&self) -> io::Result<Option<Attempt>> {
        let mut packet = [0; LARGEST_PACKET];
        let length = recv(self.0.as_raw_fd(), &mut packet, MsgFlags::MSG_DONTWAIT)?;
        Ok(packet.get(..length).and_then(attempt))
    }
}

/// The filter's instructions: operation, jumps where the test holds and where not, operand. It keeps resets that refuse, and
/// datagrams; each once, although `lo` shows every packet twice.
const PROGRAM: [(u16, u8, u8, u32); 21] = {
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_WORD: u16 = 0x20;
    const LOAD_BYTE_AT_X: u16 = 0x50;
    const HEADER_TO_X: u16 = 0xb1;
    const AND: u16 = 0x54;
    const RETURN: u16 = 0x06;
    const PACKET_TYPE: u32 = 0xffff_f004;
    const OUTGOING: u32 = 4;
    const RESET_AND_ACK: u32 = 0x14;
    [
        (LOAD_WORD, 0, 0, PACKET_TYPE),
        (EQUAL, 18, 0, OUTGOING),
        (LOAD_BYTE, 0, 0, 0),
        (AND, 0, 0, 0xf0),
        (EQUAL, 0, 7, 0x40),
        // IPv4: protocol, then TCP's flags behind a header of any length.
        (LOAD_BYTE, 0, 0, 9),
        (EQUAL, 12, 0, 17),
        (EQUAL, 0, 12, 6),
        (HEADER_TO_X, 0, 0, 0),
        (LOAD_BYTE_AT_X, 0, 0, 13),
        (AND, 0, 0, 0x3f),
        (EQUAL, 7, 8, RESET_AND_ACK),
        // IPv6, without extension headers.
        (EQUAL, 0, 7, 0x60),
        (LOAD_BYTE, 0, 0, 6),
        (EQUAL, 4, 0, 17),
        (EQUAL, 0, 4, 6),
        (LOAD_BYTE, 0, 0, 53),
        (AND, 0, 0, 0x3f),
        (EQUAL, 0, 1, RESET_AND_ACK),
        (RETURN, 0, 0, 0xffff),
        (RETURN, 0, 0, 0),
    ]
};

/// Tests for equality.
const EQUAL: u16 = 0x15;

/// Reads a packet.
fn attempt(packet: &[u8]) -> Option<Attempt> {
    let (protocol, from, to, rest): (u8, IpAddr, IpAddr, &[u8]) = match packet.first()? >> 4 {
        4 => {
            let four = |at: usize| -> Option<[u8; 4]> { packet.get(at..at + 4)?.try_into().ok() };
            let header = usize::from(packet.first()? & 0xf) * 4;
            (*packet.get(9)?, Ipv4Addr::from(four(12)?).into(), Ipv4Addr::from(four(16)?).into(), packet.get(header..)?)
        }
        6 => {
            let sixteen = |at: usize| -> Option<[u8; 16]> { packet.get(at..at + 16)?.try_into().ok() };
            (
                *packet.get(6)?,
                Ipv6Addr::from(sixteen(8)?).into(),
                Ipv6Addr::from(sixteen(24)?).into(),
                packet.get(40..)?,
            )
        }
        _ => return None,
    };
    let port = |at: usize| Some(u16::from_be_bytes(rest.get(at..at + 2)?.try_into().ok()?));
    let (source, destination) = (port(0)?, port(2)?);
    match protocol {
        // A reset without a sequence number answers the first packet of a connection.
        6 if rest.get(4..8)? == [0; 4] && !(from.is_loopback() && source >= FIRST_EPHEMERAL) => {
            Some(Attempt { dialled: SocketAddr::new(from, source), kind: ConnectionKind::Refused, bytes: Vec::new() })
        }
        17 if source != DNS && destination != DNS && !to.is_loopback() => {
            let bytes = rest.get(8..)?;
            Some(Attempt {
                dialled: SocketAddr::new(to, destination),
                kind: ConnectionKind::Datagram,
                bytes: bytes.get(..256).unwrap_or(bytes).to_vec(),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(protocol: u8, from: [u8; 4], to: [u8; 4], rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
        packet.extend(from);
        packet.extend(to);
        packet.extend_from_slice(rest);
        packet
    }

    #[test]
    fn refusals_and_datagrams_are_read() {
        let reset = [0, 22, 0x80, 1, 0, 0, 0, 0, 1, 2, 3, 4, 0x50, 0x14, 0, 0, 0, 0, 0, 0];
        let seen = attempt(&v4(6, [8, 8, 8, 8], [10, 0, 0, 1], &reset)).unwrap();
        assert_eq!((seen.dialled.to_string().as_str(), seen.kind), ("8.8.8.8:22", ConnectionKind::Refused));
        // One in the middle of a connection refuses nothing.
        let mut later = reset;
        later[7] = 1;
        assert_eq!(attempt(&v4(6, [8, 8, 8, 8], [10, 0, 0, 1], &later)), None);

        let datagram = [0x90, 1, 0, 123, 0, 10, 0, 0, b'h', b'i'];
        let seen = attempt(&v4(17, [10, 0, 0, 1], [9, 9, 9, 9], &datagram)).unwrap();
        assert_eq!((seen.dialled.to_string().as_str(), seen.bytes.as_slice()), ("9.9.9.9:123", &b"hi"[..]));
        assert_eq!(attempt(&v4(17, [10, 0, 0, 1], [127, 0, 0, 1], &datagram)), None);

        let mut six = vec![0x60, 0, 0, 0, 0, 10, 17, 64];
        six.extend(Ipv6Addr::LOCALHOST.octets());
        six.extend("2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        six.extend(datagram);
        assert_eq!(attempt(&six).unwrap().dialled.to_string(), "[2001:db8::1]:123");
        for cut in 0..six.len() - 2 {
            let _ = attempt(&six[..cut]);
        }
    }

    #[test]
    fn every_jump_of_the_filter_lands() {
        for (at, (code, yes, no, _)) in PROGRAM.iter().enumerate() {
            let lands = |jump: &u8| at + 1 + usize::from(*jump) < PROGRAM.len();
            assert!(*code != EQUAL || (lands(yes) && lands(no)), "{at}");
        }
    }
}
