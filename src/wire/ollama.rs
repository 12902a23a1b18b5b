//! Reads Ollama **chat** requests. Tool calls have no ids there, and a stream is what one gets unless it is declined.

use serde_json::{Value, json};

use super::{Call, Prompt, Said, Tool, ToolChoice, array, string};

/// Reads a request's body.
pub(super) fn read(body: &Value) -> Prompt {
    Prompt {
        model: string(body, "model"),
        stream: body.is_object() && body.get("stream").and_then(Value::as_bool) != Some(false),
        stream_usage: false,
        tools: array(body, "tools")
            .iter()
            .filter_map(|tool| tool.get("function"))
            .map(|function| Tool {
                name: string(function, "name"),
                schema: function.get("parameters").cloned().unwrap_or_default(),
            })
            .collect(),
        choice: ToolChoice::Free,
        schema: schema(body.get("format")),
        said: array(body, "messages")
            .iter()
            .filter(|message| string(message, "role") == "assistant")
            .map(said)
            .collect(),
    }
}

fn schema(format: Option<&Value>) -> Option<Value> {
    match format {
        Some(Value::String(word)) if word == "json" => Some(json!({ "type": "object" })),
        Some(schema @ Value::Object(_)) => Some(schema.clone()),
        _ => None,
    }
}

fn said(message: &Value) -> Said {
    let calls = array(message, "tool_calls").iter().filter_map(|call| call.get("function")).map(|function| Call {
        id: String::new(),
        name: string(function, "name"),
        input: function.get("arguments").cloned().unwrap_or_default(),
    });
    Said { text: string(message, "content"), calls: calls.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_with_a_tool_call() {
        let prompt = read(&json!({
            "model": "m",
            "tools": [{"type": "function", "function": {"name": "shell", "parameters": {"type": "object"}}}],
            "format": {"type": "object", "required": []},
            "messages": [
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "shell", "arguments": {"command": "ls"}}}]},
                {"role": "tool", "content": "x", "tool_name": "shell"},
                {"role": "assistant", "content": "done"}
            ]
        }));
        assert!(prompt.stream);
        assert_eq!(prompt.tools[0].name, "shell");
        assert!(prompt.schema.is_some());
        assert_eq!(prompt.said[0].calls[0].input, json!({"command": "ls"}));
        assert_eq!(prompt.said[1].text, "done");
        assert!(!read(&json!({"stream": false})).stream);
    }
}
