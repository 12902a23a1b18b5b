//! **Requests** as leaves. A request goes by method and path (less the base URL's own path, and identifiers by class).

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use super::flatten;
use super::hash::HashMap;
use super::header;
use super::known::Inquiry;
use super::leaf::Leaf;
use super::mask::{self, Opaque};
use super::spelling;
use super::{Channel, FeatureKind};
use crate::capture::{Capture, Exchange, Hop, HopForm, Via};

/// What is known of requests before any is taken apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    prefixes: Prefixes,
}

/// How much of each base URL's path is to be taken off, decided over all captures.
#[derive(Clone, Debug, Default)]
struct Prefixes {
    by_level: HashMap<u16, String>,
}

impl Requests {
    /// Looks at all captures' paths before any is taken apart.
    pub(super) fn prepare<'a>(&mut self, captures: impl Iterator<Item = (&'a Capture, &'a Context)>) {
        self.prefixes = Prefixes::decide(captures);
    }

    /// Takes a capture's requests apart.
    pub(super) fn leaves(&self, capture: &Capture, context: &Context, inquiry: &mut Inquiry<'_>, out: &mut Vec<Leaf>) {
        let mut kinds: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut prefixes = Vec::new();
        for (i, exchange) in capture.exchanges.iter().enumerate() {
            let (path, prefix) = self.prefixes.normal(path(&exchange.target), context);
            kinds.entry(format!("{} {path}", exchange.method)).or_default().push(i);
            // That the base URL's own path stands there is no news, nor that another host has no such path.
            let foreign = context.hosts().iter().all(|(_, host)| *host != exchange.host);
            let own = prefix == context.base_path().map_or("", |(_, base)| base) || foreign && prefix.is_empty();
            prefixes.push(if own { String::from("the base URL's path") } else { prefix.to_owned() });
        }
        let mut names: Vec<Option<String>> = vec![None; capture.exchanges.len()];
        for (kind, members) in &kinds {
            let exchanges: Vec<&Exchange> = members.iter().map(|i| &capture.exchanges[*i]).collect();
            let slots = inquiry.slots(kind, &exchanges);
            let mut more = 0;
            for (i, slot) in members.iter().zip(slots) {
                match slot {
                    Some(slot) => names[*i] = Some(format!("{kind} #{slot}")),
                    None => more += 1,
                }
            }
            if more > 0 {
                let (address, place) = (format!("request {kind} more"), format!("{kind} \u{b7} further requests"));
                out.push(Leaf::text(Channel::RequestSequence, FeatureKind::Count, address, place, more.to_string()));
            }
        }
        for ((exchange, name), prefix) in capture.exchanges.iter().zip(&names).zip(&prefixes) {
            if let Some(name) = name {
                request(exchange, name, prefix, inquiry, out);
            }
        }
        let sequence = names.into_iter().flatten().collect::<Vec<_>>();
        out.push(Leaf::order(Channel::RequestSequence, "request order", "order of requests", sequence));
    }
}

/// Takes one request apart.
fn request(exchange: &Exchange, name: &str, prefix: &str, inquiry: &mut Inquiry<'_>, out: &mut Vec<Leaf>) {
    use Channel::{Connection, RequestSequence};
    let place = name.strip_suffix(" #0").unwrap_or(name);
    out.push(Leaf::presence(RequestSequence, format!("request {name}"), place, "sent"));
    let mut say = |channel, what: &str, text: String| {
        let (address, place) = (format!("request {name} {what}"), format!("{place} \u{b7} {what}"));
        let kind = if channel == Connection { FeatureKind::Route } else { FeatureKind::Text };
        out.push(Leaf::text(channel, kind, address, place, text));
    };
    say(RequestSequence, "host", exchange.host.clone());
    say(RequestSequence, "scheme", exchange.scheme.clone());
    say(RequestSequence, "port", exchange.port.to_string());
    say(RequestSequence, "path prefix", prefix.to_owned());
    let via = match exchange.via {
        Via::Direct => "direct",
        Via::Connect => "through CONNECT",
        Via::Absolute => "absolute form",
        Via::Socks => "through SOCKS",
    };
    say(Connection, "form", via.to_owned());
    say(Connection, "HTTP version", exchange.version.clone());
    // The address is a hash of the name; the port tells whether something else than the named one was dialled.
    let dialled = exchange.dialled.rsplit(':').next().unwrap_or_default();
    let named = dialled == exchange.port.to_string();
    say(Connection, "port dialled", if named { String::from("the one named") } else { dialled.to_owned() });
    let query = exchange.target.split_once('?').map(|(_, query)| query).unwrap_or_default();
    for (key, value) in query.split('&').filter(|pair| !pair.is_empty()).map(|p| p.split_once('=').unwrap_or((p, ""))) {
        say(RequestSequence, &format!("query {}", mask::masked(key)), value.to_owned());
    }
    for (number, hop) in exchange.hops.iter().enumerate() {
        let proxy = format!("proxy {}", number + 1);
        say(Connection, &proxy, way(hop));
        // That the proxy is told what it was asked for is no news.
        for (name, value) in hop.headers.iter().filter(|(_, value)| *value != hop.toward) {
            say(Connection, &format!("{proxy} header {}", name.to_lowercase()), value.clone());
        }
    }
    if let Some(note) = &exchange.note {
        say(Connection, "note", note.clone());
    }
    let headers = own_headers(exchange);
    header::leaves(&headers, exchange.body.bytes.len(), name, place, out);
    if let Some(head) = &exchange.head {
        let proxied = exchange.hops.last().is_some_and(|hop| hop.form == HopForm::Absolute);
        spelling::leaves(&head.bytes, proxied, name, place, out);
    }
    let header = |wanted: &str| {
        let found = exchange.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map_or("", |(_, value)| value.as_str())
    };
    let bytes = flatten::decoded(&exchange.body.bytes, header("content-encoding"));
    flatten::body(&bytes, header("content-type"), &format!("body {name}"), place, inquiry, out);
}

/// How a proxy was asked.
fn way(hop: &Hop) -> String {
    let host = hop.toward.rsplit_once(':').map_or(hop.toward.as_str(), |(host, _)| host);
    let by_address = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
    let form = match hop.form {
        HopForm::Connect => "CONNECT",
        HopForm::Absolute => "absolute form",
        HopForm::Socks4 => "SOCKS 4",
        HopForm::Socks5 => "SOCKS 5",
    };
    let named = if by_address { " by address" } else { "" };
    let secure = if hop.secure { " over TLS" } else { "" };
    format!("{form}{named}{secure}")
}

/// The header lines that are for the host and not for a proxy on the way, where the two came together.
fn own_headers(exchange: &Exchange) -> std::borrow::Cow<'_, [(String, String)]> {
    match exchange.hops.last() {
        Some(hop) if hop.form == HopForm::Absolute => {
            exchange.headers.iter().filter(|line| !hop.headers.contains(line)).cloned().collect()
        }
        _ => exchange.headers.as_slice().into(),
    }
}

fn path(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or_default()
}

impl Prefixes {
    /// For each level of the base URL: the part of its path that must go so that requests agree with those under other
    /// levels. Where nothing agrees, all of it.
    fn decide<'a>(captures: impl Iterator<Item = (&'a Capture, &'a Context)>) -> Self {
        let mut seen: BTreeMap<u16, (String, BTreeSet<&'a str>)> = BTreeMap::new();
        let mut without: BTreeSet<&'a str> = BTreeSet::new();
        for (capture, context) in captures {
            let paths = capture.exchanges.iter().map(|exchange| path(&exchange.target));
            match context.base_path() {
                Some((factor, base)) => {
                    let entry = seen.entry(context.level(factor)).or_insert_with(|| (base.to_owned(), BTreeSet::new()));
                    entry.1.extend(paths);
                }
                None => without.extend(paths),
            }
        }
        let mut by_level = HashMap::default();
        for (level, (base, paths)) in &seen {
            let mut others = without.clone();
            for (other, (other_base, other_paths)) in &seen {
                if other != level {
                    others.extend(other_paths.iter().copied());
                    others.extend(other_paths.iter().filter_map(|path| stripped(path, other_base)));
                }
            }
            let mut best = (0, base.as_str());
            let cuts = base.match_indices('/').map(|(at, _)| at).chain([base.len()]);
            for cut in cuts {
                let prefix = &base[..cut];
                // Paths that are not below it (other hosts have them) stay as they are.
                let normal = paths.iter().map(|path| stripped(path, prefix).unwrap_or(path));
                let agree = normal.filter(|path| others.contains(path)).count();
                if agree > best.0 {
                    best = (agree, prefix);
                }
            }
            by_level.insert(*level, best.1.to_owned());
        }
        Self { by_level }
    }

    /// A path less the base URL's prefix, identifiers by class; and the prefix.
    fn normal<'a>(&self, path: &'a str, context: &Context) -> (String, &'a str) {
        let prefix = context
            .base_path()
            .map_or("", |(factor, base)| self.by_level.get(&context.level(factor)).map_or(base, String::as_str));
        let (prefix, rest) = match stripped(path, prefix) {
            Some(rest) if path.ends_with(rest) => path.split_at(path.len() - rest.len()),
            Some(rest) => (path, rest),
            None => path.split_at(0),
        };
        (by_class(rest), prefix)
    }
}

/// A path without a prefix that ends at a slash; the root, if that is all there was.
fn stripped<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    match path.strip_prefix(prefix)? {
        "" if !prefix.is_empty() => Some("/"),
        rest => Some(rest).filter(|rest| rest.starts_with('/')),
    }
}

/// Replaces identifiers by their class; dates and short numbers are names.
fn by_class(path: &str) -> String {
    let mut out = String::new();
    let mut at = 0;
    for (span, class) in mask::spans(path) {
        if class == Opaque::Number && span.len() <= 8 {
            continue;
        }
        out.push_str(&path[at..span.start]);
        out.push_str(class.token());
        at = span.end;
    }
    out.push_str(&path[at..]);
    out
}
