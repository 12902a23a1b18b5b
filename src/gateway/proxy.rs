//! The forms in which a request names where it goes: origin form, and the **proxy** forms, CONNECT's authority and the
//! absolute URL. All are brought to scheme, host, port and origin form; which one it was is kept as
//! [`Via`](crate::capture::Via).

use crate::capture::{Hop, HopForm};

/// A host and, if named, a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    /// Lower case, without brackets.
    pub(super) host: String,
    /// If named.
    pub(super) port: Option<u16>,
}

impl Authority {
    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`. User information before an `@` is skipped.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.rsplit_once('@').map_or(text, |(_, after)| after);
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, after) = rest.split_once(']')?;
            (host, after.strip_prefix(':'))
        } else if text.matches(':').count() > 1 {
            // An IPv6 address without its brackets.
            (text, None)
        } else {
            text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
        };
        if host.is_empty() {
            return None;
        }
        let port = match port {
            None | Some("") => None,
            Some(port) => Some(port.parse().ok()?),
        };
        Some(Self { host: host.to_ascii_lowercase(), port })
    }
}

/// An absolute request target, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Absolute {
    /// `http` or `https`.
    pub(super) scheme: &'static str,
    /// Where it goes.
    pub(super) authority: Authority,
    /// The rest, in origin form.
    pub(super) target: String,
}

impl Absolute {
    /// How it is written by who knows no more than what a request's record has.
    pub(super) fn spelt(&self) -> String {
        let Self { scheme, authority: Authority { host, port }, target } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let port =
            port.filter(|port| *port != default_port(scheme)).map_or_else(String::new, |port| format!(":{port}"));
        format!("{scheme}://{host}{port}{target}")
    }
}

/// Takes an absolute request target apart; `None` for any other form.
pub(super) fn absolute(target: &str) -> Option<Absolute> {
    let (scheme, rest) = target.split_once("://")?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => "http",
        "https" | "wss" => "https",
        _ => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = Authority::parse(authority)?;
    let target = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Some(Absolute { scheme, authority, target })
}

/// A host and a port as a URL has them: an IPv6 address in brackets.
pub(super) fn joined(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Whether a header line is for a proxy and not for whom the request goes to.
fn is_for_the_proxy(name: &str) -> bool {
    name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("proxy-"))
}

/// The hop of a request that asks a proxy by the absolute form, with those of its header lines that are for the proxy.
pub(super) fn absolute_hop(headers: &[(String, String)], host: &str, port: u16, secure: bool) -> Hop {
    let own = headers.iter().filter(|(name, _)| is_for_the_proxy(name));
    Hop { form: HopForm::Absolute, secure, toward: joined(host, port), headers: own.cloned().collect() }
}

/// The port that a scheme means when none is named.
pub(super) fn default_port(scheme: &str) -> u16 {
    if scheme == "https" { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(host: &str, port: Option<u16>) -> Authority {
        Authority { host: host.to_owned(), port }
    }

    #[test]
    fn authorities() {
        assert_eq!(Authority::parse("API.Example.com"), Some(authority("api.example.com", None)));
        assert_eq!(Authority::parse("api.example.com:8443"), Some(authority("api.example.com", Some(8443))));
        assert_eq!(Authority::parse("[2001:DB8::1]:443"), Some(authority("2001:db8::1", Some(443))));
        assert_eq!(Authority::parse("2001:db8::1"), Some(authority("2001:db8::1", None)));
        assert_eq!(Authority::parse("me:secret@h:1"), Some(authority("h", Some(1))));
        for bad in ["", ":80", "h:http", "h:99999", "[::1"] {
            assert_eq!(Authority::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn absolute_targets() {
        let parsed = absolute("http://Gateway.example.com:8080/v1/messages?beta=true").unwrap();
        assert_eq!(parsed.authority, authority("gateway.example.com", Some(8080)));
        assert_eq!((parsed.scheme, parsed.target.as_str()), ("http", "/v1/messages?beta=true"));
        assert_eq!(absolute("https://h").unwrap().target, "/");
        assert_eq!(absolute("https://h?q").unwrap().target, "/?q");
        assert_eq!(absolute("/v1/http://x"), None);
        assert_eq!(absolute("ftp://h/"), None);
    }
}
