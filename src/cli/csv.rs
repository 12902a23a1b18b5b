//! **Comma-separated values**, as RFC 4180 has them, for spreadsheets too: no field can become a formula there.

/// One record: fields between commas, with its line break.
pub(super) fn record<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let fields: Vec<String> = fields.into_iter().map(field).collect();
    fields.join(",") + "\r\n"
}

fn field(text: &str) -> String {
    // A spreadsheet takes what begins so for a formula, quoted or not; an apostrophe before it says that it is text.
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if formula || text.contains(['"', ',', '\r', '\n']) || text.starts_with(' ') || text.ends_with(' ') {
        return format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        assert_eq!(record(["a", "b c", "", "日本"]), "a,b c,,日本\r\n");
        assert_eq!(
            record(["a,b", "say \"hi\"", "two\nlines", " x"]),
            "\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",\" x\"\r\n"
        );
    }

    #[test]
    fn no_field_is_a_formula() {
        for text in ["=1+1", "+1", "-05:00", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"] {
            assert_eq!(record([text]), format!("\"'{text}\"\r\n"));
        }
        assert_eq!(record(["=\"x\""]), "\"'=\"\"x\"\"\"\r\n");
        assert_eq!(record(["1-1", "a=b"]), "1-1,a=b\r\n");
    }
}
