//! Reads Gemini **`generateContent`** requests. The model and whether to stream stand in their path.

use serde_json::{Value, json};

use super::{Call, Prompt, Said, Tool, ToolChoice, array, string, text_of};

/// Reads a request's body.
pub(super) fn read(body: &Value) -> Prompt {
    let declared = array(body, "tools").iter().flat_map(|tool| array(tool, "functionDeclarations"));
    Prompt {
        tools: declared
            .map(|function| Tool {
                name: string(function, "name"),
                schema: first(function, &["parametersJsonSchema", "parameters"]).unwrap_or_default(),
            })
            .collect(),
        choice: choice(body.pointer("/toolConfig/functionCallingConfig")),
        schema: body.get("generationConfig").and_then(schema),
        said: array(body, "contents").iter().filter(|content| string(content, "role") == "model").map(said).collect(),
        ..Prompt::default()
    }
}

fn choice(config: Option<&Value>) -> ToolChoice {
    let Some(config) = config else { return ToolChoice::Free };
    match (string(config, "mode").as_str(), array(config, "allowedFunctionNames")) {
        ("ANY", [Value::String(only)]) => ToolChoice::Named(only.clone()),
        ("ANY", _) => ToolChoice::Any,
        ("NONE", _) => ToolChoice::None,
        _ => ToolChoice::Free,
    }
}

fn schema(config: &Value) -> Option<Value> {
    let json_wanted = string(config, "responseMimeType") == "application/json";
    first(config, &["responseJsonSchema", "responseSchema"])
        .or_else(|| json_wanted.then(|| json!({ "type": "object" })))
}

fn first(value: &Value, keys: &[&str]) -> Option<Value> {
    keys.iter().find_map(|key| value.get(key)).cloned()
}

fn said(content: &Value) -> Said {
    let parts = content.get("parts").unwrap_or(&Value::Null);
    let calls = array(content, "parts").iter().filter_map(|part| part.get("functionCall")).map(|call| Call {
        id: string(call, "id"),
        name: string(call, "name"),
        input: call.get("args").cloned().unwrap_or_default(),
    });
    Said { text: text_of(parts), calls: calls.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_with_a_tool_call() {
        let prompt = read(&json!({
            "tools": [{"functionDeclarations": [{"name": "shell", "parameters": {"type": "OBJECT"}}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["shell"]}},
            "generationConfig": {"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"}},
            "contents": [
                {"role": "user", "parts": [{"text": "go"}]},
                {"role": "model", "parts": [{"text": "a"}, {"functionCall": {"name": "shell", "args": {"command": "ls"}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "shell", "response": {}}}]}
            ]
        }));
        assert_eq!(prompt.tools[0].name, "shell");
        assert_eq!(prompt.choice, ToolChoice::Named(String::from("shell")));
        assert_eq!(prompt.schema, Some(json!({"type": "OBJECT"})));
        assert_eq!(prompt.said[0].text, "a");
        assert_eq!(prompt.said[0].calls[0].input, json!({"command": "ls"}));
    }
}
