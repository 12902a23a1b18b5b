//! Ollama **chat** answers: JSON lines, or one object.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{INPUT_TOKENS, MODEL, OUTPUT_TOKENS, Reply, pieces};
use crate::gateway::script::{Chosen, Content};
use crate::wire::Prompt;

/// Since when there are models: as long ago as to be no news.
const SINCE: &str = "2023-11-14T00:00:00Z";

/// The answer to a prompt.
pub(super) fn reply(prompt: &Prompt, chosen: &Chosen) -> Reply {
    let now = Utc::now();
    let message = |content: &str| json!({ "role": "assistant", "content": content });
    let messages: Vec<Value> = match &chosen.content {
        Content::Text(text) if prompt.stream => pieces(text).iter().map(|piece| message(piece)).collect(),
        Content::Text(text) => vec![message(text)],
        Content::Call { name, input } => {
            let mut called = message("");
            called["tool_calls"] = json!([{ "function": { "name": name, "arguments": input } }]);
            vec![called]
        }
    };
    if prompt.stream {
        let mut lines: Vec<String> =
            messages.iter().map(|message| format!("{}\n", line(&prompt.model, now, message))).collect();
        lines.push(format!("{}\n", last(line(&prompt.model, now, &message("")))));
        return Reply::stream("application/x-ndjson", lines);
    }
    let only = messages.first().cloned().unwrap_or_else(|| message(""));
    Reply::json(200, &last(line(&prompt.model, now, &only)))
}

/// The models that there are.
pub(super) fn models() -> Reply {
    let model = json!({
        "name": MODEL, "model": MODEL, "modified_at": SINCE, "size": 4_000_000_000_u64, "digest": "0".repeat(64),
        "details": details()
    });
    Reply::json(200, &json!({ "models": [model] }))
}

/// One model, which has every name.
pub(super) fn model() -> Reply {
    Reply::json(
        200,
        &json!({
            "modelfile": "", "parameters": "", "template": "{{ .Prompt }}", "details": details(),
            "model_info": { "general.architecture": "llama", "llama.context_length": 131_072 },
            "capabilities": ["completion", "tools"], "modified_at": SINCE
        }),
    )
}

fn details() -> Value {
    json!({
        "parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
        "parameter_size": "8.0B", "quantization_level": "Q4_K_M"
    })
}

fn line(model: &str, now: DateTime<Utc>, message: &Value) -> Value {
    let created = now.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    json!({ "model": model, "created_at": created, "message": message, "done": false })
}

fn last(mut line: Value) -> Value {
    line["done"] = json!(true);
    for (key, value) in [
        ("done_reason", json!("stop")),
        ("total_duration", json!(400_000_000)),
        ("load_duration", json!(20_000_000)),
        ("prompt_eval_count", json!(INPUT_TOKENS)),
        ("prompt_eval_duration", json!(100_000_000)),
        ("eval_count", json!(OUTPUT_TOKENS)),
        ("eval_duration", json!(200_000_000)),
    ] {
        line[key] = value;
    }
    line
}
