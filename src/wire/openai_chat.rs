//! Reads `OpenAI` **Chat Completions** requests.

use serde_json::{Value, json};

use super::{Call, Prompt, Said, Tool, ToolChoice, array, string, text_of};

/// Reads a request's body.
pub(super) fn read(body: &Value) -> Prompt {
    Prompt {
        model: string(body, "model"),
        stream: body.get("stream").and_then(Value::as_bool).unwrap_or_default(),
        stream_usage: body.pointer("/stream_options/include_usage").and_then(Value::as_bool).unwrap_or_default(),
        tools: array(body, "tools")
            .iter()
            .filter_map(|tool| tool.get("function"))
            .map(|function| Tool {
                name: string(function, "name"),
                schema: function.get("parameters").cloned().unwrap_or_default(),
            })
            .collect(),
        choice: choice(body.get("tool_choice")),
        schema: schema(body.get("response_format")),
        said: array(body, "messages")
            .iter()
            .filter(|message| string(message, "role") == "assistant")
            .map(said)
            .collect(),
    }
}

fn choice(choice: Option<&Value>) -> ToolChoice {
    match choice {
        Some(Value::String(word)) if word == "required" => ToolChoice::Any,
        Some(Value::String(word)) if word == "none" => ToolChoice::None,
        Some(choice) => choice
            .pointer("/function/name")
            .and_then(Value::as_str)
            .map_or(ToolChoice::Free, |name| ToolChoice::Named(name.to_owned())),
        None => ToolChoice::Free,
    }
}

fn schema(format: Option<&Value>) -> Option<Value> {
    let format = format?;
    match string(format, "type").as_str() {
        "json_schema" => Some(format.pointer("/json_schema/schema").cloned().unwrap_or_default()),
        "json_object" => Some(json!({ "type": "object" })),
        _ => None,
    }
}

fn said(message: &Value) -> Said {
    let calls = array(message, "tool_calls").iter().map(|call| {
        let function = call.get("function").unwrap_or(&Value::Null);
        let input = serde_json::from_str(&string(function, "arguments")).unwrap_or_default();
        Call { id: string(call, "id"), name: string(function, "name"), input }
    });
    Said { text: text_of(message.get("content").unwrap_or(&Value::Null)), calls: calls.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_with_a_tool_call() {
        let prompt = read(&json!({
            "model": "m", "stream": true, "stream_options": {"include_usage": true},
            "tools": [{"type": "function", "function": {"name": "shell", "parameters": {"type": "object"}}}],
            "tool_choice": "required",
            "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "shell", "arguments": "{\"command\":\"ls\"}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "x"},
                {"role": "assistant", "content": [{"type": "text", "text": "done"}]}
            ]
        }));
        assert!(prompt.stream && prompt.stream_usage);
        assert_eq!(prompt.choice, ToolChoice::Any);
        assert_eq!(prompt.schema, Some(json!({"type": "object"})));
        assert_eq!(prompt.said[0].calls[0].input, json!({"command": "ls"}));
        assert_eq!(prompt.said[1].text, "done");
    }
}
