//! The **script**: which of its turns answers a request. Nothing is remembered between requests: the conversation that
//! a request carries says how far it has come, so neither the order of requests nor those beside the main conversation
//! (a title, a topic, a quota check) can move it.

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

/// Chooses what answers a request.
pub(super) fn choose(script: &[Turn], prompt: &Prompt) -> Chosen {
    let position = position(script, &prompt.said);
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
            Turn::Tool { .. } => None,
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
        Turn::Text(_) => false,
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

    fn content(said: Vec<Said>) -> Content {
        choose(&script(), &main_prompt(said)).content
    }

    #[test]
    fn the_conversation_says_which_turn_is_next() {
        let call = Content::Call { name: String::from("Bash"), input: json!({"command": "ls"}) };
        assert_eq!(content(vec![]), call);
        assert_eq!(choose(&script(), &main_prompt(vec![called(0)])), Chosen { position: 1, content: call });
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
        assert_eq!(choose(&script(), &title).content, Content::Text(String::from("done")));
        let schema = json!({"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]});
        let wants_json = Prompt { schema: Some(schema), ..main_prompt(vec![]) };
        assert_eq!(choose(&script(), &wants_json).content, Content::Text(String::from(r#"{"title":"done"}"#)));
        let forced =
            Prompt { choice: ToolChoice::Named(String::from("Bash")), ..main_prompt(vec![called(0), called(1)]) };
        assert_eq!(choose(&script(), &forced).content, Content::Call { name: String::from("Bash"), input: json!({}) });
    }

    #[test]
    fn an_empty_script_says_ok() {
        assert_eq!(choose(&[], &Prompt::default()).content, Content::Text(String::from("OK")));
    }

    #[test]
    fn ids_follow_from_their_parts() {
        assert_eq!(call_id(1, "x"), call_id(1, "x"));
        assert_ne!(call_id(1, "x"), call_id(2, "x"));
        assert_eq!(identifier("req_", 24, &[]).len(), 28);
    }
}
