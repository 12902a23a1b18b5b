//! A request by way of a proxy: CONNECT, the absolute form, SOCKS 4 and 5, with whatever inside.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use parallax::gateway::entry::Parlour;
use parallax::scenario::Stub;

static PARLOUR: LazyLock<Parlour> = LazyLock::new(|| Parlour::open(Stub::default()).expect("a gateway"));

/// What stands before the fuzzer's bytes.
const BEFORE: [&[u8]; 6] = [
    b"CONNECT ",
    b"CONNECT api.example.com:443 HTTP/1.1\r\n\r\n",
    b"POST http://",
    b"\x05\x01\x00",
    b"\x05\x01\x00\x05\x01\x00\x03",
    b"\x04\x01",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((which, rest)) = bytes.split_first() else { return };
    let mut all = BEFORE[usize::from(*which) % BEFORE.len()].to_vec();
    all.extend_from_slice(rest);
    PARLOUR.hear(3128, &all).expect("reports that can be read");
});
