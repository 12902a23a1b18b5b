//! The pod's **network**: inside a network namespace of its own, `lo` comes up with the `AnyIP` routes, so that a
//! connection to any address ends at a socket of ours that listens on the unspecified address.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rtnetlink::packet_route::route::{RouteScope, RouteType};
use rtnetlink::{Handle, LinkUnspec, RouteMessageBuilder};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::GatewayError;
use super::redirect::{self, Family};
use super::watch::Watch;

/// Index of `lo`: always the first interface of a namespace.
pub(super) const LO: u32 = 1;

/// The kernel's table of local addresses.
pub(super) const LOCAL_TABLE: u32 = 255;

/// Where IPv6 is switched off in a fresh namespace. Not writable in a container, whose engine sets it instead.
const DISABLE_IPV6: [&str; 2] = ["/proc/sys/net/ipv6/conf/all/disable_ipv6", "/proc/sys/net/ipv6/conf/lo/disable_ipv6"];

/// Sockets that a gateway serves on.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Listeners on which every protocol is recognised by its first bytes.
    pub streams: Vec<TcpListener>,
    /// DNS over UDP.
    pub dns: Vec<UdpSocket>,
    /// DNS over TCP.
    pub dns_streams: Vec<TcpListener>,
    /// Listeners to which all other ports are redirected, one a family, where the kernel can.
    pub rest: Vec<TcpListener>,
    /// Sees what is refused, where the process may.
    pub watch: Option<Watch>,
    /// Whether IPv6 addresses end here too.
    pub ipv6: bool,
}

/// Makes this namespace one in which every address is ours, and listens.
///
/// # Errors
/// When `lo` or the IPv4 route cannot be set up, or a port cannot be listened on. Missing IPv6 is not an error.
pub(super) async fn bring_up(ports: &[u16]) -> Result<Sockets, GatewayError> {
    for switch in DISABLE_IPV6 {
        // Not there without IPv6, read-only in a container: what counts is whether the route below takes.
        let _ = fs_err::write(switch, "0");
    }
    let (connection, handle, _) =
        rtnetlink::new_connection().map_err(|error| network("opening a netlink socket", &error))?;
    let netlink = tokio::spawn(connection);
    let routed = route_everything_here(&handle).await;
    netlink.abort();
    let ipv6 = routed?;

    let mut sockets = Sockets { watch: Watch::open().ok(), ..Sockets::default() };
    let mut all: Vec<u16> = [80, 443].into_iter().chain(ports.iter().copied()).filter(|port| *port != 53).collect();
    all.sort_unstable();
    all.dedup();
    for port in &all {
        sockets.streams.push(listen(*port).await?);
    }
    sockets.dns_streams.push(listen(53).await?);
    sockets.dns.push(bind_udp(53).await?);

    probe((Ipv4Addr::new(192, 0, 2, 1), 80).into())
        .await
        .map_err(|error| network("checking that any address ends here", &error))?;
    sockets.ipv6 = ipv6 && probe((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 80).into()).await.is_ok();
    all.push(53);
    sockets.rest.extend(redirect_rest(Family::V4, &all));
    if sockets.ipv6 {
        sockets.rest.extend(redirect_rest(Family::V6, &all));
    }
    Ok(sockets)
}

/// Redirects the ports of a family that nobody serves, and listens behind the redirect.
fn redirect_rest(family: Family, served: &[u16]) -> Option<TcpListener> {
    let listener = || {
        let (domain, address): (_, SocketAddr) = match family {
            Family::V4 => (socket2::Domain::IPV4, (Ipv4Addr::UNSPECIFIED, redirect::PORT).into()),
            Family::V6 => (socket2::Domain::IPV6, (Ipv6Addr::UNSPECIFIED, redirect::PORT).into()),
        };
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        if family == Family::V6 {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(1024)?;
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket.into())
    };
    let listener = listener().ok()?;
    redirect::install(family, served).ok()?;
    Some(listener)
}

/// Raises the limit of open files as far as it goes: an agent may open connections by the thousand.
pub(super) fn raise_open_files() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Brings up `lo` and adds both routes. Gives whether the IPv6 one took.
async fn route_everything_here(handle: &Handle) -> Result<bool, GatewayError> {
    let up = LinkUnspec::new_with_index(LO).up().build();
    handle.link().set(up).execute().await.map_err(|error| network("bringing up lo", &error))?;

    let ipv4 = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(Ipv4Addr::UNSPECIFIED, 0)
        .output_interface(LO)
        .table_id(LOCAL_TABLE)
        .kind(RouteType::Local)
        .scope(RouteScope::Host)
        .build();
    accept_existing(handle.route().add(ipv4).execute().await)
        .map_err(|error| network("routing every IPv4 address to lo", &error))?;

    let ipv6 = RouteMessageBuilder::<Ipv6Addr>::new()
        .destination_prefix(Ipv6Addr::UNSPECIFIED, 0)
        .output_interface(LO)
        .table_id(LOCAL_TABLE)
        .kind(RouteType::Local)
        .build();
    Ok(accept_existing(handle.route().add(ipv6).execute().await).is_ok())
}

/// A route that is already there is as good.
fn accept_existing(result: Result<(), rtnetlink::Error>) -> Result<(), rtnetlink::Error> {
    match result {
        Err(rtnetlink::Error::NetlinkError(message)) if message.raw_code() == -nix::libc::EEXIST => Ok(()),
        other => other,
    }
}

/// Listens on the unspecified address of both families, or of IPv4 alone where there is no IPv6.
async fn listen(port: u16) -> Result<TcpListener, GatewayError> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
            .await
            .map_err(|source| GatewayError::Listen { port, source }),
    }
}

async fn bind_udp(port: u16) -> Result<UdpSocket, GatewayError> {
    match UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(socket) => Ok(socket),
        Err(_) => {
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).await.map_err(|source| GatewayError::Listen { port, source })
        }
    }
}

/// Connects once to an address that nobody configured. The handshake is the kernel's, so nobody need accept yet.
async fn probe(address: SocketAddr) -> std::io::Result<()> {
    tokio::time::timeout(Duration::from_secs(2), TcpStream::connect(address)).await??;
    Ok(())
}

fn network(step: &'static str, error: &dyn std::error::Error) -> GatewayError {
    GatewayError::Network { step, message: error.to_string() }
}
