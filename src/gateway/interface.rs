//! The **interface** of a plausible machine: `eth0` with an address and a default route, for those who look. No packet
//! takes it: every address is local, those of its own network too.

use std::net::{IpAddr, Ipv4Addr};

use futures_util::TryStreamExt as _;
use rtnetlink::packet_route::route::{RouteMessage, RouteScope, RouteType};
use rtnetlink::{Handle, LinkUnspec, LinkVeth, RouteMessageBuilder};

use super::GatewayError;
use super::network::{LO, LOCAL_TABLE};

/// The interface, and its other end, without which it would have no carrier. Both look like a machine's own.
const ENDS: [(&str, [u8; 6]); 2] =
    [("eth0", [0x52, 0x54, 0x00, 0x3a, 0x7c, 0x11]), ("eth1", [0x52, 0x54, 0x00, 0x3a, 0x7c, 0x12])];

/// Its address, the network's prefix, and the router that is not there.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 57);
const PREFIX: u8 = 24;
const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

/// Makes the interface, or takes it away.
///
/// # Errors
/// When the kernel has no pairs of virtual interfaces.
pub(super) async fn show(shown: bool) -> Result<(), GatewayError> {
    let (connection, handle, _) = rtnetlink::new_connection()
        .map_err(|error| GatewayError::Network { step: "opening a netlink socket", message: error.to_string() })?;
    let netlink = tokio::spawn(connection);
    let done = if shown { make(&handle).await } else { remove(&handle).await };
    netlink.abort();
    done.map_err(|error| GatewayError::Network {
        step: "making a network interface (appearance = plausible needs veth in the kernel)",
        message: error.to_string(),
    })
}

async fn make(handle: &Handle) -> Result<(), rtnetlink::Error> {
    let [(name, _), (peer, _)] = ENDS;
    handle.link().add(LinkVeth::new(name, peer).build()).execute().await?;
    for (name, hardware) in ENDS {
        let index = index(handle, name).await?;
        // No questions for neighbours: nobody is there.
        let message = LinkUnspec::new_with_index(index).address(hardware.to_vec()).arp(false).up().build();
        handle.link().set(message).execute().await?;
    }
    let index = index(handle, name).await?;
    // First this one: the kernel looks up its local and its main table as one, in which the network's route, being longer
    // than the route of every address to `lo`, would lead out of the gateway's sight. Of two as long the local one wins.
    handle.route().add(local()).execute().await?;
    handle.address().add(index, IpAddr::V4(ADDRESS), PREFIX).execute().await?;
    let route = RouteMessageBuilder::<Ipv4Addr>::new().gateway(ROUTER).output_interface(index).build();
    handle.route().add(route).execute().await
}

/// The other end goes with it.
async fn remove(handle: &Handle) -> Result<(), rtnetlink::Error> {
    let [(name, _), _] = ENDS;
    let index = index(handle, name).await?;
    handle.link().del(index).execute().await?;
    handle.route().del(local()).execute().await
}

/// The route of the interface's network to `lo`.
fn local() -> RouteMessage {
    RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(Ipv4Addr::new(192, 168, 1, 0), PREFIX)
        .output_interface(LO)
        .table_id(LOCAL_TABLE)
        .kind(RouteType::Local)
        .scope(RouteScope::Host)
        .build()
}

async fn index(handle: &Handle, name: &str) -> Result<u32, rtnetlink::Error> {
    let found = handle.link().get().match_name(name.to_owned()).execute().try_next().await?;
    found.map(|link| link.header.index).ok_or(rtnetlink::Error::RequestFailed)
}
