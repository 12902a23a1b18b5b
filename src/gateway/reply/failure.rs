//! **Failures** on demand, in the words of each dialect.

use serde_json::{Value, json};

use super::Reply;
use crate::wire::Dialect;

/// Who answers: of some dialects more than one vendor makes words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    Anthropic,
    /// What Bedrock says of itself.
    Bedrock,
    OpenAi,
    Google,
    /// An array, as Google's streams are that are no server-sent events.
    GoogleArray,
    Ollama,
}

impl Voice {
    /// Who answers a request of this dialect and target with this status.
    pub(super) fn of(dialect: Dialect, target: &str, status: u16) -> Self {
        let path = target.split(['?', '#']).next().unwrap_or_default();
        match dialect {
            // On Vertex the model's overload comes through in its vendor's words; all else is said by Google.
            Dialect::AnthropicMessages if path.to_ascii_lowercase().ends_with("rawpredict") && status != 529 => {
                Self::Google
            }
            Dialect::AnthropicMessages => Self::Anthropic,
            Dialect::AnthropicBedrock => Self::Bedrock,
            Dialect::OpenAiChat | Dialect::OpenAiResponses => Self::OpenAi,
            Dialect::Gemini if path.ends_with(":streamGenerateContent") && !target.contains("alt=sse") => {
                Self::GoogleArray
            }
            Dialect::Gemini => Self::Google,
            Dialect::Ollama => Self::Ollama,
        }
    }

    /// Whether it says in a header when to try again. Google says so in the body, the others not at all.
    fn says_when(self) -> bool {
        matches!(self, Self::Anthropic | Self::OpenAi)
    }
}

/// The answer that a request gets whose turn is an error.
pub(super) fn reply(voice: Voice, status: u16) -> Reply {
    let message = message(status);
    let code = (status == 429).then_some("rate_limit_exceeded");
    let body: Value = match voice {
        Voice::Anthropic => json!({
            "type": "error",
            "error": { "type": anthropic(status), "message": message },
            "request_id": null
        }),
        Voice::Bedrock => json!({ "message": message }),
        Voice::OpenAi => json!({
            "error": { "message": message, "type": openai(status), "param": null, "code": code }
        }),
        Voice::Google => said_by_google(status, message),
        Voice::GoogleArray => json!([said_by_google(status, message)]),
        Voice::Ollama => json!({ "error": message }),
    };
    let mut reply = Reply::json(status, &body);
    if matches!(status, 429 | 503 | 529) && voice.says_when() {
        reply = reply.with_header("Retry-After", String::from("1"));
    }
    if voice == Voice::Bedrock {
        reply = reply.with_header("X-Amzn-ErrorType", String::from(bedrock(status)));
    }
    reply
}

fn said_by_google(status: u16, message: &str) -> Value {
    let mut error = json!({ "code": status, "message": message, "status": google(status) });
    if status == 429 {
        error["details"] = json!([{ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s" }]);
    }
    json!({ "error": error })
}

fn message(status: u16) -> &'static str {
    match status {
        401 => "Invalid authentication credentials",
        403 => "Permission denied",
        404 => "Not found",
        413 => "Request exceeds the maximum size",
        429 => "Rate limit exceeded",
        529 => "Overloaded",
        400..=499 => "Invalid request",
        503 => "Service unavailable",
        _ => "Internal server error",
    }
}

fn anthropic(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

fn openai(status: u16) -> &'static str {
    match status {
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

fn google(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        400..=499 => "INVALID_ARGUMENT",
        503 | 529 => "UNAVAILABLE",
        _ => "INTERNAL",
    }
}

fn bedrock(status: u16) -> &'static str {
    match status {
        403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        429 => "ThrottlingException",
        400..=499 => "ValidationException",
        503 | 529 => "ServiceUnavailableException",
        _ => "InternalServerException",
    }
}
