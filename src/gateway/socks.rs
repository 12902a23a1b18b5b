//! **SOCKS**, versions 4, 4a and 5: what a client says to such a proxy before its tunnel begins (RFC 1928, RFC 1929).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::AsyncWriteExt as _;

use super::ledger::Ledger;
use super::proxy::{self, Authority};
use super::tee::Tee;
use crate::capture::{Hop, HopForm};

/// The longest user name or host of version 4, which ends with a zero byte wherever that is.
const LONGEST_TEXT: usize = 512;

/// Speaks a proxy's part up to the tunnel's beginning. Gives where the tunnel leads and what was said; `None` where the
/// client was not understood or wanted something else than a connection, and was told so.
pub(super) async fn serve(stream: &mut Tee, secure: bool, ledger: &Ledger) -> Option<(Authority, Hop)> {
    let version = *peek(stream, 1).await?.first()?;
    let asked = if version == 5 { five(stream).await? } else { four(stream).await? };
    let toward = match &asked.place {
        Place::Name(name) => proxy::joined(name, asked.port),
        Place::Address(address) => SocketAddr::new(*address, asked.port).to_string(),
    };
    let host = match asked.place {
        Place::Name(name) => name.to_ascii_lowercase(),
        // A client that resolves for itself names the address that was given out.
        Place::Address(address) => ledger.name_of(address).unwrap_or_else(|| address.to_string()),
    };
    let form = if version == 5 { HopForm::Socks5 } else { HopForm::Socks4 };
    let credentials = asked.credentials.map(|value| (String::from("proxy-authorization"), value));
    let hop = Hop { form, secure, toward, headers: credentials.into_iter().collect() };
    Some((Authority { host, port: Some(asked.port) }, hop))
}

/// What a client asked for.
struct Asked {
    place: Place,
    port: u16,
    credentials: Option<String>,
}

enum Place {
    Name(String),
    Address(IpAddr),
}

async fn five(stream: &mut Tee) -> Option<Asked> {
    let methods = usize::from(*peek(stream, 2).await?.get(1)?);
    let offered = take(stream, 2 + methods).await?;
    let offers = |method: u8| offered.iter().skip(2).any(|offer| *offer == method);
    let mut credentials = None;
    if offers(2) {
        // Whoever has credentials is asked for them.
        stream.write_all(&[5, 2]).await.ok()?;
        let user = usize::from(*peek(stream, 2).await?.get(1)?);
        let secret = usize::from(*peek(stream, 3 + user).await?.get(2 + user)?);
        let said = take(stream, 3 + user + secret).await?;
        let text = |bytes: Option<&[u8]>| super::head::text(bytes.unwrap_or_default());
        credentials = Some(format!("Socks5 {}:{}", text(said.get(2..2 + user)), text(said.get(3 + user..))));
        stream.write_all(&[1, 0]).await.ok()?;
    } else if offers(0) {
        stream.write_all(&[5, 0]).await.ok()?;
    } else {
        let _ = stream.write_all(&[5, 0xff]).await;
        return None;
    }
    let kind = *peek(stream, 4).await?.get(3)?;
    let (place, before_port) = match kind {
        1 => {
            let octets: [u8; 4] = peek(stream, 8).await?.get(4..8)?.try_into().ok()?;
            (Place::Address(Ipv4Addr::from(octets).into()), 8)
        }
        4 => {
            let octets: [u8; 16] = peek(stream, 20).await?.get(4..20)?.try_into().ok()?;
            (Place::Address(IpAddr::from(Ipv6Addr::from(octets)).to_canonical()), 20)
        }
        3 => {
            let length = usize::from(*peek(stream, 5).await?.get(4)?);
            let name = super::head::text(peek(stream, 5 + length).await?.get(5..5 + length)?);
            (Place::Name(name), 5 + length)
        }
        _ => {
            let _ = stream.write_all(&reply(8)).await;
            return None;
        }
    };
    let said = take(stream, before_port + 2).await?;
    let port = u16::from_be_bytes(said.get(before_port..)?.try_into().ok()?);
    if said.get(1) != Some(&1) {
        // Listening for others and datagrams are not offered, as with most proxies.
        let _ = stream.write_all(&reply(7)).await;
        return None;
    }
    stream.write_all(&reply(0)).await.ok()?;
    Some(Asked { place, port, credentials })
}

/// A reply of version 5 with this code.
fn reply(code: u8) -> [u8; 10] {
    [5, code, 0, 1, 0, 0, 0, 0, 0, 0]
}

async fn four(stream: &mut Tee) -> Option<Asked> {
    let said = take(stream, 8).await?;
    let port = u16::from_be_bytes(said.get(2..4)?.try_into().ok()?);
    let octets: [u8; 4] = said.get(4..8)?.try_into().ok()?;
    let user = text(stream).await?;
    // Version 4a: an address that cannot be, and a name behind the user's.
    let place = match octets {
        [0, 0, 0, last] if last > 0 => Place::Name(text(stream).await?),
        _ => Place::Address(Ipv4Addr::from(octets).into()),
    };
    if said.get(1) != Some(&1) {
        let _ = stream.write_all(&[0, 91, 0, 0, 0, 0, 0, 0]).await;
        return None;
    }
    stream.write_all(&[0, 90, 0, 0, 0, 0, 0, 0]).await.ok()?;
    let credentials = (!user.is_empty()).then(|| format!("Socks4 {user}"));
    Some(Asked { place, port, credentials })
}

/// Text up to a zero byte.
async fn text(stream: &mut Tee) -> Option<String> {
    loop {
        if let Some(end) = stream.buffer().iter().position(|byte| *byte == 0) {
            let text = super::head::text(stream.buffer().get(..end)?);
            stream.consume(end + 1);
            return Some(text);
        }
        if stream.buffer().len() > LONGEST_TEXT || stream.fill().await == 0 {
            return None;
        }
    }
}

/// Waits for this many bytes and leaves them there.
async fn peek(stream: &mut Tee, count: usize) -> Option<&[u8]> {
    while stream.buffer().len() < count {
        if stream.fill().await == 0 {
            return None;
        }
    }
    stream.buffer().get(..count)
}

/// Waits for this many bytes and takes them.
async fn take(stream: &mut Tee, count: usize) -> Option<Vec<u8>> {
    let bytes = peek(stream, count).await?.to_vec();
    stream.consume(count);
    Some(bytes)
}
