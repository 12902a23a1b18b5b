//! Gemini **`generateContent`** answers, streamed or not.

use serde_json::{Value, json};

use super::{INPUT_TOKENS, MODEL, OUTPUT_TOKENS, Reply, pieces};
use crate::gateway::script::{Chosen, Content, call_id, identifier};
use crate::wire::Prompt;

/// The answer to a prompt. A stream is server-sent events where the request asked for them, else an array.
pub(super) fn reply(prompt: &Prompt, chosen: &Chosen, server_sent: bool) -> Reply {
    let id = identifier("", 22, &["gemini", &prompt.model, &chosen.position.to_string()]);
    let object = |parts: &[Value], last: bool| {
        let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
        if last {
            candidate["finishReason"] = json!("STOP");
        }
        json!({
            "candidates": [candidate],
            "usageMetadata": {
                "promptTokenCount": INPUT_TOKENS,
                "candidatesTokenCount": OUTPUT_TOKENS,
                "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS
            },
            "modelVersion": prompt.model,
            "responseId": id
        })
    };
    let parts = match &chosen.content {
        Content::Text(text) if prompt.stream => {
            pieces(text).into_iter().map(|piece| json!({ "text": piece })).collect()
        }
        Content::Text(text) => vec![json!({ "text": text })],
        Content::Call { name, input } => {
            vec![json!({ "functionCall": { "id": call_id(chosen.position, name), "name": name, "args": input } })]
        }
    };
    if !prompt.stream {
        return Reply::json(200, &object(&parts, true));
    }
    let count = parts.len();
    let objects = parts.into_iter().enumerate().map(|(place, part)| object(&[part], place + 1 == count));
    if server_sent {
        Reply::events(objects.map(|object| format!("data: {object}\r\n\r\n")).collect())
    } else {
        Reply::json(200, &Value::Array(objects.collect()))
    }
}

/// The models that there are.
pub(super) fn models() -> Reply {
    Reply::json(200, &json!({ "models": [listed(MODEL)] }))
}

/// One model.
pub(super) fn model(name: &str) -> Reply {
    Reply::json(200, &listed(name))
}

fn listed(name: &str) -> Value {
    json!({
        "name": format!("models/{name}"),
        "version": "001",
        "displayName": name,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"]
    })
}

/// How many tokens a prompt has.
pub(super) fn count_tokens() -> Reply {
    Reply::json(200, &json!({ "totalTokens": INPUT_TOKENS }))
}
