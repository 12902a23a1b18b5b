//! A request's **body**: how it is framed, and its bytes as they stood on the wire once chunked framing is taken off.

use super::head::Head;
use super::limits::Limits;
use super::tee::Tee;

/// The most bytes of one body that are kept.
pub(super) const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// Room that is made for a body before it comes.
const LIKELY_BODY: usize = 256 * 1024;

/// From how many missing bytes on they are read straight to where they are kept. For fewer, what follows them is better
/// read along.
const LARGE_PIECE: usize = 4 * 1024;

/// The longest line of chunked framing, and the most bytes of trailers.
const LONGEST_LINE: usize = 16 * 1024;

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After this many bytes.
    Length(u64),
    /// With its last chunk.
    Chunked,
}

/// A body as far as it came.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// Header lines after a chunked body.
    pub(super) trailers: Vec<(String, String)>,
    /// How it ended.
    pub(super) end: End,
    /// The lines around chunks and trailers that are not written as usual, with their ends.
    pub(super) framing: Vec<u8>,
}

impl Received {
    /// Keeps a line of framing.
    fn keep(&mut self, line: &[u8]) {
        if self.framing.len() + line.len() <= LONGEST_LINE {
            self.framing.extend_from_slice(line);
        }
    }
}

/// How a body ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    #[default]
    Whole,
    /// The connection ended first.
    CutShort,
    /// It is larger than what is kept.
    TooLarge,
    /// Its chunks are not framed as chunks are.
    Malformed,
}

/// How the body of a request with this head is framed; `None` when the head contradicts itself.
pub(super) fn framing(head: &Head) -> Option<Framing> {
    if head.has_token("transfer-encoding", "chunked") {
        return Some(Framing::Chunked);
    }
    let mut length = None;
    for value in head.values("content-length") {
        let value: u64 = value.trim().parse().ok()?;
        if length.is_some_and(|known| known != value) {
            return None;
        }
        length = Some(value);
    }
    Some(Framing::Length(length.unwrap_or(0)))
}

/// Whether a head says both where its body ends and that it comes in chunks, by which one server may be told one thing
/// and the next another.
pub(super) fn has_both_framings(head: &Head) -> bool {
    head.has_token("transfer-encoding", "chunked") && head.header("content-length").is_some()
}

/// Reads a body off the stream.
pub(super) async fn receive(stream: &mut Tee, framing: Framing, limits: &Limits) -> Received {
    let mut received = Received::default();
    received.end = match framing {
        Framing::Length(length) => take(stream, length, &mut received.bytes, limits).await,
        Framing::Chunked => chunks(stream, &mut received, limits).await,
    };
    received
}

/// Moves `length` bytes from the stream to `into`.
async fn take(stream: &mut Tee, length: u64, into: &mut Vec<u8>, limits: &Limits) -> End {
    let mut wanted = length;
    // What a head claims is no reason to take more memory than a body usually has.
    into.reserve(usize::try_from(wanted).unwrap_or(usize::MAX).min(LIKELY_BODY));
    while wanted > 0 {
        let room = LARGEST_BODY - into.len();
        let most = room.min(usize::try_from(wanted).unwrap_or(usize::MAX));
        if stream.buffer().is_empty() && most >= LARGE_PIECE {
            let came = stream.read_onto(into, most).await;
            if came == 0 {
                return End::CutShort;
            }
            let kept = limits.body(came);
            into.truncate(into.len() - (came - kept));
            wanted -= kept as u64;
            if kept < came {
                limits.drop("bytes of bodies", wanted);
                return End::TooLarge;
            }
            continue;
        }
        if stream.buffer().is_empty() && stream.fill().await == 0 {
            return End::CutShort;
        }
        let here = limits.body(stream.buffer().len().min(most));
        if here == 0 {
            limits.drop("bytes of bodies", wanted);
            return End::TooLarge;
        }
        into.extend_from_slice(&stream.buffer()[..here]);
        stream.consume(here);
        wanted -= here as u64;
    }
    End::Whole
}

async fn chunks(stream: &mut Tee, received: &mut Received, limits: &Limits) -> End {
    loop {
        let line = match raw_line(stream).await {
            Ok(line) => line,
            Err(end) => return end,
        };
        let size = without_end(&line).split(|byte| *byte == b';').next().unwrap_or_default();
        let Some(size) = std::str::from_utf8(size).ok().and_then(|digits| hex_size(digits.trim())) else {
            return End::Malformed;
        };
        // Digits alone say no more than the length does, in whichever case.
        if !line.eq_ignore_ascii_case(format!("{size:x}\r\n").as_bytes()) {
            received.keep(&line);
        }
        if size == 0 {
            return trailers(stream, received).await;
        }
        match take(stream, size, &mut received.bytes, limits).await {
            End::Whole => {}
            end => return end,
        }
        match raw_line(stream).await {
            Ok(line) if line == b"\r\n" => {}
            Ok(line) if line == b"\n" => received.keep(&line),
            Ok(_) => return End::Malformed,
            Err(end) => return end,
        }
    }
}

/// A chunk's size. Stricter than `from_str_radix`, which takes a sign.
fn hex_size(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

async fn trailers(stream: &mut Tee, received: &mut Received) -> End {
    let mut read = 0;
    loop {
        let line = match raw_line(stream).await {
            Ok(line) => line,
            Err(end) => return end,
        };
        if without_end(&line).is_empty() {
            if line != b"\r\n" {
                received.keep(&line);
            }
            return End::Whole;
        }
        read += line.len();
        let text = super::head::text(without_end(&line));
        match text.split_once(':') {
            Some((name, value)) if read <= LONGEST_LINE => {
                let value = value.trim();
                if line != format!("{name}: {value}\r\n").as_bytes() {
                    received.keep(&line);
                }
                received.trailers.push((name.to_owned(), value.to_owned()));
            }
            _ => return End::Malformed,
        }
    }
}

/// Reads up to the next line feed; gives the line with its end.
async fn raw_line(stream: &mut Tee) -> Result<Vec<u8>, End> {
    loop {
        if let Some(end) = stream.buffer().iter().position(|byte| *byte == b'\n') {
            let line = stream.buffer()[..=end].to_vec();
            stream.consume(end + 1);
            return Ok(line);
        }
        if stream.buffer().len() > LONGEST_LINE {
            return Err(End::Malformed);
        }
        if stream.fill().await == 0 {
            return Err(End::CutShort);
        }
    }
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &str) -> Head {
        match Head::parse(format!("POST / HTTP/1.1\r\n{lines}\r\n").as_bytes()) {
            super::super::head::Parsed::Complete(head, _) => head,
            other => panic!("{other:?}"),
        }
    }

    async fn chunked(wire: &'static [u8]) -> Received {
        receive(&mut Tee::new(Box::new(tokio_test_stream(wire))), Framing::Chunked, &Limits::default()).await
    }

    /// A stream that gives these bytes and then ends.
    fn tokio_test_stream(wire: &'static [u8]) -> impl super::super::tee::Duplex {
        tokio::io::join(wire, tokio::io::sink())
    }

    #[test]
    fn framing_follows_the_head() {
        assert_eq!(framing(&head("")), Some(Framing::Length(0)));
        assert_eq!(framing(&head("content-length: 12\r\n")), Some(Framing::Length(12)));
        assert_eq!(framing(&head("Content-Length: 1\r\nContent-Length: 1\r\n")), Some(Framing::Length(1)));
        assert_eq!(framing(&head("Content-Length: 1\r\nContent-Length: 2\r\n")), None);
        assert_eq!(framing(&head("Content-Length: -1\r\n")), None);
        assert_eq!(framing(&head("Transfer-Encoding: gzip, Chunked\r\ncontent-length: 3\r\n")), Some(Framing::Chunked));
    }

    #[tokio::test]
    async fn chunks_are_joined_and_trailers_kept() {
        let received = chunked(b"4;x=y\r\nwiki\r\n5\r\npedia\r\n0\r\nX-Sum: 1\r\n\r\n").await;
        assert_eq!((received.bytes.as_slice(), received.end), (&b"wikipedia"[..], End::Whole));
        assert_eq!(received.trailers, [("X-Sum".to_owned(), "1".to_owned())]);
        assert_eq!(received.framing, b"4;x=y\r\n", "what stands in a record otherwise is not kept");
        let odd = chunked(b"04\r\nwiki\r\nA\r\n0123456789\n0\nX-Sum:1\r\n\n").await;
        assert_eq!((odd.framing.as_slice(), odd.end), (&b"04\r\n\n0\nX-Sum:1\r\n\n"[..], End::Whole));
    }

    #[tokio::test]
    async fn what_is_read_straight_is_counted_and_takes_nothing_of_what_follows() {
        let mut wire = vec![b'x'; 300_000];
        wire.extend_from_slice(b"GET / ");
        let limits = Limits::default();
        for (known, kept, end) in [(300_000, 300_000, End::Whole), (300_007, 300_006, End::CutShort)] {
            let mut stream = Tee::new(Box::new(tokio_test_stream(wire.clone().leak())));
            let received = receive(&mut stream, Framing::Length(known), &limits).await;
            assert_eq!((received.bytes.len(), received.end), (kept, end));
            assert_eq!(stream.first_bytes(), &wire[..256]);
            if end == End::Whole {
                assert!(stream.fill().await > 0);
                assert_eq!(stream.buffer(), b"GET / ");
            }
        }
        // Room for ten bytes more.
        let limits = Limits::default();
        limits.body((256 << 20) - 10);
        let mut stream = Tee::new(Box::new(tokio_test_stream(wire.leak())));
        let received = receive(&mut stream, Framing::Length(300_000), &limits).await;
        assert_eq!((received.bytes.len(), received.end), (10, End::TooLarge));
        assert_eq!(limits.dropped()[0].count, 299_990);
    }

    #[tokio::test]
    async fn bad_and_short_chunks_keep_what_came() {
        let short = chunked(b"4\r\nwiki\r\n5\r\nped").await;
        assert_eq!((short.bytes.as_slice(), short.end), (&b"wikiped"[..], End::CutShort));
        for bad in [&b"+4\r\nwiki\r\n"[..], b"zz\r\n", b"4\r\nwikipedia\r\n", b"\r\n", b"fffffffffffffffff\r\n"] {
            let bad = chunked(bad).await;
            assert!(matches!(bad.end, End::Malformed), "{bad:?}");
        }
    }
}
