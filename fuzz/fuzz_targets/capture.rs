//! What is read from outside while cells run: a line of an external engine, and what a gateway says, bodies and all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parallax::engine::external::is_capture;
use parallax::gateway::entry::{reports, said};

fuzz_target!(|bytes: &[u8]| {
    let _ = is_capture(bytes);
    if let Ok(read) = reports(bytes) {
        let once = said(read).expect("what was read can be written");
        let again = said(reports(&once).expect("and read again")).expect("and written again");
        assert_eq!(once, again);
    }
});
