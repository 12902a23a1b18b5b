//! Reads Anthropic **Messages** requests.

use serde_json::Value;

use super::{Call, Prompt, Said, Tool, ToolChoice, array, string, text_of};

/// Reads a request's body.
pub(super) fn read(body: &Value) -> Prompt {
    Prompt {
        model: string(body, "model"),
        stream: body.get("stream").and_then(Value::as_bool).unwrap_or_default(),
        stream_usage: false,
        tools: array(body, "tools")
            .iter()
            .map(|tool| Tool {
                name: string(tool, "name"),
                schema: tool.get("input_schema").cloned().unwrap_or_default(),
            })
            .collect(),
        choice: choice(body.get("tool_choice")),
        schema: schema(body),
        said: array(body, "messages")
            .iter()
            .filter(|message| string(message, "role") == "assistant")
            .map(said)
            .collect(),
    }
}

fn choice(choice: Option<&Value>) -> ToolChoice {
    let Some(choice) = choice else { return ToolChoice::Free };
    match string(choice, "type").as_str() {
        "tool" => ToolChoice::Named(string(choice, "name")),
        "any" => ToolChoice::Any,
        "none" => ToolChoice::None,
        _ => ToolChoice::Free,
    }
}

/// The format was first `output_format`, then a member of `output_config`.
fn schema(body: &Value) -> Option<Value> {
    let format = body.pointer("/output_config/format").or_else(|| body.get("output_format"))?;
    (string(format, "type") == "json_schema").then(|| format.get("schema").cloned().unwrap_or_default())
}

fn said(message: &Value) -> Said {
    let content = message.get("content").unwrap_or(&Value::Null);
    let calls =
        content.as_array().into_iter().flatten().filter(|part| string(part, "type") == "tool_use").map(|part| Call {
            id: string(part, "id"),
            name: string(part, "name"),
            input: part.get("input").cloned().unwrap_or_default(),
        });
    Said { text: text_of(content), calls: calls.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_conversation_with_a_tool_call() {
        let prompt = read(&json!({
            "model": "m", "stream": true,
            "tools": [{"name": "Bash", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "tool", "name": "Bash"},
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "string"}}},
            "messages": [
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "x"}]},
                {"role": "assistant", "content": "done"}
            ]
        }));
        assert!(prompt.stream);
        assert_eq!(prompt.tools[0].name, "Bash");
        assert_eq!(prompt.choice, ToolChoice::Named(String::from("Bash")));
        assert_eq!(prompt.schema, Some(json!({"type": "string"})));
        assert_eq!(prompt.said.len(), 2);
        assert_eq!(prompt.said[0].text, "a");
        assert_eq!(prompt.said[0].calls[0].input, json!({"command": "ls"}));
        assert_eq!(prompt.said[1].text, "done");
    }
}
