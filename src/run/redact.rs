//! **Redaction**: secrets are taken out of a record before it is stored *and* before it is analysed, so that a live run
//! and its stored copy can never differ. Deterministic: the same secret always becomes the same text.
//!
//! Two kinds are known: values that the scenario gives to variables with a secret's name (`…_API_KEY`, `…_TOKEN`),
//! wherever they turn up, which become `⟨secret NAME⟩`; and whatever stands in a header that carries credentials, which
//! keeps its scheme and length: `Bearer ⟨redacted 24⟩`. Secrets that the scenario writes into files or prompts, or that
//! an agent compresses or encrypts, are not known.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use regex::bytes::{Regex, RegexBuilder};

use crate::capture::{Body, Capture, EngineFailure, Record};
use crate::scenario::{FactorKind, Level, Scenario};

/// Headers whose whole value is a credential.
const HEADERS: [&str; 7] =
    ["authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "x-auth-token"];
/// Shorter values are no secrets: replacing them would tear ordinary text apart.
const SHORTEST: usize = 6;

/// Takes secrets out.
#[derive(Clone, Debug)]
pub struct Redactor {
    known: Option<Regex>,
    labels: HashMap<Vec<u8>, String>,
}

impl Redactor {
    /// Knows the secrets of this scenario.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let mut labels = HashMap::new();
        let mut learn = |value: &str, label: &str| {
            // A value with a placeholder is not what the agent gets; a number is no secret.
            if value.len() < SHORTEST || value.contains('{') || value.bytes().all(|byte| byte.is_ascii_digit()) {
                return;
            }
            for form in forms(value) {
                labels.entry(form).or_insert_with(|| label.to_owned());
            }
        };
        for (name, value) in &scenario.target.env {
            if is_secret(name) {
                learn(value, &format!("⟨secret {name}⟩"));
            }
        }
        for factor in &scenario.factors {
            for (index, level) in factor.levels.iter().enumerate() {
                // What a proxy or a base URL is told to identify by, as it stands and as it is sent.
                for secret in credentials(level.value().unwrap_or("")) {
                    learn(&secret, &format!("⟨secret {} {index}⟩", factor.name));
                }
            }
            if let FactorKind::Env { variable } = &factor.kind
                && is_secret(variable)
            {
                for (index, level) in factor.levels.iter().enumerate() {
                    learn(level.value().unwrap_or(""), &format!("⟨secret {variable} {index}⟩"));
                }
            }
        }
        let mut values: Vec<&Vec<u8>> = labels.keys().collect();
        // Leftmost-first alternation: where one secret begins with another, the longer is meant.
        values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        let pattern = values
            .iter()
            .map(|value| value.iter().fold(String::new(), |pattern, byte| pattern + "\\x" + &hex::encode([*byte])))
            .collect::<Vec<_>>()
            .join("|");
        let known = if pattern.is_empty() { None } else { RegexBuilder::new(&pattern).unicode(false).build().ok() };
        Self { known, labels }
    }

    /// The scenario without its secrets: for the manifest, and for the analysis.
    #[must_use]
    pub fn scenario(&self, scenario: &Scenario) -> Scenario {
        let mut open = scenario.clone();
        for value in open.target.env.values_mut() {
            *value = self.text(value);
        }
        for file in &mut open.target.files {
            file.contents = self.text(&file.contents);
        }
        for argument in &mut open.target.command {
            *argument = self.text(argument);
        }
        open.target.prompt = self.text(&open.target.prompt);
        for factor in &mut open.factors {
            for level in &mut factor.levels {
                *level = Level(level.value().map(|value| self.text(value)));
            }
        }
        open
    }

    /// Text without the known secrets.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        match self.bytes(text.as_bytes()) {
            // Secrets are whole strings of UTF-8 and so are their labels: what is left is UTF-8 too.
            Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            None => text.to_owned(),
        }
    }

    /// The record without secrets.
    #[must_use]
    pub fn record(&self, record: Record) -> Record {
        let outcome = match record.outcome {
            Ok(capture) => Ok(Arc::new(self.capture(Arc::unwrap_or_clone(capture)))),
            Err(failure) => Err(EngineFailure { message: self.text(&failure.message) }),
        };
        Record { outcome, ..record }
    }

    fn capture(&self, mut open: Capture) -> Capture {
        open.stdout = self.body(open.stdout);
        open.stderr = self.body(open.stderr);
        for exchange in &mut open.exchanges {
            exchange.host = self.text(&exchange.host);
            exchange.target = self.text(&exchange.target);
            exchange.body = self.body(std::mem::take(&mut exchange.body));
            exchange.head = exchange.head.take().map(|head| Body::new(self.head(&head.bytes)));
            for (name, value) in &mut exchange.headers {
                *value = self.header(name, value);
            }
            for hop in &mut exchange.hops {
                hop.toward = self.text(&hop.toward);
                for (name, value) in &mut hop.headers {
                    *value = self.header(name, value);
                }
            }
        }
        for question in &mut open.dns {
            question.name = self.text(&question.name);
        }
        for hello in &mut open.tls {
            hello.sni = hello.sni.as_deref().map(|name| self.text(name));
        }
        for connection in &mut open.connections {
            connection.name = connection.name.as_deref().map(|name| self.text(name));
            connection.toward = connection.toward.as_deref().map(|place| self.text(place));
            if let Some(bytes) = self.bytes(&connection.first_bytes) {
                connection.first_bytes = bytes;
            }
        }
        for file in &mut open.files {
            file.path = self.text(&file.path);
        }
        open
    }

    fn body(&self, body: Body) -> Body {
        match self.bytes(&body.bytes) {
            Some(bytes) => Body::new(bytes),
            None => body,
        }
    }

    fn header(&self, name: &str, value: &str) -> String {
        let open = self.text(value);
        if !is_credential(name) {
            return open;
        }
        if name.eq_ignore_ascii_case("cookie") {
            let crumbs = value.split(';').map(|crumb| match crumb.split_once('=') {
                Some((name, value)) => format!("{}={}", self.text(name), self.blank(value)),
                None => self.blank(crumb),
            });
            return crumbs.collect::<Vec<_>>().join(";");
        }
        // `Authorization: Bearer abc` keeps its scheme; a key in a header of its own has none.
        match value.split_once(' ') {
            Some((scheme, rest)) if name.to_ascii_lowercase().ends_with("authorization") && is_scheme(scheme) => {
                format!("{scheme} {}", self.blank(rest))
            }
            _ => self.blank(value),
        }
    }

    /// Raw bytes of a head: a line with a credential loses it as the parsed line does, and the white space around it stays.
    fn head(&self, raw: &[u8]) -> Vec<u8> {
        let mut open = Vec::with_capacity(raw.len());
        let mut in_request_line = true;
        for line in raw.split_inclusive(|byte| *byte == b'\n') {
            let text = String::from_utf8_lossy(line);
            let is_blank = text.trim().is_empty();
            if in_request_line && !is_blank {
                in_request_line = false;
                open.extend(self.request_line(line));
                continue;
            }
            let credential = text.split_once(':').filter(|(name, _)| is_credential(name.trim()));
            let Some((name, rest)) = credential else {
                open.extend(self.bytes(line).unwrap_or_else(|| line.to_vec()));
                continue;
            };
            let (before, value) = rest.split_at(rest.len() - rest.trim_start().len());
            let value = value.trim_end();
            let after = &rest[before.len() + value.len()..];
            open.extend(format!("{name}:{before}{}{after}", self.header(name.trim(), value)).into_bytes());
        }
        open
    }

    /// A request line: what an absolute target identifies by is a credential, and stands nowhere else in the record.
    fn request_line(&self, line: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(line);
        let authority = text.split_once("://").and_then(|(scheme, rest)| {
            let end = rest.find(['/', '?', '#', ' ', '\r', '\n']).unwrap_or(rest.len());
            let (user, _) = rest[..end].rsplit_once('@')?;
            Some((scheme, user, &rest[user.len()..]))
        });
        match authority {
            Some((scheme, user, rest)) => self.text(&format!("{scheme}://{}{rest}", self.blank(user))).into_bytes(),
            None => self.bytes(line).unwrap_or_else(|| line.to_vec()),
        }
    }

    /// A credential: only its length stays, or its name where it is known.
    fn blank(&self, value: &str) -> String {
        let open = self.text(value);
        let label = open.strip_prefix('⟨').and_then(|rest| rest.strip_suffix('⟩'));
        match label {
            Some(label) if !label.contains(['⟨', '⟩']) => open,
            _ if value.is_empty() => open,
            _ => format!("⟨redacted {}⟩", value.chars().count()),
        }
    }

    /// The bytes without the known secrets, or `None` where they hold none.
    fn bytes(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let known = self.known.as_ref()?;
        known.is_match(bytes).then(|| {
            known
                .replace_all(bytes, |found: &regex::bytes::Captures<'_>| {
                    self.labels.get(&found[0]).map_or_else(Vec::new, |label| label.clone().into_bytes())
                })
                .into_owned()
        })
    }
}

/// Whether a header of this name holds a credential.
fn is_credential(name: &str) -> bool {
    HEADERS.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// Whether a variable of this name holds a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL"].iter().any(|word| name.contains(word))
        // AUTH, OAUTH, but not AUTHOR.
        || name.match_indices("AUTH").any(|(at, _)| !name[at + 4..].starts_with("OR"))
}

/// The password that a URL carries, as it is, and together with its user's name as `Basic` sends them.
fn credentials(url: &str) -> Vec<String> {
    let Some((_, rest)) = url.split_once("://") else { return Vec::new() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, password)) = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')) else {
        return Vec::new();
    };
    let plain = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let basic = BASE64.encode(format!("{}:{}", plain(user), plain(password)));
    vec![basic, plain(password), password.to_owned()]
}

/// The ways in which a value may stand on the wire: as it is, inside a JSON string, inside a URL.
fn forms(value: &str) -> Vec<Vec<u8>> {
    let json = serde_json::to_string(value).unwrap_or_default();
    let json = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or(value);
    let url = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string();
    let mut forms = vec![value.as_bytes().to_vec(), json.as_bytes().to_vec(), url.into_bytes()];
    forms.dedup();
    forms
}

fn is_scheme(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Connection, Hop, HopForm};
    use crate::run::testing;

    fn redactor(env: &[(&str, &str)]) -> (Scenario, Redactor) {
        let mut scenario = testing::scenario();
        scenario.target.env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let redactor = Redactor::new(&scenario);
        (scenario, redactor)
    }

    #[test]
    fn only_secrets_names_are_secrets() {
        for name in ["ANTHROPIC_API_KEY", "GITHUB_TOKEN", "my_password", "OAUTH", "X_AUTH", "CLIENT_SECRET_2"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["GIT_AUTHOR_NAME", "LANG", "HTTP_PROXY"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn a_known_secret_is_named_wherever_it_stands() {
        let (_, redactor) = redactor(&[("DEMO_KEY", "sk-dummy-\"1\""), ("MODE", "sk-visible")]);
        let mut capture = testing::capture();
        capture.stderr = Body::new(&b"bad key sk-dummy-\"1\" (sk-visible)"[..]);
        capture.exchanges[0].body = Body::new(&br#"{"key":"sk-dummy-\"1\"","mode":"sk-visible"}"#[..]);
        capture.exchanges[0].target = "/v1?key=sk%2Ddummy%2D%221%22".into();
        capture.exchanges[0].headers = vec![("x-note".into(), "my sk-dummy-\"1\" here".into())];
        let open = redactor.capture(capture);
        assert_eq!(open.stderr.text(), "bad key ⟨secret DEMO_KEY⟩ (sk-visible)");
        assert_eq!(open.exchanges[0].body.text(), r#"{"key":"⟨secret DEMO_KEY⟩","mode":"sk-visible"}"#);
        assert_eq!(open.exchanges[0].target, "/v1?key=⟨secret DEMO_KEY⟩");
        assert_eq!(open.exchanges[0].headers[0].1, "my ⟨secret DEMO_KEY⟩ here");
        assert_eq!(
            open.exchanges[0].body,
            Body::new(open.exchanges[0].body.bytes.to_vec()),
            "digest is of what is kept"
        );
    }

    #[test]
    fn credentials_keep_scheme_and_length_only() {
        let (_, redactor) = redactor(&[("DEMO_KEY", "sk-dummy-123")]);
        let header = |name: &str, value: &str| redactor.header(name, value);
        assert_eq!(header("Authorization", "Bearer abcdefgh"), "Bearer ⟨redacted 8⟩");
        assert_eq!(header("authorization", "Bearer sk-dummy-123"), "Bearer ⟨secret DEMO_KEY⟩");
        assert_eq!(header("X-Api-Key", "sk-dummy-123"), "⟨secret DEMO_KEY⟩");
        assert_eq!(header("x-api-key", "sk-dummy-123x"), "⟨redacted 13⟩");
        assert_eq!(header("x-api-key", "two words!"), "⟨redacted 10⟩");
        assert_eq!(header("Cookie", "a=1; session=secretive"), "a=⟨redacted 1⟩; session=⟨redacted 9⟩");
        assert_eq!(header("User-Agent", "agent/1.0"), "agent/1.0");
    }

    #[test]
    fn what_a_proxy_is_told_stays_with_it() {
        let mut scenario = testing::scenario();
        if let Some(factor) = scenario.factors.first_mut() {
            factor.name = "proxy".into();
            factor.levels = vec![Level(None), Level::set("http://bob:pass%20word@proxy.example:3128")];
        }
        let redactor = Redactor::new(&scenario);
        let mut capture = testing::capture();
        let basic = BASE64.encode("bob:pass word");
        capture.exchanges[0].hops = vec![Hop {
            form: HopForm::Connect,
            secure: false,
            toward: "api.example:443".into(),
            headers: vec![
                ("Proxy-Authorization".into(), format!("Basic {basic}")),
                ("proxy-authorization".into(), "Socks5 eve:hunter2".into()),
            ],
        }];
        capture.connections = vec![Connection {
            first_bytes: format!("GET x Proxy-Authorization: Basic {basic}").into_bytes(),
            ..Connection::default()
        }];
        let open = redactor.capture(capture);
        assert_eq!(open.exchanges[0].hops[0].headers[0].1, "Basic ⟨secret proxy 1⟩");
        assert_eq!(open.exchanges[0].hops[0].headers[1].1, "Socks5 ⟨redacted 11⟩");
        assert!(String::from_utf8_lossy(&open.connections[0].first_bytes).ends_with("Basic ⟨secret proxy 1⟩"));
        let level = redactor.scenario(&scenario).factors[0].levels[1].label().to_owned();
        assert_eq!(level, "http://bob:⟨secret proxy 1⟩@proxy.example:3128");
    }

    #[test]
    fn raw_heads_lose_what_parsed_ones_do_and_keep_their_white_space() {
        let (_, redactor) = redactor(&[("DEMO_KEY", "sk-dummy-123")]);
        let raw = b"GET http://bob:hunter2@h/?k=sk-dummy-123 HTTP/1.1\nX-API-Key:\tsk-other-456 \r\n\
            authorization:Bearer  abcdefgh\nCookie: a=1; session=secretive\r\nX-Note:  sk-dummy-123\n\
            X-L: \xe9\r\n\n5;x=sk-dummy-123\r\nProxy-Authorization:Basic dTpw\r\nCook";
        let open = redactor.head(raw);
        let shown = "GET http://⟨redacted 11⟩@h/?k=⟨secret DEMO_KEY⟩ HTTP/1.1\nX-API-Key:\t⟨redacted 12⟩ \r\n\
            authorization:Bearer ⟨redacted 9⟩\nCookie: a=⟨redacted 1⟩; session=⟨redacted 9⟩\r\nX-Note:  ⟨secret DEMO_KEY⟩\n\
            X-L: \u{fffd}\r\n\n5;x=⟨secret DEMO_KEY⟩\r\nProxy-Authorization:Basic ⟨redacted 4⟩\r\nCook";
        assert_eq!(String::from_utf8_lossy(&open), shown);
        assert_eq!(redactor.head(&open), open, "twice is once");
        let mut capture = testing::capture();
        capture.exchanges[0].head = Some(Body::new(&raw[..]));
        let kept = redactor.capture(capture).exchanges[0].head.take();
        assert_eq!(kept, Some(Body::new(open)));
    }

    #[test]
    fn the_longer_of_two_secrets_wins() {
        let (_, redactor) = redactor(&[("A_KEY", "secret-1"), ("B_KEY", "secret-1-and-more")]);
        assert_eq!(redactor.text("secret-1 secret-1-and-more"), "⟨secret A_KEY⟩ ⟨secret B_KEY⟩");
    }

    #[test]
    fn short_values_and_numbers_are_left_alone() {
        let (_, redactor) = redactor(&[("A_KEY", "OK"), ("MAX_TOKENS", "32000000")]);
        assert_eq!(redactor.text("OK 32000000"), "OK 32000000");
    }

    #[test]
    fn the_scenario_loses_its_secrets_and_twice_is_once() {
        let (scenario, redactor) = redactor(&[("DEMO_KEY", "sk-dummy-123")]);
        let open = redactor.scenario(&scenario);
        assert_eq!(open.target.env["DEMO_KEY"], "⟨secret DEMO_KEY⟩");
        assert_eq!(redactor.scenario(&open), open);
        let record = redactor.record(testing::record(0));
        assert_eq!(redactor.record(record.clone()), record);
        let again = redactor.header("Authorization", &redactor.header("Authorization", "Bearer abc"));
        assert_eq!(again, "Bearer ⟨redacted 3⟩");
    }
}
