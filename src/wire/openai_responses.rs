//! Reads `OpenAI` **Responses** requests.

use serde_json::Value;

use super::{Call, Prompt, Said, Tool, ToolChoice, array, string, text_of};

/// Reads a request's body.
pub(super) fn read(body: &Value) -> Prompt {
    let format = body.pointer("/text/format");
    Prompt {
        model: string(body, "model"),
        stream: body.get("stream").and_then(Value::as_bool).unwrap_or_default(),
        stream_usage: false,
        tools: array(body, "tools")
            .iter()
            .filter(|tool| tool.get("name").is_some_and(Value::is_string))
            .map(|tool| Tool {
                name: string(tool, "name"),
                schema: tool.get("parameters").cloned().unwrap_or_default(),
            })
            .collect(),
        choice: choice(body.get("tool_choice")),
        schema: format
            .filter(|format| string(format, "type") == "json_schema")
            .map(|format| format.get("schema").cloned().unwrap_or_default()),
        said: array(body, "input").iter().filter_map(said).collect(),
    }
}

fn choice(choice: Option<&Value>) -> ToolChoice {
    match choice {
        Some(Value::String(word)) if word == "required" => ToolChoice::Any,
        Some(Value::String(word)) if word == "none" => ToolChoice::None,
        Some(Value::Object(_)) => choice
            .and_then(|choice| choice.get("name")?.as_str())
            .map_or(ToolChoice::Free, |name| ToolChoice::Named(name.to_owned())),
        _ => ToolChoice::Free,
    }
}

/// An item that is, or shows, something that the model said. A tool's output names the call that it answers, which is
/// all there is of the call where the agent leaves the conversation to the server.
fn said(item: &Value) -> Option<Said> {
    let kind = string(item, "type");
    match kind.as_str() {
        "function_call" => {
            let input = serde_json::from_str(&string(item, "arguments")).unwrap_or_default();
            let call = Call { id: string(item, "call_id"), name: string(item, "name"), input };
            Some(Said { text: String::new(), calls: vec![call] })
        }
        "function_call_output" => {
            let call = Call { id: string(item, "call_id"), name: String::new(), input: Value::Null };
            Some(Said { text: String::new(), calls: vec![call] })
        }
        "message" | "" if string(item, "role") == "assistant" => {
            Some(Said { text: text_of(item.get("content").unwrap_or(&Value::Null)), calls: Vec::new() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_conversation_with_a_tool_call() {
        let prompt = read(&json!({
            "model": "m", "stream": true, "tool_choice": "auto",
            "tools": [{"type": "function", "name": "shell", "parameters": {"type": "object"}}, {"type": "web_search"}],
            "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}},
            "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]},
                {"type": "function_call", "call_id": "c1", "name": "shell", "arguments": "{\"command\":[\"ls\"]}"},
                {"type": "function_call_output", "call_id": "c1", "output": "x"},
                {"role": "assistant", "content": [{"type": "output_text", "text": "done"}]}
            ]
        }));
        assert_eq!(prompt.tools.len(), 1);
        assert_eq!(prompt.schema, Some(json!({"type": "object"})));
        assert_eq!(prompt.said.len(), 3);
        assert_eq!(prompt.said[0].calls[0].input, json!({"command": ["ls"]}));
        assert_eq!(prompt.said[2].text, "done");
    }
}
