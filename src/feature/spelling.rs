//! **Spelling** of a request's head and of what frames its chunks: white space and the ends of lines, as leaves. What is
//! written as everybody writes it (`Name: value`, each line with its CR and LF) has none.

use std::collections::BTreeSet;

use super::leaf::{Leaf, numbered};
use super::mask;
use super::{Channel, FeatureKind};

/// How a line ends as a rule.
const END: &[u8] = b"\r\n";

/// The leaves of raw bytes. `proxied`: lines that are for a proxy are among them, and are no part of the request.
pub(super) fn leaves(raw: &[u8], proxied: bool, request: &str, place: &str, out: &mut Vec<Leaf>) {
    let mut say = |what: &str, text: String| {
        let address = format!("header {request} spelling {what}");
        let place = format!("{place} \u{b7} spelling \u{b7} {what}");
        out.push(Leaf::text(Channel::HeaderOrder, FeatureKind::Signature, address, place, text));
    };
    let blank = raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    if blank > 0 {
        say("before it", shown(&raw[..blank]));
    }
    // What was cut short has no end, and its last line says nothing.
    let lines: Vec<&[u8]> =
        raw[blank..].split_inclusive(|byte| *byte == b'\n').filter(|l| l.ends_with(b"\n")).collect();
    let head = lines.iter().position(|line| parts(line).0.is_empty()).map_or(lines.len(), |end| end + 1);
    let (head, framing) = lines.split_at(head);
    let mut chunks = BTreeSet::new();
    let mut headers: Vec<&[u8]> = head.iter().skip(1).copied().collect();
    for line in framing {
        match chunk(line) {
            Some(chunk) => drop(chunks.insert(chunk)),
            None => headers.push(line),
        }
    }
    // One and the same end everywhere is one thing, however many lines there are.
    let ends: BTreeSet<&[u8]> = head.iter().map(|line| parts(line).1).collect();
    let usual = match (ends.len(), ends.first()) {
        (1, Some(end)) => *end,
        _ => END,
    };
    if usual != END {
        say("ends of lines", shown(usual));
    }
    if let Some((_, end)) = head.first().map(|line| parts(line)).filter(|(_, end)| *end != usual) {
        say("end of the request line", shown(end));
    }
    let named = headers.iter().filter_map(|line| {
        let (text, end) = parts(line);
        let colon = text.iter().position(|byte| *byte == b':')?;
        Some((String::from_utf8_lossy(&text[..colon]).to_lowercase(), &text[colon + 1..], end))
    });
    let named: Vec<_> = named.filter(|(name, ..)| !(proxied && name.starts_with("proxy-"))).collect();
    let names = numbered(named.iter().map(|(name, ..)| name.clone()));
    for (name, (_, value, end)) in names.iter().zip(&named) {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
        let before = value.iter().take_while(|byte| is_space(byte)).count();
        let after = value[before..].iter().rev().take_while(|byte| is_space(byte)).count();
        let (before, after) = (&value[..before], &value[value.len() - after..]);
        if before != b" " || !after.is_empty() || *end != usual {
            let end = if *end == usual { String::new() } else { shown(end) };
            say(&format!("spaces around {name}"), format!(":{}value{}{end}", shown(before), shown(after)));
        }
    }
    if let Some((_, end)) = head.last().map(|line| parts(line)).filter(|(text, end)| text.is_empty() && *end != usual) {
        say("end of the head", shown(end));
    }
    if !chunks.is_empty() {
        say("chunks", chunks.into_iter().collect::<Vec<_>>().join("\n"));
    }
}

/// A line, and its end.
fn parts(line: &[u8]) -> (&[u8], &[u8]) {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    line.split_at(text.len())
}

/// What is odd about a line that frames a chunk, its size aside; `None` for a trailer's line.
fn chunk(line: &[u8]) -> Option<String> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let rest = &line[digits..];
    if !matches!(rest.first(), Some(b';' | b' ' | b'\t' | b'\r' | b'\n')) {
        return None;
    }
    let zeros = if digits > 1 && line[0] == b'0' { "0" } else { "" };
    let size = if digits > 0 { "size" } else { "" };
    Some(mask::masked(&format!("{zeros}{size}{}", shown(rest))))
}

/// Bytes as they can be read: white space by its escapes.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace(' ', "\\s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::leaf::Content;

    fn told(raw: &[u8]) -> Vec<String> {
        let mut out = Vec::new();
        leaves(raw, true, "R", "R", &mut out);
        let text = |leaf: Leaf| match leaf.content {
            Content::Text(text) => format!("{} {text}", leaf.address.trim_start_matches("header R spelling ")),
            Content::Order(_) => String::new(),
        };
        out.into_iter().map(text).collect()
    }

    #[test]
    fn only_what_departs_is_told() {
        assert!(told(b"GET / HTTP/1.1\r\nA: b\r\nProxy-X:c\r\n\r\n").is_empty());
        assert_eq!(
            told(b"\r\nGET / HTTP/1.1\r\nA:  b \r\nX:c\r\nx:\td\n\n"),
            [
                "before it \\r\\n",
                "spaces around a :\\s\\svalue\\s",
                "spaces around x :value",
                "spaces around x 2 :\\tvalue\\n",
                "end of the head \\n"
            ]
        );
        assert_eq!(told(b"GET / HTTP/1.1\nA: b\nC: d\n\n"), ["ends of lines \\n"]);
        assert_eq!(told(b"GET / HTTP/1.1\nA: b\r\n\r\n"), ["end of the request line \\n"]);
        assert!(told(b"GET / HTTP/1.1\r\nA: b\r\nUser-Ag").is_empty());
    }

    #[test]
    fn chunks_are_told_without_their_sizes_and_trailers_as_headers() {
        let raw = b"GET / HTTP/1.1\r\nA: b\r\n\r\n1f;x=y\r\n2;x=y\r\n0a\r\n\nX-Sum:1\r\n";
        assert_eq!(told(raw), ["spaces around x-sum :value", "chunks 0size\\r\\n\n\\n\nsize;x=y\\r\\n"]);
    }
}
