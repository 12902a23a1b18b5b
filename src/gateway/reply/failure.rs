//! **Failures** on demand, in the words of each dialect.

use serde_json::{Value, json};

use super::Reply;
use crate::wire::Dialect;

/// The answer that a request gets whose turn is an error.
pub(super) fn reply(dialect: Dialect, status: u16) -> Reply {
    let message = message(status);
    let body: Value = match dialect {
        Dialect::AnthropicMessages => json!({
            "type": "error",
            "error": { "type": anthropic(status), "message": message },
            "request_id": null
        }),
        Dialect::AnthropicBedrock => json!({ "message": message }),
        Dialect::OpenAiChat | Dialect::OpenAiResponses => json!({
            "error": { "message": message, "type": openai(status), "param": null, "code": null }
        }),
        Dialect::Gemini => json!({ "error": { "code": status, "message": message, "status": google(status) } }),
        Dialect::Ollama => json!({ "error": message }),
    };
    let mut reply = Reply::json(status, &body);
    if matches!(status, 429 | 503 | 529) {
        reply = reply.with_header("Retry-After", String::from("1"));
    }
    if dialect == Dialect::AnthropicBedrock {
        reply = reply.with_header("X-Amzn-ErrorType", String::from(bedrock(status)));
    }
    reply
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
