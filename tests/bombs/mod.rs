//! Decompression **bombs**: some kilobytes that unfold into a gigabyte of nothing, one in every encoding that is read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;

/// What each unfolds into.
pub(crate) const UNFOLDED: usize = 1 << 30;

/// Bytes that are packed once; the rest is the same again.
const PIECE: usize = 1 << 20;

/// Every encoding and its bomb. Bombs are honest: whoever takes off all of it gets `UNFOLDED` bytes.
pub(crate) fn bombs() -> [(&'static str, Vec<u8>); 4] {
    let piece = vec![b' '; PIECE];
    let pieces = UNFOLDED / PIECE;

    // Members of gzip and frames of zstd may follow one another.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&piece).unwrap();
    let gzip = gzip.finish().unwrap().repeat(pieces);
    let zstd = zstd::encode_all(piece.as_slice(), 19).unwrap().repeat(pieces);

    // So may blocks of deflate that look back at nothing; what ends the stream is an empty one.
    let mut deflate = flate2::Compress::new(flate2::Compression::best(), false);
    let mut block = Vec::with_capacity(PIECE);
    deflate.compress_vec(&piece, &mut block, flate2::FlushCompress::Full).unwrap();
    let deflate = [block.repeat(pieces), vec![3, 0]].concat();

    let mut brotli = brotli::CompressorWriter::new(Vec::new(), 4096, 1, 22);
    for _ in 0..pieces {
        brotli.write_all(&piece).unwrap();
    }
    [("gzip", gzip), ("deflate", deflate), ("br", brotli.into_inner()), ("zstd", zstd)]
}

/// MB that this process, or another one, has ever had in memory at once.
pub(crate) fn peak_memory(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1000
}
