//! Readers of **API dialects**: what a model request asks for, whichever vendor's words it uses. Takes a method, a path
//! and a body, gives a [`Prompt`]; refuses to know who asks, on which host, and what will be answered.
//!
//! A dialect is one file. A further one needs its variant in [`Dialect`], its path in [`recognise`], its reader here, and
//! its writer in `gateway/reply/`.

mod anthropic;
pub mod encoding;
mod gemini;
mod ollama;
mod openai_chat;
mod openai_responses;

use serde_json::Value;

/// A way of talking to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Anthropic Messages.
    AnthropicMessages,
    /// Anthropic Messages as Bedrock carries them: the model in the path, streams in binary frames.
    AnthropicBedrock,
    /// `OpenAI` Chat Completions.
    OpenAiChat,
    /// `OpenAI` Responses.
    OpenAiResponses,
    /// Gemini `generateContent`.
    Gemini,
    /// Ollama chat.
    Ollama,
}

/// What is asked of a model endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An answer.
    Generate,
    /// An answer, as a stream; said by the path where the model is named there too, by the body elsewhere.
    GenerateStream,
    /// The number of tokens of a prompt.
    CountTokens,
    /// The models that there are.
    ListModels,
    /// One model, which the request names.
    ShowModel,
}

/// Recognises a model request by its method and the shape of its path, on any host and below any prefix, so that base
/// URLs with a path work. `anthropic` says whether the request has a header that only that vendor's clients send: two
/// dialects share the path of the model list.
#[must_use]
pub fn recognise(method: &str, target: &str, anthropic: bool) -> Option<(Dialect, Operation)> {
    let path = target.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    match method {
        "POST" if path.ends_with("/messages") => Some((Dialect::AnthropicMessages, Operation::Generate)),
        "POST" if path.ends_with("/messages/count_tokens") => {
            Some((Dialect::AnthropicMessages, Operation::CountTokens))
        }
        "POST" if path.ends_with("/chat/completions") => Some((Dialect::OpenAiChat, Operation::Generate)),
        "POST" if path.ends_with("/responses") => Some((Dialect::OpenAiResponses, Operation::Generate)),
        "POST" if path.ends_with(":generateContent") => Some((Dialect::Gemini, Operation::Generate)),
        "POST" if path.ends_with(":streamGenerateContent") => Some((Dialect::Gemini, Operation::GenerateStream)),
        "POST" if path.ends_with(":countTokens") => Some((Dialect::Gemini, Operation::CountTokens)),
        "POST" if path.ends_with("/api/chat") => Some((Dialect::Ollama, Operation::Generate)),
        "GET" if path.ends_with("/api/tags") => Some((Dialect::Ollama, Operation::ListModels)),
        "POST" if path.ends_with("/api/show") => Some((Dialect::Ollama, Operation::ShowModel)),
        "POST" if path.ends_with("/invoke") && model_of(target).is_some() => {
            Some((Dialect::AnthropicBedrock, Operation::Generate))
        }
        "POST" if path.ends_with("/invoke-with-response-stream") => {
            Some((Dialect::AnthropicBedrock, Operation::GenerateStream))
        }
        // Vertex carries Anthropic Messages under Google's verbs.
        "POST" if path.ends_with("/count-tokens:rawPredict") => {
            Some((Dialect::AnthropicMessages, Operation::CountTokens))
        }
        "POST" if path.ends_with(":rawPredict") => Some((Dialect::AnthropicMessages, Operation::Generate)),
        "POST" if path.ends_with(":streamRawPredict") => Some((Dialect::AnthropicMessages, Operation::GenerateStream)),
        "GET" if path.ends_with("/v1beta/models") => Some((Dialect::Gemini, Operation::ListModels)),
        "GET" if path.ends_with("/models") && anthropic => Some((Dialect::AnthropicMessages, Operation::ListModels)),
        "GET" if path.ends_with("/models") => Some((Dialect::OpenAiChat, Operation::ListModels)),
        "GET" => one_model(path, anthropic).map(|dialect| (dialect, Operation::ShowModel)),
        _ => None,
    }
}

/// The dialect in which a path asks for one model: `/v1/models/NAME`. Other services have models of their own under other
/// paths, so that the version before it must be there where anything is.
fn one_model(path: &str, anthropic: bool) -> Option<Dialect> {
    let (before, name) = path.split_once("/models/")?;
    let version = before.rsplit('/').next().unwrap_or_default();
    let is_version =
        version.strip_prefix('v').is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()));
    if name.is_empty() || !(before.is_empty() || is_version) {
        return None;
    }
    Some(match version {
        "v1beta" => Dialect::Gemini,
        _ if anthropic => Dialect::AnthropicMessages,
        _ => Dialect::OpenAiChat,
    })
}

/// The model that a path names, where it does: `/model/NAME/invoke`, `/models/NAME:verb`, `/models/NAME`.
#[must_use]
pub fn model_of(target: &str) -> Option<String> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let (_, after) = path.rsplit_once("/models/").or_else(|| path.rsplit_once("/model/"))?;
    let name = after.split('/').next().unwrap_or_default();
    let name = match name.rsplit_once(':') {
        Some((name, verb)) if !verb.is_empty() && verb.bytes().all(|byte| byte.is_ascii_alphabetic()) => name,
        _ => name,
    };
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    (!name.is_empty()).then(|| name.into_owned())
}

/// The model that a path asks to be shown, all of its name: it may have slashes and colons of its own.
#[must_use]
pub fn model_shown(target: &str) -> String {
    let path = target.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let name = path.split_once("/models/").map_or("", |(_, name)| name);
    percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned()
}

/// What a model request asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    /// Model named.
    pub model: String,
    /// Whether the answer is to be a stream of events.
    pub stream: bool,
    /// Whether a stream is to end with a count of tokens, where that must be asked for.
    pub stream_usage: bool,
    /// Tools offered, in order.
    pub tools: Vec<Tool>,
    /// Whether a tool must be called.
    pub choice: ToolChoice,
    /// JSON Schema that the answer's text must follow.
    pub schema: Option<Value>,
    /// What the model is said to have said already, in order, one entry a message.
    pub said: Vec<Said>,
}

/// A tool that a request offers.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Name.
    pub name: String,
    /// JSON Schema of its input.
    pub schema: Value,
}

/// Whether a tool must be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ToolChoice {
    /// As the model likes.
    #[default]
    Free,
    /// None may be.
    None,
    /// Any must be.
    Any,
    /// This one must be.
    Named(String),
}

/// An earlier message of the model's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// Its text, parts joined.
    pub text: String,
    /// Tools that it called.
    pub calls: Vec<Call>,
}

/// A tool call that a model made.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Id, as it was given out.
    pub id: String,
    /// Tool name.
    pub name: String,
    /// Input.
    pub input: Value,
}

/// Reads a request's body. What is missing or misshapen is left at its default: an agent's mistakes are its own.
#[must_use]
pub fn read(dialect: Dialect, body: &Value) -> Prompt {
    match dialect {
        Dialect::AnthropicMessages | Dialect::AnthropicBedrock => anthropic::read(body),
        Dialect::OpenAiChat => openai_chat::read(body),
        Dialect::OpenAiResponses => openai_responses::read(body),
        Dialect::Gemini => gemini::read(body),
        Dialect::Ollama => ollama::read(body),
    }
}

/// The text of a string, or of an array of parts that have a `text`.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => String::new(),
    }
}

fn string(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialects_are_known_by_path_shape() {
        let generate = |dialect| Some((dialect, Operation::Generate));
        assert_eq!(recognise("POST", "/v1/messages?beta=true", false), generate(Dialect::AnthropicMessages));
        assert_eq!(recognise("POST", "/proxy/team/v1/messages", false), generate(Dialect::AnthropicMessages));
        assert_eq!(recognise("POST", "/openai/v1/chat/completions", false), generate(Dialect::OpenAiChat));
        assert_eq!(recognise("POST", "/v1/responses", false), generate(Dialect::OpenAiResponses));
        assert_eq!(
            recognise("POST", "/v1beta/models/m:streamGenerateContent?alt=sse", false),
            Some((Dialect::Gemini, Operation::GenerateStream))
        );
        assert_eq!(
            recognise("POST", "/v1/messages/count_tokens?beta=true", true),
            Some((Dialect::AnthropicMessages, Operation::CountTokens))
        );
        let bedrock = "/model/anthropic.claude-sonnet-4-v1%3A0/invoke-with-response-stream";
        assert_eq!(recognise("POST", bedrock, false), Some((Dialect::AnthropicBedrock, Operation::GenerateStream)));
        let vertex = "/v1/projects/p/locations/l/publishers/anthropic/models/claude@1:streamRawPredict";
        assert_eq!(recognise("POST", vertex, false), Some((Dialect::AnthropicMessages, Operation::GenerateStream)));
        assert_eq!(recognise("POST", "/api/chat", false), generate(Dialect::Ollama));
        assert_eq!(model_of(bedrock).as_deref(), Some("anthropic.claude-sonnet-4-v1:0"));
        assert_eq!(model_of(vertex).as_deref(), Some("claude@1"));
        assert_eq!(model_of("/v1beta/models/m:generateContent").as_deref(), Some("m"));
        assert_eq!(model_of("/v1/messages"), None);
        assert_eq!(recognise("GET", "/v1/models", false), Some((Dialect::OpenAiChat, Operation::ListModels)));
        let shown = |dialect| Some((dialect, Operation::ShowModel));
        assert_eq!(recognise("GET", "/v1/models/m-1", false), shown(Dialect::OpenAiChat));
        assert_eq!(recognise("GET", "/team/v1/models/vendor/m?x=y", true), shown(Dialect::AnthropicMessages));
        assert_eq!(recognise("GET", "/v1beta/models/m", false), shown(Dialect::Gemini));
        assert_eq!(recognise("POST", "/api/show", false), shown(Dialect::Ollama));
        assert_eq!(model_shown("/team/v1/models/vendor/m%3A1:free?x=y"), "vendor/m:1:free");
        for (method, target) in [
            ("GET", "/v1/messages"),
            ("POST", "/v1/message"),
            ("POST", "/log?x=/messages"),
            ("POST", "/"),
            ("POST", "/invoke"),
            ("GET", "/api/models/m"),
            ("GET", "/shop/models/m"),
        ] {
            assert_eq!(recognise(method, target, false), None, "{method} {target}");
        }
    }

    #[test]
    fn misshapen_bodies_are_read_as_empty() {
        for body in [
            Value::Null,
            serde_json::json!([1]),
            serde_json::json!({"messages": {"role": 3}, "tools": "x", "stream": "no"}),
        ] {
            for dialect in [Dialect::AnthropicMessages, Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Gemini]
            {
                assert_eq!(read(dialect, &body), Prompt::default());
            }
        }
    }
}
