//! **Replies**: what the stub Internet answers. Takes a recorded request, gives status, header lines and a body or
//! events; refuses to know anything of connections, cells or clocks other than the wall's.
//!
//! A model dialect is one file here and one in [`wire`]; every other request gets the scenario's canned
//! answer, or a plausible nothing.

mod anthropic;
mod bedrock;
mod failure;
mod gemini;
pub(super) mod instance;
mod ollama;
mod openai_chat;
mod openai_responses;

use serde_json::Value;

use super::script::{self, Attempts, Next};
use crate::scenario::{self, Answer};
use crate::wire::{self, Dialect, Operation, encoding};

/// The tokens that every prompt is said to have. A constant: a count that followed the prompt's length would carry every
/// difference of a prompt into whatever the agent makes of the count.
const INPUT_TOKENS: u32 = 2048;

/// The tokens that every answer is said to have.
const OUTPUT_TOKENS: u32 = 16;

/// The one model that lists name: a list must name something, for an agent that takes the first, and nothing that an agent
/// could prefer. Asked for by its name, every model is there.
const MODEL: &str = "default";

/// How many characters of text one event of a stream carries.
const PIECE: usize = 24;

/// A request as the stub sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    /// Origin form.
    pub(super) target: &'a str,
    pub(super) headers: &'a [(String, String)],
    pub(super) body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The value of the first header line of this name.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// Header lines beside those of framing and the date.
    pub(super) headers: Vec<(String, String)>,
    pub(super) payload: Payload,
    /// Whether the connection breaks in the middle of the payload.
    pub(super) cut: bool,
}

/// What an answer carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// All at once.
    Bytes(Vec<u8>),
    /// One event after the other, each complete with what ends it.
    Events(Vec<String>),
    /// One binary frame after the other.
    Frames(Vec<Vec<u8>>),
}

impl Payload {
    /// The parts of a stream, whose length is not said in advance; `None` where there is a length.
    pub(super) fn parts(&self) -> Option<Vec<&[u8]>> {
        match self {
            Self::Bytes(_) => None,
            Self::Events(events) => Some(events.iter().map(String::as_bytes).collect()),
            Self::Frames(frames) => Some(frames.iter().map(Vec::as_slice).collect()),
        }
    }
}

impl Reply {
    /// No body.
    pub(super) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), payload: Payload::Bytes(Vec::new()), cut: false }
    }

    fn json(status: u16, value: &Value) -> Self {
        let headers = vec![(String::from("Content-Type"), String::from("application/json"))];
        Self { status, headers, payload: Payload::Bytes(value.to_string().into_bytes()), cut: false }
    }

    fn events(events: Vec<String>) -> Self {
        Self::stream("text/event-stream; charset=utf-8", events).with_header("Cache-Control", String::from("no-cache"))
    }

    fn stream(kind: &str, events: Vec<String>) -> Self {
        let headers = vec![(String::from("Content-Type"), kind.to_owned())];
        Self { status: 200, headers, payload: Payload::Events(events), cut: false }
    }

    fn with_header(mut self, name: &str, value: String) -> Self {
        self.headers.push((name.to_owned(), value));
        self
    }
}

/// Answers every request by itself: nothing is remembered from one to the next but how often the script has failed it.
#[derive(Clone, Debug)]
pub(super) struct Stub {
    stub: scenario::Stub,
}

impl Stub {
    /// A stub that follows the scenario.
    pub(super) fn new(stub: scenario::Stub) -> Self {
        Self { stub }
    }

    /// The answer to a request of the cell whose attempts these are.
    pub(super) fn answer(&self, request: &Request<'_>, attempts: &Attempts) -> Reply {
        let anthropic = request.header("anthropic-version").is_some();
        match wire::recognise(request.method, request.target, anthropic) {
            Some((dialect, operation)) => self.model(dialect, operation, request, attempts),
            None => self.canned(request).unwrap_or_else(|| nothing(request)),
        }
    }

    /// Whether a WebSocket is accepted.
    pub(super) fn accepts_websockets(&self) -> bool {
        self.stub.websocket
    }

    fn model(&self, dialect: Dialect, operation: Operation, request: &Request<'_>, attempts: &Attempts) -> Reply {
        let stream_by_path = match operation {
            Operation::Generate => false,
            Operation::GenerateStream => true,
            Operation::CountTokens if dialect == Dialect::Gemini => return gemini::count_tokens(),
            Operation::CountTokens => return anthropic::count_tokens(),
            Operation::ListModels => {
                return match dialect {
                    Dialect::AnthropicMessages | Dialect::AnthropicBedrock => anthropic::models(),
                    Dialect::Gemini => gemini::models(),
                    Dialect::Ollama => ollama::models(),
                    Dialect::OpenAiChat | Dialect::OpenAiResponses => openai_chat::models(),
                };
            }
            Operation::ShowModel => {
                let name = wire::model_shown(request.target);
                return match dialect {
                    Dialect::AnthropicMessages | Dialect::AnthropicBedrock => anthropic::model(&name),
                    Dialect::Gemini => gemini::model(&name),
                    Dialect::Ollama => ollama::model(),
                    Dialect::OpenAiChat | Dialect::OpenAiResponses => openai_chat::model(&name),
                };
            }
        };
        let body = encoding::decode(request.header("content-encoding"), request.body).unwrap_or_default();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let mut prompt = wire::read(dialect, &body);
        prompt.stream |= stream_by_path;
        if let Some(model) = wire::model_of(request.target).filter(|_| prompt.model.is_empty()) {
            prompt.model = model;
        }
        let (chosen, cut) = match script::next(&self.stub.script, &prompt, attempts) {
            Next::Say(chosen) => (chosen, false),
            Next::BreakOff(chosen) => (chosen, true),
            Next::Fail(status) => {
                return failure::reply(failure::Voice::of(dialect, request.target, status), status);
            }
        };
        let mut reply = match dialect {
            Dialect::AnthropicMessages => anthropic::reply(&prompt, &chosen),
            Dialect::AnthropicBedrock => bedrock::reply(&prompt, &chosen),
            Dialect::Ollama => ollama::reply(&prompt, &chosen),
            Dialect::OpenAiChat => openai_chat::reply(&prompt, &chosen),
            Dialect::OpenAiResponses => openai_responses::reply(&prompt, &chosen),
            Dialect::Gemini => gemini::reply(&prompt, &chosen, request.target.contains("alt=sse")),
        };
        reply.cut = cut;
        reply
    }

    fn canned(&self, request: &Request<'_>) -> Option<Reply> {
        let path = request.target.split(['?', '#']).next().unwrap_or_default();
        let matches = |answer: &&Answer| {
            let subject = if answer.path.contains('?') { request.target } else { path };
            answer.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(request.method))
                && answer.host.as_ref().is_none_or(|host| glob(&host.to_ascii_lowercase(), request.host))
                && glob(&answer.path, subject)
        };
        self.stub.answers.iter().find(matches).map(|answer| Reply::json(answer.status, &answer.json))
    }
}

/// What a request gets that nobody foresaw.
fn nothing(request: &Request<'_>) -> Reply {
    let upgrades = request.header("upgrade").is_some_and(|to| to.eq_ignore_ascii_case("websocket"));
    // Clients that try a WebSocket first fall back to plain requests at once when told so.
    Reply::json(if upgrades { 426 } else { 404 }, &Value::Object(serde_json::Map::new()))
}

/// Whether `pattern` matches all of `text`; `*` stands for any run of characters.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            match rest.split_once(middle) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
    }
    match last {
        None => rest.is_empty(),
        Some(end) => rest.ends_with(end),
    }
}

/// Cuts text into what the events of a stream carry.
fn pieces(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(PIECE).map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scenario::Turn;

    fn request<'a>(method: &'a str, host: &'a str, target: &'a str, headers: &'a [(String, String)]) -> Request<'a> {
        Request { method, host, target, headers, body: b"" }
    }

    #[test]
    fn globs() {
        for (pattern, text) in [
            ("/a", "/a"),
            ("/a*", "/abc"),
            ("*", ""),
            ("/*/b/*", "/x/y/b/z"),
            ("*.example.com", "a.example.com"),
            ("a*b*c", "abbc"),
        ] {
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("/a", "/ab"), ("/a*", "/b"), ("/*/b", "/x/c"), ("", "x"), ("ab*ba", "aba"), ("a*b*b", "ab")]
        {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn canned_answers_match_in_order_and_the_rest_is_404() {
        let answer = |method: Option<&str>, host: Option<&str>, path: &str, status| Answer {
            method: method.map(str::to_owned),
            host: host.map(str::to_owned),
            path: path.to_owned(),
            status,
            json: json!({"status": status}),
        };
        let answers = vec![
            answer(Some("POST"), Some("Auth.example.com"), "/token/*", 201),
            answer(None, None, "/token/*", 202),
            answer(None, Some("*.example.com"), "/q?x=*", 203),
        ];
        let stub =
            Stub::new(scenario::Stub { script: vec![Turn::Text(String::from("OK"))], answers, websocket: false });
        let attempts = Attempts::default();
        let status = |method, host, target| stub.answer(&request(method, host, target, &[]), &attempts).status;
        assert_eq!(status("POST", "auth.example.com", "/token/x?y"), 201);
        assert_eq!(status("GET", "auth.example.com", "/token/x"), 202);
        assert_eq!(status("GET", "auth.example.com", "/q?x=1"), 203);
        assert_eq!(status("GET", "auth.example.com", "/q"), 404);
        let upgrade = [(String::from("Upgrade"), String::from("websocket"))];
        assert_eq!(stub.answer(&request("GET", "h", "/v1/responses", &upgrade), &attempts).status, 426);
        let other = stub.answer(&request("GET", "h", "/", &[]), &attempts);
        assert_eq!(other.payload, Payload::Bytes(b"{}".to_vec()));
    }
}
