//! What can be asked of a checked [`Scenario`].

use std::collections::BTreeSet;

use sha2::Digest as _;
use url::Url;

use super::factor::{FactorKind, WELL_KNOWN};
use super::{ClockSetting, Level, Scenario};
use crate::cell::Assignment;

impl Scenario {
    /// The index of the factor of this name.
    #[must_use]
    pub fn factor_index(&self, name: &str) -> Option<usize> {
        self.factors.iter().position(|factor| factor.name == name)
    }

    /// The level that a factor has in an assignment.
    ///
    /// # Panics
    /// If the factor or its level is not one of this scenario's.
    #[must_use]
    pub fn level(&self, factor: usize, levels: &Assignment) -> &Level {
        &self.factors[factor].levels[usize::from(levels.level(factor))]
    }

    /// What people read for a level: its value, or `(unset)`.
    ///
    /// # Panics
    /// If the factor or its level is not one of this scenario's.
    #[must_use]
    pub fn level_label(&self, factor: usize, level: u16) -> &str {
        self.factors[factor].levels[usize::from(level)].label()
    }

    /// Names of well-known factors that this scenario holds constant, sorted.
    #[must_use]
    pub fn not_varied(&self) -> Vec<String> {
        WELL_KNOWN
            .iter()
            .filter(|name| self.factors.iter().all(|factor| factor.kind.name() != **name))
            .map(|name| (*name).to_owned())
            .collect()
    }

    /// What the clocks of cells that begin at `now_ms` show at their start, each level's, in milliseconds since the Unix
    /// epoch. Empty where the clock is not varied.
    #[must_use]
    pub fn clocks(&self, now_ms: i64) -> Vec<i64> {
        let clocks = self.factors.iter().filter(|factor| factor.kind == FactorKind::Clock);
        let levels = clocks.flat_map(|factor| &factor.levels).filter_map(Level::value);
        levels.filter_map(ClockSetting::read).map(|setting| setting.at_start(now_ms)).collect()
    }

    /// SHA-256 of the checked scenario as canonical JSON (keys sorted, no white space), lower-case hex. Comments and
    /// order of keys in the document do not change it; order of factors and levels does.
    #[must_use]
    pub fn digest(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        hex::encode(sha2::Sha256::digest(canonical(value).to_string()))
    }

    /// TCP ports other than 80 and 443 that URLs of this scenario name: in levels, command, variables and files.
    /// Sorted, each once.
    #[must_use]
    pub fn urls_ports(&self) -> Vec<u16> {
        let mut ports = BTreeSet::new();
        for factor in &self.factors {
            if matches!(factor.kind, FactorKind::Cpus | FactorKind::MachineId | FactorKind::Timezone) {
                continue;
            }
            for level in &factor.levels {
                ports.extend(level.value().into_iter().flat_map(ports_in));
            }
        }
        let target = &self.target;
        let texts =
            target.command.iter().chain(target.env.values()).chain(target.files.iter().map(|file| &file.contents));
        ports.extend(texts.flat_map(|text| ports_in(text)));
        ports.into_iter().filter(|port| !matches!(port, 0 | 80 | 443)).collect()
    }
}

/// The ports of every URL in the text.
fn ports_in(text: &str) -> Vec<u16> {
    let scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let end = |c: char| {
        c.is_whitespace()
            || matches!(c, '"' | '\'' | '<' | '>' | '`' | '{' | '}' | '|' | '\\' | ',' | ';' | '/' | '?' | '#')
    };
    text.match_indices("://")
        .filter_map(|(at, _)| {
            let start =
                text[..at].char_indices().rev().take_while(|(_, c)| scheme(*c)).last().map_or(at, |(start, _)| start);
            let rest = &text[at + 3..];
            let authority = &rest[..rest.find(end).unwrap_or(rest.len())];
            let url =
                Url::parse(&format!("{}://{}", &text[start..at], authority.trim_end_matches([')', ']', '.', ':'])))
                    .ok();
            // A trailing bracket belongs to an IPv6 address where there is an opening one.
            let url = url.or_else(|| Url::parse(&format!("{}://{authority}", &text[start..at])).ok())?;
            // The usual port of a SOCKS proxy, which the URL standard does not know.
            url.port_or_known_default().or_else(|| url.scheme().starts_with("socks").then_some(1080))
        })
        .collect()
}

/// Sorts the keys of every object.
fn canonical(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> =
                map.into_iter().map(|(key, value)| (key, canonical(value))).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn scenario(text: &str) -> Scenario {
        super::super::parse(text, "test.toml", Path::new("."), &[]).unwrap()
    }

    const TEXT: &str = r#"
        name = "x"
        [target]
        npm = "x"
        command = ["x", "--url", "ws://h:9001/p"]
        env = { A = "see https://a:8443/v1, or http://b.", B = "http://c:80 http://[::1]:7070" }
        files = { "c.json" = "{\"u\":\"http://d:4000\"}" }
        [factors.proxy]
        levels = ["none", "http://p:3128", "socks5://s"]
        [factors.base_url]
        variable = "U"
        levels = ["http://api", "https://gateway:9443/v1", { unset = true }]
    "#;

    #[test]
    fn ports_are_those_that_urls_name() {
        assert_eq!(scenario(TEXT).urls_ports(), [1080, 3128, 4000, 7070, 8443, 9001, 9443]);
        for (text, expected) in
            [("", vec![]), ("://", vec![]), ("a://", vec![]), ("(http://x:99)", vec![99]), ("ü://x:1", vec![])]
        {
            assert_eq!(ports_in(text), expected, "{text}");
        }
    }

    #[test]
    fn names_labels_and_what_was_not_varied() {
        let scenario = scenario(TEXT);
        assert_eq!((scenario.factor_index("base_url"), scenario.factor_index("user")), (Some(1), None));
        assert_eq!((scenario.level_label(1, 2), scenario.level_label(0, 1)), ("(unset)", "http://p:3128"));
        let rest = scenario.not_varied();
        assert!(rest.contains(&String::from("clock")) && rest.contains(&String::from("timezone")));
        assert!(!rest.contains(&String::from("proxy")) && !rest.contains(&String::from("base_url")));
        assert_eq!(rest.len(), WELL_KNOWN.len() - 2);
        assert!(WELL_KNOWN.is_sorted() && rest.is_sorted());
    }

    #[test]
    fn the_digest_changes_with_what_is_run_and_not_with_how_it_is_written() {
        let digest = scenario(TEXT).digest();
        assert_eq!(digest.len(), 64);
        let rewritten = TEXT.replace("npm = \"x\"", "# a comment\n        npm = 'x'");
        assert_eq!(scenario(&rewritten).digest(), digest);
        assert_ne!(scenario(&TEXT.replace("3128", "3129")).digest(), digest);
        assert_ne!(scenario(&TEXT.replace("name = \"x\"", "name = \"y\"")).digest(), digest);
    }
}
