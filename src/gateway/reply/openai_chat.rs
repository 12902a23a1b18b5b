//! `OpenAI` **Chat Completions** answers, streamed or not.

use chrono::Utc;
use serde_json::{Value, json};

use super::{INPUT_TOKENS, MODEL, OUTPUT_TOKENS, Reply, pieces};
use crate::gateway::script::{Chosen, Content, call_id, identifier};
use crate::wire::Prompt;

/// The answer to a prompt.
pub(super) fn reply(prompt: &Prompt, chosen: &Chosen) -> Reply {
    let tools = if prompt.tools.is_empty() { "beside" } else { "main" };
    let seed = [prompt.model.as_str(), tools, &chosen.position.to_string()];
    let completion =
        Completion { id: identifier("chatcmpl-", 29, &seed), created: Utc::now().timestamp(), model: &prompt.model };
    let reply = if prompt.stream {
        Reply::events(completion.events(chosen, prompt.stream_usage))
    } else {
        Reply::json(200, &completion.whole(chosen))
    };
    reply.with_header("x-request-id", identifier("req_", 32, &seed))
}

/// The models that there are.
pub(super) fn models() -> Reply {
    Reply::json(200, &json!({ "object": "list", "data": [listed(MODEL)] }))
}

/// One model.
pub(super) fn model(name: &str) -> Reply {
    Reply::json(200, &listed(name))
}

fn listed(name: &str) -> Value {
    json!({ "id": name, "object": "model", "created": 1_700_000_000, "owned_by": "system" })
}

/// What all parts of one answer share.
struct Completion<'a> {
    id: String,
    created: i64,
    model: &'a str,
}

impl Completion<'_> {
    fn whole(&self, chosen: &Chosen) -> Value {
        let (message, finish) = match &chosen.content {
            Content::Text(text) => (json!({ "role": "assistant", "content": text, "refusal": null }), "stop"),
            Content::Call { name, input } => {
                let call = call(chosen, name, &input.to_string());
                (json!({ "role": "assistant", "content": null, "refusal": null, "tool_calls": [call] }), "tool_calls")
            }
        };
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": finish }],
            "usage": usage(),
            "service_tier": "default",
            "system_fingerprint": null
        })
    }

    fn events(&self, chosen: &Chosen, with_usage: bool) -> Vec<String> {
        let mut deltas = Vec::new();
        let finish = match &chosen.content {
            Content::Text(text) => {
                deltas.push(json!({ "role": "assistant", "content": "", "refusal": null }));
                deltas.extend(pieces(text).into_iter().map(|piece| json!({ "content": piece })));
                "stop"
            }
            Content::Call { name, input } => {
                let mut first = call(chosen, name, "");
                first["index"] = json!(0);
                deltas.push(json!({ "role": "assistant", "content": null, "tool_calls": [first] }));
                deltas.extend(
                    pieces(&input.to_string())
                        .into_iter()
                        .map(|piece| json!({ "tool_calls": [{ "index": 0, "function": { "arguments": piece } }] })),
                );
                "tool_calls"
            }
        };
        let mut events: Vec<String> = deltas.into_iter().map(|delta| self.chunk(&delta, None)).collect();
        events.push(self.chunk(&json!({}), Some(finish)));
        if with_usage {
            let mut last = self.frame(&json!([]));
            last["usage"] = usage();
            events.push(event(&last));
        }
        events.push(String::from("data: [DONE]\n\n"));
        events
    }

    fn chunk(&self, delta: &Value, finish: Option<&str>) -> String {
        event(&self.frame(&json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }])))
    }

    fn frame(&self, choices: &Value) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": null,
            "choices": choices
        })
    }
}

fn call(chosen: &Chosen, name: &str, arguments: &str) -> Value {
    let id = format!("call_{}", call_id(chosen.position, name));
    json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } })
}

fn usage() -> Value {
    json!({
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        "prompt_tokens_details": { "cached_tokens": 0 },
        "completion_tokens_details": { "reasoning_tokens": 0 }
    })
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}
