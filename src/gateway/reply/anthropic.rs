//! Anthropic **Messages** answers, streamed or not.

use serde_json::{Value, json};

use super::{INPUT_TOKENS, MODEL, OUTPUT_TOKENS, Reply, pieces};
use crate::gateway::script::{Chosen, Content, call_id, identifier};
use crate::wire::Prompt;

/// The answer to a prompt.
pub(super) fn reply(prompt: &Prompt, chosen: &Chosen) -> Reply {
    let id = id("msg_01", 22, prompt, chosen);
    let reply = if prompt.stream {
        Reply::events(events(prompt, chosen, &id))
    } else {
        let (block, stop) = block(chosen);
        Reply::json(200, &message(&id, prompt, &[block], Some(stop), OUTPUT_TOKENS))
    };
    reply.with_header("request-id", self::id("req_011C", 20, prompt, chosen))
}

/// How many tokens a prompt has.
pub(super) fn count_tokens() -> Reply {
    Reply::json(200, &json!({ "input_tokens": INPUT_TOKENS }))
}

/// The models that there are.
pub(super) fn models() -> Reply {
    Reply::json(200, &json!({ "data": [listed(MODEL)], "has_more": false, "first_id": MODEL, "last_id": MODEL }))
}

/// One model.
pub(super) fn model(name: &str) -> Reply {
    Reply::json(200, &listed(name))
}

fn listed(name: &str) -> Value {
    json!({ "type": "model", "id": name, "display_name": name, "created_at": "2023-11-14T00:00:00Z" })
}

/// An id that is the same whenever the same point of a script is reached, but differs between the main conversation and
/// requests beside it.
fn id(prefix: &str, length: usize, prompt: &Prompt, chosen: &Chosen) -> String {
    let tools = if prompt.tools.is_empty() { "beside" } else { "main" };
    identifier(prefix, length, &[prefix, &prompt.model, tools, &chosen.position.to_string()])
}

/// The one content block of the answer, whole, and why the turn stops after it.
fn block(chosen: &Chosen) -> (Value, &'static str) {
    match &chosen.content {
        Content::Text(text) => (json!({ "type": "text", "text": text }), "end_turn"),
        Content::Call { name, input } => {
            let id = format!("toolu_01{}", call_id(chosen.position, name));
            (json!({ "type": "tool_use", "id": id, "name": name, "input": input }), "tool_use")
        }
    }
}

fn message(id: &str, prompt: &Prompt, content: &[Value], stop: Option<&str>, output_tokens: u32) -> Value {
    json!({
        "model": prompt.model,
        "id": id,
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": stop,
        "stop_sequence": null,
        "usage": {
            "input_tokens": INPUT_TOKENS,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": { "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0 },
            "output_tokens": output_tokens,
            "service_tier": "standard"
        }
    })
}

fn events(prompt: &Prompt, chosen: &Chosen, id: &str) -> Vec<String> {
    let (whole, stop) = block(chosen);
    let (start, deltas): (Value, Vec<Value>) = match &chosen.content {
        Content::Text(text) => (
            json!({ "type": "text", "text": "" }),
            pieces(text).into_iter().map(|piece| json!({ "type": "text_delta", "text": piece })).collect(),
        ),
        Content::Call { input, .. } => {
            let mut start = whole;
            start["input"] = json!({});
            let pieces = pieces(&input.to_string());
            (
                start,
                pieces.into_iter().map(|piece| json!({ "type": "input_json_delta", "partial_json": piece })).collect(),
            )
        }
    };
    let mut events = vec![
        event(&json!({ "type": "message_start", "message": message(id, prompt, &[], None, 1) })),
        event(&json!({ "type": "content_block_start", "index": 0, "content_block": start })),
        event(&json!({ "type": "ping" })),
    ];
    events.extend(
        deltas.into_iter().map(|delta| event(&json!({ "type": "content_block_delta", "index": 0, "delta": delta }))),
    );
    events.push(event(&json!({ "type": "content_block_stop", "index": 0 })));
    events.push(event(&json!({
        "type": "message_delta",
        "delta": { "stop_reason": stop, "stop_sequence": null },
        "usage": {
            "input_tokens": INPUT_TOKENS,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": OUTPUT_TOKENS
        }
    })));
    events.push(event(&json!({ "type": "message_stop" })));
    events
}

/// A server-sent event named by its type.
fn event(data: &Value) -> String {
    let name = data.get("type").and_then(Value::as_str).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}
