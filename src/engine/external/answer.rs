//! An **answer**: one line of the program, read into a capture. Everything but the cell's name may be left out.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use crate::capture::{
    Body, Capture, Change, Connection, DnsQuestion, Exchange, FileChange, Outcome, Seconds, TlsHello, Via,
};

/// The start of a capture whose answer does not say when the agent was started.
pub(super) const UNKNOWN_START: i64 = i64::MIN;
/// Output that is kept of an agent.
const MOST_OUTPUT: usize = 1 << 20;
/// First bytes that are kept of a connection.
const MOST_FIRST: usize = 256;

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Of which cell.
    pub(super) cell: String,
    /// What was seen, or why the program could not run it.
    pub(super) result: Result<Capture, String>,
}

/// Why a line is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// The cell that it names, if that much can be read.
    pub(super) cell: Option<String>,
    /// What is wrong.
    pub(super) message: String,
}

type Text<'a> = Cow<'a, str>;

/// A line. Strings without escapes are borrowed from it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    cell: Text<'a>,
    #[serde(borrow, default)]
    error: Option<Text<'a>>,
    #[serde(default)]
    exit: Option<i32>,
    #[serde(default)]
    signal: Option<i32>,
    #[serde(default)]
    ended: Option<Ended>,
    #[serde(default)]
    started: Option<f64>,
    #[serde(default)]
    seconds: Seconds,
    #[serde(default)]
    cpu: Option<Seconds>,
    #[serde(borrow, default)]
    stdout: Option<Text<'a>>,
    #[serde(borrow, default)]
    stdout_base64: Option<Text<'a>>,
    #[serde(borrow, default)]
    stderr: Option<Text<'a>>,
    #[serde(borrow, default)]
    stderr_base64: Option<Text<'a>>,
    #[serde(borrow, default)]
    exchanges: Vec<ToldExchange<'a>>,
    #[serde(default)]
    dns: Vec<ToldQuestion>,
    #[serde(default)]
    tls: Vec<ToldHello>,
    #[serde(borrow, default)]
    connections: Vec<ToldConnection<'a>>,
    #[serde(default)]
    files: Vec<ToldFile>,
    #[serde(default)]
    left_open: u32,
}

/// How the agent was ended where it did not end itself.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ended {
    TimedOut,
    MemoryLimit,
    ProcessLimit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToldExchange<'a> {
    #[serde(default)]
    at: Seconds,
    #[serde(borrow, default)]
    scheme: Option<Text<'a>>,
    #[serde(borrow, default)]
    host: Option<Text<'a>>,
    #[serde(default)]
    port: Option<u16>,
    #[serde(borrow, default)]
    dialled: Option<Text<'a>>,
    #[serde(default)]
    via: Option<Via>,
    #[serde(borrow, default)]
    version: Option<Text<'a>>,
    #[serde(borrow, default)]
    method: Option<Text<'a>>,
    #[serde(borrow, default)]
    target: Option<Text<'a>>,
    #[serde(borrow, default)]
    headers: Vec<(Text<'a>, Text<'a>)>,
    #[serde(borrow, default)]
    body: Option<Text<'a>>,
    #[serde(borrow, default)]
    body_base64: Option<Text<'a>>,
    #[serde(default)]
    status: Option<u16>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ToldQuestion {
    Name(String),
    Whole {
        #[serde(default)]
        at: Seconds,
        name: String,
        #[serde(default)]
        kind: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToldHello {
    #[serde(default)]
    at: Seconds,
    #[serde(default)]
    sni: Option<String>,
    #[serde(default)]
    alpn: Vec<String>,
    #[serde(default)]
    cipher_suites: Vec<String>,
    #[serde(default)]
    completed: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToldConnection<'a> {
    #[serde(default)]
    at: Seconds,
    #[serde(borrow)]
    dialled: Text<'a>,
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    first: Option<Text<'a>>,
    #[serde(borrow, default)]
    first_base64: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ToldFile {
    Path(String),
    Whole { path: String, change: Change },
}

/// Reads a line.
pub(super) fn read(line: &[u8]) -> Result<Answer, Unreadable> {
    let read: Line<'_> =
        serde_json::from_slice(line).map_err(|error| Unreadable { cell: cell(line), message: error.to_string() })?;
    let cell = read.cell.clone().into_owned();
    if let Some(error) = &read.error {
        return Ok(Answer { cell, result: Err(error.clone().into_owned()) });
    }
    match capture(read) {
        Ok(capture) => Ok(Answer { cell, result: Ok(capture) }),
        Err(message) => Err(Unreadable { cell: Some(cell), message }),
    }
}

/// The cell that a line names, whatever else is wrong with it.
fn cell(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        cell: String,
    }
    serde_json::from_slice::<Named>(line).ok().map(|named| named.cell)
}

fn capture(line: Line<'_>) -> Result<Capture, String> {
    let outcome = match (line.ended, line.signal, line.exit) {
        (Some(Ended::TimedOut), ..) => Outcome::TimedOut,
        (Some(Ended::MemoryLimit), ..) => Outcome::MemoryLimit,
        (Some(Ended::ProcessLimit), ..) => Outcome::ProcessLimit,
        (None, Some(signal), _) => Outcome::Signalled { signal },
        (None, None, code) => Outcome::Exited { code: code.unwrap_or(0) },
    };
    let mut exchanges = line.exchanges.into_iter().map(exchange).collect::<Result<Vec<_>, _>>()?;
    exchanges.sort_by_key(|exchange| exchange.at);
    let mut dns: Vec<DnsQuestion> = line.dns.into_iter().map(question).collect();
    dns.sort_by_key(|question| question.at);
    let mut tls: Vec<TlsHello> = line.tls.into_iter().map(hello).collect();
    tls.sort_by_key(|hello| hello.at);
    let mut connections = line.connections.into_iter().map(connection).collect::<Result<Vec<_>, _>>()?;
    connections.sort_by_key(|connection| connection.at);
    let mut files: Vec<FileChange> = line.files.into_iter().map(file).collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Capture {
        started_unix_ms: line.started.map_or(UNKNOWN_START, milliseconds),
        wall: line.seconds,
        cpu: line.cpu,
        outcome,
        stdout: output("stdout", line.stdout.as_deref(), line.stdout_base64.as_deref())?,
        stderr: output("stderr", line.stderr.as_deref(), line.stderr_base64.as_deref())?,
        exchanges,
        dns,
        tls,
        connections,
        files,
        left_open: line.left_open,
        ..Capture::default()
    })
}

/// Whole milliseconds; never what stands for an unknown start.
#[allow(clippy::cast_possible_truncation, reason = "a float that is too large becomes the largest number")]
fn milliseconds(seconds: f64) -> i64 {
    ((seconds * 1e3).round() as i64).max(UNKNOWN_START + 1)
}

/// The bytes that stand in one of two members.
fn bytes(what: &str, text: Option<&str>, base64: Option<&str>) -> Result<Vec<u8>, String> {
    match (text, base64) {
        (Some(_), Some(_)) => Err(format!("both `{what}` and `{what}_base64` are given")),
        (Some(text), None) => Ok(text.as_bytes().to_vec()),
        (None, Some(base64)) => BASE64.decode(base64).map_err(|error| format!("`{what}_base64`: {error}")),
        (None, None) => Ok(Vec::new()),
    }
}

fn output(what: &str, text: Option<&str>, base64: Option<&str>) -> Result<Body, String> {
    let mut bytes = bytes(what, text, base64)?;
    bytes.truncate(MOST_OUTPUT);
    Ok(Body::new(bytes))
}

fn exchange(told: ToldExchange<'_>) -> Result<Exchange, String> {
    let body = bytes("body", told.body.as_deref(), told.body_base64.as_deref())?;
    let said = told.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host")).map(|(_, value)| value.trim());
    let (said_host, said_port) = authority(said.unwrap_or_default());
    let scheme = told.scheme.map_or_else(|| String::from("https"), Cow::into_owned);
    let port = told.port.or(said_port).unwrap_or(if scheme == "http" { 80 } else { 443 });
    let host = told.host.as_deref().unwrap_or(said_host).to_ascii_lowercase();
    let method =
        told.method.map_or_else(|| String::from(if body.is_empty() { "GET" } else { "POST" }), Cow::into_owned);
    Ok(Exchange {
        at: told.at,
        dialled: told.dialled.map_or_else(|| format!("{host}:{port}"), Cow::into_owned),
        scheme,
        host,
        port,
        via: told.via.unwrap_or(Via::Direct),
        version: told.version.map_or_else(|| String::from("1.1"), Cow::into_owned),
        method,
        target: told.target.map_or_else(|| String::from("/"), Cow::into_owned),
        headers: told.headers.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
        body: Body::new(body),
        status: told.status.unwrap_or(200),
        ..Exchange::default()
    })
}

/// Host and port of a Host header. The brackets of an IPv6 address stay.
fn authority(text: &str) -> (&str, Option<u16>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (text, None),
        },
        _ => (text, None),
    }
}

fn question(told: ToldQuestion) -> DnsQuestion {
    let (at, name, kind) = match told {
        ToldQuestion::Name(name) => (Seconds::default(), name, None),
        ToldQuestion::Whole { at, name, kind } => (at, name, kind),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    DnsQuestion { at, name, kind: kind.unwrap_or_else(|| String::from("A")), ..DnsQuestion::default() }
}

fn hello(told: ToldHello) -> TlsHello {
    let ToldHello { at, sni, alpn, cipher_suites, completed } = told;
    TlsHello { at, sni, alpn, cipher_suites, completed, detail: None }
}

fn connection(told: ToldConnection<'_>) -> Result<Connection, String> {
    let mut first_bytes = bytes("first", told.first.as_deref(), told.first_base64.as_deref())?;
    first_bytes.truncate(MOST_FIRST);
    Ok(Connection {
        at: told.at,
        dialled: told.dialled.into_owned(),
        name: told.name.map(Cow::into_owned),
        first_bytes,
        ..Connection::default()
    })
}

fn file(told: ToldFile) -> FileChange {
    match told {
        ToldFile::Path(path) => FileChange { path, change: Change::Added },
        ToldFile::Whole { path, change } => FileChange { path, change },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(line: &str) -> Capture {
        read(line.as_bytes()).unwrap().result.unwrap()
    }

    #[test]
    fn everything_but_the_cell_may_be_left_out() {
        let capture = seen(r#"{"cell":"c0001"}"#);
        assert_eq!(capture.outcome, Outcome::Exited { code: 0 });
        assert_eq!(capture.started_unix_ms, UNKNOWN_START);
        assert!(capture.exchanges.is_empty() && capture.stdout.bytes.is_empty());
        let exchange = &seen(r#"{"cell":"c0001","exchanges":[{}]}"#).exchanges[0];
        assert_eq!((exchange.method.as_str(), exchange.target.as_str(), exchange.port), ("GET", "/", 443));
        assert!(read(br#"{"exit":0}"#).unwrap_err().message.contains("cell"));
    }

    #[test]
    fn a_whole_answer_is_read() {
        let capture = seen(
            r#"{"cell":"c0001","exit":3,"started":1795291200.25,"seconds":1.5,"cpu":0.5,"stdout":"a\nb","stderr_base64":"/wA=",
                "exchanges":[
                  {"at":0.9,"scheme":"http","headers":[["Host","API.example:8080"],["X-A","1"]],"body_base64":"/wA=","via":"absolute"},
                  {"at":0.4,"host":"b.example","target":"/v1?x=1","body":"{\"a\":\"\\u2019\"}","status":404}],
                "dns":["B.example.",{"at":0.1,"name":"a.example","kind":"AAAA"}],
                "tls":[{"sni":"b.example","alpn":["h2"],"completed":true}],
                "connections":[{"dialled":"192.0.2.1:22","first":"SSH-2.0"}],
                "files":["/tmp/z",{"path":"/tmp/a","change":"deleted"}],"left_open":2}"#,
        );
        assert_eq!((capture.started_unix_ms, capture.wall), (1_795_291_200_250, Seconds(1_500_000)));
        assert_eq!(capture.outcome, Outcome::Exited { code: 3 });
        assert_eq!(capture.stderr.bytes.as_slice(), [0xFF, 0]);
        let [first, second] = &capture.exchanges[..] else { panic!("two exchanges, sorted by time") };
        assert_eq!((first.host.as_str(), first.method.as_str(), first.status), ("b.example", "POST", 404));
        assert_eq!(first.body.text(), "{\"a\":\"\\u2019\"}");
        assert_eq!((second.host.as_str(), second.port, second.via), ("api.example", 8080, Via::Absolute));
        assert_eq!(second.dialled, "api.example:8080");
        assert_eq!((capture.dns[0].name.as_str(), capture.dns[1].kind.as_str()), ("b.example", "AAAA"));
        assert_eq!(capture.files[0].path, "/tmp/a");
        assert_eq!((capture.left_open, &*capture.connections[0].first_bytes), (2, &b"SSH-2.0"[..]));
    }

    #[test]
    fn ends_are_told_apart() {
        assert_eq!(seen(r#"{"cell":"c","signal":9}"#).outcome, Outcome::Signalled { signal: 9 });
        assert_eq!(seen(r#"{"cell":"c","ended":"timed_out","exit":1}"#).outcome, Outcome::TimedOut);
        let refused = read(br#"{"cell":"c7","error":"no machine was free"}"#).unwrap();
        assert_eq!(refused, Answer { cell: "c7".into(), result: Err("no machine was free".into()) });
    }

    #[test]
    fn what_is_wrong_is_said_with_the_cell() {
        for (line, cell, says) in [
            (r#"{"cell":"c1","exchnages":[]}"#, Some("c1"), "exchnages"),
            (r#"{"cell":"c1","exit":"zero"}"#, Some("c1"), "zero"),
            (r#"{"cell":"c1","exchanges":[{"body":"a","body_base64":"YQ=="}]}"#, Some("c1"), "both"),
            (r#"{"cell":"c1","stdout_base64":"***"}"#, Some("c1"), "stdout_base64"),
            (r#"{"cell":"c1""#, None, "EOF"),
            ("starting up…", None, "expected value"),
            ("[]", None, "invalid"),
            ("", None, "EOF"),
        ] {
            let error = read(line.as_bytes()).unwrap_err();
            assert_eq!(error.cell.as_deref(), cell, "{line}");
            assert!(error.message.contains(says), "{line}: {}", error.message);
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), text in "\\PC*") {
            let _ = (read(&bytes), read(text.as_bytes()));
            let _ = authority(&text);
            let _ = read(format!("{{\"cell\":{text:?},\"exchanges\":[{{\"headers\":[[\"host\",{text:?}]]}}]}}").as_bytes());
        }
    }
}
