//! A model request with whatever body: what is asked for, and what the stub answers.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use parallax::gateway::entry::Parlour;
use parallax::scenario::{Stub, Turn};
use parallax::wire;

static PARLOUR: LazyLock<Parlour> = LazyLock::new(|| {
    let tool = Turn::Tool { name: String::from("bash"), input: serde_json::json!({"command": "ls"}) };
    Parlour::open(Stub { script: vec![tool, Turn::Text(String::from("OK"))], ..Stub::default() }).expect("a gateway")
});

const PATHS: [&str; 9] = [
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/model/m/invoke-with-response-stream",
    "/v1/chat/completions",
    "/v1/responses",
    "/v1beta/models/g:generateContent",
    "/v1beta/models/g:streamGenerateContent?alt=sse",
    "/api/chat",
    "/v1/projects/p/publishers/anthropic/models/m:streamRawPredict",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((which, body)) = bytes.split_first() else { return };
    let path = PATHS[usize::from(*which) % PATHS.len()];
    if let (Some((dialect, _)), Ok(body)) = (wire::recognise("POST", path, true), serde_json::from_slice(body)) {
        let _ = wire::read(dialect, &body);
    }
    let mut request = format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    request.extend_from_slice(body);
    let heard = PARLOUR.hear(80, &request).expect("reports that can be read");
    assert!(heard.answer.starts_with(b"HTTP/1.1 "));
    assert_eq!(heard.reports.len(), 1);
});
