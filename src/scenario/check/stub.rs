//! Checks how the stub answers: the script's turns, what its tools are called, and canned answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::document::{AnswerDocument, StubDocument, TurnDocument};
use super::super::error::{Refusal, Refusals, did_you_mean};
use super::super::placed::{Json, Placed};
use super::super::{Answer, Stub, Turn};
use super::whole;

/// What one tool of the script is called by the agent.
struct Tool {
    name: String,
    /// A template of its input; without one the turn's input is passed on.
    input: Option<Value>,
}

/// Checks the section `[stub]`.
pub(super) fn check(document: &StubDocument, refusals: &mut Refusals) -> Option<Stub> {
    let tools: BTreeMap<&str, Tool> = document
        .tools
        .0
        .iter()
        .filter_map(|(name, tool)| Some((name.value.as_str(), refusals.take(self::tool(tool))?)))
        .collect();
    let script = script(document, &tools, refusals);
    let answers = document.answers.iter().map(|answer| self::answer(answer, refusals)).collect();
    let websocket = match &document.websocket {
        None => Some(false),
        Some(word) => refusals.take(accepts(word)),
    };
    Some(Stub { script: script?, answers, websocket: websocket? })
}

fn tool(document: &Placed<Json>) -> Result<Tool, Refusal> {
    let refusal = |label: &str| {
        Err(Refusal::at(document.span.clone(), "a tool has a name", label)
            .help("write bash = \"its name\", or bash = { name = \"its name\", input = { … } }"))
    };
    match &document.value.0 {
        Value::String(name) if !name.is_empty() => Ok(Tool { name: name.clone(), input: None }),
        Value::Object(members) => {
            if members.keys().any(|key| key != "name" && key != "input") {
                return refusal("only `name` and `input` go here");
            }
            match members.get("name").and_then(Value::as_str) {
                Some(name) if !name.is_empty() => {
                    Ok(Tool { name: name.to_owned(), input: members.get("input").cloned() })
                }
                _ => refusal("has none"),
            }
        }
        _ => refusal("not a name"),
    }
}

fn script(document: &StubDocument, tools: &BTreeMap<&str, Tool>, refusals: &mut Refusals) -> Option<Vec<Turn>> {
    let Some(turns) = &document.script else { return Some(vec![Turn::Text(String::from("OK"))]) };
    if turns.is_empty() {
        refusals.push(
            Refusal::at(turns.span.clone(), "the script has no turns", "empty")
                .help("give the model something to say: script = [{ text = \"OK\" }]"),
        );
        return None;
    }
    let script: Vec<Turn> = turns.value.iter().filter_map(|turn| refusals.take(self::turn(turn, tools))).collect();
    if let Some(last) = turns.value.last().filter(|turn| turn.cut == Some(true)) {
        refusals.push(
            Refusal::at(last.span.clone(), "nothing is left to be cut", "the last turn")
                .help("put a turn behind it: its answer is what breaks off"),
        );
    }
    Some(script)
}

fn turn(turn: &Placed<TurnDocument>, tools: &BTreeMap<&str, Tool>) -> Result<Turn, Refusal> {
    let TurnDocument { text, tool, input, error, cut } = &turn.value;
    match (text, tool, input, error, cut) {
        (Some(text), None, None, None, None) => Ok(Turn::Text(text.clone())),
        (None, Some(tool), input, None, None) if !tool.is_empty() => {
            let input = input.as_ref().map_or_else(|| json!({}), |input| input.value.0.clone());
            match tools.get(tool.as_str()) {
                None => Ok(Turn::Tool { name: tool.clone(), input }),
                Some(called) => {
                    let shaped = called.input.as_ref().map(|template| shape(template, &input));
                    Ok(Turn::Tool { name: called.name.clone(), input: shaped.unwrap_or(input) })
                }
            }
        }
        (None, None, None, Some(error), None) => {
            let status = whole(error, "error", 400, 599)?;
            Ok(Turn::Error { status: u16::try_from(status).unwrap_or(500) })
        }
        (None, None, None, None, Some(true)) => Ok(Turn::Cut),
        _ => Err(Refusal::at(
            turn.span.clone(),
            "a turn is a text or a call of a tool, an error or a cut",
            "none, or several",
        )
        .help("write { text = \"…\" }, { tool = \"Name\", input = { … } }, { error = 529 } or { cut = true }")),
    }
}

/// The template with the input's members in it. A string that is nothing but a placeholder becomes the member itself,
/// whatever its type; one for which there is no member stays as it is.
fn shape(template: &Value, input: &Value) -> Value {
    match template {
        Value::String(text) => {
            let whole = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            if let Some(member) = whole.and_then(|name| input.get(name)) {
                return member.clone();
            }
            let members = input.as_object().into_iter().flatten();
            let filled = members.fold(text.clone(), |text, (name, value)| {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                text.replace(&format!("{{{name}}}"), &value)
            });
            Value::String(filled)
        }
        Value::Array(items) => items.iter().map(|item| shape(item, input)).collect(),
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), shape(value, input))).collect(),
        other => other.clone(),
    }
}

fn answer(answer: &AnswerDocument, refusals: &mut Refusals) -> Answer {
    if !answer.path.starts_with(['/', '*']) {
        refusals.push(
            Refusal::at(answer.path.span.clone(), "a path begins with `/` or `*`", "not a path")
                .help("write the path as it stands in the request, such as /api/v1/userinfo"),
        );
    }
    let status = match &answer.status {
        None => Some(200),
        Some(status) => refusals.take(whole(status, "status", 100, 599)),
    };
    Answer {
        method: answer.method.clone(),
        host: answer.host.clone(),
        path: answer.path.value.clone(),
        status: u16::try_from(status.unwrap_or(200)).unwrap_or(200),
        json: answer.json.as_ref().map_or_else(|| json!({}), |json| json.0.clone()),
    }
}

fn accepts(word: &Placed<String>) -> Result<bool, Refusal> {
    match word.value.as_str() {
        "accept" => Ok(true),
        "refuse" => Ok(false),
        other => {
            let help = did_you_mean(other, ["accept", "refuse"]);
            Err(Refusal::at(
                word.span.clone(),
                format!("`{other}` is nothing that can become of a WebSocket"),
                "unknown",
            )
            .help(help.unwrap_or_else(|| String::from("write `refuse` or `accept`"))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_take_members_by_type_and_by_text() {
        let input = json!({"command": "ls -l", "timeout": 5});
        let template =
            json!({"argv": ["bash", "-lc", "{command}"], "wait": "{timeout}", "why": "run {command} ({timeout}) {x}"});
        let expected = json!({"argv": ["bash", "-lc", "ls -l"], "wait": 5, "why": "run ls -l (5) {x}"});
        assert_eq!(shape(&template, &input), expected);
    }
}
