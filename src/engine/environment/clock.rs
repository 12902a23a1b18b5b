//! The **clock** that a cell's programs find: a library that is loaded before their C library and answers for it. Namespaces
//! have no date of their own (a time namespace moves only the clocks that count from boot).
//!
//! It stands in every cell of a run that varies the clock, at every level, and is named by the loader's own list, not by a
//! variable: no environment shows it, and none that a program cleans loses it. What is linked statically or asks the kernel
//! itself, as Go programs do, sees the machine's date.

use crate::scenario::ClockSetting;

/// The library, empty where this program was built without it.
const LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/clock.so"));

/// What stands in the library before the seconds.
const MARK: &[u8] = b"clock is set by seconds:";

/// Where the library stands in a pod, under a name that says nothing.
pub(super) const PLACE: &str = "/usr/local/lib/libtime.so";

/// The loader's list of what is loaded first.
pub(super) const LIST: &str = "/etc/ld.so.preload";

/// Whether this program has the library.
#[must_use]
pub fn can_be_set() -> bool {
    !LIBRARY.is_empty()
}

/// The library for a clock set like this in a cell that begins at `now_ms` by the machine's clock.
#[must_use]
pub fn library(setting: ClockSetting, now_ms: i64) -> Vec<u8> {
    // Rounded up: a cell never begins before its instant.
    let seconds = now_ms.saturating_sub(setting.at_start(now_ms)).div_euclid(1000).saturating_neg();
    let mut bytes = LIBRARY.to_vec();
    if let Some(at) = bytes.windows(MARK.len()).position(|window| window == MARK) {
        let place = at + MARK.len();
        if let Some(field) = bytes.get_mut(place..place + 8) {
            field.copy_from_slice(&seconds.to_ne_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seconds_stand_behind_the_mark_and_nothing_else_changes() {
        if !can_be_set() {
            return; // Nothing was built to look into.
        }
        let plain = library(ClockSetting::NOW, 0);
        assert_eq!(plain, LIBRARY);
        assert_eq!(plain.windows(MARK.len()).filter(|window| *window == MARK).count(), 1);
        let set = library(ClockSetting::Offset(-3), 5000);
        let at = plain.windows(MARK.len()).position(|window| window == MARK).unwrap() + MARK.len();
        assert_eq!(set[at..at + 8], (-3_i64).to_ne_bytes());
        assert_eq!((&set[..at], &set[at + 8..]), (&plain[..at], &plain[at + 8..]));
        // An instant is reached however far the machine's clock is from it; never before it.
        assert_eq!(library(ClockSetting::Instant(100), 40_300)[at..at + 8], 60_i64.to_ne_bytes());
    }
}
