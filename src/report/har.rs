//! Captures as **HAR 1.2**, for other tools that read HTTP archives: a page a cell, an entry a request.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::escape;
use crate::capture::{Capture, Exchange, Record};
use crate::scenario::Scenario;

/// Renders the records. What is not in a HAR (names asked for, hellos, files) is left out.
#[must_use]
pub fn archive(records: &[Record], scenario: &Scenario, parallax: &str) -> Vec<u8> {
    let (mut pages, mut entries) = (Vec::new(), Vec::new());
    for record in records {
        let Ok(capture) = &record.outcome else { continue };
        let levels: serde_json::Map<String, Value> = scenario
            .factors
            .iter()
            .zip(&record.cell.levels.0)
            .map(|(factor, level)| {
                let level = factor.levels.get(usize::from(*level)).map(crate::scenario::Level::label);
                (factor.name.clone(), json!(level))
            })
            .collect();
        pages.push(json!({
            "startedDateTime": time(capture.started_unix_ms),
            "id": record.cell.id,
            "title": record.cell.id,
            "pageTimings": {},
            "_levels": levels,
        }));
        entries.extend(capture.exchanges.iter().map(|exchange| entry(record, capture, exchange)));
    }
    let log = json!({ "log": {
        "version": "1.2",
        "creator": { "name": "parallax", "version": parallax },
        "comment": format!("scenario {}: requests of an agent to a stub, not to any server", scenario.name),
        "pages": pages,
        "entries": entries,
    }});
    let mut bytes = escape::json(&log).into_bytes();
    bytes.push(b'\n');
    bytes
}

fn entry(record: &Record, capture: &Capture, exchange: &Exchange) -> Value {
    let at = i64::try_from(exchange.at.0 / 1000).unwrap_or(0);
    let usual = matches!((exchange.scheme.as_str(), exchange.port), ("http", 80) | ("https", 443));
    let port = if usual { String::new() } else { format!(":{}", exchange.port) };
    let url = format!("{}://{}{port}{}", exchange.scheme, exchange.host, exchange.target);
    let version = format!("HTTP/{}", exchange.version);
    let headers: Vec<Value> =
        exchange.headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let query = exchange.target.split_once('?').map_or("", |(_, query)| query);
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let query: Vec<Value> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            json!({ "name": decoded(name), "value": decoded(value) })
        })
        .collect();
    let mut request = json!({
        "method": exchange.method,
        "url": url,
        "httpVersion": version,
        "cookies": [],
        "headers": headers,
        "queryString": query,
        "headersSize": -1,
        "bodySize": exchange.body.bytes.len(),
    });
    if let (false, Some(object)) = (exchange.body.bytes.is_empty(), request.as_object_mut()) {
        object.insert("postData".into(), body(exchange));
    }
    json!({
        "pageref": record.cell.id,
        "startedDateTime": time(capture.started_unix_ms.saturating_add(at)),
        "time": 0,
        "request": request,
        "response": {
            "status": exchange.status,
            "statusText": "",
            "httpVersion": version,
            "cookies": [],
            "headers": [],
            "content": { "size": 0, "mimeType": "x-unknown" },
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
            "comment": "the stub's answer is not kept",
        },
        "cache": {},
        "timings": { "send": 0, "wait": 0, "receive": 0 },
        "serverIPAddress": exchange.dialled.rsplit_once(':').map_or("", |(address, _)| address),
        "_via": exchange.via,
    })
}

/// A body as it stood on the wire; in base64 where it is no text.
fn body(exchange: &Exchange) -> Value {
    use base64::Engine as _;
    let named = exchange.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let kind = named.map_or("application/octet-stream", |(_, value)| value.as_str());
    if let Ok(text) = std::str::from_utf8(&exchange.body.bytes) {
        return json!({ "mimeType": kind, "params": [], "text": text });
    }
    let text = base64::engine::general_purpose::STANDARD.encode(exchange.body.bytes.as_slice());
    json!({ "mimeType": kind, "params": [], "text": text, "comment": "base64", "_encoding": "base64" })
}

fn time(unix_ms: i64) -> String {
    DateTime::from_timestamp_millis(unix_ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::capture::Body;
    use crate::report::testing;

    fn read(records: &[Record]) -> Value {
        let bytes = archive(records, &testing::manifest().scenario, "0.1.0");
        assert!(bytes.iter().all(|byte| matches!(byte, b'\n' | b' '..=b'~')));
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn an_entry_a_request_and_a_page_a_cell() {
        let log = read(&testing::records());
        assert_eq!(log["log"]["version"], "1.2");
        assert_eq!(log["log"]["pages"].as_array().unwrap().len(), 11, "a lost cell has nothing to show");
        assert_eq!(log["log"]["pages"][1]["_levels"]["zone"], "Asia/Tokyo");
        let entry = &log["log"]["entries"][1];
        assert_eq!(entry["pageref"], "c0001");
        assert_eq!(entry["request"]["url"], "http://api.example/v1/messages");
        assert_eq!(entry["request"]["postData"]["text"], "{\"text\":\"hello variant\"}");
        assert_eq!(entry["startedDateTime"], "2023-11-14T22:13:20.500Z");
        assert_eq!(entry["serverIPAddress"], "10.0.0.1");
    }

    #[test]
    fn a_hostile_agent_changes_nothing_of_the_structure() {
        let mut records = testing::records();
        let mut capture = Capture::clone(records[0].outcome.as_ref().unwrap());
        capture.exchanges[0].target = format!("/x?{}", testing::HOSTILE);
        capture.exchanges[0].port = 8080;
        capture.exchanges[0].headers.push((testing::HOSTILE.into(), testing::HOSTILE.into()));
        capture.exchanges[0].body = Body::new(&b"\xff\xfe\x00"[..]);
        capture.started_unix_ms = i64::MAX;
        records[0].outcome = Ok(Arc::new(capture));
        let log = read(&records);
        assert_eq!(log["log"]["entries"].as_array().unwrap().len(), 11);
        let request = &log["log"]["entries"][0]["request"];
        assert!(request["url"].as_str().unwrap().starts_with("http://api.example:8080/x?"));
        assert_eq!(request["postData"]["text"], "//4A");
        assert_eq!(request["headers"][2]["value"], testing::HOSTILE);
    }
}
