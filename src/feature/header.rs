//! **Headers** of a request as leaves: value, case of the name, order of names. Lists are split into items, so that one
//! item more is one slot more.

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
            _ => items(value).unwrap_or_else(|| value.clone()),
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

/// A list of words with commas between, one a line.
fn items(value: &str) -> Option<String> {
    let items: Vec<&str> = value.split(',').collect();
    let word = |item: &str| !item.is_empty() && !item.contains(char::is_whitespace);
    // The space before an item stays: it may be there or not.
    let is_list = items.len() > 1 && items.iter().all(|item| word(item.strip_prefix(' ').unwrap_or(item)));
    is_list.then(|| items.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_lists_only() {
        assert_eq!(items("a-1,b-2, c").as_deref(), Some("a-1\nb-2\n c"));
        assert_eq!(items("agent-cli/2 (external, cli)"), None);
        assert_eq!(items("Sat, 21 Nov 2026 04:09:11 GMT"), None);
        assert_eq!(items("one"), None);
    }
}
