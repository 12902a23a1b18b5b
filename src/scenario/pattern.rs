//! **Place patterns**: `*` stands for any run of characters. A pattern must name something of the place that it means.

/// Words that stand in places of every sort and so name none: methods, parts of requests, channels.
const GENERIC: [&str; 42] = [
    "GET",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "CONNECT",
    "header",
    "headers",
    "order",
    "of",
    "case",
    "form",
    "body",
    "line",
    "after",
    "before",
    "from",
    "to",
    "in",
    "at",
    "the",
    "text",
    "content",
    "DNS",
    "question",
    "for",
    "TLS",
    "hello",
    "connection",
    "without",
    "a",
    "request",
    "requests",
    "further",
    "file",
    "process",
    "JSON",
    "base64",
    "http",
    "https",
];
/// Letters and digits that a pattern must have beside such words.
const LEAST: usize = 4;

/// Whether `text` matches `pattern`, in which `*` stands for any run of characters.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    let mut rest = rest;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Whether a pattern names so little that it would cover whatever is found. A pattern without `*` is one place.
#[must_use]
pub fn is_too_wide(pattern: &str) -> bool {
    if !pattern.contains('*') {
        return false;
    }
    let words = pattern.split(|c: char| !c.is_alphanumeric());
    let telling = words.filter(|word| !GENERIC.contains(word)).map(|word| word.chars().count());
    telling.sum::<usize>() < LEAST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        assert!(glob("*", ""));
        assert!(glob("*date*", "line 3 · date"));
        assert!(glob("POST */messages", "POST /v1/messages"));
        assert!(!glob("*date", "date of"));
        assert!(!glob("a*b*c", "acb"));
        assert!(!glob("", "x"));
    }

    #[test]
    fn a_pattern_must_name_something() {
        for wide in
            ["*", "**", "POST *", "* · *", "*header*", "DNS question for *", "*e*", "POST /v1/*", "*line 4*", "*·*"]
        {
            assert!(is_too_wide(wide), "{wide}");
        }
        for good in
            ["*date*", "POST /v1/messages*", "* · header user-agent", "DNS question for *.example", "exit", "日本語の*"]
        {
            assert!(!is_too_wide(good), "{good}");
        }
    }
}
