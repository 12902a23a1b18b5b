//! `OpenAI` **Responses** answers, streamed or not.

use chrono::Utc;
use serde_json::{Value, json};

use super::{INPUT_TOKENS, OUTPUT_TOKENS, Reply, pieces};
use crate::gateway::script::{Chosen, Content, call_id, identifier};
use crate::wire::Prompt;

/// The answer to a prompt.
pub(super) fn reply(prompt: &Prompt, chosen: &Chosen) -> Reply {
    let tools = if prompt.tools.is_empty() { "beside" } else { "main" };
    let seed = [prompt.model.as_str(), tools, &chosen.position.to_string()];
    let item = Item::new(chosen, &seed);
    let response =
        Response { id: identifier("resp_", 48, &seed), created: Utc::now().timestamp(), model: &prompt.model };
    let reply = if prompt.stream {
        Reply::events(response.events(&item, chosen))
    } else {
        Reply::json(200, &response.object("completed", &[item.whole]))
    };
    reply.with_header("x-request-id", identifier("req_", 32, &seed))
}

/// The one output item of an answer.
struct Item {
    id: String,
    /// As it is announced.
    begun: Value,
    /// As it ends.
    whole: Value,
}

impl Item {
    fn new(chosen: &Chosen, seed: &[&str]) -> Self {
        match &chosen.content {
            Content::Text(text) => {
                let id = identifier("msg_", 48, seed);
                let item = |status: &str, content: Value| json!({ "id": id, "type": "message", "status": status, "role": "assistant", "content": content });
                Self { begun: item("in_progress", json!([])), whole: item("completed", json!([part(text)])), id }
            }
            Content::Call { name, input } => {
                let id = identifier("fc_", 48, seed);
                let call = format!("call_{}", call_id(chosen.position, name));
                let item = |status: &str, arguments: &str| json!({ "id": id, "type": "function_call", "status": status, "call_id": call, "name": name, "arguments": arguments });
                Self { begun: item("in_progress", ""), whole: item("completed", &input.to_string()), id }
            }
        }
    }
}

/// What all events of one answer share.
struct Response<'a> {
    id: String,
    created: i64,
    model: &'a str,
}

impl Response<'_> {
    fn object(&self, status: &str, output: &[Value]) -> Value {
        let usage = (status == "completed").then(|| {
            json!({
                "input_tokens": INPUT_TOKENS,
                "input_tokens_details": { "cached_tokens": 0 },
                "output_tokens": OUTPUT_TOKENS,
                "output_tokens_details": { "reasoning_tokens": 0 },
                "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS
            })
        });
        json!({
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "error": null,
            "incomplete_details": null,
            "model": self.model,
            "output": output,
            "parallel_tool_calls": true,
            "usage": usage,
            "metadata": {}
        })
    }

    fn events(&self, item: &Item, chosen: &Chosen) -> Vec<String> {
        let mut data = vec![
            json!({ "type": "response.created", "response": self.object("in_progress", &[]) }),
            json!({ "type": "response.in_progress", "response": self.object("in_progress", &[]) }),
            json!({ "type": "response.output_item.added", "output_index": 0, "item": item.begun }),
        ];
        let of_item = |kind: &str, members: Value| {
            let mut event = json!({ "type": kind, "item_id": item.id, "output_index": 0 });
            if let (Some(event), Value::Object(members)) = (event.as_object_mut(), members) {
                event.extend(members);
            }
            event
        };
        match &chosen.content {
            Content::Text(text) => {
                data.push(of_item("response.content_part.added", json!({ "content_index": 0, "part": part("") })));
                data.extend(pieces(text).into_iter().map(|piece| {
                    of_item("response.output_text.delta", json!({ "content_index": 0, "delta": piece, "logprobs": [] }))
                }));
                data.push(of_item(
                    "response.output_text.done",
                    json!({ "content_index": 0, "text": text, "logprobs": [] }),
                ));
                data.push(of_item("response.content_part.done", json!({ "content_index": 0, "part": part(text) })));
            }
            Content::Call { input, .. } => {
                let arguments = input.to_string();
                data.extend(
                    pieces(&arguments)
                        .into_iter()
                        .map(|piece| of_item("response.function_call_arguments.delta", json!({ "delta": piece }))),
                );
                data.push(of_item("response.function_call_arguments.done", json!({ "arguments": arguments })));
            }
        }
        data.push(json!({ "type": "response.output_item.done", "output_index": 0, "item": item.whole }));
        data.push(json!({ "type": "response.completed", "response": self.object("completed", std::slice::from_ref(&item.whole)) }));
        data.into_iter().enumerate().map(|(number, data)| event(data, number)).collect()
    }
}

fn part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

/// A server-sent event, named by its type and numbered.
fn event(mut data: Value, number: usize) -> String {
    data["sequence_number"] = json!(number);
    let name = data.get("type").and_then(Value::as_str).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}
