//! **Headers** of a request as leaves: value, case of the name, order of names. Lists are split into items, so that one
//! item more is one slot more, and what stands between the items is a leaf of its own, so that it is nothing else.

use super::leaf::{Leaf, numbered};
use super::{Channel, FeatureKind};

/// The leaves of a request's headers. `length` is the body's.
pub(super) fn leaves(headers: &[(String, String)], length: usize, request: &str, place: &str, out: &mut Vec<Leaf>) {
    let names = numbered(headers.iter().map(|(name, _)| name.to_lowercase()));
    for (name, (written, value)) in names.iter().zip(headers) {
        let place = format!("{place} \u{b7} header {name}");
        let address = format!("header {request} {name}");
        let text = match name.as_str() {
            // What follows from the body is no news.
            "content-length" if value.trim() == length.to_string() => String::from("the body's length"),
            _ => match items(value) {
                Some((items, between)) => {
                    let place = format!("{place} \u{b7} between the items");
                    let address = format!("{address} separators");
                    out.push(Leaf::text(Channel::Header, FeatureKind::Text, address, place, between));
                    items
                }
                None => value.clone(),
            },
        };
        out.push(Leaf::text(Channel::Header, FeatureKind::Text, address.clone(), place.clone(), text));
        let case = format!("{place} \u{b7} case");
        out.push(Leaf::text(
            Channel::HeaderOrder,
            FeatureKind::Order,
            format!("{address} case"),
            case,
            written.clone(),
        ));
    }
    let place = format!("{place} \u{b7} order of headers");
    out.push(Leaf::order(Channel::HeaderOrder, format!("header {request} order"), place, names));
}

/// A list of words with commas between, one a line, and what stands between them: once if it is everywhere the same, else
/// one a line. The first item has no space before it, whichever it is: spaces that stayed with the items would make an
/// item another where the one before it goes.
fn items(value: &str) -> Option<(String, String)> {
    let items: Vec<&str> = value.split(',').collect();
    let is_word = |item: &str| !item.is_empty() && !item.contains(char::is_whitespace);
    let (first, rest) = items.split_first()?;
    if rest.is_empty() || !is_word(first) || !rest.iter().all(|item| is_word(item.strip_prefix(' ').unwrap_or(item))) {
        return None;
    }
    let mut between: Vec<&str> = rest.iter().map(|item| if item.starts_with(' ') { ", " } else { "," }).collect();
    if between.iter().all(|other| *other == between[0]) {
        between.truncate(1);
    }
    let words: Vec<&str> = items.iter().map(|item| item.trim_start()).collect();
    Some((words.join("\n"), between.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_lists_only() {
        let list = |words: &str, between: &str| Some((words.to_owned(), between.to_owned()));
        assert_eq!(items("a-1,b-2, c"), list("a-1\nb-2\nc", ",\n, "));
        assert_eq!(items("br, gzip, deflate"), list("br\ngzip\ndeflate", ", "));
        assert_eq!(items("gzip, deflate"), list("gzip\ndeflate", ", "));
        assert_eq!(items("gzip,deflate"), list("gzip\ndeflate", ","));
        assert_eq!(items(" a,b"), None);
        assert_eq!(items("agent-cli/2 (external, cli)"), None);
        assert_eq!(items("Sat, 21 Nov 2026 04:09:11 GMT"), None);
        assert_eq!(items("one"), None);
    }
}
