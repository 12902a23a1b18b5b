//! **Escaping**: text that an agent may have written, made harmless and honest. Nothing that it can send moves a cursor,
//! turns a line around, hides, or becomes markup; what cannot be seen is shown by its code point: `⟨U+202E⟩`.

use std::fmt::Write as _;

use unicode_normalization::char::is_combining_mark;

/// Combining marks in a row that are shown as they are. Some scripts need two; more is a way to smear over other lines.
const MARKS: usize = 2;

/// Text for a terminal, on one line.
#[must_use]
pub fn terminal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut marks = 0;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        marks = if is_combining_mark(c) { marks + 1 } else { 0 };
        // `⟨U+` always begins an escape of ours.
        let forged = c == '⟨' && rest.as_str().starts_with("U+");
        if is_hidden(c) || forged || marks > MARKS || (marks > 0 && out.is_empty()) {
            out.push_str(&code_point(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Text for a Markdown document, as a code span: neither markup, nor links, nor mentions live in one.
#[must_use]
pub fn markdown(text: &str) -> String {
    let text = terminal(text);
    if text.is_empty() {
        return String::from("*(empty)*");
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // A code span loses one space at each end where both have one, and cannot begin or end with a back quote.
    let blank = |c: Option<char>| matches!(c, Some('`' | ' '));
    let pad = if blank(text.chars().next()) || blank(text.chars().last()) { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// The same inside a table, where a bar would end the cell even in a code span.
#[must_use]
pub fn markdown_cell(text: &str) -> String {
    markdown(text).replace('|', "\\|")
}

/// Text between or inside the tags of an HTML or XML document.
#[must_use]
pub fn html(text: &str) -> String {
    markup(&terminal(text))
}

/// A value as JSON in which every character is printable ASCII and none can begin or end an element of a page: outside
/// strings JSON has no such character, and inside them each may be written by its number.
#[must_use]
pub fn json(value: &serde_json::Value) -> String {
    let mut out = String::new();
    let mut units = [0; 2];
    for c in value.to_string().chars() {
        if matches!(c, ' '..='~') && !matches!(c, '<' | '>' | '&' | '\'') {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

/// Makes text of what could be markup, in text in which nothing hides any more.
fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// `⟨U+202E⟩`.
#[must_use]
pub fn code_point(c: char) -> String {
    format!("⟨U+{:04X}⟩", u32::from(c))
}

/// Whether a terminal would act on this character, or show nothing for it, or something that looks like a plain space.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        // C0, DEL, C1.
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        // Spaces that are not the space.
        | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
        // Invisible and zero-width ones, bidirectional controls, separators.
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{13430}'..='\u{1345f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        // Variation selectors, tags.
        | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}'
        // Private use: every font may show something else.
        | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
        // Noncharacters.
        || matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_acts_or_hides_is_shown_by_its_code_point() {
        assert_eq!(terminal("a\u{1b}[2Jb"), "a⟨U+001B⟩[2Jb");
        assert_eq!(terminal("one\ntwo\r"), "one⟨U+000A⟩two⟨U+000D⟩");
        assert_eq!(terminal("\u{202e}gnp.exe\u{200b}"), "⟨U+202E⟩gnp.exe⟨U+200B⟩");
        assert_eq!(terminal("x\u{e0041}\u{fe0f}\u{a0}y"), "x⟨U+E0041⟩⟨U+FE0F⟩⟨U+00A0⟩y");
        assert_eq!(terminal("don’t, 日本語 — ok"), "don’t, 日本語 — ok");
    }

    #[test]
    fn an_escape_cannot_be_forged_and_redactions_stay_readable() {
        assert_eq!(terminal("⟨U+202E⟩"), "⟨U+27E8⟩U+202E⟩");
        assert_eq!(terminal("Bearer ⟨redacted 24⟩"), "Bearer ⟨redacted 24⟩");
    }

    #[test]
    fn marks_do_not_pile_up() {
        assert_eq!(terminal("e\u{301}"), "e\u{301}");
        assert_eq!(terminal(&format!("e{}", "\u{301}".repeat(3))), "e\u{301}\u{301}⟨U+0301⟩");
        assert_eq!(terminal("\u{301}x"), "⟨U+0301⟩x");
    }

    #[test]
    fn markdown_is_always_a_code_span() {
        assert_eq!(markdown("<img src=x> @you http://x [a](b)"), "`<img src=x> @you http://x [a](b)`");
        assert_eq!(markdown("a `b` ``c``"), "``` a `b` ``c`` ```");
        assert_eq!(markdown(""), "*(empty)*");
        assert_eq!(markdown_cell("a|b"), "`a\\|b`");
    }

    #[test]
    fn html_is_text() {
        assert_eq!(html("<b a='x' c=\"y\">&amp;\u{202e}"), "&lt;b a=&#39;x&#39; c=&quot;y&quot;&gt;&amp;amp;⟨U+202E⟩");
    }

    proptest! {
        #[test]
        fn nothing_gets_through(text in any::<String>()) {
            let safe = terminal(&text);
            prop_assert!(!safe.chars().any(is_hidden));
            let span = markdown(&text);
            let fence = span.chars().take_while(|c| *c == '`').count();
            if fence > 0 {
                let inner = &span[fence..span.len() - fence];
                prop_assert!(span.ends_with(&"`".repeat(fence)));
                prop_assert!(!inner.contains(&"`".repeat(fence)));
            }
        }
    }
}
