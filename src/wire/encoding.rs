//! Takes **content encodings** off a body, within a limit: a few bytes can unfold into gigabytes.

use std::borrow::Cow;
use std::io::Read;

/// The most bytes that a body may unfold into.
const LARGEST: u64 = 64 * 1024 * 1024;

/// The most encodings that are taken off. One is usual; of bytes that unfold into themselves a header could name thousands.
const MOST_LAYERS: usize = 8;

/// The body as it was before the encodings that `Content-Encoding` names. `None` when one of them is unknown, does not
/// fit the bytes, or unfolds beyond 64 MiB, and when there are more than eight.
#[must_use]
pub fn decode<'a>(content_encoding: Option<&str>, body: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let mut bytes = Cow::Borrowed(body);
    let named = content_encoding.unwrap_or_default().split(',').map(str::trim).filter(|encoding| !encoding.is_empty());
    let encodings: Vec<_> = named.map(str::to_ascii_lowercase).take(MOST_LAYERS + 1).collect();
    if encodings.len() > MOST_LAYERS {
        return None;
    }
    // The last named was applied last.
    for encoding in encodings.iter().rev() {
        bytes = match encoding.as_str() {
            "identity" => bytes,
            "gzip" | "x-gzip" => Cow::Owned(unfold(flate2::read::MultiGzDecoder::new(bytes.as_ref()))?),
            "deflate" => Cow::Owned(
                unfold(flate2::read::ZlibDecoder::new(bytes.as_ref()))
                    .or_else(|| unfold(flate2::read::DeflateDecoder::new(bytes.as_ref())))?,
            ),
            "br" => Cow::Owned(unfold(brotli::Decompressor::new(bytes.as_ref(), 4096))?),
            "zstd" => Cow::Owned(unfold(zstd::stream::read::Decoder::new(bytes.as_ref()).ok()?)?),
            _ => return None,
        };
    }
    Some(bytes)
}

fn unfold(reader: impl Read) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(LARGEST + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= LARGEST).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn encodings_are_taken_off_in_turn() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"hello").unwrap();
        let gzip = gzip.finish().unwrap();
        let both = zstd::encode_all(gzip.as_slice(), 1).unwrap();
        assert_eq!(decode(Some("gzip"), &gzip).unwrap().as_ref(), b"hello");
        assert_eq!(decode(Some("gzip, zstd"), &both).unwrap().as_ref(), b"hello");
        assert_eq!(decode(None, b"hello").unwrap().as_ref(), b"hello");
        let mut brotli = Vec::new();
        brotli::CompressorWriter::new(&mut brotli, 4096, 4, 20).write_all(b"hello").unwrap();
        assert_eq!(decode(Some("br"), &brotli).unwrap().as_ref(), b"hello");
    }

    #[test]
    fn more_layers_than_anybody_has_are_not_taken_off() {
        let mut packed = b"hello".to_vec();
        for layers in 1..=MOST_LAYERS + 1 {
            packed = zstd::encode_all(packed.as_slice(), 1).unwrap();
            let unfolded = decode(Some(&vec!["zstd"; layers].join(",")), &packed);
            assert_eq!(unfolded.as_deref(), (layers <= MOST_LAYERS).then_some(&b"hello"[..]), "{layers}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for encoding in ["gzip", "deflate", "zstd", "br", "rot13"] {
            assert_eq!(decode(Some(encoding), b"\xff\xfe plain"), None, "{encoding}");
        }
    }
}
