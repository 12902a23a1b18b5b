//! **Echoes**: the forms in which a level of a factor may stand in what an agent sends, literal and derived. Whether a
//! form found in a text *is* an echo is decided elsewhere, over all captures (`column.rs`): `dev` also stands in `/dev`.

use base64::Engine as _;
use chrono::{DateTime, Offset as _, TimeZone as _, Utc};
use chrono_tz::{OffsetName as _, Tz};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Digest as _;

use super::zone_names;
use crate::scenario::FactorKind;

/// One form of a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// What it is, the same word for every level of a factor.
    pub(super) name: &'static str,
    /// What it looks like.
    pub(super) text: String,
}

/// The name of the form that matches any prefix (8 digits and more) of a digest.
const DIGEST: &str = "sha256";

/// What RFC 3986 leaves as it is; what JavaScript does; either with slashes, as in paths.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const COMPONENT: &AsciiSet = &UNRESERVED.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

/// All forms of a level. Plain forms come first. `reference` is the run's time: a zone's offset depends on it.
pub(super) fn forms(kind: &FactorKind, level: &str, reference: DateTime<Utc>) -> Vec<Form> {
    let mut list = Forms(Vec::new());
    if *kind == FactorKind::Clock {
        // What an agent says of it is a date, and held against the cell's clock.
        return list.0;
    }
    list.add("raw", level);
    match kind {
        FactorKind::Timezone => zone(level, reference, &mut list),
        FactorKind::Locale => locale(level, &mut list),
        FactorKind::User => {
            list.add("home", &format!("/home/{level}"));
            list.add("home with hyphens", &format!("-home-{level}"));
            list.add("home on a Mac", &format!("/Users/{level}"));
        }
        _ => {}
    }
    if level.contains("://") {
        address(level, &mut list);
    } else if level.contains('/') {
        list.add("base name", level.rsplit('/').next().unwrap_or_default());
        list.add("with hyphens", &level.replace(['/', '.'], "-"));
        list.add("with hyphens", &level.replace('/', "-"));
        list.add("with underscores", &level.replace('/', "_"));
    } else if let Some((first, rest)) = level.split_once('.') {
        list.add("first label", first);
        list.add("domain", rest);
    }
    list.add("lower case", &level.to_lowercase());
    list.add("upper case", &level.to_uppercase());
    let mut first = level.chars();
    let capital: String = first.next().into_iter().flat_map(char::to_uppercase).chain(first).collect();
    list.add("capitalised", &capital);
    for set in [UNRESERVED, COMPONENT, PATH, NON_ALPHANUMERIC] {
        let encoded = utf8_percent_encode(level, set).to_string();
        list.add("url-encoded", &encoded.replace("%20", "+"));
        list.add("url-encoded", &lower_case_escapes(&encoded));
        list.add("url-encoded", &encoded);
    }
    list.add("base64", &base64::engine::general_purpose::STANDARD.encode(level));
    list.add("base64", &base64::engine::general_purpose::STANDARD_NO_PAD.encode(level));
    list.add("base64", &base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(level));
    let digest = sha2::Sha256::digest(level.as_bytes());
    list.add(DIGEST, &hex::encode(digest));
    list.add("digest in base64", &base64::engine::general_purpose::STANDARD.encode(digest));
    list.add("digest in base64", &base64::engine::general_purpose::STANDARD_NO_PAD.encode(digest));
    list.add("digest in base64", &base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest));
    list.add("hex", &hex::encode(level.as_bytes()));
    list.0
}

/// `%3A` as `%3a`.
fn lower_case_escapes(encoded: &str) -> String {
    let mut escape = 0;
    encoded
        .chars()
        .map(|c| {
            escape = if c == '%' { 2 } else { i32::max(escape - 1, -1) };
            if escape >= 0 { c.to_ascii_lowercase() } else { c }
        })
        .collect()
}

struct Forms(Vec<Form>);

impl Forms {
    fn push(&mut self, name: &'static str, text: &str) {
        self.0.push(Form { name, text: text.to_owned() });
    }

    /// Adds a form, even one that looks like a form of another name: at another level the two may differ.
    fn add(&mut self, name: &'static str, text: &str) {
        if text.chars().any(char::is_alphanumeric) && !self.0.iter().any(|form| form.text == text && form.name == name)
        {
            self.push(name, text);
        }
    }
}

fn zone(level: &str, reference: DateTime<Utc>, list: &mut Forms) {
    let city = level.rsplit('/').next().unwrap_or(level);
    list.add("city", city);
    list.add("city in words", &city.replace('_', " "));
    list.add("area", level.split('/').next().unwrap_or(level));
    let Ok(zone) = level.parse::<Tz>() else { return };
    let offset = zone.offset_from_utc_datetime(&reference.naive_utc());
    if let Some(short) = offset.abbreviation() {
        if let Some((long, generic)) = zone_names::english(level, short) {
            list.add("English name", long);
            list.add("generic English name", generic);
        }
        list.add("abbreviation", short);
    }
    let seconds = offset.fix().local_minus_utc();
    let (sign, h, m) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 3600, seconds.abs() / 60 % 60);
    let short = if m == 0 { format!("{sign}{h}") } else { format!("{sign}{h}:{m:02}") };
    for lead in ["UTC", "GMT", "UTC ", "GMT ", ""] {
        list.add("offset with colon", &format!("{lead}{sign}{h:02}:{m:02}"));
        list.add("offset without colon", &format!("{lead}{sign}{h:02}{m:02}"));
        if !lead.is_empty() {
            list.add("short offset", &format!("{lead}{short}"));
        }
    }
    list.add("minutes of offset", &(seconds / 60).to_string());
    list.add("minutes behind", &(-seconds / 60).to_string());
    list.add("seconds of offset", &seconds.to_string());
    list.add("hours of offset", &short);
    list.add("hours of offset, bare", short.trim_start_matches('+'));
}

fn locale(level: &str, list: &mut Forms) {
    let (tag, codeset) = level.split_once('.').unwrap_or((level, ""));
    list.add("tag", tag);
    list.add("tag with hyphen", &tag.replace('_', "-"));
    let (language, region) = tag.split_once('_').unwrap_or((tag, ""));
    list.add("language", language);
    list.add("region", region);
    if let Some(name) = zone_names::language(language) {
        list.add("language in English", name);
        list.add("language in English, lower case", &name.to_lowercase());
    }
    list.add("codeset", codeset);
}

fn address(level: &str, list: &mut Forms) {
    list.add("without a final slash", level.trim_end_matches('/'));
    let Ok(url) = url::Url::parse(level) else { return };
    let Some(host) = url.host_str() else { return };
    // As in a Host header: the port where it is not the scheme's own.
    if let Some(port) = url.port() {
        list.add("authority", &format!("{host}:{port}"));
    } else {
        list.add("authority", host);
        list.add("host and port", &format!("{host}:{}", url.port_or_known_default().unwrap_or(80)));
    }
    list.add("host", host);
    list.add("path", url.path().trim_end_matches('/'));
    if let Some((first, rest)) = host.split_once('.')
        && host.parse::<std::net::IpAddr>().is_err()
    {
        list.add("domain", rest);
        list.add("first label", first);
    }
    list.add("port", &url.port_or_known_default().unwrap_or(80).to_string());
    list.add("scheme", url.scheme());
    list.add("host's sha256", &hex::encode(sha2::Sha256::digest(host.as_bytes())));
}

impl Form {
    /// Replaces every occurrence that stands by itself. `None` where there is none.
    pub(super) fn substitute(&self, text: &str, placeholder: &str) -> Option<String> {
        if self.name.ends_with(DIGEST) {
            return self.substitute_digest(text, placeholder);
        }
        let mut out = String::new();
        let mut done = 0;
        let mut from = 0;
        while let Some(found) = text[from..].find(&self.text) {
            let start = from + found;
            let end = start + self.text.len();
            if stands_alone(text, start, end) {
                out.push_str(&text[done..start]);
                out.push_str(placeholder);
                done = end;
                from = end;
            } else {
                from = start + text[start..].chars().next().map_or(1, char::len_utf8);
            }
        }
        if done == 0 {
            return None;
        }
        out.push_str(&text[done..]);
        Some(out)
    }

    fn substitute_digest(&self, text: &str, placeholder: &str) -> Option<String> {
        let mut out = String::new();
        let mut done = 0;
        let mut at = 0;
        for word in text.split_inclusive(|c: char| !c.is_ascii_hexdigit()) {
            let digits = word.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
            if digits.len() >= 8 && self.text.starts_with(&digits.to_ascii_lowercase()) {
                out.push_str(&text[done..at]);
                out.push_str(placeholder);
                done = at + digits.len();
            }
            at += word.len();
        }
        if done == 0 {
            return None;
        }
        out.push_str(&text[done..]);
        Some(out)
    }
}

/// Whether no letter or digit stands right before or behind, where the text there begins or ends with one itself.
pub(super) fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let inner = &text[start..end];
    let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let before = word(text[..start].chars().next_back()) && word(inner.chars().next());
    let behind = word(text[end..].chars().next()) && word(inner.chars().next_back());
    !before && !behind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(kind: &FactorKind, level: &str, name: &str) -> Vec<String> {
        let at = DateTime::from_timestamp(1_795_291_200, 0).unwrap();
        forms(kind, level, at).into_iter().filter(|f| f.name == name).map(|f| f.text).collect()
    }

    #[test]
    fn derives_what_agents_print() {
        assert_eq!(form(&FactorKind::Timezone, "Asia/Tokyo", "abbreviation"), ["JST"]);
        assert_eq!(form(&FactorKind::Timezone, "Asia/Tokyo", "English name"), ["Japan Standard Time"]);
        assert!(form(&FactorKind::Timezone, "Asia/Tokyo", "offset without colon").contains(&"GMT+0900".to_owned()));
        assert_eq!(form(&FactorKind::Timezone, "America/New_York", "minutes behind"), ["300"]);
        assert_eq!(form(&FactorKind::Locale, "ja_JP.UTF-8", "tag with hyphen"), ["ja-JP"]);
        let base_url = FactorKind::BaseUrl { variable: None };
        assert_eq!(form(&base_url, "http://gateway.example.com/x", "host"), ["gateway.example.com"]);
        assert_eq!(form(&base_url, "http://gateway.example.com/x", "path"), ["/x"]);
    }

    #[test]
    fn substitutes_whole_words_only() {
        let dev = Form { name: "raw", text: "dev".into() };
        assert_eq!(
            dev.substitute("a device for dev, dev", "${user}").as_deref(),
            Some("a device for ${user}, ${user}")
        );
        assert_eq!(dev.substitute("a device", "${user}"), None);
    }

    #[test]
    fn finds_prefixes_of_digests() {
        let digest = hex::encode(sha2::Sha256::digest(b"devbox"));
        let form = Form { name: DIGEST, text: digest.clone() };
        let text = format!("id {} ok", &digest[..12]);
        assert_eq!(form.substitute(&text, "${hostname}").as_deref(), Some("id ${hostname} ok"));
        assert_eq!(form.substitute("id deadbeef ok", "${hostname}"), None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(level in "\\PC{1,12}", text in "\\PC*") {
            let at = DateTime::from_timestamp(1_795_291_200, 0).unwrap();
            for kind in [FactorKind::Timezone, FactorKind::Locale, FactorKind::User] {
                for form in forms(&kind, &level, at) {
                    let _ = form.substitute(&text, "${x}");
                }
            }
        }
    }
}
