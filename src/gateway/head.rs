//! A request's **head**, from raw bytes: header lines in the order and case of the wire, duplicates kept.

use super::proxy;

/// The longest head that is read.
pub(super) const LONGEST_HEAD: usize = 256 * 1024;

/// The most header lines that are read.
const MOST_HEADERS: usize = 2048;

/// A parsed head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// As sent.
    pub(super) method: String,
    /// Request target, as sent.
    pub(super) target: String,
    /// `1.0` or `1.1`.
    pub(super) version: &'static str,
    /// In wire order and case; bytes that are not UTF-8 are read as Latin-1.
    pub(super) headers: Vec<(String, String)>,
    /// All of it, as it came.
    pub(super) raw: Vec<u8>,
}

/// How the buffer's front reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A head, and how many bytes it takes.
    Complete(Head, usize),
    /// Not all of it is here.
    Partial,
    /// It is no head.
    Invalid,
}

impl Head {
    /// Parses the head at the front of `bytes`.
    pub(super) fn parse(bytes: &[u8]) -> Parsed {
        let mut room = 64;
        loop {
            let mut headers = vec![httparse::EMPTY_HEADER; room];
            let mut request = httparse::Request::new(&mut headers);
            return match request.parse(bytes) {
                Ok(httparse::Status::Complete(length)) => {
                    Parsed::Complete(Self::read(&request, &bytes[..length]), length)
                }
                Ok(httparse::Status::Partial) => Parsed::Partial,
                Err(httparse::Error::TooManyHeaders) if room < MOST_HEADERS => {
                    room *= 4;
                    continue;
                }
                Err(_) => Parsed::Invalid,
            };
        }
    }

    /// Parses what came of a head that was cut short: its whole lines, if the first of them is there.
    pub(super) fn parse_cut_short(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().rposition(|byte| *byte == b'\n')? + 1;
        let mut whole = bytes[..end].to_vec();
        whole.extend_from_slice(b"\r\n");
        match Self::parse(&whole) {
            Parsed::Complete(head, _) => Some(Self { raw: bytes.to_vec(), ..head }),
            Parsed::Partial | Parsed::Invalid => None,
        }
    }

    /// The value of the first header line of this name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The values of all header lines of this name.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether a comma-separated header has this token.
    pub(super) fn has_token(&self, name: &str, token: &str) -> bool {
        self.values(name).flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(token))
    }

    /// Remembers the empty lines that came before it.
    pub(super) fn begin_with(&mut self, blank: &[u8]) {
        self.raw.splice(..0, blank.iter().copied());
    }

    /// Whether its bytes follow from what was read of them: single spaces, `Name: value`, CR and LF behind each line, and
    /// nothing in an absolute target that is not told of it.
    pub(super) fn is_plain(&self) -> bool {
        let mut rest = self.raw.as_slice();
        let mut next = |part: &str| {
            let after = rest.strip_prefix(part.as_bytes());
            rest = after.unwrap_or(rest);
            after.is_some()
        };
        proxy::absolute(&self.target).is_none_or(|absolute| absolute.spelt() == self.target)
            && [&self.method, " ", &self.target, " HTTP/", self.version, "\r\n"].into_iter().all(&mut next)
            && self.headers.iter().all(|(name, value)| [name, ": ", value, "\r\n"].into_iter().all(&mut next))
            && next("\r\n")
            && rest.is_empty()
    }

    fn read(request: &httparse::Request<'_, '_>, raw: &[u8]) -> Self {
        Self {
            method: request.method.unwrap_or_default().to_owned(),
            target: request.path.unwrap_or_default().to_owned(),
            version: if request.version == Some(0) { "1.0" } else { "1.1" },
            headers: request.headers.iter().map(|line| (line.name.to_owned(), text(line.value))).collect(),
            raw: raw.to_vec(),
        }
    }
}

/// Bytes as text: UTF-8 where they are, else Latin-1, which loses nothing.
pub(super) fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_case_and_duplicates_are_kept() {
        let raw = b"POST /v1 HTTP/1.1\r\nhOST: a\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\nX-L: \xe9\r\n\r\nbody";
        let Parsed::Complete(head, length) = Head::parse(raw) else { panic!("not complete") };
        assert_eq!(&raw[length..], b"body");
        let lines: Vec<_> = head.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(lines, ["hOST=a", "X-B=1", "x-a=2", "X-B=3", "X-L=é"]);
        assert_eq!(head.values("x-b").collect::<Vec<_>>(), ["1", "3"]);
    }

    #[test]
    fn bytes_that_do_not_follow_from_what_was_read_are_noticed() {
        let plain = |raw: &[u8]| match Head::parse(raw) {
            Parsed::Complete(head, _) => head.is_plain(),
            other => panic!("{other:?}"),
        };
        assert!(plain(b"POST /v1 HTTP/1.1\r\nhOST: a\r\nX-B: \xc3\xa9\r\n\r\nbody"));
        assert!(plain(b"GET http://h:8080/ HTTP/1.0\r\n\r\n"));
        for odd in [
            &b"GET / HTTP/1.1\nA: b\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\nA: b\n\r\n",
            b"GET / HTTP/1.1\r\nA:b\r\n\r\n",
            b"GET / HTTP/1.1\r\nA:  b\r\n\r\n",
            b"GET / HTTP/1.1\r\nA:\tb\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b \r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\n\n",
            b"GET / HTTP/1.1\r\nA: \xe9\r\n\r\n",
            b"GET http://me:secret@h/ HTTP/1.1\r\n\r\n",
            b"GET http://H/ HTTP/1.1\r\n\r\n",
            b"GET http://h:80/ HTTP/1.1\r\n\r\n",
        ] {
            assert!(!plain(odd), "{}", odd.escape_ascii());
        }
    }

    #[test]
    fn what_came_of_a_head_is_read() {
        let head = Head::parse_cut_short(b"GET /x HTTP/1.1\r\nHost: h\r\nUser-Ag").unwrap();
        assert_eq!((head.target.as_str(), head.headers.len()), ("/x", 1));
        assert_eq!(Head::parse_cut_short(b"GET /x HT"), None);
    }

    #[test]
    fn many_headers_are_read_and_too_many_refused() {
        let head = |lines: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(lines));
        assert!(matches!(Head::parse(head(1000).as_bytes()), Parsed::Complete(..)));
        assert_eq!(Head::parse(head(5000).as_bytes()), Parsed::Invalid);
    }
}
