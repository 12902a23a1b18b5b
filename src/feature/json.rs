//! A **lossless JSON reader**: keeps what `serde_json` forgets and an agent can hide something in: duplicate keys, the
//! order of keys, how numbers are written, which characters are escaped, how the text is spaced.

use std::collections::{BTreeMap, BTreeSet};

/// Deeper nesting than this is not read as JSON.
const MAX_DEPTH: usize = 128;

/// A JSON value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Members in order, duplicates kept.
    Object(Vec<(String, Node)>),
    /// Elements in order.
    Array(Vec<Node>),
    /// A string.
    String(Quoted),
    /// A number, `true`, `false` or `null`, as written.
    Scalar(String),
}

/// A string and what its quoting hid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Quoted {
    /// The decoded text. Lone surrogates are read as U+FFFD.
    pub(super) text: String,
    /// Escapes that the character did not need, as written (`\u2019`, `\/`), with their number.
    pub(super) escapes: BTreeMap<String, usize>,
}

impl Quoted {
    fn escaped(&mut self, escape: &str) {
        if let Some(n) = self.escapes.get_mut(escape) {
            *n += 1;
        } else if self.escapes.len() < 32 {
            self.escapes.insert(escape.to_owned(), 1);
        }
    }
}

/// A JSON text: its value and the way it is spaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Json {
    /// The value.
    pub(super) root: Node,
    /// White space used between tokens, each kind once: `compact`, or such as `": " ",\n"`.
    pub(super) spacing: String,
    /// Needless escapes in the names of members, with their number.
    pub(super) key_escapes: BTreeMap<String, usize>,
}

/// Reads a whole text as one JSON value.
pub(super) fn parse(text: &str) -> Option<Json> {
    let mut reader = Reader { text, at: 0, gaps: BTreeSet::new(), key_escapes: BTreeMap::new() };
    reader.space("start ");
    let root = reader.value(0)?;
    reader.space("end ");
    if reader.at != text.len() {
        return None;
    }
    let spacing = if reader.gaps.is_empty() {
        String::from("compact")
    } else {
        let gaps = reader.gaps.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        format!("spaced {gaps}")
    };
    Some(Json { root, spacing, key_escapes: reader.key_escapes })
}

/// Reads a text as JSON only where it is an object or array: a bare word or number is a text to us.
pub(super) fn parse_container(text: &str) -> Option<Json> {
    let first = text.trim_start().as_bytes().first()?;
    if matches!(first, b'{' | b'[') { parse(text) } else { None }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    gaps: BTreeSet<String>,
    key_escapes: BTreeMap<String, usize>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        if self.peek()? == byte {
            self.at += 1;
            Some(())
        } else {
            None
        }
    }

    /// Skips white space and remembers what kind stood after `place`. Runs of blanks are cut, so that depth is no news.
    fn space(&mut self, place: &str) {
        let start = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        let gap = &self.text[start..self.at];
        if !gap.is_empty() && self.gaps.len() < 16 {
            let shown: String =
                gap.chars().take_while(|c| *c != '\n').chain(gap.contains('\n').then_some('\n')).collect();
            self.gaps.insert(format!("{place}{:?}", shown.chars().take(4).collect::<String>()));
        }
    }

    fn value(&mut self, depth: usize) -> Option<Node> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => Some(Node::String(self.string()?)),
            _ => self.scalar(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Node> {
        self.eat(b'{')?;
        self.space("{ ");
        let mut members = Vec::new();
        if self.eat(b'}').is_some() {
            return Some(Node::Object(members));
        }
        loop {
            let Quoted { text: key, escapes } = self.string()?;
            for (escape, n) in escapes {
                *self.key_escapes.entry(escape).or_default() += n;
            }
            self.space("key ");
            self.eat(b':')?;
            self.space(": ");
            members.push((key, self.value(depth + 1)?));
            self.space("value ");
            if self.eat(b'}').is_some() {
                return Some(Node::Object(members));
            }
            self.eat(b',')?;
            self.space(", ");
        }
    }

    fn array(&mut self, depth: usize) -> Option<Node> {
        self.eat(b'[')?;
        self.space("[ ");
        let mut elements = Vec::new();
        if self.eat(b']').is_some() {
            return Some(Node::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            self.space("value ");
            if self.eat(b']').is_some() {
                return Some(Node::Array(elements));
            }
            self.eat(b',')?;
            self.space(", ");
        }
    }

    fn scalar(&mut self) -> Option<Node> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.')) {
            self.at += 1;
        }
        let word = &self.text[start..self.at];
        let known = matches!(word, "true" | "false" | "null")
            || (word.bytes().next().is_some_and(|b| b == b'-' || b.is_ascii_digit()) && word.parse::<f64>().is_ok());
        known.then(|| Node::Scalar(word.to_owned()))
    }

    fn string(&mut self) -> Option<Quoted> {
        self.eat(b'"')?;
        let mut quoted = Quoted::default();
        loop {
            let rest = &self.text[self.at..];
            let stop = rest.find(['"', '\\'])?;
            quoted.text.push_str(&rest[..stop]);
            self.at += stop + 1;
            if rest.as_bytes()[stop] == b'"' {
                return Some(quoted);
            }
            let escape = self.peek()?;
            self.at += 1;
            match escape {
                b'n' => quoted.text.push('\n'),
                b't' => quoted.text.push('\t'),
                b'r' => quoted.text.push('\r'),
                b'b' => quoted.text.push('\u{8}'),
                b'f' => quoted.text.push('\u{c}'),
                b'"' => quoted.text.push('"'),
                b'\\' => quoted.text.push('\\'),
                b'/' => {
                    quoted.text.push('/');
                    quoted.escaped("\\/");
                }
                b'u' => self.unicode(&mut quoted)?,
                _ => return None,
            }
        }
    }

    /// Reads what follows `\u`, a surrogate pair as one character.
    fn unicode(&mut self, quoted: &mut Quoted) -> Option<()> {
        let start = self.at - 2;
        let high = self.hex4()?;
        let mut character = char::from_u32(high);
        if (0xD800..0xDC00).contains(&high) && self.text[self.at..].starts_with("\\u") {
            let back = self.at;
            self.at += 2;
            match self.hex4() {
                Some(low) if (0xDC00..0xE000).contains(&low) => {
                    character = char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00));
                }
                _ => self.at = back,
            }
        }
        let character = character.unwrap_or('\u{FFFD}');
        quoted.text.push(character);
        if character >= ' ' {
            quoted.escaped(&self.text[start..self.at]);
        }
        Some(())
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_duplicates_numbers_and_escapes() {
        let json = parse(r#"{"b":1.0,"a":"\u2019\n\/","b":[]}"#).unwrap();
        assert_eq!(json.spacing, "compact");
        let Node::Object(members) = json.root else { panic!("an object") };
        assert_eq!(members.iter().map(|(k, _)| k.as_str()).collect::<Vec<_>>(), ["b", "a", "b"]);
        assert_eq!(members[0].1, Node::Scalar("1.0".into()));
        let Node::String(text) = &members[1].1 else { panic!("a string") };
        assert_eq!(text.text, "\u{2019}\n/");
        assert_eq!(text.escapes.keys().map(String::as_str).collect::<Vec<_>>(), ["\\/", "\\u2019"]);
    }

    #[test]
    fn tells_spacing_and_refuses_rubbish() {
        assert_ne!(parse("{\"a\": 1}").unwrap().spacing, parse("{\"a\":1}").unwrap().spacing);
        for bad in ["{", "{\"a\":}", "[1,]", "nul", "\"\\u12\"", "{} x", "", "\"\\ud800"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert!(parse(&"[".repeat(10_000)).is_none());
        assert!(parse(r#""\ud83d\ude00\ud800""#).is_some());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            let _ = parse(&text);
        }

        #[test]
        fn agrees_with_serde(text in "[\\PC\\n\"\\\\]*") {
            let written = serde_json::to_string(&text).unwrap();
            let Some(Json { root: Node::String(read), .. }) = parse(&written) else { panic!("not read: {written}") };
            proptest::prop_assert_eq!(read.text, text);
        }
    }
}
