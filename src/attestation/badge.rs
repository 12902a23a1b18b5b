//! The **badge**: a result as a small SVG for a README. It shows one word and how hard was looked, and links to nothing.

/// What a badge says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// All is well.
    Green,
    /// There is something to read.
    Yellow,
    /// Something is neither explained nor disclosed.
    Red,
}

/// Width of a letter of the font, about.
const LETTER: usize = 7;
const PADDING: usize = 12;

/// Draws it. Both texts are escaped.
#[must_use]
pub fn svg(label: &str, message: &str, colour: Colour) -> String {
    let fill = match colour {
        Colour::Green => "#2e7d32",
        Colour::Yellow => "#8d6e00",
        Colour::Red => "#c62828",
    };
    let columns = |text: &str| text.chars().count() * LETTER + PADDING;
    let (left, right) = (columns(label), columns(message));
    let width = left + right;
    let (label, message) = (escaped(label), escaped(message));
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{label}: {message}">
<title>{label}: {message}</title>
<rect width="{left}" height="20" fill="#444"/>
<rect x="{left}" width="{right}" height="20" fill="{fill}"/>
<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">
<text x="{label_at}" y="14">{label}</text>
<text x="{message_at}" y="14">{message}</text>
</g>
</svg>
"##,
        label_at = left / 2,
        message_at = left + right / 2,
    )
}

/// Text for XML. What XML 1.0 cannot carry, and what turns or hides text, is left out.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            ' '..='~' | '·' | '×' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_says_its_words_and_escapes_them() {
        let badge = svg("env", "PASSED · 6 factors", Colour::Green);
        assert!(badge.starts_with("<svg ") && badge.ends_with("</svg>\n"));
        assert!(badge.contains(">PASSED · 6 factors</text>") && badge.contains("#2e7d32"));
        let hostile = svg("</text><script>\"'&", "a\u{202e}\u{0}\u{1b}b", Colour::Red);
        assert!(!hostile.contains("<script") && !hostile.contains('\u{202e}') && !hostile.contains('\u{0}'));
        assert!(hostile.contains("&lt;/text&gt;&lt;script&gt;&quot;&#39;&amp;") && hostile.contains(">ab</text>"));
    }
}
