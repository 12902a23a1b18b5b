//! **Flattening** a body: JSON (also inside strings, also one value a line), forms, or text,
//! taken apart into leaves whose addresses do not depend on positions.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::element;
use super::escape::Style;
use super::json::{self, Json, Node, Quoted};
use super::known::Inquiry;
use super::leaf::{Leaf, numbered};
use super::mask;
use super::{Channel, FeatureKind};
use crate::wire::encoding;

/// JSON inside strings is opened so many times.
const MAX_OPENED: usize = 4;

/// Undoes the content encoding. What cannot be undone stays as it is.
pub(super) fn decoded<'a>(bytes: &'a [u8], encoding: &str) -> Cow<'a, [u8]> {
    encoding::decode(Some(encoding), bytes).unwrap_or(Cow::Borrowed(bytes))
}

/// Takes a body apart. `address` and `place` are those of its request; `content_type` is what the request says.
pub(super) fn body(
    bytes: &[u8],
    content_type: &str,
    address: &str,
    place: &str,
    inquiry: &mut Inquiry<'_>,
    leaves: &mut Vec<Leaf>,
) {
    if bytes.is_empty() {
        return;
    }
    let mut walk = Walk { inquiry, leaves, opened: 0, style: Style::default() };
    let Ok(text) = std::str::from_utf8(bytes) else {
        let magic = hex::encode(&bytes[..bytes.len().min(4)]);
        let (kind, place) = (FeatureKind::Shape, format!("{place} \u{b7} body"));
        walk.leaf(kind, format!("{address} bytes"), place, format!("bytes that begin with {magic}"));
        return;
    };
    let address = format!("{address} ");
    let place = format!("{place} \u{b7} ");
    if let Some(json) = json::parse_container(text) {
        walk.json(&json, &address, &place);
    } else if content_type.contains("x-www-form-urlencoded") {
        walk.form(text, &address, &place);
    } else if let Some(rows) = rows(text) {
        walk.array(&rows, &format!("{address}rows"), &format!("{place}rows"));
    } else {
        walk.text(text, &format!("{address}text"), &format!("{place}body"));
    }
}

/// One JSON object a line.
fn rows(text: &str) -> Option<Vec<Node>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| json::parse_container(line).map(|json| json.root)).collect()
}

struct Walk<'a, 'k> {
    inquiry: &'a mut Inquiry<'k>,
    leaves: &'a mut Vec<Leaf>,
    opened: usize,
    /// Which characters the JSON text around escapes.
    style: Style,
}

impl Walk<'_, '_> {
    fn leaf(&mut self, kind: FeatureKind, address: String, place: String, text: String) {
        self.leaves.push(Leaf::text(Channel::Body, kind, address, place, text));
    }

    fn json(&mut self, json: &Json, address: &str, place: &str) {
        let spacing = json.spacing.clone();
        self.leaf(FeatureKind::Layout, format!("{address}spacing"), format!("{place}spacing"), spacing);
        let style = self.inquiry.style(address, Style::of(json));
        if let Some(told) = style.told() {
            self.leaf(FeatureKind::Signature, format!("{address}escapes"), format!("{place}escapes"), told);
        }
        for escape in style.odd(&json.key_escapes).take(16) {
            let (address, place) = (format!("{address}key escape {escape}"), format!("{place}key escape {escape}"));
            self.leaf(FeatureKind::Signature, address, place, escape.clone());
        }
        let around = std::mem::replace(&mut self.style, style);
        self.node(&json.root, address, place);
        self.style = around;
    }

    fn node(&mut self, node: &Node, address: &str, place: &str) {
        match node {
            Node::Object(members) => self.object(members, address, place),
            Node::Array(elements) => self.array(elements, address, place),
            Node::String(quoted) => self.string(quoted, address, place),
            // A number is not the string of its digits.
            Node::Scalar(text) => {
                self.leaf(FeatureKind::Json, format!("{address} value"), place.to_owned(), text.clone());
            }
        }
    }

    fn object(&mut self, members: &[(String, Node)], address: &str, place: &str) {
        if members.is_empty() {
            return self.leaf(FeatureKind::Json, address.to_owned(), place.to_owned(), String::from("{}"));
        }
        // A map's key may itself be random.
        let keys = numbered(members.iter().map(|(key, _)| mask::masked(key)));
        for (key, (_, value)) in keys.iter().zip(members) {
            let dot = if place.ends_with(' ') { "" } else { "." };
            self.node(
                value,
                &format!("{address}/{}", key.replace('~', "~0").replace('/', "~1")),
                &format!("{place}{dot}{key}"),
            );
        }
        if keys.len() > 1 {
            let place = format!("{} \u{b7} order of keys", place.trim_end_matches([' ', '\u{b7}']));
            self.leaves.push(Leaf::order(Channel::Body, format!("{address} keys"), place, keys));
        }
    }

    fn array(&mut self, elements: &[Node], address: &str, place: &str) {
        if elements.is_empty() {
            return self.leaf(FeatureKind::Json, address.to_owned(), place.to_owned(), String::from("[]"));
        }
        if let Some(items) = scalars(elements) {
            // Aligned as lines are: one inserted item flags one slot.
            return self.leaf(FeatureKind::Json, format!("{address}/*"), format!("{place}[]"), items);
        }
        let labels = match element::names(elements) {
            Some(names) => {
                let order = format!("{place} \u{b7} order");
                let order = Leaf::order(Channel::Body, format!("{address} order"), order, names.clone());
                self.leaves.push(Leaf { kind: FeatureKind::Sequence, ..order });
                names
            }
            None => self.inquiry.labels(address, elements),
        };
        for (label, element) in labels.iter().zip(elements) {
            self.node(element, &format!("{address}/{label}"), &format!("{place}[{label}]"));
        }
    }

    fn string(&mut self, quoted: &Quoted, address: &str, place: &str) {
        let odd = self.style.odd(&quoted.escapes).map(|escape| format!("escape {escape}"));
        let bare = self.style.bare(quoted).into_iter().map(|sort| format!("no escape for {sort}"));
        for told in odd.chain(bare).take(16).collect::<Vec<_>>() {
            let (address, place) = (format!("{address} {told}"), format!("{place} \u{b7} {told}"));
            self.leaf(FeatureKind::Signature, address, place, told);
        }
        if self.opened < MAX_OPENED {
            let (json, form) = match json::parse_container(&quoted.text) {
                Some(json) => (Some(json), "JSON"),
                None => (base64_json(&quoted.text), "JSON in base64"),
            };
            if let Some(json) = json {
                self.opened += 1;
                let (address, place) =
                    (format!("{address} {} ", form.to_ascii_lowercase()), format!("{place} ({form}) \u{b7} "));
                self.json(&json, &address, &place);
                self.opened -= 1;
                return;
            }
        }
        self.text(&quoted.text, address, place);
    }

    /// A text. How its lines end is one property of the whole, not one of each line.
    fn text(&mut self, text: &str, address: &str, place: &str) {
        let feeds = text.matches('\n').count();
        let text = if feeds > 0 && text.matches("\r\n").count() == feeds {
            let (address, place) = (format!("{address} line ends"), format!("{place} \u{b7} line ends"));
            self.leaf(FeatureKind::Signature, address, place, String::from("U+000D U+000A"));
            text.replace("\r\n", "\n")
        } else {
            text.to_owned()
        };
        self.leaf(FeatureKind::Text, address.to_owned(), place.to_owned(), text);
    }

    fn form(&mut self, text: &str, address: &str, place: &str) {
        let pairs: Vec<(&str, &str)> = text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
        let keys = numbered(pairs.iter().map(|(key, _)| plain(key)));
        for (key, (_, value)) in keys.iter().zip(&pairs) {
            let quoted = Quoted { text: plain(value), ..Quoted::default() };
            self.string(&quoted, &format!("{address}/{key}"), &format!("{place}{key}"));
        }
        let place = format!("{} \u{b7} order of fields", place.trim_end_matches([' ', '\u{b7}']));
        self.leaves.push(Leaf::order(Channel::Body, format!("{address} keys"), place, keys));
    }
}

/// JSON that was put into base64, of either alphabet, padded or not.
fn base64_json(text: &str) -> Option<Json> {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    // `{"` and `[` begin so: most strings need no decoding to be refused.
    if text.len() < 8 || !text.starts_with(['e', 'W']) {
        return None;
    }
    let bare = text.trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(bare).or_else(|_| URL_SAFE_NO_PAD.decode(bare)).ok()?;
    json::parse_container(std::str::from_utf8(&bytes).ok()?)
}

fn plain(encoded: &str) -> String {
    percent_decode_str(&encoded.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// An array of nothing but strings and scalars, a line an item.
fn scalars(elements: &[Node]) -> Option<String> {
    let items: Option<Vec<String>> = elements
        .iter()
        .map(|element| match element {
            Node::String(quoted) if !quoted.text.starts_with(['{', '[']) => {
                let plain = !quoted.text.contains('\n');
                Some(if plain { quoted.text.clone() } else { format!("{:?}", quoted.text) })
            }
            Node::Scalar(text) => Some(text.clone()),
            _ => None,
        })
        .collect();
    items.map(|items| items.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::super::known::Known;
    use super::super::leaf::Content;
    use super::*;

    fn flat(text: &str, known: &mut Known) -> Vec<(String, String)> {
        let mut leaves = Vec::new();
        let inquiry = &mut Inquiry::new(known);
        body(text.as_bytes(), "application/json", "body POST /x #0", "POST /x", inquiry, &mut leaves);
        let show = |leaf: Leaf| match leaf.content {
            Content::Text(text) => (leaf.address, text),
            Content::Order(names) => (leaf.address, names.join(" ")),
        };
        leaves.into_iter().map(show).collect()
    }

    #[test]
    fn opens_json_in_strings_and_names_tools() {
        let all = flat(
            r#"{"tools":[{"name":"Bash","n":1}],"meta":"{\"id\":\"x\"}","list":["a","b"],"a":"\u2019"}"#,
            &mut Known::default(),
        );
        let has = |address: &str, text: &str| {
            assert!(all.contains(&(format!("body POST /x #0 {address}"), text.to_owned())), "{address}: {all:#?}");
        };
        has("/tools/Bash/n value", "1");
        has("/meta json /id", "x");
        has("/list/*", "a\nb");
        has("escapes", "beyond ASCII");
        has(" keys", "tools meta list a");
        has("spacing", "compact");
    }

    #[test]
    fn opens_json_in_base64() {
        let all = flat(r#"{"meta":"eyJhIjogMX0=","plain":"eyJhbGxvIQ=="}"#, &mut Known::default());
        assert!(all.contains(&("body POST /x #0 /meta json in base64 /a value".into(), "1".into())), "{all:#?}");
        assert!(all.contains(&("body POST /x #0 /plain".into(), "eyJhbGxvIQ==".into())), "{all:#?}");
    }

    #[test]
    fn decodes_what_is_compressed() {
        use std::io::Write as _;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"{\"a\":1}").unwrap();
        assert_eq!(&*decoded(&gzip.finish().unwrap(), "gzip"), b"{\"a\":1}");
        assert_eq!(&*decoded(b"not gzip", "gzip"), b"not gzip");
        assert_eq!(&*decoded(&zstd::encode_all(&b"hi"[..], 1).unwrap(), "zstd"), b"hi");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let (mut known, mut leaves) = (Known::default(), Vec::new());
            body(&bytes, "", "a", "p", &mut Inquiry::new(&mut known), &mut leaves);
            for encoding in ["gzip", "br", "zstd", "deflate"] {
                let _ = decoded(&bytes, encoding);
            }
        }
    }
}
