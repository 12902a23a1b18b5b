//! The stub model endpoint in each dialect, and the script that leads through it.

use base64::Engine as _;
use parallax::scenario::Turn;
use serde_json::{Value, json};

use crate::lab::{Lab, body, events, said};

#[tokio::test]
async fn anthropic_messages_streamed_and_plain() {
    let mut lab = Lab::open(vec![Turn::Text(String::from("A text that takes several events."))], Vec::new()).await;
    let plain = body(&lab.post("/v1/messages?beta=true", &json!({"model": "m"})).await);
    assert_eq!(plain["content"][0]["text"], "A text that takes several events.");
    assert_eq!((&plain["stop_reason"], &plain["model"]), (&json!("end_turn"), &json!("m")));

    let streamed = lab.post("/some/prefix/v1/messages", &json!({"model": "m", "stream": true})).await;
    assert!(streamed.contains("Content-Type: text/event-stream"));
    let events = events(&streamed);
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(kinds[kinds.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    assert_eq!(said(&events, "/delta/text"), "A text that takes several events.");
    assert_eq!(events[0]["message"]["id"], plain["id"], "ids must not depend on what came before");

    let count = body(&lab.post("/v1/messages/count_tokens?beta=true", &json!({"messages": []})).await);
    assert!(count["input_tokens"].as_u64().unwrap() > 0);
    let traffic = lab.end().await;
    assert_eq!(traffic.exchanges.iter().map(|e| e.status).collect::<Vec<_>>(), [200, 200, 200]);
    assert_eq!(traffic.exchanges[0].target, "/v1/messages?beta=true");
    assert_eq!(traffic.exchanges[0].body.text(), r#"{"model":"m"}"#);
}

#[tokio::test]
async fn openai_chat_streamed_and_plain() {
    let lab = Lab::simple().await;
    let plain = body(&lab.post("/v1/chat/completions", &json!({"model": "m"})).await);
    assert_eq!(plain["choices"][0]["message"]["content"], "OK");
    let request = json!({"model": "m", "stream": true, "stream_options": {"include_usage": true}});
    let response = lab.post("/v1/chat/completions", &request).await;
    assert!(response.contains("data: [DONE]\n\n"));
    let events = events(&response);
    assert_eq!(said(&events, "/choices/0/delta/content"), "OK");
    assert_eq!(said(&events, "/choices/0/finish_reason"), "stop");
    assert!(events.last().unwrap()["usage"]["total_tokens"].is_number());
    let models = body(&lab.talk(b"GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n").await);
    assert_eq!(models["object"], "list");
}

#[tokio::test]
async fn a_script_leads_both_dialects_through_a_tool_call() {
    let script = vec![
        Turn::Tool { name: String::from("shell"), input: json!({"command": "echo a longer command line"}) },
        Turn::Text(String::from("done")),
    ];
    let lab = Lab::open(script, Vec::new()).await;
    let tools = json!([{"name": "shell", "input_schema": {}}]);
    let streamed = json!({"model": "m", "stream": true, "tools": tools});
    let first = events(&lab.post("/v1/messages", &streamed).await);
    let input: Value = serde_json::from_str(&said(&first, "/delta/partial_json")).unwrap();
    assert_eq!(input, json!({"command": "echo a longer command line"}));
    let call = &first[1]["content_block"];
    let next = json!({"model": "m", "tools": tools, "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": call["id"], "name": "shell", "input": input}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "x"}]}]});
    assert_eq!(body(&lab.post("/v1/messages", &next).await)["content"][0]["text"], "done");
    // A request beside the conversation changes nothing, and gets text.
    assert_eq!(body(&lab.post("/v1/messages", &json!({})).await)["content"][0]["text"], "done");
    let again = body(&lab.post("/v1/messages", &json!({"tools": tools})).await);
    assert_eq!((&again["content"][0]["id"], &again["stop_reason"]), (&call["id"], &json!("tool_use")));

    let tools = json!([{"type": "function", "function": {"name": "shell", "parameters": {}}}]);
    let first = body(&lab.post("/v1/chat/completions", &json!({"tools": tools})).await);
    let message = &first["choices"][0]["message"];
    assert_eq!(message["tool_calls"][0]["function"]["name"], "shell");
    let next = json!({"tools": tools, "messages": [message, {"role": "tool", "content": "x"}]});
    let next = body(&lab.post("/v1/chat/completions", &next).await);
    assert_eq!(next["choices"][0]["message"]["content"], "done");
}

#[tokio::test]
async fn openai_responses_streamed_and_led_through_a_tool_call() {
    let script = vec![
        Turn::Tool { name: String::from("shell"), input: json!({"command": ["ls"]}) },
        Turn::Text(String::from("done, in more than one event")),
    ];
    let lab = Lab::open(script, Vec::new()).await;
    let tools = json!([{"type": "function", "name": "shell", "parameters": {}}]);
    let first = events(&lab.post("/v1/responses", &json!({"stream": true, "tools": tools})).await);
    let called = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(sequence(&first), called);
    assert_eq!(said(&first, "/delta"), r#"{"command":["ls"]}"#);
    let call = &first.last().unwrap()["response"]["output"][0];
    // Whether the whole conversation is sent or the server is to know it.
    let output = json!({"type": "function_call_output", "call_id": call["call_id"], "output": "x"});
    let next = json!({"stream": true, "tools": tools, "input": [call, output]});
    let next = events(&lab.post("/v1/responses", &next).await);
    let spoken = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(sequence(&next), spoken);
    assert_eq!(said(&next, "/delta"), "done, in more than one event");
    for input in [json!([call, output]), json!([output])] {
        let next = body(&lab.post("/v1/responses", &json!({"tools": tools, "input": input})).await);
        assert_eq!(next["output"][0]["content"][0]["text"], "done, in more than one event");
    }
}

/// The kinds of a stream's events, which must be numbered from 0 and agree with the lines that name them.
fn sequence(events: &[Value]) -> Vec<&str> {
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], json!(number), "{event}");
    }
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn gemini_streamed_and_after_a_schema() {
    let lab = Lab::simple().await;
    let path = "/v1beta/models/m:generateContent";
    let schema = json!({"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]});
    let wanted = json!({"generationConfig": {"responseMimeType": "application/json", "responseSchema": schema}});
    let plain = body(&lab.post(path, &wanted).await);
    assert_eq!(plain["candidates"][0]["content"]["parts"][0]["text"], r#"{"a":"OK"}"#);
    let streamed = events(&lab.post("/v1beta/models/m:streamGenerateContent?alt=sse", &json!({})).await);
    assert_eq!(said(&streamed, "/candidates/0/content/parts/0/text"), "OK");
    assert_eq!(said(&streamed, "/candidates/0/finishReason"), "STOP");
}

#[tokio::test]
async fn gemini_in_an_array_and_led_through_a_tool_call() {
    let script = vec![
        Turn::Tool { name: String::from("shell"), input: json!({"command": "ls"}) },
        Turn::Text(String::from("done, in more than one object")),
    ];
    let lab = Lab::open(script, Vec::new()).await;
    let tools = json!([{"functionDeclarations": [{"name": "shell", "parameters": {"type": "OBJECT"}}]}]);
    let stream = "/v1beta/models/m:streamGenerateContent";
    let first = body(&lab.post(stream, &json!({"tools": tools})).await);
    let parts = &first[0]["candidates"][0]["content"]["parts"];
    let call = &parts[0]["functionCall"];
    assert_eq!((&call["name"], &call["args"]), (&json!("shell"), &json!({"command": "ls"})));
    assert_eq!(first.as_array().unwrap().len(), 1);
    let plain = body(&lab.post("/v1beta/models/m:generateContent", &json!({"tools": tools})).await);
    assert_eq!(plain["candidates"][0]["content"]["parts"], *parts);
    // Ids of calls are not every client's to keep.
    for answered in [call.clone(), json!({"name": "shell", "args": {"command": "ls"}})] {
        let answer = json!({"functionResponse": {"name": "shell", "response": {"output": "x"}}});
        let contents = json!([
            {"role": "user", "parts": [{"text": "go"}]},
            {"role": "model", "parts": [{"functionCall": answered}]},
            {"role": "user", "parts": [answer]}]);
        let answer = lab.post(stream, &json!({"tools": tools, "contents": contents})).await;
        assert!(answer.contains("Content-Type: application/json\r\n"), "{answer}");
        let next = body(&answer);
        let objects = next.as_array().unwrap();
        assert!(objects.len() > 1, "{next}");
        assert_eq!(said(objects, "/candidates/0/content/parts/0/text"), "done, in more than one object");
        let ends: Vec<_> = objects.iter().map(|o| o["candidates"][0]["finishReason"] == "STOP").collect();
        assert_eq!(ends.iter().position(|end| *end), Some(objects.len() - 1), "only the last one ends it");
    }
    let count = body(&lab.post("/v1beta/models/m:countTokens", &json!({"contents": []})).await);
    assert!(count["totalTokens"].as_u64().unwrap() > 0, "{count}");
}

#[tokio::test]
async fn every_model_is_there_that_is_asked_for() {
    let lab = Lab::simple().await;
    let get = async |path: &str, more: &str| {
        let answer = lab.talk(format!("GET {path} HTTP/1.1\r\nHost: h\r\n{more}\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        body(&answer)
    };
    let anthropic = "anthropic-version: 2023-06-01\r\n";
    // What is listed and what is shown by its name are one sort of object, in each vendor's words.
    let list = get("/v1/models?limit=20", anthropic).await;
    let shown = get("/v1/models/claude-x", anthropic).await;
    assert_eq!((&shown["id"], &shown["type"]), (&json!("claude-x"), &json!("model")));
    assert_eq!((keys(&list["data"][0]), &list["first_id"]), (keys(&shown), &list["data"][0]["id"]));
    let list = get("/v1/models", "").await;
    let shown = get("/v1/models/vendor/m%3A1", "").await;
    assert_eq!((&shown["id"], &shown["object"]), (&json!("vendor/m:1"), &json!("model")));
    assert_eq!((keys(&list["data"][0]), &list["object"]), (keys(&shown), &json!("list")));
    let list = get("/v1beta/models?pageSize=5", "").await;
    let shown = get("/v1beta/models/m", "").await;
    assert_eq!(shown["name"], "models/m");
    assert!(shown["supportedGenerationMethods"].as_array().unwrap().contains(&json!("generateContent")));
    assert_eq!(keys(&list["models"][0]), keys(&shown));
    let list = get("/api/tags", "").await;
    let shown = body(&lab.post("/api/show", &json!({"model": "m"})).await);
    assert!(shown["capabilities"].as_array().unwrap().contains(&json!("tools")), "{shown}");
    assert_eq!(keys(&list["models"][0]["details"]), keys(&shown["details"]));
    // Other services have models of their own.
    let other = lab.talk(b"GET /api/models/m HTTP/1.1\r\nHost: hub.example\r\n\r\n").await;
    assert!(other.starts_with("HTTP/1.1 404 "), "{other}");
}

fn keys(object: &Value) -> Vec<&String> {
    object.as_object().unwrap().keys().collect()
}

#[tokio::test]
async fn ollama_streamed_plain_and_led_through_a_tool_call() {
    let script = vec![
        Turn::Tool { name: String::from("shell"), input: json!({"command": "ls"}) },
        Turn::Text(String::from("done, in more than one line")),
    ];
    let lab = Lab::open(script, Vec::new()).await;
    let tools = json!([{"type": "function", "function": {"name": "shell", "parameters": {}}}]);
    let first = body(&lab.post("/api/chat", &json!({"model": "m", "stream": false, "tools": tools})).await);
    let call = &first["message"]["tool_calls"][0]["function"];
    assert_eq!((&call["name"], &call["arguments"]), (&json!("shell"), &json!({"command": "ls"})));
    let messages = json!([{"role": "user", "content": "go"}, first["message"], {"role": "tool", "content": "x"}]);
    let next = lab.post("/api/chat", &json!({"model": "m", "tools": tools, "messages": messages})).await;
    assert!(next.contains("Content-Type: application/x-ndjson"), "{next}");
    let lines: Vec<Value> =
        next.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect();
    assert_eq!(said(&lines, "/message/content"), "done, in more than one line");
    assert_eq!(lines.last().unwrap()["done"], json!(true));
}

#[tokio::test]
async fn anthropic_by_way_of_other_clouds() {
    let lab = Lab::open(vec![Turn::Text(String::from("A text that takes several events."))], Vec::new()).await;
    let vertex = "/v1/projects/p/locations/l/publishers/anthropic/models/claude-x@1";
    let plain = body(&lab.post(&format!("{vertex}:rawPredict"), &json!({"messages": []})).await);
    assert_eq!(
        (&plain["content"][0]["text"], &plain["model"]),
        (&json!("A text that takes several events."), &json!("claude-x@1"))
    );
    let streamed = events(&lab.post(&format!("{vertex}:streamRawPredict"), &json!({"messages": []})).await);
    assert_eq!(said(&streamed, "/delta/text"), "A text that takes several events.");

    let plain = body(&lab.post("/model/claude-x/invoke", &json!({"messages": []})).await);
    assert_eq!(plain["model"], "claude-x");
    let streamed = lab.post("/model/claude-x/invoke-with-response-stream", &json!({"messages": []})).await;
    assert!(streamed.contains("Content-Type: application/vnd.amazon.eventstream"));
    let pieces = streamed.split(r#"{"bytes":""#).skip(1).filter_map(|part| part.split('"').next());
    let data: Vec<Value> = pieces
        .map(|piece| base64::engine::general_purpose::STANDARD.decode(piece).unwrap())
        .map(|bytes| serde_json::from_slice(&bytes).unwrap())
        .collect();
    assert_eq!(said(&data, "/delta/text"), "A text that takes several events.");
    assert_eq!(data.last().unwrap()["type"], "message_stop");
}

#[tokio::test]
async fn failures_and_cuts_come_when_the_script_says() {
    let script = vec![
        Turn::Error { status: 529 },
        Turn::Cut,
        Turn::Text(String::from("A text that takes several events, said at last.")),
    ];
    let paths = [
        ("/v1/messages", "overloaded_error"),
        ("/v1/chat/completions", "server_error"),
        ("/v1/responses", "server_error"),
        ("/v1beta/models/m:streamGenerateContent?alt=sse", "UNAVAILABLE"),
        ("/api/chat", "Overloaded"),
        ("/model/m/invoke-with-response-stream", "Overloaded"),
    ];
    for (path, word) in paths {
        let mut lab = Lab::open(script.clone(), Vec::new()).await;
        let request = json!({"model": "m", "stream": true});
        let failed = lab.post(path, &request).await;
        assert!(failed.starts_with("HTTP/1.1 529 ") && failed.contains(word), "{path}: {failed}");
        let cut = lab.post(path, &request).await;
        assert!(cut.starts_with("HTTP/1.1 200 ") && !cut.ends_with("0\r\n\r\n"), "{path}: {cut}");
        let whole = lab.post(path, &request).await;
        assert!(whole.ends_with("0\r\n\r\n") && whole.len() > cut.len(), "{path}: {whole}");
        // What one cell has had is nothing to the next.
        lab.end().await;
        assert!(lab.post(path, &request).await.starts_with("HTTP/1.1 529 "));
    }
}
