//! **DNS** answers: every name has an address of its own, which follows from the name alone, so that it is the same in
//! every cell, on every gateway and in every order of questions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use sha2::Digest as _;

use super::ledger::Ledger;
use crate::capture::DnsTransport;

/// How long an answer may be kept, in seconds. Longer than a cell, so that an agent asks once.
const TTL: u32 = 300;

/// Questions that one message may ask. Resolvers ask one.
const MOST_AT_ONCE: usize = 4;

/// Size of datagrams that we say we take.
const PAYLOAD: u16 = 1232;

/// The IPv4 address of a name: in 198.18.0.0/15, set aside for benchmarks (RFC 2544), so that it is nobody's. Two names
/// of one cell share an address about once in a thousand cells; they are then told apart by SNI or `Host`.
pub(super) fn ipv4(name: &str) -> Ipv4Addr {
    let digest = sha2::Sha256::digest(name.as_bytes());
    Ipv4Addr::new(198, 18 + digest[0] % 2, digest[1], digest[2] % 254 + 1)
}

/// The IPv6 address of a name: in a prefix of unique local addresses (RFC 4193).
pub(super) fn ipv6(name: &str) -> Ipv6Addr {
    let digest = sha2::Sha256::digest(name.as_bytes());
    let mut octets = [0xfd, 0x4e, 0x1b, 0x70, 0x92, 0x5c, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    octets[8..].copy_from_slice(&digest[8..16]);
    Ipv6Addr::from(octets)
}

/// Of whom a message was asked, and how.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    /// The address that was dialled, where it is known.
    pub(super) resolver: Option<IpAddr>,
    /// What carried it.
    pub(super) transport: DnsTransport,
}

impl From<Option<IpAddr>> for Asked {
    fn from(resolver: Option<IpAddr>) -> Self {
        Self { resolver, ..Self::default() }
    }
}

/// Answers a message, recording its questions in the ledger of the current cell. Gives the answer and how many
/// questions there were; `None` when the bytes are no DNS query.
pub(super) fn answer(query: &[u8], with_ipv6: bool, asked: Asked, ledger: Option<&Ledger>) -> Option<(Vec<u8>, u32)> {
    let query = Message::from_vec(query).ok()?;
    if query.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut response = Message::response(query.metadata.id, query.metadata.op_code);
    response.metadata = Metadata::response_from_request(&query.metadata);
    response.metadata.recursion_available = true;
    if query.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        response.set_edns(edns);
    }
    if query.queries.len() > MOST_AT_ONCE {
        // What nobody asks honestly is not answered at length.
        for question in &query.queries {
            if let Some(ledger) = ledger {
                ledger.question(plain(question.name()), question.query_type().to_string(), asked);
            }
        }
        response.metadata.response_code = ResponseCode::FormErr;
    } else if query.metadata.op_code == OpCode::Query {
        for question in &query.queries {
            let name = plain(question.name());
            if let Some(ledger) = ledger {
                ledger.question(name.clone(), question.query_type().to_string(), asked);
            }
            match records(question, &name, with_ipv6, ledger) {
                Ok(record) => response.answers.extend(record),
                Err(code) => response.metadata.response_code = code,
            }
        }
    } else {
        response.metadata.response_code = ResponseCode::NotImp;
    }
    let questions = u32::try_from(query.queries.len()).unwrap_or(u32::MAX);
    if questions as usize <= MOST_AT_ONCE {
        response.queries = query.queries;
    }
    response.to_vec().ok().map(|bytes| (bytes, questions))
}

/// The name in lower case, without its final dot.
fn plain(name: &Name) -> String {
    let text = name.to_ascii().to_ascii_lowercase();
    match text.strip_suffix('.') {
        Some(stripped) if !stripped.is_empty() => stripped.to_owned(),
        _ => text,
    }
}

fn records(
    question: &Query,
    name: &str,
    with_ipv6: bool,
    ledger: Option<&Ledger>,
) -> Result<Option<Record>, ResponseCode> {
    if question.query_class() != DNSClass::IN {
        return Ok(None);
    }
    let local = name == "localhost" || name.ends_with(".localhost");
    let data = match question.query_type() {
        RecordType::A | RecordType::ANY => {
            let address = if local { Ipv4Addr::LOCALHOST } else { ipv4(name) };
            give_out(address.into(), name, ledger);
            RData::A(A(address))
        }
        RecordType::AAAA if with_ipv6 => {
            let address = if local { Ipv6Addr::LOCALHOST } else { ipv6(name) };
            give_out(address.into(), name, ledger);
            RData::AAAA(AAAA(address))
        }
        RecordType::PTR => {
            let address = address_of_arpa(question.name()).ok_or(ResponseCode::NXDomain)?;
            let known = ledger.and_then(|ledger| ledger.name_of(address));
            let pointed = match known {
                _ if address.is_loopback() => String::from("localhost"),
                Some(known) => known,
                None => return Err(ResponseCode::NXDomain),
            };
            let mut pointed = Name::from_ascii(&pointed).map_err(|_| ResponseCode::NXDomain)?;
            pointed.set_fqdn(true);
            RData::PTR(PTR(pointed))
        }
        _ => return Ok(None),
    };
    Ok(Some(Record::from_rdata(question.name().clone(), TTL, data)))
}

fn give_out(address: IpAddr, name: &str, ledger: Option<&Ledger>) {
    if let Some(ledger) = ledger {
        ledger.give_out(address, name);
    }
}

/// The address that a reverse name stands for, if it is whole.
fn address_of_arpa(name: &Name) -> Option<IpAddr> {
    let mut absolute = name.clone();
    absolute.set_fqdn(true);
    let net = absolute.parse_arpa_name().ok()?;
    (net.prefix_len() == net.max_prefix_len()).then(|| net.addr())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, kind: RecordType, with_ipv6: bool) -> Message {
        let mut query = Message::query();
        query.metadata.recursion_desired = true;
        query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        let (bytes, questions) = answer(&query.to_vec().unwrap(), with_ipv6, Asked::default(), None).unwrap();
        assert_eq!(questions, 1);
        let response = Message::from_vec(&bytes).unwrap();
        assert_eq!(response.metadata.id, query.metadata.id);
        response
    }

    #[test]
    fn every_name_has_its_own_address() {
        let first = ask("API.example.com.", RecordType::A, true);
        assert_eq!(first.answers[0].data, RData::A(A(ipv4("api.example.com"))));
        assert_ne!(ipv4("api.example.com"), ipv4("api.example.org"));
        assert_eq!(ipv4("api.example.com").octets()[0], 198);
        let sixth = ask("api.example.com.", RecordType::AAAA, true);
        assert_eq!(sixth.answers[0].data, RData::AAAA(AAAA(ipv6("api.example.com"))));
    }

    #[test]
    fn what_there_is_none_of_is_empty_but_no_error() {
        for response in [
            ask("a.example.", RecordType::AAAA, false),
            ask("a.example.", RecordType::HTTPS, true),
            ask("a.", RecordType::MX, true),
        ] {
            assert_eq!((response.answers.len(), response.metadata.response_code), (0, ResponseCode::NoError));
        }
    }

    #[test]
    fn reverse_names() {
        let local = ask("1.0.0.127.in-addr.arpa.", RecordType::PTR, true);
        assert_eq!(local.answers[0].data.to_string(), "localhost.");
        let unknown = ask("1.2.0.192.in-addr.arpa.", RecordType::PTR, true);
        assert_eq!(unknown.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(ask("x.arpa.", RecordType::PTR, true).metadata.response_code, ResponseCode::NXDomain);
    }

    #[test]
    fn other_bytes_are_no_query() {
        assert!(answer(b"", true, Asked::default(), None).is_none());
        assert!(answer(b"GET / HTTP/1.1\r\n\r\n", true, Asked::default(), None).is_none());
    }
}
