//! A line of an external engine, and a stored capture.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parallax::capture::Capture;
use parallax::engine::external::is_capture;

fuzz_target!(|bytes: &[u8]| {
    let _ = is_capture(bytes);
    if let Ok(capture) = serde_json::from_slice::<Capture>(bytes) {
        let again = serde_json::to_vec(&capture).expect("what was read can be written");
        assert_eq!(serde_json::from_slice::<Capture>(&again).expect("and read again"), capture);
    }
});
