//! **Placeholders**: `{name}` in commands, variables and file contents.

/// Replaces every `{name}` for which `value` knows a value, once: what was put in is not looked at again. Anything else
/// between braces stays as it is, so that JSON and shell need no escapes.
#[must_use]
pub fn replace<'a>(text: &str, value: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, name, after)) = next(rest) {
        out.push_str(before);
        if let Some(value) = value(name) {
            out.push_str(value);
        } else {
            out.push('{');
            out.push_str(name);
            out.push('}');
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Whether `{name}` stands in the text.
#[must_use]
pub fn mentions(text: &str, name: &str) -> bool {
    let mut rest = text;
    while let Some((_, found, after)) = next(rest) {
        if found == name {
            return true;
        }
        rest = after;
    }
    false
}

/// What is before the next thing that looks like a placeholder, its name, and what is after it.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        let inside = &text[open + 1..];
        let length = inside.find(|c: char| !is_name(c)).unwrap_or(inside.len());
        if length > 0 && inside[length..].starts_with('}') {
            return Some((&text[..open], &inside[..length], &inside[length + 1..]));
        }
        from = open + 1;
    }
    None
}

/// Characters of a factor's name.
pub(super) fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_names_are_replaced_once() {
        let value = |name: &str| match name {
            "a" => Some("{b}"),
            "b" => Some("B"),
            "none" => Some(""),
            _ => None,
        };
        let given = [
            ("{a}", "{b}"),
            ("x{b}y{b}", "xByB"),
            ("[{none}]", "[]"),
            ("{unknown}", "{unknown}"),
            ("{{b}}", "{B}"),
            ("{ b }", "{ b }"),
            ("{\"b\": {}}", "{\"b\": {}}"),
            ("${b} {b", "$B {b"),
            ("", ""),
        ];
        for (text, expected) in given {
            assert_eq!(replace(text, value), expected, "{text}");
        }
        assert!(mentions("x {unknown} {b}", "b") && !mentions("x {b", "b") && !mentions("{bb}", "b"));
    }

    proptest! {
        #[test]
        fn text_of_unknown_names_is_left_alone(text in "\\PC{0,60}") {
            prop_assert_eq!(replace(&text, |_| None), text);
        }

        #[test]
        fn a_replaced_name_is_gone_and_all_else_stays(before in "[^{}]{0,20}", after in "[^{}]{0,20}", value in "[^{}]{0,9}") {
            let text = format!("{before}{{home}}{after}{{home}}{{other}}");
            let out = replace(&text, |name| (name == "home").then_some(value.as_str()));
            prop_assert_eq!(&out, &format!("{before}{value}{after}{value}{{other}}"));
            prop_assert!(mentions(&text, "home") && !mentions(&out, "home"));
        }
    }
}
