//! **DNS over HTTPS** (RFC 8484): a resolver on any host, under its usual path, that answers as the one of UDP and TCP does.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::connection::{Place, Shared};
use super::dns::{self, Asked};
use super::ledger::Ledger;
use super::reply::{Payload, Reply, Request};
use crate::capture::DnsTransport;

/// What queries and answers are.
const MESSAGE: &str = "application/dns-message";

/// Padding is forbidden in the query, and sent all the same.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The answer to a request that is a DNS query, whose questions are recorded as such; `None` for any other request.
pub(super) fn answer(request: &Request<'_>, place: &Place, shared: &Shared, ledger: &Ledger) -> Option<Reply> {
    let query = query(request)?;
    let asked = Asked { resolver: Some(place.dialled.ip()), transport: DnsTransport::Https };
    let Some((message, _)) = dns::answer(&query, shared.ipv6_names, asked, Some(ledger)) else {
        return Some(Reply::empty(400));
    };
    let headers = vec![(String::from("Content-Type"), String::from(MESSAGE))];
    Some(Reply { status: 200, headers, payload: Payload::Bytes(message), cut: false })
}

/// The query that a request carries: as its body, or in its target.
fn query(request: &Request<'_>) -> Option<Vec<u8>> {
    let (path, parameters) = request.target.split_once('?').unwrap_or((request.target, ""));
    if !path.ends_with("/dns-query") {
        return None;
    }
    if request.method == "POST" {
        let kind = request.header("content-type")?.split(';').next()?;
        return kind.trim().eq_ignore_ascii_case(MESSAGE).then(|| request.body.to_vec());
    }
    let text = parameters.split('&').find_map(|pair| pair.strip_prefix("dns="))?;
    // What is no base64 is no query either, and is told so.
    (request.method == "GET").then(|| BASE64.decode(text).unwrap_or_default())
}
