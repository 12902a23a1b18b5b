//! **Packing** of a file that is written and read as a whole.

use std::io::{self, Read as _};

/// What was packed is never longer than this: a damaged file must not take all memory.
const LONGEST: u64 = 1 << 30;
/// How hard to pack: small gains are not worth a second.
const LEVEL: i32 = 3;

/// Packs bytes.
///
/// # Errors
/// Those of the compressor.
pub fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    zstd::encode_all(bytes, LEVEL)
}

/// Gives back what was packed.
///
/// # Errors
/// When it is not whole.
pub fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    zstd::stream::read::Decoder::new(packed)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}
