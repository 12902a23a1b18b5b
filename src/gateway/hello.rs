//! A TLS client's **hello**, read from its raw records: what the TLS library does not tell, and the digest over all of it.

use sha2::Digest as _;

use super::tee::Tee;
use crate::capture::HelloDetail;

/// The longest hello that is read. Longer ones are the TLS library's affair, which refuses them.
const LONGEST: usize = 96 * 1024;

/// Waits until the hello at the stream's front is whole and reads it, leaving the stream as it was. `None` where it never
/// becomes whole, is too long or is none.
pub(super) async fn peek(stream: &mut Tee) -> Option<HelloDetail> {
    let mut message = Message::default();
    loop {
        match message.grow(stream.buffer()) {
            Front::Whole => return read(message.body()?),
            Front::Partial if stream.buffer().len() < LONGEST => {
                if stream.fill().await == 0 {
                    return None;
                }
            }
            Front::Partial | Front::None => return None,
        }
    }
}

/// The handshake message at a buffer's front, joined from its records as they come.
#[derive(Default)]
struct Message {
    joined: Vec<u8>,
    /// How much of the buffer is joined already.
    taken: usize,
}

/// What stands at a buffer's front.
#[derive(Debug, PartialEq)]
enum Front {
    /// A client's hello.
    Whole,
    Partial,
    None,
}

impl Message {
    /// Joins what records have become whole in `bytes`, which begins as it did the last time.
    fn grow(&mut self, bytes: &[u8]) -> Front {
        loop {
            if self.body().is_some() {
                return Front::Whole;
            }
            if self.joined.first().is_some_and(|kind| *kind != 1) {
                return Front::None;
            }
            let rest = bytes.get(self.taken..).unwrap_or_default();
            let [kind, _, _, high, low, rest @ ..] = rest else {
                return if rest.first().is_none_or(|kind| *kind == 0x16) { Front::Partial } else { Front::None };
            };
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if *kind != 0x16 || length == 0 {
                return Front::None;
            }
            let Some(record) = rest.get(..length) else { return Front::Partial };
            self.joined.extend_from_slice(record);
            self.taken += 5 + length;
        }
    }

    /// The hello's body, once it is whole.
    fn body(&self) -> Option<&[u8]> {
        let [1, a, b, c, rest @ ..] = self.joined.as_slice() else { return None };
        rest.get(..(usize::from(*a) << 16) | (usize::from(*b) << 8) | usize::from(*c))
    }
}

/// Takes values off the front of bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn short(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// What stands behind a length of one byte.
    fn short_list(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        self.take(length.into())
    }

    /// What stands behind a length of two bytes.
    fn list(&mut self) -> Option<&'a [u8]> {
        let length = self.short()?;
        self.take(length.into())
    }
}

/// The two-byte values of a list, greased ones left out.
fn values(list: &[u8]) -> Vec<u16> {
    let pairs = list.chunks_exact(2).map(|pair| pair.iter().fold(0, |value, byte| (value << 8) | u16::from(*byte)));
    pairs.filter(|value| !is_grease(*value)).collect()
}

/// RFC 8701: 0a0a, 1a1a, …
fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// Reads the body of a hello; what is missing at its end is empty.
fn read(hello: &[u8]) -> Option<HelloDetail> {
    let mut reader = Reader(hello);
    let legacy = reader.short()?;
    reader.take(32)?;
    reader.short_list()?;
    let suites = values(reader.list()?);
    reader.short_list()?;
    let mut extensions = Vec::new();
    let (mut groups, mut signatures, mut versions) = (Vec::new(), Vec::new(), Vec::new());
    let (mut named, mut protocol) = (false, None);
    let mut rest = Reader(reader.list().unwrap_or_default());
    while let (Some(kind), Some(data)) = (rest.short(), rest.list()) {
        if is_grease(kind) {
            continue;
        }
        extensions.push(kind);
        let mut data = Reader(data);
        match kind {
            0 => named = true,
            10 => groups = values(data.list().unwrap_or_default()),
            13 => signatures = values(data.list().unwrap_or_default()),
            16 => protocol = data.list().and_then(|list| Reader(list).short_list()),
            43 => versions = values(data.short_list().unwrap_or_default()),
            _ => {}
        }
    }
    let version = versions.into_iter().max().unwrap_or(legacy);
    let ja4 = ja4(version, named, &suites, &extensions, protocol, &signatures);
    Some(HelloDetail { extensions: hex(&extensions), groups: hex(&groups), signatures: hex(&signatures), ja4 })
}

fn hex(values: &[u16]) -> Vec<String> {
    values.iter().map(|value| format!("{value:04x}")).collect()
}

/// The digest as JA4 has it.
fn ja4(
    version: u16,
    named: bool,
    suites: &[u16],
    extensions: &[u16],
    protocol: Option<&[u8]>,
    signatures: &[u16],
) -> String {
    let version = match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        _ => "00",
    };
    let name = if named { 'd' } else { 'i' };
    let alpn = match protocol {
        Some([first, .., last]) => ends(*first, *last),
        Some([only]) => ends(*only, *only),
        _ => String::from("00"),
    };
    let sorted = |values: &[u16]| {
        let mut values = hex(values);
        values.sort_unstable();
        values.join(",")
    };
    // The name and the protocols are told apart already.
    let told: Vec<u16> = extensions.iter().copied().filter(|kind| !matches!(kind, 0 | 16)).collect();
    let mut second = sorted(&told);
    if !signatures.is_empty() {
        second = format!("{second}_{}", hex(signatures).join(","));
    }
    let counts = format!("{:02}{:02}", suites.len().min(99), extensions.len().min(99));
    format!("t{version}{name}{counts}{alpn}_{}_{}", digest(&sorted(suites)), digest(&second))
}

/// The first and the last character of a protocol; of their hex digits where they are not letters or digits.
fn ends(first: u8, last: u8) -> String {
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [first, last].map(char::from).iter().collect();
    }
    let (first, last) = (format!("{first:02x}"), format!("{last:02x}"));
    first.chars().take(1).chain(last.chars().skip(1)).collect()
}

fn digest(text: &str) -> String {
    if text.is_empty() {
        return String::from("000000000000");
    }
    ::hex::encode(sha2::Sha256::digest(text.as_bytes())).chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(values: &[u16]) -> Vec<u8> {
        let mut bytes = u16::try_from(values.len() * 2).unwrap().to_be_bytes().to_vec();
        bytes.extend(values.iter().flat_map(|value| value.to_be_bytes()));
        bytes
    }

    /// A hello in records of this many bytes.
    fn wire(suites: &[u16], extensions: &[(u16, Vec<u8>)], record: usize) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.push(0);
        body.extend(list(suites));
        body.extend([1, 0]);
        let mut all = Vec::new();
        for (kind, data) in extensions {
            all.extend(kind.to_be_bytes());
            all.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            all.extend(data);
        }
        body.extend(u16::try_from(all.len()).unwrap().to_be_bytes());
        body.extend(all);
        let mut message = vec![1];
        message.extend(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
        message.extend(body);
        message.chunks(record).fold(Vec::new(), |mut wire, chunk| {
            wire.extend([0x16, 3, 1]);
            wire.extend(u16::try_from(chunk.len()).unwrap().to_be_bytes());
            wire.extend(chunk);
            wire
        })
    }

    const SUITES: [u16; 16] = [
        0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d,
        0x002f, 0x0035,
    ];

    fn browser() -> Vec<(u16, Vec<u8>)> {
        let plain = [
            0x3a3a, 0x1b, 0x00, 0x33, 0x10, 0x4469, 0x17, 0x2d, 0x0d, 0x05, 0x23, 0x12, 0x2b, 0xff01, 0x0b, 0x0a, 0x15,
        ];
        plain
            .into_iter()
            .map(|kind: u16| {
                let data = match kind {
                    0x10 => vec![0, 3, 2, b'h', b'2'],
                    0x0d => list(&[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]),
                    0x2b => vec![6, 0x4a, 0x4a, 3, 4, 3, 3],
                    0x0a => list(&[0x2a2a, 0x001d, 0x0017]),
                    _ => Vec::new(),
                };
                (kind, data)
            })
            .collect()
    }

    fn whole(wire: &[u8]) -> Option<HelloDetail> {
        let mut message = Message::default();
        // As it comes off a slow line.
        for end in 0..wire.len() {
            assert_ne!(message.grow(&wire[..end]), Front::Whole, "{end}");
        }
        match message.grow(wire) {
            Front::Whole => read(message.body()?),
            _ => None,
        }
    }

    #[test]
    fn the_digest_is_the_published_one() {
        for record in [16_000, 100] {
            let detail = whole(&wire(&SUITES, &browser(), record)).unwrap();
            assert_eq!(detail.ja4, "t13d1516h2_8daaf6152771_e5627efa2ab1");
            assert_eq!(detail.groups, ["001d", "0017"]);
            assert_eq!(detail.extensions[..3], ["001b", "0000", "0033"]);
        }
        // Another order of extensions is the same client.
        let mut permuted = browser();
        permuted.reverse();
        assert_eq!(whole(&wire(&SUITES, &permuted, 16_000)).unwrap().ja4, "t13d1516h2_8daaf6152771_e5627efa2ab1");
    }

    #[test]
    fn no_bytes_are_too_odd() {
        let good = wire(&SUITES, &browser(), 64);
        for cut in 0..good.len() {
            let mut odd = good.clone();
            odd[cut] = !odd[cut];
            for bytes in [&good[..cut], &odd] {
                let mut message = Message::default();
                if message.grow(bytes) == Front::Whole {
                    let _ = message.body().and_then(read);
                }
            }
        }
        assert_eq!(whole(&wire(&[], &[], 100)).unwrap().ja4, "t12i000000_000000000000_000000000000");
        assert_eq!(Message::default().grow(&[0x16, 3, 1, 0, 0]), Front::None);
    }
}
