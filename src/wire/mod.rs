//! Readers of **API dialects**: what a model request asks for, whichever vendor's words it uses. Takes a method, a path
//! and a body, gives a [`Prompt`]; refuses to know who asks, on which host, and what will be answered.
//!
//! A dialect is one file. A further one needs its variant in [`Dialect`], its path in [`recognise`], its reader here, and
//! its writer in `gateway/reply/`.

mod anthropic;
pub mod encoding;
mod gemini;
mod openai_chat;
mod openai_responses;

use serde_json::Value;

/// A way of talking to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Anthropic Messages.
    AnthropicMessages,
    /// `OpenAI` Chat Completions.
    OpenAiChat,
    /// `OpenAI` Responses.
    OpenAiResponses,
    /// Gemini `generateContent`.
    Gemini,
}

/// What is asked of a model endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An answer.
    Generate,
    /// An answer, as a stream; said by the path in Gemini alone, by the body elsewhere.
    GenerateStream,
    /// The number of tokens of a prompt.
    CountTokens,
    /// The models that there are.
    ListModels,
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
        "GET" if path.ends_with("/models") && anthropic => Some((Dialect::AnthropicMessages, Operation::ListModels)),
        "GET" if path.ends_with("/models") => Some((Dialect::OpenAiChat, Operation::ListModels)),
        _ => None,
    }
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
        Dialect::AnthropicMessages => anthropic::read(body),
        Dialect::OpenAiChat => openai_chat::read(body),
        Dialect::OpenAiResponses => openai_responses::read(body),
        Dialect::Gemini => gemini::read(body),
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
        assert_eq!(recognise("GET", "/v1/models", false), Some((Dialect::OpenAiChat, Operation::ListModels)));
        for (method, target) in
            [("GET", "/v1/messages"), ("POST", "/v1/message"), ("POST", "/log?x=/messages"), ("POST", "/")]
        {
            assert_eq!(recognise(method, target, false), None, "{method} {target}");
        }
    }

    #[test]
    fn misshapen_bodies_are_read_as_empty() {
        for body in [
            Value::Null,
            serde_json::json!([1]),
            serde_json::json!({"messages": {"role": 3}, "tools": "x", "stream": "yes"}),
        ] {
            for dialect in [Dialect::AnthropicMessages, Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Gemini]
            {
                assert_eq!(read(dialect, &body), Prompt::default());
            }
        }
    }
}
