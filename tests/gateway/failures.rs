//! Failures and broken streams on demand, in every dialect, by both versions of HTTP.

use hyper::body::Bytes;
use hyper::{Request, Version};
use parallax::scenario::Turn;
use serde_json::{Value, json};

use crate::http2::connect;
use crate::lab::{Lab, body};

const STATUSES: [u16; 3] = [429, 500, 529];

/// Every way of asking a model, with the words of who answers: where in a failure's body they stand, which they are for
/// each status, and whether a header says when to try again.
struct Way {
    path: &'static str,
    /// Whether what is asked for there is a stream. One that is an array comes at once, and can be cut all the same.
    streams: bool,
    words: [(&'static str, Value); 3],
    retry_after: [bool; 3],
}

fn ways() -> Vec<Way> {
    let way = |path, streams, pointers: [&'static str; 3], said: [Value; 3], retry_after| {
        let mut pointers = pointers.into_iter();
        Way { path, streams, words: said.map(|words| (pointers.next().unwrap(), words)), retry_after }
    };
    let anthropic = || [json!("rate_limit_error"), json!("api_error"), json!("overloaded_error")];
    let google = || [json!("RESOURCE_EXHAUSTED"), json!("INTERNAL"), json!("UNAVAILABLE")];
    let openai = || [json!("rate_limit_error"), json!("server_error"), json!("server_error")];
    let plain = || [json!("Rate limit exceeded"), json!("Internal server error"), json!("Overloaded")];
    let vertex = || [json!("RESOURCE_EXHAUSTED"), json!("INTERNAL"), json!("overloaded_error")];
    let (says, silent) = ([true, false, true], [false; 3]);
    let on_vertex = ["/error/status", "/error/status", "/error/type"];
    vec![
        way("/v1/messages", true, ["/error/type"; 3], anthropic(), says),
        way("/v1/chat/completions", true, ["/error/type"; 3], openai(), says),
        way("/v1/responses", true, ["/error/type"; 3], openai(), says),
        way("/v1beta/models/m:generateContent", false, ["/error/status"; 3], google(), silent),
        way("/v1beta/models/m:streamGenerateContent?alt=sse", true, ["/error/status"; 3], google(), silent),
        way("/v1beta/models/m:streamGenerateContent", false, ["/0/error/status"; 3], google(), silent),
        way("/api/chat", true, ["/error"; 3], plain(), silent),
        way("/model/m/invoke", false, ["/message"; 3], plain(), silent),
        way("/model/m/invoke-with-response-stream", true, ["/message"; 3], plain(), silent),
        way(
            "/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict",
            false,
            on_vertex,
            vertex(),
            [false, false, true],
        ),
        way(
            "/v1/projects/p/locations/l/publishers/anthropic/models/m:streamRawPredict",
            true,
            on_vertex,
            vertex(),
            [false, false, true],
        ),
    ]
}

/// What came of a request: its status, its header lines in lower case, its body, and whether that broke off.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    broken: bool,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Reads an answer off a connection that was then closed.
    fn read(text: &str) -> Self {
        let (head, rest) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> =
            lines.map(|line| line.split_once(": ").unwrap()).map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
        let mut answer = Self { status, headers, body: rest.to_owned(), broken: false };
        answer.broken = match answer.header("content-length") {
            Some(length) => rest.len() < length.parse().unwrap(),
            None => !rest.ends_with("0\r\n\r\n"),
        };
        answer
    }
}

/// A lab in which both versions are spoken.
async fn lab(script: &[Turn]) -> Lab {
    let mut lab = Lab::open(script.to_vec(), Vec::new()).await;
    lab.offer_http2(true);
    lab.end().await;
    lab
}

fn prompt() -> Value {
    json!({"model": "m", "stream": true})
}

async fn by_http1(lab: &Lab, path: &str) -> Answer {
    Answer::read(&lab.post(path, &prompt()).await)
}

async fn by_http2(lab: &Lab, path: &str) -> Answer {
    let (sender, driver) = connect(lab).await;
    let url = format!("https://api.example.com{path}");
    let request = Request::post(url).version(Version::HTTP_2).body(()).unwrap();
    let (answer, mut stream) = sender.ready().await.unwrap().send_request(request, false).unwrap();
    stream.send_data(Bytes::from(prompt().to_string()), true).unwrap();
    let answer = answer.await.unwrap();
    let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let (status, headers) = (answer.status().as_u16(), headers.collect());
    let mut incoming = answer.into_body();
    let (mut bytes, mut broken) = (Vec::new(), false);
    while let Some(data) = incoming.data().await {
        let Ok(data) = data else {
            broken = true;
            break;
        };
        incoming.flow_control().release_capacity(data.len()).unwrap();
        bytes.extend_from_slice(&data);
    }
    drop((stream, incoming));
    driver.abort();
    Answer { status, headers, body: String::from_utf8_lossy(&bytes).into_owned(), broken }
}

#[tokio::test]
async fn every_dialect_fails_in_its_vendors_words() {
    let script: Vec<Turn> = STATUSES.into_iter().chain(STATUSES).map(|status| Turn::Error { status }).collect();
    for way in ways() {
        let lab = lab(&script).await;
        let path = way.path;
        for second in [false, true] {
            for (n, status) in STATUSES.into_iter().enumerate() {
                let answer = if second { by_http2(&lab, path).await } else { by_http1(&lab, path).await };
                let (pointer, words) = &way.words[n];
                assert_eq!((answer.status, answer.broken), (status, false), "{path}");
                assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
                let body: Value = serde_json::from_str(&answer.body).unwrap();
                assert_eq!(body.pointer(pointer), Some(words), "{path} {status}: {body}");
                assert_eq!(answer.header("retry-after").is_some(), way.retry_after[n], "{path} {status}");
                let exception = ["ThrottlingException", "InternalServerException", "ServiceUnavailableException"][n];
                let bedrock = path.starts_with("/model/").then_some(exception);
                assert_eq!(answer.header("x-amzn-errortype"), bedrock, "{path} {status}");
                let when =
                    body.pointer("/error/details/0/retryDelay").or(body.pointer("/0/error/details/0/retryDelay"));
                let google = pointer.ends_with("/status") && status == 429;
                assert_eq!(when.is_some(), google, "{path}: Google says in the body when to try again");
            }
        }
    }
}

#[tokio::test]
async fn every_dialects_answers_break_off_in_their_middle() {
    let text = Turn::Text(String::from("A text that takes several events, said at last, after all that came before."));
    let script = [Turn::Cut, Turn::Cut, text];
    for way in ways() {
        let lab = lab(&script).await;
        let path = way.path;
        for second in [false, true] {
            let cut = if second { by_http2(&lab, path).await } else { by_http1(&lab, path).await };
            assert_eq!((cut.status, cut.broken), (200, true), "{path}, HTTP/2: {second}");
            assert!(!cut.body.is_empty(), "{path}, HTTP/2: {second}: it breaks after its beginning");
            assert!(
                cut.header("content-length").is_none() || !way.streams,
                "{path}: the length of a stream is not said"
            );
        }
        let (one, two) = (by_http1(&lab, path).await, by_http2(&lab, path).await);
        assert!(!one.broken && !two.broken, "{path}");

        let ends = ["message_stop", "[DONE]", "response.completed", "STOP", "\"done\":true"];
        let named = path.starts_with("/model/") || ends.iter().any(|end| two.body.contains(end));
        assert!(named || two.body.contains("end_turn"), "{path}: {}", two.body);
    }
}

#[tokio::test]
async fn a_failure_is_anthropics_whole_object() {
    let lab = Lab::open(vec![Turn::Error { status: 529 }], Vec::new()).await;
    let failed = body(&lab.post("/v1/messages", &prompt()).await);
    let error = json!({"type": "overloaded_error", "message": "Overloaded"});
    assert_eq!(failed, json!({"type": "error", "error": error, "request_id": null}));
}
