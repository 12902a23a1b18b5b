//! **Quantities** with units: deadlines such as `1m30s`, sizes such as `2GiB`.

use std::time::Duration;

/// Reads a span of time: one or more numbers, each with `ms`, `s`, `m` or `h`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (number, after) = digits(rest)?;
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let unit = match &after[..end] {
            "ms" => 1,
            "s" | "sec" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = after[end..].trim_start();
    }
    Some(Duration::from_millis(total))
}

/// Reads a size in bytes: a number with `B`, `KiB`, `MiB`, `GiB`, `TiB` (1024) or `kB`, `MB`, `GB`, `TB` (1000).
pub(super) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = digits(text.trim())?;
    let factor: u64 = match unit.trim() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn digits(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time() {
        for (text, millis) in [("60s", 60_000), ("1m30s", 90_000), ("2 min", 120_000), ("1h 5ms", 3_600_005), ("0s", 0)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "60", "s", "1.5s", "-1s", "1d", "1s1", "99999999999999999999s", "9999999999999999h"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, size) in [("2GiB", 2 << 30), ("512 MiB", 512 << 20), ("1kB", 1000), ("7B", 7)] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in ["", "2", "2G", "GiB", "-1MB", "1.5GiB", "99999999999TiB"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
