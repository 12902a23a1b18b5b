//! **Transport**: names asked of the resolver, TLS hellos, connections without a request, as leaves that go by name. A
//! name that is the capture's own host (of its base URL, of its proxy) goes by the factor, unless the agent also uses
//! that name where it is not its own.

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use super::leaf::Leaf;
use super::mask;
use super::{Channel, FeatureKind};
use crate::capture::{Capture, ConnectionKind, DnsQuestion, DnsTransport, HelloDetail};

/// What is known of names over all captures.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// Names that were used in captures whose own host they are not.
    elsewhere: BTreeSet<String>,
    /// By factor: the name that the agent uses where the level is unset, its own default, and where a level names it.
    defaults: BTreeMap<usize, String>,
    /// By factor: the hello to its own host, as it was first seen.
    usual: BTreeMap<usize, Aspects>,
}

/// What is compared of the TLS hellos to one name: the values of each aspect.
type Aspects = [BTreeSet<String>; 8];

impl Names {
    /// Looks at all captures' names before any is taken apart.
    pub(super) fn prepare<'a>(&mut self, captures: impl Iterator<Item = (&'a Capture, &'a Context)>) {
        let captures: Vec<(&Capture, &Context)> = captures.collect();
        let all: Vec<(BTreeSet<&str>, &Context)> =
            captures.iter().map(|(c, context)| (used(c).collect(), *context)).collect();
        for factor in 0..all.first().map_or(0, |(_, context)| context.factors()) {
            self.defaults.extend(default(factor, &all).map(|name| (factor, name)));
        }
        for (names, context) in &all {
            let own = |name: &&str| self.own(context).any(|(_, host)| host == *name);
            let others: Vec<String> = names.iter().filter(|name| !own(name)).map(|name| (*name).to_owned()).collect();
            self.elsewhere.extend(others);
        }
        for (capture, context) in captures.iter().filter(|(capture, _)| !capture.tls.is_empty()) {
            let mut hellos = self.hellos(capture, context);
            let own: Vec<usize> = self.own(context).map(|(factor, _)| factor).collect();
            for factor in own {
                if let Some(aspects) = hellos.remove(&context.placeholder(factor)) {
                    self.usual.entry(factor).or_insert(aspects);
                }
            }
        }
    }

    /// The TLS hellos of a capture, by the names under which they go.
    fn hellos(&self, capture: &Capture, context: &Context) -> BTreeMap<String, Aspects> {
        let mut hellos: BTreeMap<String, Aspects> = BTreeMap::new();
        for hello in &capture.tls {
            for name in
                hello.sni.as_deref().map_or_else(|| vec![String::from("(no name)")], |sni| self.of(sni, context))
            {
                let [alpn, ciphers, completed, groups, signatures, extensions, order, ja4] =
                    hellos.entry(name).or_default();
                alpn.insert(hello.alpn.join(","));
                // Clients that grease put a random value in: 0a0a, 1a1a, …
                let greased = |suite: &&String| {
                    let b = suite.as_bytes();
                    b.len() == 4 && b[0] == b[2] && b[1] == b[3] && b[1].eq_ignore_ascii_case(&b'a')
                };
                ciphers
                    .insert(hello.cipher_suites.iter().filter(|s| !greased(s)).cloned().collect::<Vec<_>>().join(" "));
                completed.insert(String::from(if hello.completed { "completed" } else { "broken off" }));
                if let Some(detail) = &hello.detail {
                    let mut sorted = detail.extensions.clone();
                    sorted.sort_unstable();
                    groups.insert(detail.groups.join(" "));
                    signatures.insert(detail.signatures.join(" "));
                    extensions.insert(sorted.join(" "));
                    order.insert(if permutes(capture, detail) {
                        String::from("permuted")
                    } else {
                        detail.extensions.join(" ")
                    });
                    ja4.insert(detail.ja4.clone());
                }
            }
        }
        hellos
    }

    /// The capture's own hosts, with their factors.
    fn own<'a>(&'a self, context: &'a Context) -> impl Iterator<Item = (usize, &'a str)> {
        let unset = self.defaults.iter().filter(|(factor, _)| context.forms(**factor).is_empty());
        context.hosts().into_iter().chain(unset.map(|(factor, name)| (*factor, name.as_str())))
    }

    /// The names under which a name goes: a factor's, its own, or both.
    fn of(&self, name: &str, context: &Context) -> Vec<String> {
        let own = self.own(context).filter(|(_, host)| *host == name);
        let mut out: Vec<String> = own.map(|(factor, _)| context.placeholder(factor)).collect();
        if out.is_empty() || self.elsewhere.contains(name) {
            out.push(mask::masked(name));
        }
        out
    }

    /// Takes a capture's transport apart.
    pub(super) fn leaves(&self, capture: &Capture, context: &Context, out: &mut Vec<Leaf>) {
        let mut questions: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for question in &capture.dns {
            for name in self.of(&question.name, context) {
                questions.entry(name).or_default().insert(&question.kind);
            }
        }
        for (name, kinds) in questions {
            let kinds = kinds.into_iter().collect::<Vec<_>>().join(" ");
            let place = format!("DNS question for {name}");
            out.push(Leaf::presence(Channel::Dns, format!("dns {name}"), place, &kinds));
        }
        let resolver = |question: &DnsQuestion| {
            let by = match question.transport {
                DnsTransport::Dns => "",
                DnsTransport::Https => " by HTTPS",
            };
            question.resolver.as_ref().map(|resolver| format!("{resolver}{by}"))
        };
        let resolvers: BTreeSet<String> = capture.dns.iter().filter_map(resolver).collect();
        if !resolvers.is_empty() {
            let text = resolvers.into_iter().collect::<Vec<_>>().join("\n");
            out.push(Leaf::text(Channel::Dns, FeatureKind::Text, "dns resolvers", "DNS resolvers asked", text));
        }
        let mut hellos = self.hellos(capture, context);
        // Where a level says plain HTTP, nothing can be seen of how the agent speaks TLS to that host: what the level asks
        // for is no difference, so that the usual hello stands there.
        for (factor, _) in self.own(context) {
            let plain = context.forms(factor).iter().any(|form| form.text.starts_with("http://"));
            if let (true, Some(usual)) = (plain, self.usual.get(&factor)) {
                hellos.entry(context.placeholder(factor)).or_insert_with(|| usual.clone());
            }
        }
        for (name, aspects) in hellos {
            let what = [
                "ALPN",
                "cipher suites",
                "handshake",
                "groups",
                "signature algorithms",
                "extensions",
                "order of extensions",
                "JA4",
            ];
            for (what, values) in what.iter().zip(aspects).filter(|(_, values)| !values.is_empty()) {
                let (address, place) = (format!("tls {name} {what}"), format!("TLS hello for {name} \u{b7} {what}"));
                let text = values.into_iter().collect::<Vec<_>>().join("\n");
                out.push(Leaf::text(Channel::Tls, FeatureKind::Text, address, place, text));
            }
        }
        let mut bare: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for connection in &capture.connections {
            let place = connection.toward.as_ref().unwrap_or(&connection.dialled);
            let (address, port) = place.rsplit_once(':').unwrap_or((place, ""));
            let names = match (&connection.toward, &connection.name) {
                (Some(_), _) => self.of(address, context),
                (None, Some(name)) => self.of(name, context),
                (None, None) => vec![address.to_owned()],
            };
            let began = match connection.kind {
                ConnectionKind::Accepted => beginning(&connection.first_bytes),
                ConnectionKind::Refused => String::from("refused"),
                ConnectionKind::Datagram => format!("datagram of {}", beginning(&connection.first_bytes)),
            };
            let through = if connection.toward.is_some() { ", through a proxy" } else { "" };
            for name in names {
                bare.entry(format!("{name}:{port}")).or_default().insert(format!("{began}{through}"));
            }
        }
        for (name, beginnings) in bare {
            let text = beginnings.into_iter().collect::<Vec<_>>().join("\n");
            let place = format!("connection to {name} without a request");
            out.push(Leaf::presence(Channel::Connection, format!("connection {name}"), place, &text));
        }
        for dropped in &capture.dropped {
            let (address, place) =
                (format!("dropped {}", dropped.what), format!("{}, more than are kept", dropped.what));
            out.push(Leaf::presence(Channel::Connection, address, place, "some"));
        }
    }
}

/// Whether the capture shows that a client puts its extensions in another order each time: the order then says nothing.
fn permutes(capture: &Capture, detail: &HelloDetail) -> bool {
    let mut details = capture.tls.iter().filter_map(|hello| hello.detail.as_ref());
    details.any(|other| other.ja4 == detail.ja4 && other.extensions != detail.extensions)
}

/// The one name that is used in all captures where a host's factor is unset, and in no other but those whose level names
/// it. Captures in which only other factors' hosts are used (everything went through a proxy) say nothing of it.
fn default(factor: usize, all: &[(BTreeSet<&str>, &Context)]) -> Option<String> {
    let host =
        |context: &Context, name: &str| context.hosts().iter().any(|(own, host)| *own == factor && *host == name);
    let set = |context: &Context| context.hosts().iter().any(|(own, _)| *own == factor);
    if !all.iter().any(|(_, context)| set(context)) {
        return None;
    }
    let mut names: Option<BTreeSet<&str>> = None;
    for (used, context) in all.iter().filter(|(_, context)| context.forms(factor).is_empty()) {
        let hosts = context.hosts();
        let own: BTreeSet<&str> = used
            .iter()
            .copied()
            .filter(|name| !hosts.iter().any(|(other, host)| *other != factor && host == name))
            .collect();
        names = match names {
            _ if own.is_empty() => names,
            None => Some(own),
            Some(names) => Some(names.intersection(&own).copied().collect()),
        };
    }
    let mut names = names?;
    for (others, context) in all.iter().filter(|(_, context)| set(context)) {
        names.retain(|name| !others.contains(name) || host(context, name));
    }
    let name = names.pop_first()?;
    names.is_empty().then(|| name.to_owned())
}

/// Every name that a capture used outside of requests.
fn used(capture: &Capture) -> impl Iterator<Item = &str> {
    let dns = capture.dns.iter().map(|question| question.name.as_str());
    let tls = capture.tls.iter().filter_map(|hello| hello.sni.as_deref());
    dns.chain(tls).chain(capture.connections.iter().filter_map(|connection| connection.name.as_deref()))
}

/// How a connection begins: its protocol, not its contents, which may be random.
fn beginning(bytes: &[u8]) -> String {
    match bytes {
        [] => String::from("nothing sent"),
        [0x16, 3, ..] => String::from("TLS"),
        _ if bytes.iter().take(16).all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) => {
            let word = bytes.split(u8::is_ascii_whitespace).next().unwrap_or_default();
            format!("text {}", mask::masked(&String::from_utf8_lossy(&word[..word.len().min(16)])))
        }
        _ => format!("bytes {}", hex::encode(&bytes[..bytes.len().min(2)])),
    }
}
