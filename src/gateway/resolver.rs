//! DNS over UDP and TCP: the transport under [`dns`](super::dns). A datagram is answered **from the address that it was sent
//! to**, which on a socket that listens on every address the kernel must be told.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::time::Instant;

use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::UdpSocket;

use super::connection::Shared;
use super::dns;
use super::ledger::Ledger;
use super::tee::Tee;
use crate::capture::{Connection, ConnectionKind};

/// The largest datagram that is read.
const LARGEST_DATAGRAM: usize = 4096;

/// A datagram as it came.
#[derive(Debug)]
pub(super) struct Datagram {
    bytes: Vec<u8>,
    from: SockaddrStorage,
    /// The control message that makes the answer leave from the address dialled, and that address.
    to: Option<Dialled>,
}

#[derive(Clone, Copy, Debug)]
enum Dialled {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

impl Dialled {
    fn address(self) -> IpAddr {
        match self {
            Self::V4(info) => IpAddr::from(info.ipi_addr.s_addr.to_ne_bytes()),
            Self::V6(info) => IpAddr::from(info.ipi6_addr.s6_addr).to_canonical(),
        }
    }
}

/// Asks the kernel to say which address each datagram was sent to.
///
/// # Errors
/// When the kernel cannot.
pub(super) fn prepare(socket: &UdpSocket) -> io::Result<()> {
    if socket.local_addr()?.is_ipv6() {
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        // An address that is ours by its route alone may only then be answered from.
        setsockopt(socket, sockopt::IpFreebind, &true)?;
    } else {
        setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
    }
    Ok(())
}

/// Waits for a datagram.
///
/// # Errors
/// When the socket fails.
pub(super) async fn receive(socket: &UdpSocket) -> io::Result<Datagram> {
    socket.async_io(Interest::READABLE, || receive_now(socket)).await
}

/// Takes a datagram that has already come.
///
/// # Errors
/// `WouldBlock` when there is none.
pub(super) fn receive_now(socket: &UdpSocket) -> io::Result<Datagram> {
    let mut bytes = vec![0; LARGEST_DATAGRAM];
    let mut control = nix::cmsg_space!(libc::in_pktinfo, libc::in6_pktinfo);
    let (length, from, to) = {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let message = recvmsg::<SockaddrStorage>(
            socket.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC,
        )?;
        let to = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Dialled::V4(info)),
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(Dialled::V6(info)),
            _ => None,
        });
        (message.bytes, message.address, to)
    };
    bytes.truncate(length);
    let from = from.ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok(Datagram { bytes, from, to })
}

/// Answers a datagram at once: nothing of it outlives this call, so nothing of it can be late.
pub(super) fn respond(socket: &UdpSocket, datagram: &Datagram, shared: &Shared, ledger: Option<&Ledger>) {
    let Some((response, _)) =
        dns::answer(&datagram.bytes, shared.ipv6_names, datagram.to.map(Dialled::address).into(), ledger)
    else {
        if let Some(ledger) = ledger {
            ledger.connection(not_dns(socket, datagram, ledger));
        }
        return;
    };
    let parts = [IoSlice::new(&response)];
    let control = match &datagram.to {
        Some(Dialled::V4(info)) => {
            // The interface that it came by would do as well; the address is what counts.
            let source = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: info.ipi_addr, ipi_addr: info.ipi_addr };
            Some(Dialled::V4(source))
        }
        Some(Dialled::V6(info)) => Some(Dialled::V6(libc::in6_pktinfo { ipi6_addr: info.ipi6_addr, ipi6_ifindex: 0 })),
        None => None,
    };
    let messages: &[ControlMessage<'_>] = match &control {
        Some(Dialled::V4(info)) => &[ControlMessage::Ipv4PacketInfo(info)],
        Some(Dialled::V6(info)) => &[ControlMessage::Ipv6PacketInfo(info)],
        None => &[],
    };
    // A full send buffer loses the answer, as networks do; resolvers ask again.
    let _ = sendmsg(socket.as_raw_fd(), &parts, messages, MsgFlags::MSG_DONTWAIT, Some(&datagram.from));
}

fn not_dns(socket: &UdpSocket, datagram: &Datagram, ledger: &Ledger) -> Connection {
    let port = socket.local_addr().map_or(53, |local| local.port());
    let address = datagram.to.map(Dialled::address);
    Connection {
        at: ledger.at(Instant::now()),
        dialled: address.map(|address| SocketAddr::new(address, port).to_string()).unwrap_or_default(),
        name: address.and_then(|address| ledger.name_of(address)),
        first_bytes: datagram.bytes[..datagram.bytes.len().min(256)].to_vec(),
        toward: None,
        kind: ConnectionKind::Datagram,
    }
}

/// What came over a TCP connection to the DNS port.
#[derive(Debug)]
pub(super) struct Answered {
    /// Questions answered.
    pub(super) questions: u32,
    /// First bytes sent.
    pub(super) first_bytes: Vec<u8>,
}

/// Answers length-prefixed queries until the stream ends, or turns out to be something else.
pub(super) async fn serve_stream(mut stream: Tee, resolver: IpAddr, shared: &Shared, ledger: &Ledger) -> Answered {
    let mut questions = 0;
    loop {
        let length = match stream.buffer() {
            [high, low, rest @ ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                (rest.len() >= length).then_some(length)
            }
            _ => None,
        };
        let Some(length) = length else {
            if stream.fill().await == 0 {
                break;
            }
            continue;
        };
        let query = &stream.buffer()[2..2 + length];
        let Some((response, asked)) = dns::answer(query, shared.ipv6_names, Some(resolver).into(), Some(ledger)) else {
            break;
        };
        stream.consume(2 + length);
        questions += asked;
        let mut framed = u16::try_from(response.len()).unwrap_or(0).to_be_bytes().to_vec();
        framed.extend_from_slice(&response);
        if stream.write_all(&framed).await.is_err() {
            break;
        }
    }
    let _ = stream.shutdown().await;
    Answered { questions, first_bytes: stream.first_bytes().to_vec() }
}
