//! Checks one **level** by what its factor is.

use std::ops::Range;

use url::Url;

use super::super::clock::ClockSetting;
use super::super::error::{Refusal, alternatives, did_you_mean};
use super::super::factor::{FactorKind, Level};
use super::super::path::{is_below, normalise};
use super::super::placed::{LevelDocument, Placed};
use super::without_nul;

/// Reads a level of a factor of this kind.
pub(super) fn read(kind: &FactorKind, document: &Placed<LevelDocument>) -> Result<Level, Refusal> {
    let span = &document.span;
    match &document.value {
        LevelDocument::Unset => unset(kind, span),
        LevelDocument::Text(text) if text == "none" && none_is_unset(kind) => Ok(Level(None)),
        LevelDocument::Text(text) => {
            text_level(kind, text, span)?;
            Ok(Level::set(text))
        }
    }
}

fn unset(kind: &FactorKind, span: &Range<usize>) -> Result<Level, Refusal> {
    if kind.can_be_unset() {
        return Ok(Level(None));
    }
    let (what, instead) = match kind {
        FactorKind::Timezone => ("a time zone", "`UTC` is the plainest level"),
        FactorKind::Hostname => ("a name", "`localhost` is the plainest level"),
        FactorKind::User => ("an account", "give the account another name"),
        FactorKind::Home => ("a home folder", "name another folder"),
        FactorKind::Appearance => ("a look", "`bare` is the plainest level"),
        FactorKind::Clock => ("a clock", "`now` is the plainest level"),
        FactorKind::HttpVersion => ("an HTTP version", "`1.1` is the plainest level"),
        _ => ("a working folder", "name another folder"),
    };
    Err(Refusal::at(span.clone(), format!("a level of {} cannot be unset", kind.name()), "cannot be unset")
        .help(format!("a machine always has {what}: {instead}")))
}

/// Whether the word `none` means unset, since it could not mean anything else.
fn none_is_unset(kind: &FactorKind) -> bool {
    matches!(
        kind,
        FactorKind::Proxy
            | FactorKind::BaseUrl { .. }
            | FactorKind::Git
            | FactorKind::Ci
            | FactorKind::Trust
            | FactorKind::DnsSearch
            | FactorKind::MachineId
            | FactorKind::Cpus
    )
}

fn text_level(kind: &FactorKind, text: &str, span: &Range<usize>) -> Result<(), Refusal> {
    without_nul(text, span)?;
    let refuse = |what: &str, help: String| {
        Err(Refusal::at(span.clone(), format!("`{text}` is {what}"), what.to_owned()).help(help))
    };
    match kind {
        FactorKind::Timezone => timezone(text, span),
        FactorKind::Locale if !is_locale(text) => {
            refuse("not a locale", String::from("write language, country and encoding, such as ja_JP.UTF-8"))
        }
        FactorKind::Hostname | FactorKind::DnsSearch if !is_host(text) => refuse(
            "not a host name",
            String::from("letters, digits and hyphens between dots, 63 characters a part, 64 in all"),
        ),
        FactorKind::Proxy => url(text, &["http", "https", "socks4", "socks4a", "socks5", "socks5h"], span),
        FactorKind::BaseUrl { .. } => url(text, &["http", "https"], span),
        FactorKind::User => user(text, span),
        FactorKind::Home | FactorKind::Cwd => folder(kind, text, span),
        FactorKind::Terminal if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            refuse("not a terminal type", String::from("such as xterm-256color or dumb"))
        }
        FactorKind::Shell if !text.starts_with('/') || normalise(text).is_none() => {
            refuse("not an absolute path", String::from("name the shell's program, such as /bin/zsh"))
        }
        FactorKind::Ci => one_of(text, &["github", "gitlab", "generic", "none"], "CI service", span),
        FactorKind::Git => one_of(text, &["repository", "none"], "state of the workspace", span),
        FactorKind::Trust => one_of(text, &["both", "variables", "system", "none"], "way to trust a CA", span),
        FactorKind::Appearance => one_of(text, &["bare", "plausible"], "way to look", span),
        FactorKind::HttpVersion => one_of(text, &["1.1", "2"], "HTTP version to agree on", span),
        FactorKind::MachineId if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
            refuse("not a machine id", String::from("write 32 hex digits in lower case"))
        }
        FactorKind::Clock if ClockSetting::read(text).is_none() => refuse(
            "not a time",
            String::from(
                "write now, an offset of at most 50 years such as +30d or -36h (units w, d, h, m, s), or an instant from 1980 \
                 to 2099 such as 2027-01-01 or 2027-01-01T09:00:00Z",
            ),
        ),
        FactorKind::Cpus
            if !text.parse().is_ok_and(|n: u32| (1..=1024).contains(&n)) || text.starts_with(['+', '0']) =>
        {
            refuse("not a number of processors", String::from("write a number from 1 to 1024"))
        }
        _ => Ok(()),
    }
}

fn timezone(text: &str, span: &Range<usize>) -> Result<(), Refusal> {
    if text.parse::<chrono_tz::Tz>().is_ok() {
        return Ok(());
    }
    let zones = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    let help = match text.split_once(':') {
        Some(("timezones", _)) => Some(format!("a set of levels stands alone, without brackets: levels = \"{text}\"")),
        _ => did_you_mean(text, zones),
    };
    let help = help.unwrap_or_else(|| {
        String::from("write an IANA name such as Asia/Tokyo; levels = \"timezones:all\" is every one")
    });
    Err(Refusal::at(span.clone(), format!("unknown time zone `{text}`"), "not in the IANA database").help(help))
}

fn is_locale(text: &str) -> bool {
    if text.len() > 64 {
        return false;
    }
    let (rest, modifier) = text.split_once('@').map_or((text, None), |(rest, modifier)| (rest, Some(modifier)));
    let (rest, encoding) = rest.split_once('.').map_or((rest, None), |(rest, encoding)| (rest, Some(encoding)));
    let (language, country) =
        rest.split_once('_').map_or((rest, None), |(language, country)| (language, Some(country)));
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let known_language = matches!(language, "C" | "POSIX")
        || (matches!(language.len(), 2 | 3) && language.bytes().all(|b| b.is_ascii_lowercase()));
    known_language
        && country.is_none_or(|country| {
            matches!(country.len(), 2 | 3) && country.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        })
        && encoding.is_none_or(word)
        && modifier.is_none_or(word)
}

fn is_host(text: &str) -> bool {
    let part = |part: &str| {
        (1..=63).contains(&part.len())
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    text.len() <= 64 && text.split('.').all(part)
}

fn url(text: &str, schemes: &[&str], span: &Range<usize>) -> Result<(), Refusal> {
    let refusal = |label: String, help: String| {
        Err(Refusal::at(span.clone(), format!("`{text}` is not a URL"), label).help(help))
    };
    let bare = !text.contains("://");
    match Url::parse(text) {
        _ if text.is_empty() => {
            refusal(String::from("empty"), String::from("{ unset = true } leaves it out altogether"))
        }
        _ if bare => refusal(String::from("no scheme"), format!("write http://{text}")),
        Err(why) => refusal(why.to_string(), String::from("write a URL such as http://gateway.example.com:8080")),
        Ok(url) if !schemes.contains(&url.scheme()) => {
            let help = format!("the scheme must be {}", alternatives(schemes.iter().copied()));
            refusal(format!("the scheme `{}` does not go here", url.scheme()), help)
        }
        Ok(url) if url.host_str().is_none_or(str::is_empty) => {
            refusal(String::from("no host"), String::from("write a URL such as http://gateway.example.com:8080"))
        }
        Ok(_) if text.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            refusal(String::from("has white space in it"), String::from("write spaces as %20"))
        }
        Ok(_) => Ok(()),
    }
}

fn user(text: &str, span: &Range<usize>) -> Result<(), Refusal> {
    let refuse = |label: &str, help: &str| {
        Err(Refusal::at(span.clone(), format!("`{text}` cannot be the account's name"), label).help(help))
    };
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    if matches!(text, "root" | "nobody" | "nogroup") {
        return refuse("a system account", "the agent always runs under an unprivileged account of its own");
    }
    if text.len() > 32 || !text.starts_with(first) || !text.chars().all(good) {
        return refuse(
            "not a name of an account",
            "a letter first, then letters, digits, dots, hyphens and underscores, 32 at most",
        );
    }
    Ok(())
}

fn folder(kind: &FactorKind, text: &str, span: &Range<usize>) -> Result<(), Refusal> {
    let what = if matches!(kind, FactorKind::Home) { "home folder" } else { "working folder" };
    let refuse = |label: &str, help: &str| {
        Err(Refusal::at(span.clone(), format!("`{text}` cannot be the {what}"), label).help(help))
    };
    if !text.starts_with('/') {
        return refuse("not absolute", "write the whole path, such as /home/dev");
    }
    let Some(clean) = normalise(text) else {
        return refuse("not a folder of its own", "write a path such as /home/dev, without `..`");
    };
    let system = [
        "/bin",
        "/boot",
        "/dev",
        "/etc",
        "/lib",
        "/lib32",
        "/lib64",
        "/libx32",
        "/opt/target",
        "/proc",
        "/run",
        "/sbin",
        "/sys",
        "/usr",
    ];
    let standing = ["/home", "/opt", "/var", "/var/lib", "/var/log", "/var/tmp"];
    if system.iter().any(|system| is_below(&clean, system)) || standing.contains(&clean.as_str()) {
        return refuse("a folder of the system", "choose a folder such as /home/dev, /workspace or /srv/app");
    }
    Ok(())
}

fn one_of(text: &str, known: &[&str], what: &str, span: &Range<usize>) -> Result<(), Refusal> {
    if known.contains(&text) {
        return Ok(());
    }
    Err(Refusal::at(span.clone(), format!("`{text}` is no {what} that is known"), "unknown")
        .help(format!("write {}", alternatives(known.iter().copied()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(kind: &FactorKind, text: &str) -> bool {
        text_level(kind, text, &(0..1)).is_ok()
    }

    #[test]
    fn good_and_bad_levels_of_each_kind() {
        let base_url = FactorKind::BaseUrl { variable: None };
        let given: [(&FactorKind, &[&str], &[&str]); 17] = [
            (
                &FactorKind::Timezone,
                &["UTC", "Asia/Kolkata", "Etc/GMT+12"],
                &["", "utc", "Asia/Tokio", "PST", "+09:00"],
            ),
            (
                &FactorKind::Locale,
                &["C", "POSIX", "C.UTF-8", "en_US.UTF-8", "sr_RS.UTF-8@latin", "fil_PH", "de", "es_419.UTF-8"],
                &["", "english", "en-US", "EN_us", "en_US.", "en_US UTF-8", "en_US.UTF-8@"],
            ),
            (&FactorKind::Hostname, &["a", "build-07", "a.b.c", "1"], &["", "-a", "a-", "a_b", "a..b", "ä", "a b"]),
            (&FactorKind::DnsSearch, &["corp.example"], &["corp.example.", "a/b"]),
            (
                &FactorKind::Proxy,
                &["http://p:3128", "socks5h://u:p@p:1", "https://[::1]:3"],
                &["p:3128", "ftp://p", "http://", "http://a:99999", "", "http://a /"],
            ),
            (&base_url, &["http://a", "https://a.b/v1?x"], &["a.b", "socks5://a", "http:///"]),
            (&FactorKind::User, &["dev", "_x", "Wei.Z-1"], &["", "root", "nobody", "1a", "a:b", "a b", "ä"]),
            (
                &FactorKind::Home,
                &["/home/x", "/Users/x y", "/root", "/var/lib/app"],
                &["x", "~", "/", "/etc", "/etc/x", "/home", "/home/../x", "/var"],
            ),
            (&FactorKind::Terminal, &["dumb", "xterm-256color"], &["", "a b"]),
            (&FactorKind::Shell, &["/bin/zsh"], &["zsh", "/", "/bin/../sh"]),
            (&FactorKind::Ci, &["github", "gitlab", "generic"], &["jenkins", ""]),
            (&FactorKind::Trust, &["both", "variables", "system"], &["yes"]),
            (&FactorKind::Appearance, &["bare", "plausible"], &["none", ""]),
            (&FactorKind::HttpVersion, &["1.1", "2"], &["1.0", "3", "h2", "none", ""]),
            (
                &FactorKind::MachineId,
                &["0123456789abcdef0123456789abcdef"],
                &["", "0123", "0123456789ABCDEF0123456789ABCDEF"],
            ),
            (&FactorKind::Clock, &["now", "+30d", "-1h30m", "2027-01-01"], &["", "none", "30d", "+1", "1970-01-01"]),
            (&FactorKind::Cpus, &["1", "1024"], &["0", "01", "+1", "1025", "two", "-1", ""]),
        ];
        for (kind, good, bad) in given {
            for text in good {
                assert!(accepted(kind, text), "{} {text}", kind.name());
            }
            for text in bad {
                assert!(!accepted(kind, text), "{} {text}", kind.name());
            }
        }
    }

    #[test]
    fn none_and_unset_are_the_same_where_none_can_mean_nothing_else() {
        let level = |kind: &FactorKind, value| read(kind, &Placed { span: 0..1, value });
        let none = || LevelDocument::Text(String::from("none"));
        assert_eq!(level(&FactorKind::Proxy, none()), Ok(Level(None)));
        assert_eq!(level(&FactorKind::Proxy, LevelDocument::Unset), Ok(Level(None)));
        assert_eq!(level(&FactorKind::Argument, none()), Ok(Level::set("none")));
        for kind in [
            FactorKind::Timezone,
            FactorKind::Hostname,
            FactorKind::User,
            FactorKind::Home,
            FactorKind::Cwd,
            FactorKind::Clock,
        ] {
            let refusal = format!("{:?}", level(&kind, LevelDocument::Unset));
            assert!(refusal.contains("cannot be unset"), "{refusal}");
        }
        assert_eq!(level(&FactorKind::Locale, LevelDocument::Unset), Ok(Level(None)));
    }
}
