//! A run's file of records: bytes as they are, and a line of whatever JSON in a frame that is whole, behind a good record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parallax::store::entry::{framed, read, written};

fuzz_target!(|bytes: &[u8]| {
    let framed = framed(bytes).expect("a frame");
    for file in [bytes, &framed, &[framed.as_slice(), bytes].concat()] {
        if let Ok(records) = read(file) {
            let once = written(&records).expect("what was read has no body, and can be written");
            assert_eq!(read(&once).expect("and read again"), records);
        }
    }
});
