//! Named **level sets**: `timezones:all`, `timezones:cover`, `locales:common`, `hosts:FILE`.

use std::path::Path;

/// The names of the sets, for messages.
pub(super) const SETS: &str = "`timezones:all`, `timezones:cover`, `locales:common` and `hosts:FILE`";

/// One zone for each offset from UTC that is in use (in January or in July), and beside it, for the common offsets,
/// others that show the same time: what differs between those is not the clock but the name. UTC comes first, as the
/// baseline.
const COVER: [&str; 74] = [
    "UTC",
    "Africa/Abidjan",
    "Europe/London",
    "Etc/GMT+12",
    "Pacific/Pago_Pago",
    "Pacific/Honolulu",
    "Pacific/Marquesas",
    "Pacific/Gambier",
    "America/Anchorage",
    "America/Los_Angeles",
    "America/Tijuana",
    "America/Vancouver",
    "America/Denver",
    "America/Phoenix",
    "America/Chicago",
    "America/Mexico_City",
    "America/New_York",
    "America/Toronto",
    "America/Bogota",
    "America/Halifax",
    "America/Caracas",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Argentina/Buenos_Aires",
    "America/Nuuk",
    "America/Noronha",
    "Atlantic/Azores",
    "Atlantic/Cape_Verde",
    "Europe/Berlin",
    "Europe/Paris",
    "Africa/Lagos",
    "Europe/Kyiv",
    "Africa/Cairo",
    "Africa/Johannesburg",
    "Asia/Jerusalem",
    "Europe/Moscow",
    "Europe/Minsk",
    "Europe/Istanbul",
    "Africa/Nairobi",
    "Asia/Tehran",
    "Asia/Dubai",
    "Asia/Kabul",
    "Asia/Karachi",
    "Asia/Tashkent",
    "Asia/Kolkata",
    "Asia/Colombo",
    "Asia/Kathmandu",
    "Asia/Dhaka",
    "Asia/Urumqi",
    "Asia/Yangon",
    "Asia/Bangkok",
    "Asia/Jakarta",
    "Asia/Ho_Chi_Minh",
    "Asia/Shanghai",
    "Asia/Hong_Kong",
    "Asia/Macau",
    "Asia/Taipei",
    "Asia/Singapore",
    "Asia/Manila",
    "Australia/Perth",
    "Australia/Eucla",
    "Asia/Tokyo",
    "Asia/Seoul",
    "Asia/Pyongyang",
    "Australia/Darwin",
    "Australia/Adelaide",
    "Australia/Brisbane",
    "Australia/Sydney",
    "Australia/Lord_Howe",
    "Pacific/Noumea",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Tongatapu",
    "Pacific/Kiritimati",
];

const LOCALES: [&str; 24] = [
    "en_US.UTF-8",
    "C.UTF-8",
    "en_GB.UTF-8",
    "en_IN.UTF-8",
    "ar_EG.UTF-8",
    "cs_CZ.UTF-8",
    "de_DE.UTF-8",
    "es_ES.UTF-8",
    "fa_IR.UTF-8",
    "fr_FR.UTF-8",
    "he_IL.UTF-8",
    "hi_IN.UTF-8",
    "it_IT.UTF-8",
    "ja_JP.UTF-8",
    "ko_KR.UTF-8",
    "nl_NL.UTF-8",
    "pl_PL.UTF-8",
    "pt_BR.UTF-8",
    "ru_RU.UTF-8",
    "tr_TR.UTF-8",
    "uk_UA.UTF-8",
    "vi_VN.UTF-8",
    "zh_CN.UTF-8",
    "zh_TW.UTF-8",
];

/// Why a named set has no levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SetError {
    /// There is no set of this name.
    Unknown,
    /// Its file cannot be read.
    Unreadable(String),
}

/// The levels of a named set. `folder` is what a set's file is resolved against.
pub(super) fn named(set: &str, folder: &Path) -> Result<Vec<String>, SetError> {
    match set.split_once(':') {
        Some(("timezones", "all")) => Ok(all_zones()),
        Some(("timezones", "cover")) => Ok(COVER.map(String::from).to_vec()),
        Some(("locales", "common")) => Ok(LOCALES.map(String::from).to_vec()),
        Some(("hosts", file)) if !file.is_empty() => {
            let path = folder.join(file);
            let text = fs_err::read_to_string(&path).map_err(|error| SetError::Unreadable(error.to_string()))?;
            Ok(lines(&text))
        }
        _ => Err(SetError::Unknown),
    }
}

/// Every zone of the database, UTC first.
fn all_zones() -> Vec<String> {
    let mut zones = vec![String::from("UTC")];
    zones.extend(chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name().to_owned()).filter(|name| name != "UTC"));
    zones
}

/// One entry a line; what follows a `#` at the start of a word is a comment (elsewhere it belongs to a URL).
fn lines(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|word| !word.starts_with('#'))
        .map(String::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::{NaiveDate, Offset as _, TimeZone as _};

    use super::*;

    fn offsets(names: &[String]) -> BTreeSet<i32> {
        let mut offsets = BTreeSet::new();
        for month in [1, 7] {
            let instant = NaiveDate::from_ymd_opt(2026, month, 15).unwrap().and_hms_opt(12, 0, 0).unwrap();
            for name in names {
                let zone: chrono_tz::Tz = name.parse().unwrap();
                offsets.insert(zone.offset_from_utc_datetime(&instant).fix().local_minus_utc());
            }
        }
        offsets
    }

    #[test]
    fn the_cover_has_every_offset_that_any_zone_has() {
        let all = named("timezones:all", Path::new(".")).unwrap();
        let cover = named("timezones:cover", Path::new(".")).unwrap();
        assert_eq!(all[0], "UTC");
        assert_eq!(cover[0], "UTC");
        assert!(all.len() > 500);
        assert_eq!(offsets(&cover), offsets(&all));
        assert_eq!(cover.iter().collect::<BTreeSet<_>>().len(), cover.len());
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn the_cover_has_controls_that_show_the_same_time() {
        let cover = named("timezones:cover", Path::new(".")).unwrap();
        let at = |name: &str| offsets(&[name.to_owned()]);
        for (a, b) in [("Asia/Shanghai", "Asia/Singapore"), ("Asia/Tokyo", "Asia/Seoul"), ("UTC", "Africa/Abidjan")] {
            assert!(cover.iter().any(|zone| zone == a) && cover.iter().any(|zone| zone == b));
            assert_eq!(at(a), at(b));
        }
    }

    #[test]
    fn hosts_come_from_a_file_beside_the_scenario() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("h.txt"), "# gateways\na.example\n\n https://b.example/v1#x  # note\n")
            .unwrap();
        assert_eq!(named("hosts:h.txt", folder.path()).unwrap(), ["a.example", "https://b.example/v1#x"]);
        assert!(
            matches!(named("hosts:missing.txt", folder.path()), Err(SetError::Unreadable(why)) if why.contains("missing.txt"))
        );
        for unknown in ["hosts:", "timezones:some", "timezones", ""] {
            assert_eq!(named(unknown, folder.path()), Err(SetError::Unknown), "{unknown}");
        }
    }
}
