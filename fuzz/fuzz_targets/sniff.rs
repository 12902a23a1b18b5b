//! A connection of whatever bytes, on whatever port: TLS, HTTP/1 and 2, WebSockets, SOCKS, DNS, and none of them.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use parallax::gateway::entry::Parlour;
use parallax::scenario::Stub;

static PARLOUR: LazyLock<Parlour> =
    LazyLock::new(|| Parlour::open(Stub { websocket: true, ..Stub::default() }).expect("a gateway"));

fuzz_target!(|bytes: &[u8]| {
    let Some((port, rest)) = bytes.split_first() else { return };
    let port = [80, 443, 53, 853, 4317][usize::from(*port) % 5];
    let heard = PARLOUR.hear(port, rest).expect("reports that can be read");
    assert!(heard.reports.len() < 10_000);
});
