//! The **script**: which of its turns answers a request. Nothing is remembered between requests: the conversation that
//! a request carries says how far it has come, so neither the order of requests nor those beside the main conversation
//! (a title, a topic, a quota check) can move it. Failures alone leave no trace in a conversation: how often each point
//! of it has failed already is counted, within a cell.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use sha2::Digest as _;

use super::reply::instance;
use crate::scenario::Turn;
use crate::wire::{Call, Prompt, Said, ToolChoice};

/// What the model says in one turn.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// Text, and the turn ends.
    Text(String),
    /// A tool call.
    Call {
        /// Tool name.
        name: String,
        /// Input.
        input: Value,
    },
}

/// A turn that was chosen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chosen {
    /// How far the conversation has come: the number of the script's turns that it has behind it.
    pub(super) position: usize,
    /// What is said.
    pub(super) content: Content,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// It is answered.
    Say(Chosen),
    /// Its answer breaks off.
    BreakOff(Chosen),
    /// It fails with this status.
    Fail(u16),
}

/// Points of conversations that are told apart within a cell.
const MOST_POINTS: usize = 10_000;

/// How often each point of a conversation was asked for while the script had it fail.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<String, usize>>);

impl Attempts {
    /// Counts another attempt at this point; gives how many there were before.
    fn count(&self, point: String) -> usize {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST_POINTS && !counts.contains_key(&point) {
            return usize::MAX;
        }
        let count = counts.entry(point).or_default();
        *count += 1;
        *count - 1
    }
}

/// The characters of made-up ids.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// An id that follows from `parts` alone: the same in every cell, so that what an agent repeats of it is no difference.
pub(super) fn identifier(prefix: &str, length: usize, parts: &[&str]) -> String {
    let mut digest = sha2::Sha256::new();
    for part in parts {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let characters = digest.finalize().into_iter().cycle().take(length);
    let mut id = String::from(prefix);
    id.extend(characters.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()])));
    id
}

/// The id of the tool call that is the script's turn `position`, less its vendor's prefix.
pub(super) fn call_id(position: usize, name: &str) -> String {
    identifier("", 22, &["call", &position.to_string(), name])
}

/// What becomes of a request: the failures that stand before its turn come first, one a request.
pub(super) fn next(script: &[Turn], prompt: &Prompt, attempts: &Attempts) -> Next {
    let from = position(script, &prompt.said).min(script.len());
    let failures = script[from..].iter().take_while(|turn| matches!(turn, Turn::Error { .. } | Turn::Cut)).count();
    let chosen = || choose(script, prompt, from + failures);
    if failures == 0 {
        return Next::Say(chosen());
    }
    // The main conversation and requests beside it fail apart from each other.
    let beside = (prompt.tools.is_empty(), prompt.schema.is_some());
    let attempt = attempts.count(format!("{from} {beside:?} {}", prompt.model));
    // Where nothing follows, the last failure repeats, as a last turn does.
    let at = if from + failures == script.len() { attempt.min(failures - 1) } else { attempt };
    match script.get(from + at).filter(|_| at < failures) {
        Some(Turn::Error { status }) => Next::Fail(*status),
        Some(_) => Next::BreakOff(chosen()),
        None => Next::Say(chosen()),
    }
}

/// Chooses what answers a request at this position of the script.
fn choose(script: &[Turn], prompt: &Prompt, position: usize) -> Chosen {
    let turn = script.get(position).or_else(|| script.last());
    let content = match (turn, &prompt.choice) {
        (Some(Turn::Tool { name, input }), choice) if may_call(prompt, choice, name) => {
            Content::Call { name: name.clone(), input: input.clone() }
        }
        (_, ToolChoice::Named(name)) => forced(prompt, Some(name), script),
        (_, ToolChoice::Any) => forced(prompt, None, script),
        (turn, _) => Content::Text(text(prompt, turn, script)),
    };
    Chosen { position, content }
}

/// Whether the tool is offered and the request leaves the choice of it.
fn may_call(prompt: &Prompt, choice: &ToolChoice, name: &str) -> bool {
    let allowed = match choice {
        ToolChoice::Free | ToolChoice::Any => true,
        ToolChoice::None => false,
        ToolChoice::Named(forced) => forced == name,
    };
    // A request that wants JSON for its text is one beside the conversation.
    allowed && prompt.schema.is_none() && prompt.tools.iter().any(|tool| tool.name == name)
}

/// A tool must be called that the script does not call here: its input is made up from its schema.
fn forced(prompt: &Prompt, name: Option<&str>, script: &[Turn]) -> Content {
    let tool = prompt.tools.iter().find(|tool| name.is_none_or(|name| tool.name == name));
    match tool {
        Some(tool) => {
            Content::Call { name: tool.name.clone(), input: instance::of(&tool.schema, &first_text(script, 0)) }
        }
        None => Content::Text(first_text(script, 0)),
    }
}

/// The text of a turn; where the turn is a tool call that cannot be made, the script's next text.
fn text(prompt: &Prompt, turn: Option<&Turn>, script: &[Turn]) -> String {
    let text = match turn {
        Some(Turn::Text(text)) => text.clone(),
        Some(turn) => first_text(script, script.iter().position(|other| other == turn).unwrap_or(0)),
        None => first_text(script, 0),
    };
    match &prompt.schema {
        // A script that already speaks JSON is taken at its word.
        Some(schema) if !serde_json::from_str::<Value>(&text).is_ok_and(|json| json.is_object()) => {
            instance::of(schema, &text).to_string()
        }
        _ => text,
    }
}

fn first_text(script: &[Turn], from: usize) -> String {
    let texts = |turns: &[Turn]| {
        turns.iter().find_map(|turn| match turn {
            Turn::Text(text) => Some(text.clone()),
            _ => None,
        })
    };
    texts(script.get(from..).unwrap_or_default()).or_else(|| texts(script)).unwrap_or_else(|| String::from("OK"))
}

/// How many of the script's turns the conversation has behind it. Only what is recognised as ours counts: agents put
/// words of their own into the model's mouth (examples, the beginning of an answer). Each thing said stands for one turn
/// at most, and turns are taken in order.
fn position(script: &[Turn], said: &[Said]) -> usize {
    let mut position = 0;
    for message in said {
        for call in &message.calls {
            position = after(script, position, |turn, at| is_call(turn, at, call)).unwrap_or(position);
        }
        position = after(script, position, |turn, _| is_text(turn, &message.text)).unwrap_or(position);
    }
    position
}

/// The position after the first turn from `from` on that fits.
fn after(script: &[Turn], from: usize, fits: impl Fn(&Turn, usize) -> bool) -> Option<usize> {
    (from..script.len()).find(|at| fits(&script[*at], *at)).map(|at| at + 1)
}

fn is_text(turn: &Turn, said: &str) -> bool {
    matches!(turn, Turn::Text(text) if !text.trim().is_empty() && said.trim() == text.trim())
}

/// A call is known by its id; where an agent made up ids of its own, by what it called.
fn is_call(turn: &Turn, at: usize, call: &Call) -> bool {
    match turn {
        Turn::Tool { name, input } => {
            call.id.ends_with(&call_id(at, name)) || (call.name == *name && call.input == *input)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::Tool;

    fn script() -> Vec<Turn> {
        vec![
            Turn::Tool { name: String::from("Bash"), input: json!({"command": "ls"}) },
            Turn::Tool { name: String::from("Bash"), input: json!({"command": "ls"}) },
            Turn::Text(String::from("done")),
            Turn::Text(String::from("bye")),
        ]
    }

    fn main_prompt(said: Vec<Said>) -> Prompt {
        let tools = vec![Tool { name: String::from("Bash"), schema: json!({"type": "object"}) }];
        Prompt { tools, said, ..Prompt::default() }
    }

    fn called(position: usize) -> Said {
        let id = format!("toolu_01{}", call_id(position, "Bash"));
        let call = Call { id, name: String::from("Bash"), input: json!({"command": "ls"}) };
        Said { text: String::new(), calls: vec![call] }
    }

    fn spoke(text: &str) -> Said {
        Said { text: text.to_owned(), calls: Vec::new() }
    }

    fn chosen(script: &[Turn], prompt: &Prompt) -> Chosen {
        match next(script, prompt, &Attempts::default()) {
            Next::Say(chosen) => chosen,
            other => panic!("{other:?}"),
        }
    }

    fn content(said: Vec<Said>) -> Content {
        chosen(&script(), &main_prompt(said)).content
    }

    #[test]
    fn failures_come_once_each_and_in_their_place() {
        let text = |text: &str| Turn::Text(String::from(text));
        let error = |status| Turn::Error { status };
        let script = [error(529), text("one"), error(429), Turn::Cut, text("two"), error(500)];
        let attempts = Attempts::default();
        let step = |said: &[&str], beside: bool| {
            let mut prompt = main_prompt(said.iter().map(|text| spoke(text)).collect());
            if beside {
                prompt.tools.clear();
            }
            match next(&script, &prompt, &attempts) {
                Next::Fail(status) => status.to_string(),
                Next::Say(Chosen { content: Content::Text(text), .. }) => text,
                Next::BreakOff(Chosen { content: Content::Text(text), .. }) => format!("{text}…"),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!([step(&[], false), step(&[], true), step(&[], false)], ["529", "529", "one"]);
        let second: Vec<_> = (0..4).map(|_| step(&["one"], false)).collect();
        assert_eq!(second, ["429", "two…", "two", "two"]);
        // At the script's end the failure repeats.
        assert_eq!([step(&["one", "two"], false), step(&["one", "two"], false)], ["500", "500"]);
    }

    #[test]
    fn the_conversation_says_which_turn_is_next() {
        let call = Content::Call { name: String::from("Bash"), input: json!({"command": "ls"}) };
        assert_eq!(content(vec![]), call);
        assert_eq!(chosen(&script(), &main_prompt(vec![called(0)])), Chosen { position: 1, content: call });
        let two = vec![called(0), called(1)];
        assert_eq!(content(two.clone()), Content::Text(String::from("done")));
        let three = [two, vec![spoke("done")]].concat();
        assert_eq!(content(three.clone()), Content::Text(String::from("bye")));
        // The last one repeats.
        assert_eq!(content([three, vec![spoke("bye")]].concat()), Content::Text(String::from("bye")));
    }

    #[test]
    fn words_that_are_not_ours_do_not_count() {
        assert!(matches!(content(vec![spoke("{"), spoke("an example")]), Content::Call { .. }));
    }

    #[test]
    fn a_request_beside_the_conversation_gets_text() {
        let title = Prompt::default();
        assert_eq!(chosen(&script(), &title).content, Content::Text(String::from("done")));
        let schema = json!({"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]});
        let wants_json = Prompt { schema: Some(schema), ..main_prompt(vec![]) };
        assert_eq!(chosen(&script(), &wants_json).content, Content::Text(String::from(r#"{"title":"done"}"#)));
        let forced =
            Prompt { choice: ToolChoice::Named(String::from("Bash")), ..main_prompt(vec![called(0), called(1)]) };
        assert_eq!(chosen(&script(), &forced).content, Content::Call { name: String::from("Bash"), input: json!({}) });
    }

    #[test]
    fn an_empty_script_says_ok() {
        assert_eq!(chosen(&[], &Prompt::default()).content, Content::Text(String::from("OK")));
    }

    #[test]
    fn ids_follow_from_their_parts() {
        assert_eq!(call_id(1, "x"), call_id(1, "x"));
        assert_ne!(call_id(1, "x"), call_id(2, "x"));
        assert_eq!(identifier("req_", 24, &[]).len(), 28);
    }
}
