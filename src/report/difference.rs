//! The **difference** between two cells' captures, request by request and character by character, for a terminal.

use std::fmt::Write as _;

use similar::{Algorithm, DiffOp, capture_diff_slices};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::compare::{self, Piece, Side};
use super::escape::terminal as safe;
use super::summary;
use crate::capture::{Body, Capture, Exchange, Record};
use crate::finding::codepoint;
use crate::scenario::Scenario;

/// Lines around a difference that are shown.
const AROUND: usize = 2;
/// Characters of an equal piece that are shown at each of its ends.
const ENDS: usize = 40;
/// Characters of a piece that differs.
const LONGEST: usize = 400;
/// Lines of one part that are compared; more are compared as a whole.
const LINES: usize = 20_000;

/// How two cells are compared.
#[derive(Clone, Copy, Debug)]
pub struct Difference<'a> {
    /// Columns.
    pub width: usize,
    /// Whether to use colours.
    pub colour: bool,
    /// Two columns instead of one.
    pub side_by_side: bool,
    /// Only requests whose first line contains this.
    pub only: Option<&'a str>,
}

/// A pair of texts, and what they are.
struct Part {
    title: String,
    left: Vec<String>,
    right: Vec<String>,
}

impl Difference<'_> {
    /// Compares two records of one run.
    #[must_use]
    pub fn render(&self, left: &Record, right: &Record, scenario: &Scenario) -> Vec<u8> {
        let mut out = Vec::new();
        let mut say = |line: &str| {
            out.extend_from_slice(line.trim_end().as_bytes());
            out.push(b'\n');
        };
        say(&self.paint(&format!("{} and {}", safe(&left.cell.id.0), safe(&right.cell.id.0)), "1"));
        let mut parts =
            vec![Part { title: "environment".into(), left: levels(left, scenario), right: levels(right, scenario) }];
        match (&left.outcome, &right.outcome) {
            (Ok(one), Ok(other)) => parts.extend(self.parts(one, other)),
            (one, other) => {
                for (record, outcome) in [(left, one), (right, other)] {
                    if let Err(failure) = outcome {
                        say(&format!("{} was lost to the engine: {}", safe(&record.cell.id.0), safe(&failure.message)));
                    }
                }
            }
        }
        let mut same = 0;
        for part in &parts {
            let lines = self.part(part);
            if lines.is_empty() {
                same += 1;
                continue;
            }
            say("");
            say(&self.paint(&safe(&part.title), "1"));
            for line in &lines {
                say(line);
            }
        }
        say("");
        say(&format!("{} of {} parts are the same", same, parts.len()));
        out
    }

    fn parts(&self, left: &Capture, right: &Capture) -> Vec<Part> {
        let mut parts = Vec::new();
        if self.only.is_none() {
            parts.push(Part { title: "end of the process".into(), left: outcome(left), right: outcome(right) });
            for (title, of) in
                [("standard output", (&left.stdout, &right.stdout)), ("standard error", (&left.stderr, &right.stderr))]
            {
                let (one, other) = bodies(of.0, of.1);
                parts.push(Part { title: title.into(), left: one, right: other });
            }
            let dns = |capture: &Capture| capture.dns.iter().map(|one| format!("{} {}", one.kind, one.name)).collect();
            parts.push(Part { title: "DNS questions".into(), left: dns(left), right: dns(right) });
            let tls = |capture: &Capture| {
                let one = |hello: &crate::capture::TlsHello| {
                    let name = hello.sni.as_deref().unwrap_or("(no name)");
                    format!("{name} · {} · {}", hello.alpn.join(" "), hello.cipher_suites.join(" "))
                };
                capture.tls.iter().map(one).collect()
            };
            parts.push(Part { title: "TLS hellos".into(), left: tls(left), right: tls(right) });
            let files =
                |capture: &Capture| capture.files.iter().map(|one| format!("{:?} {}", one.change, one.path)).collect();
            parts.push(Part { title: "files changed".into(), left: files(left), right: files(right) });
        }
        for (one, other) in pairs(&left.exchanges, &right.exchanges) {
            let named = one.or(other).map(first_line).unwrap_or_default();
            if self.only.is_some_and(|wanted| !named.contains(wanted)) {
                continue;
            }
            let head = |exchange: Option<&Exchange>| exchange.map(head_lines).unwrap_or_default();
            parts.push(Part { title: named.clone(), left: head(one), right: head(other) });
            let empty = Body::default();
            let body =
                |exchange: Option<&Exchange>| exchange.map_or_else(|| empty.clone(), |exchange| exchange.body.clone());
            let (left, right) = bodies(&body(one), &body(other));
            parts.push(Part { title: format!("{named} · body"), left, right });
        }
        parts
    }

    /// The lines of a part's differences; none where it is the same.
    fn part(&self, part: &Part) -> Vec<String> {
        let mut lines = Vec::new();
        if part.left == part.right {
            return lines;
        }
        let operations = if part.left.len().max(part.right.len()) > LINES {
            vec![DiffOp::Replace { old_index: 0, old_len: part.left.len(), new_index: 0, new_len: part.right.len() }]
        } else {
            capture_diff_slices(Algorithm::Myers, &part.left, &part.right)
        };
        let last = operations.len().saturating_sub(1);
        for (n, operation) in operations.into_iter().enumerate() {
            let (_, old, new) = operation.as_tag_tuple();
            if let DiffOp::Equal { .. } = operation {
                let equal = &part.left[old];
                // Context stands after the difference before it, and before the one behind it.
                let head = if n == 0 { 0 } else { AROUND.min(equal.len()) };
                let tail = if n == last { 0 } else { AROUND.min(equal.len() - head) };
                for line in &equal[..head] {
                    self.same(&mut lines, line);
                }
                let hidden = equal.len() - head - tail;
                if hidden > 0 {
                    lines.push(self.paint(&format!("    … {hidden} line{} the same", summary::plural(hidden)), "2"));
                }
                for line in &equal[equal.len() - tail..] {
                    self.same(&mut lines, line);
                }
                continue;
            }
            let (old, new) = (&part.left[old], &part.right[new]);
            for at in 0..old.len().max(new.len()) {
                self.changed(&mut lines, old.get(at), new.get(at));
            }
        }
        lines
    }

    fn same(&self, lines: &mut Vec<String>, line: &str) {
        let text = shown(&[Piece { side: Side::Both, text: line.to_owned() }], Side::Both);
        if self.side_by_side {
            self.columns(lines, " ", &[(text.clone(), false)], &[(text, false)]);
        } else {
            lines.push(self.paint(&format!("    {text}"), "2"));
        }
    }

    fn changed(&self, lines: &mut Vec<String>, old: Option<&String>, new: Option<&String>) {
        let (before, after) = (old.map_or("", String::as_str), new.map_or("", String::as_str));
        let pieces = compare::characters(before, after);
        let runs = |side: Side| -> Vec<(String, bool)> {
            let own = pieces.iter().filter(|piece| piece.side == side || piece.side == Side::Both);
            own.map(|piece| (shown(std::slice::from_ref(piece), piece.side), piece.side != Side::Both)).collect()
        };
        if self.side_by_side {
            let sign = match (old, new) {
                (Some(_), Some(_)) => "|",
                (Some(_), None) => "<",
                _ => ">",
            };
            self.columns(lines, sign, &runs(Side::Baseline), &runs(Side::Variant));
        } else {
            for (line, sign, side, code) in [(old, "-", Side::Baseline, "31"), (new, "+", Side::Variant, "32")] {
                if line.is_some() {
                    let text: String = runs(side)
                        .iter()
                        .map(|(text, own)| {
                            if *own && old.is_some() && new.is_some() {
                                self.paint(text, &format!("{code};7"))
                            } else {
                                self.paint(text, code)
                            }
                        })
                        .collect();
                    lines.push(format!("  {} {text}", self.paint(sign, code)));
                }
            }
        }
        if let (Some(before), Some(after)) = (old, new) {
            let points = codepoint::differing(Some(before), Some(after));
            // Letters and digits of ASCII can be read; other signs of it are named where nothing else differs.
            let code = |point: &crate::finding::CodePoint| {
                u32::from_str_radix(point.codepoint.trim_start_matches("U+"), 16).ok().and_then(char::from_u32)
            };
            let signs = points.iter().all(|point| code(point).is_none_or(|c| !c.is_ascii_alphanumeric()));
            let whole =
                pieces.iter().filter(|piece| piece.side != Side::Both).map(|piece| piece.text.len()).sum::<usize>();
            let telling = |point: &&crate::finding::CodePoint| {
                (signs && whole <= 16) || code(point).is_none_or(|c| !(' '..='~').contains(&c))
            };
            let named: Vec<String> = points
                .iter()
                .filter(telling)
                .map(|point| {
                    let side = if point.side == "baseline" { "-" } else { "+" };
                    format!("{side} {} {}", point.codepoint, safe(&point.name))
                })
                .collect();
            if !named.is_empty() {
                lines.push(self.paint(&format!("      {}", named.join(" · ")), "33"));
            }
        }
    }

    /// Two columns, each wrapped under itself; what differs is marked.
    fn columns(&self, lines: &mut Vec<String>, sign: &str, left: &[(String, bool)], right: &[(String, bool)]) {
        let width = (self.width.clamp(40, 400) - 5) / 2;
        let (left, right) = (self.wrapped(left, width, "31"), self.wrapped(right, width, "32"));
        for at in 0..left.len().max(right.len()) {
            let blank = || (String::new(), 0);
            let (one, used) = left.get(at).cloned().unwrap_or_else(blank);
            let (other, _) = right.get(at).cloned().unwrap_or_else(blank);
            lines.push(format!(" {one}{} {sign} {other}", " ".repeat(width.saturating_sub(used))));
        }
    }

    /// Lines of at most `width` columns, and the columns that each takes.
    fn wrapped(&self, runs: &[(String, bool)], width: usize, code: &str) -> Vec<(String, usize)> {
        let mut lines = vec![(String::new(), 0)];
        for (text, marked) in runs {
            let mut piece = String::new();
            let flush = |piece: &mut String, lines: &mut Vec<(String, usize)>| {
                let columns = piece.width();
                let text = if *marked { self.paint(piece, code) } else { piece.clone() };
                if let Some(last) = lines.last_mut() {
                    last.0.push_str(&text);
                    last.1 += columns;
                }
                piece.clear();
            };
            for c in text.chars() {
                let used = lines.last().map_or(0, |line| line.1) + piece.width();
                if used + c.width().unwrap_or(0) > width {
                    flush(&mut piece, &mut lines);
                    lines.push((String::new(), 0));
                }
                piece.push(c);
            }
            flush(&mut piece, &mut lines);
        }
        lines
    }

    fn paint(&self, text: &str, code: &str) -> String {
        if self.colour && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Pieces made safe and cut where nobody reads on.
fn shown(pieces: &[Piece], side: Side) -> String {
    let mut out = String::new();
    for piece in pieces {
        let length = piece.text.chars().count();
        let (head, tail) = if side == Side::Both { (ENDS, ENDS) } else { (LONGEST, 0) };
        if length <= head + tail + 8 {
            out.push_str(&safe(&piece.text));
        } else {
            let first: String = piece.text.chars().take(head).collect();
            let rest: String = piece.text.chars().skip(length - tail).collect();
            let _ = write!(out, "{}…{} more…{}", safe(&first), length - head - tail, safe(&rest));
        }
    }
    out
}

fn levels(record: &Record, scenario: &Scenario) -> Vec<String> {
    let level = |(factor, level): (&crate::scenario::Factor, &u16)| {
        let label = factor.levels.get(usize::from(*level)).map_or("?", crate::scenario::Level::label);
        format!("{} = {label}", factor.name)
    };
    scenario.factors.iter().zip(&record.cell.levels.0).map(level).collect()
}

fn outcome(capture: &Capture) -> Vec<String> {
    use crate::capture::Outcome;
    vec![match &capture.outcome {
        Outcome::Exited { code } => format!("exited with {code}"),
        Outcome::Signalled { signal } => format!("ended by signal {signal}"),
        Outcome::TimedOut => String::from("ended at its deadline"),
        Outcome::MemoryLimit => String::from("ended at its memory limit"),
        Outcome::ProcessLimit => String::from("reached its limit of processes"),
    }]
}

/// Requests of both sides in order, those of the same method and path together.
fn pairs<'a>(left: &'a [Exchange], right: &'a [Exchange]) -> Vec<(Option<&'a Exchange>, Option<&'a Exchange>)> {
    let key = |exchange: &Exchange| {
        let path = exchange.target.split('?').next().unwrap_or("").to_owned();
        (exchange.method.clone(), path)
    };
    let keys = |exchanges: &[Exchange]| exchanges.iter().map(key).collect::<Vec<_>>();
    let mut pairs = Vec::new();
    for operation in capture_diff_slices(Algorithm::Myers, &keys(left), &keys(right)) {
        let (_, old, new) = operation.as_tag_tuple();
        let (old, new) = (&left[old], &right[new]);
        if let DiffOp::Equal { .. } = operation {
            pairs.extend(old.iter().zip(new).map(|(one, other)| (Some(one), Some(other))));
        } else {
            pairs.extend(old.iter().map(|one| (Some(one), None)));
            pairs.extend(new.iter().map(|other| (None, Some(other))));
        }
    }
    pairs
}

fn first_line(exchange: &Exchange) -> String {
    format!("{} {}", exchange.method, exchange.target).chars().take(LONGEST / 2).collect()
}

fn head_lines(exchange: &Exchange) -> Vec<String> {
    let url =
        format!("{} {}://{}:{}{}", exchange.method, exchange.scheme, exchange.host, exchange.port, exchange.target);
    let mut lines = vec![url, format!("HTTP/{}, {:?}, answered {}", exchange.version, exchange.via, exchange.status)];
    lines.extend(exchange.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    lines
}

/// Two bodies as lines: as indented JSON where both are JSON and differ in that form, else as they are.
fn bodies(left: &Body, right: &Body) -> (Vec<String>, Vec<String>) {
    if left == right {
        return (Vec::new(), Vec::new());
    }
    if let (Some(one), Some(other)) = (pretty(left), pretty(right))
        && one != other
    {
        return (one, other);
    }
    (raw(left), raw(right))
}

fn pretty(body: &Body) -> Option<Vec<String>> {
    if body.bytes.is_empty() {
        return Some(Vec::new());
    }
    let value: serde_json::Value = serde_json::from_slice(&body.bytes).ok()?;
    let text = serde_json::to_string_pretty(&value).ok()?;
    // A prompt is one string of many lines: it is compared by those.
    Some(text.lines().flat_map(|line| line.split_inclusive("\\n")).map(str::to_owned).collect())
}

fn raw(body: &Body) -> Vec<String> {
    match std::str::from_utf8(&body.bytes) {
        Ok(text) => text.split_inclusive('\n').map(|line| line.strip_suffix('\n').unwrap_or(line).to_owned()).collect(),
        Err(_) => vec![format!("({} bytes that are no text, sha256 {})", body.bytes.len(), body.sha256())],
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::report::testing;

    fn plain() -> Difference<'static> {
        Difference { width: 100, colour: false, side_by_side: false, only: None }
    }

    fn compared(difference: Difference<'_>, change: impl Fn(&mut Capture)) -> String {
        let records = testing::records();
        let mut other = records[1].clone();
        let mut capture = Capture::clone(other.outcome.as_ref().unwrap());
        change(&mut capture);
        other.outcome = Ok(Arc::new(capture));
        String::from_utf8(difference.render(&records[0], &other, &testing::manifest().scenario)).unwrap()
    }

    #[test]
    fn differences_are_told_by_request_and_character() {
        let text = compared(plain(), |capture| {
            capture.exchanges[0].body = Body::new(&br#"{"text":"hello base\u200bline"}"#[..]);
        });
        for part in [
            "c0000 and c0001",
            "  - zone = UTC",
            "  + zone = Asia/Tokyo",
            "POST /v1/messages\n",
            "  + X-Mark: variant",
            "POST /v1/messages · body",
            "  -   \"text\": \"hello baseline\"",
            "  +   \"text\": \"hello base⟨U+200B⟩line\"",
            "      + U+200B ZERO WIDTH SPACE",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }

    #[test]
    fn bytes_that_parse_alike_are_compared_as_they_are() {
        let text = compared(plain(), |capture| {
            capture.exchanges[0].body = Body::new(&br#"{ "text":"hello baseline"}"#[..]);
        });
        assert!(text.contains("  - {\"text\""), "{text}");
        assert!(text.contains("+ U+0020 SPACE"), "{text}");
    }

    #[test]
    fn a_cell_and_itself_are_the_same() {
        let records = testing::records();
        let text = plain().render(&records[0], &records[2], &testing::manifest().scenario);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, "c0000 and c0002\n\n9 of 9 parts are the same\n");
        let lost = plain().render(&records[0], &records[5], &testing::manifest().scenario);
        assert!(String::from_utf8(lost).unwrap().contains("c0005 was lost to the engine: no disk"));
    }

    #[test]
    fn only_some_requests() {
        let text = compared(Difference { only: Some("/nowhere"), ..plain() }, |_| {});
        assert!(!text.contains("POST"), "{text}");
    }

    #[test]
    fn side_by_side_fits_and_colours_change_nothing_else() {
        let change = |capture: &mut Capture| {
            capture.exchanges[0].body =
                Body::new(format!("{{\"text\":\"{} 日本語\"}}", "word ".repeat(60)).into_bytes());
        };
        for width in [60, 120] {
            let two = Difference { side_by_side: true, width, ..plain() };
            let text = compared(two, change);
            assert!(text.contains(" | "), "{text}");
            let body = text.split_once("· body").unwrap().1;
            for line in body.lines().filter(|line| line.contains(" | ")) {
                assert!(line.width() <= width, "{} columns: {line}", line.width());
            }
            let mut colour = compared(Difference { colour: true, ..two }, change);
            for code in ["0", "1", "2", "31", "32", "33"] {
                colour = colour.replace(&format!("\u{1b}[{code}m"), "");
            }
            let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
            assert_eq!(trimmed(&colour), trimmed(&text));
        }
    }

    #[test]
    fn what_an_agent_wrote_is_escaped() {
        let long = format!("{}{}", testing::HOSTILE, "A".repeat(1 << 20));
        for side_by_side in [false, true] {
            let text = compared(Difference { side_by_side, ..plain() }, |capture| {
                capture.stdout = Body::new(long.clone().into_bytes());
                capture.exchanges[0].body = Body::new(serde_json::json!({ "text": long }).to_string().into_bytes());
                capture.exchanges[0].target = format!("/{long}");
                capture.exchanges[0].headers.push((testing::HOSTILE.into(), long.clone()));
                capture
                    .files
                    .push(crate::capture::FileChange { path: long.clone(), change: crate::capture::Change::Added });
            });
            assert!(text.chars().all(|c| c == '\n' || !crate::report::escape::is_hidden(c)));
            assert!(text.len() < 40_000, "{} bytes", text.len());
        }
    }
}
