//! Which protocol a connection speaks, told by its **first bytes**.

/// The longest method that is taken for HTTP.
const LONGEST_METHOD: usize = 24;

/// How HTTP/2 begins.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// A TLS record with a handshake message.
    Tls,
    /// A request line of HTTP/1.
    Http1,
    /// The preface of HTTP/2.
    Http2,
    /// A SOCKS client, version 4 or 5.
    Socks,
    /// None of these.
    Other,
}

/// Recognises a protocol; `None` while the bytes may still become several.
pub(super) fn sniff(bytes: &[u8]) -> Option<Protocol> {
    // Servers are to skip empty lines before a request.
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let bytes = &bytes[start..];
    if start == 0 && bytes[0] == 0x16 {
        return match bytes.get(1) {
            None => None,
            Some(3) => Some(Protocol::Tls),
            Some(_) => Some(Protocol::Other),
        };
    }
    match (start, bytes) {
        // How many methods a client of version 5 has, or what one of version 4 wants.
        (0, [5, 1..=16, ..] | [4, 1 | 2, ..]) => return Some(Protocol::Socks),
        (0, [4 | 5]) => return None,
        _ => {}
    }
    if bytes.len() >= 4 && bytes.starts_with(&HTTP2_PREFACE[..4]) {
        let seen = bytes.len().min(HTTP2_PREFACE.len());
        if bytes[..seen] != HTTP2_PREFACE[..seen] {
            return Some(Protocol::Http1);
        }
        return (seen == HTTP2_PREFACE.len()).then_some(Protocol::Http2);
    }
    for (place, byte) in bytes.iter().enumerate().take(LONGEST_METHOD) {
        match byte {
            b' ' if place > 0 => return Some(Protocol::Http1),
            b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' => {}
            _ => return Some(Protocol::Other),
        }
    }
    if bytes.len() < LONGEST_METHOD { None } else { Some(Protocol::Other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_protocol() {
        assert_eq!(sniff(b""), None);
        assert_eq!(sniff(b"\r\n"), None);
        assert_eq!(sniff(&[0x16]), None);
        assert_eq!(sniff(&[0x16, 3, 1]), Some(Protocol::Tls));
        assert_eq!(sniff(&[0x16, 9, 1]), Some(Protocol::Other));
        assert_eq!(sniff(b"GE"), None);
        assert_eq!(sniff(b"GET "), Some(Protocol::Http1));
        assert_eq!(sniff(b"\r\nM-SEARCH * HTTP/1.1"), Some(Protocol::Http1));
        assert_eq!(sniff(b"PRI * HTT"), None);
        assert_eq!(sniff(b"PRI /x HTTP/1.1\r\n"), Some(Protocol::Http1));
        assert_eq!(sniff(HTTP2_PREFACE), Some(Protocol::Http2));
        assert_eq!(sniff(b"SSH-2.0-OpenSSH_9"), Some(Protocol::Other));
        assert_eq!(sniff(&[5]), None);
        assert_eq!(sniff(&[5, 1, 0]), Some(Protocol::Socks));
        assert_eq!(sniff(&[4, 1, 0]), Some(Protocol::Socks));
        assert_eq!(sniff(&[5, 0]), Some(Protocol::Other));
        assert_eq!(sniff(&[b'A'; 64]), Some(Protocol::Other));
    }
}
