//! A line of an external engine, and a line of a gateway.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parallax::engine::external::is_capture;
use parallax::gateway::protocol::Report;

fuzz_target!(|bytes: &[u8]| {
    let _ = is_capture(bytes);
    if let Ok(report) = serde_json::from_slice::<Report>(bytes) {
        let again = serde_json::to_vec(&report).expect("what was read can be written");
        serde_json::from_slice::<Report>(&again).expect("and read again");
    }
});
