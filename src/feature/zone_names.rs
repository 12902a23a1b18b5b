//! English names of time zones, by the abbreviation and the area that it is used in.

const NAMES: [(&str, &str, &str, &str); 34] = [
    ("UTC", "", "Coordinated Universal Time", "Universal"),
    ("JST", "", "Japan Standard Time", "Japan"),
    ("KST", "", "Korean Standard Time", "Korea"),
    ("CST", "Asia/", "China Standard Time", "China"),
    ("CST", "America/", "Central Standard Time", "Central Time"),
    ("CDT", "America/", "Central Daylight Time", "Central Time"),
    ("EST", "America/", "Eastern Standard Time", "Eastern Time"),
    ("EDT", "America/", "Eastern Daylight Time", "Eastern Time"),
    ("MST", "America/", "Mountain Standard Time", "Mountain Time"),
    ("MDT", "America/", "Mountain Daylight Time", "Mountain Time"),
    ("PST", "America/", "Pacific Standard Time", "Pacific Time"),
    ("PDT", "America/", "Pacific Daylight Time", "Pacific Time"),
    ("PST", "Asia/", "Philippine Standard Time", "Philippines"),
    ("AKST", "", "Alaska Standard Time", "Alaska"),
    ("AKDT", "", "Alaska Daylight Time", "Alaska"),
    ("HST", "", "Hawaii-Aleutian Standard Time", "Hawaii"),
    ("AST", "America/", "Atlantic Standard Time", "Atlantic Time"),
    ("ADT", "America/", "Atlantic Daylight Time", "Atlantic Time"),
    ("NST", "", "Newfoundland Standard Time", "Newfoundland"),
    ("GMT", "", "Greenwich Mean Time", "GMT"),
    ("BST", "Europe/", "British Summer Time", "United Kingdom"),
    ("WET", "", "Western European Standard Time", "Western Europe"),
    ("WEST", "", "Western European Summer Time", "Western Europe"),
    ("CET", "", "Central European Standard Time", "Central Europe"),
    ("CEST", "", "Central European Summer Time", "Central Europe"),
    ("EET", "", "Eastern European Standard Time", "Eastern Europe"),
    ("EEST", "", "Eastern European Summer Time", "Eastern Europe"),
    ("MSK", "", "Moscow Standard Time", "Russia"),
    ("IST", "Asia/", "India Standard Time", "India"),
    ("HKT", "", "Hong Kong Standard Time", "Hong Kong"),
    ("AEST", "", "Australian Eastern Standard Time", "Eastern Australia"),
    ("AEDT", "", "Australian Eastern Daylight Time", "Eastern Australia"),
    ("NZST", "", "New Zealand Standard Time", "New Zealand"),
    ("NZDT", "", "New Zealand Daylight Time", "New Zealand"),
];

/// The long and the generic name of what is called `abbreviation` in `zone`.
pub(super) fn english(zone: &str, abbreviation: &str) -> Option<(&'static str, &'static str)> {
    NAMES
        .iter()
        .find(|(short, area, ..)| *short == abbreviation && zone.starts_with(area))
        .map(|(_, _, long, generic)| (*long, *generic))
}

const LANGUAGES: [(&str, &str); 24] = [
    ("en", "English"),
    ("de", "German"),
    ("fr", "French"),
    ("es", "Spanish"),
    ("pt", "Portuguese"),
    ("it", "Italian"),
    ("nl", "Dutch"),
    ("sv", "Swedish"),
    ("da", "Danish"),
    ("nb", "Norwegian"),
    ("fi", "Finnish"),
    ("pl", "Polish"),
    ("cs", "Czech"),
    ("ru", "Russian"),
    ("uk", "Ukrainian"),
    ("tr", "Turkish"),
    ("ar", "Arabic"),
    ("he", "Hebrew"),
    ("hi", "Hindi"),
    ("ja", "Japanese"),
    ("zh", "Chinese"),
    ("ko", "Korean"),
    ("vi", "Vietnamese"),
    ("id", "Indonesian"),
];

/// The English name of a language.
pub(super) fn language(tag: &str) -> Option<&'static str> {
    LANGUAGES.iter().find(|(code, _)| *code == tag).map(|(_, name)| *name)
}
