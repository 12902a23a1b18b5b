//! The report for a **terminal**: a table of the findings, then each of them in full, then what is explained in short.

use tabled::builder::Builder;
use tabled::settings::object::Rows;
use tabled::settings::peaker::PriorityMax;
use tabled::settings::{Alignment, Modify, Style, Width};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::escape::terminal as safe;
use super::{Report, summary};
use crate::finding::{Finding, Findings, Stale, Verdict};
use crate::store::Manifest;

/// Values of rules and excerpts are cut to this many characters: `findings.json` has them whole.
const LONGEST: usize = 240;
/// Places of a finding that are listed.
const PLACES: usize = 4;
/// Columns from which on places fit a table; below, they would be broken in the middle of their words.
const WIDE: usize = 120;
/// Column at which the text of a labelled line begins.
const INDENT: usize = 14;

/// The terminal's format.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// Columns.
    pub width: usize,
    /// Whether to use colours.
    pub colour: bool,
}

impl Default for Text {
    fn default() -> Self {
        Self { width: 100, colour: false }
    }
}

/// A style of the terminal.
#[derive(Clone, Copy)]
pub(super) enum Ink {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

impl Report for Text {
    fn render(&self, findings: &Findings, manifest: &Manifest) -> Vec<u8> {
        let mut page = Page::new(*self);
        page.head(findings, manifest);
        let sorted = summary::Sorted::new(findings);
        if !sorted.open.is_empty() {
            page.heading("Neither explained nor disclosed");
            page.table(&sorted.open);
            for (n, finding) in sorted.open.iter().enumerate() {
                page.finding(n + 1, finding);
            }
        }
        page.short("Disclosed by the vendor", &sorted.disclosed, |finding| finding.disclosed.as_deref());
        page.short("Explained", &sorted.explained, |finding| finding.explained_by.as_deref());
        page.stale(&findings.stale);
        page.foot(findings);
        page.out.into_bytes()
    }
}

/// What is written so far.
pub(super) struct Page {
    width: usize,
    colour: bool,
    pub(super) out: String,
}

impl Page {
    pub(super) fn new(text: Text) -> Self {
        Self { width: text.width.clamp(40, 200), colour: text.colour, out: String::new() }
    }

    fn head(&mut self, findings: &Findings, manifest: &Manifest) {
        let title = format!("{} · {}", safe(&findings.scenario), safe(&summary::subject(manifest)));
        self.title(&title);
        let ink = match findings.verdict {
            Verdict::Clean => Ink::Green,
            Verdict::Conditioned => Ink::Red,
            Verdict::Inconclusive => Ink::Yellow,
        };
        self.labelled_in("verdict", &summary::verdict(findings), Some(ink));
        self.labelled("cells", &summary::cells(findings));
    }

    fn foot(&mut self, findings: &Findings) {
        self.heading("What this run can and cannot say");
        for line in summary::power(findings) {
            self.labelled("power", &line);
        }
        let not_varied = if findings.not_varied.is_empty() {
            "nothing that is known".to_owned()
        } else {
            findings.not_varied.join(", ")
        };
        self.labelled("not varied", &safe(&not_varied));
        for signal in &findings.power.unexplained {
            self.labelled("no rule", &safe(signal));
        }
        for note in &findings.notes {
            self.labelled("note", &safe(note));
        }
    }

    fn table(&mut self, findings: &[&Finding]) {
        let mut table = Builder::default();
        table.push_record(["#", "class", "channel", "depends on", "places", "example", "E"]);
        for (n, finding) in findings.iter().enumerate() {
            let e = if finding.p_value > 0.0 { 1.0 / finding.p_value } else { f64::INFINITY };
            table.push_record([
                (n + 1).to_string(),
                summary::class(finding.class).to_owned(),
                summary::channel(finding),
                safe(&summary::factors(finding)),
                finding.places.len().to_string(),
                shorten(&example(finding), if self.width < WIDE { 24 } else { 48 }),
                summary::number(e),
            ]);
        }
        self.print_table(table);
    }

    fn short<'a>(&mut self, title: &str, findings: &[&'a Finding], why: impl Fn(&'a Finding) -> Option<&'a str>) {
        if findings.is_empty() {
            return;
        }
        self.heading(title);
        let mut table = Builder::default();
        table.push_record(["class", "channel", "depends on", "where", "why"]);
        for finding in findings {
            let (shown, more) = summary::places(finding, 1);
            let place = shown.first().map_or(String::new(), |place| cut(&safe(place)));
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let (class, channel) = (summary::class(finding.class), summary::channel(finding));
            let factors = safe(&summary::factors(finding));
            let (place, why) = (format!("{place}{more}"), cut(&safe(why(finding).unwrap_or(""))));
            if self.width < WIDE {
                self.title(&format!("   {class} {channel} depends on {factors}"));
                self.labelled("where", &place);
                self.labelled("why", &why);
            } else {
                table.push_record([class.to_owned(), channel, factors, place, why]);
            }
        }
        if self.width >= WIDE {
            self.print_table(table);
        }
    }

    /// A table of rows, the head first.
    pub(super) fn rows(&mut self, rows: Vec<Vec<String>>) {
        let mut table = Builder::default();
        for row in rows {
            table.push_record(row);
        }
        self.print_table(table);
    }

    fn stale(&mut self, stale: &[Stale]) {
        if stale.is_empty() {
            return;
        }
        self.heading("Disclosed, and not borne out");
        let mut table = Builder::default();
        table.push_record(["factors", "where", "says", "but"]);
        for entry in stale {
            let cells = [entry.factors.join(" × "), entry.place.clone(), entry.says.clone(), summary::stale(entry)];
            table.push_record(cells.map(|text| cut(&safe(&text))));
        }
        self.print_table(table);
    }

    fn print_table(&mut self, table: Builder) {
        let mut table = table.build();
        table
            .with(Style::rounded())
            .with(Modify::new(Rows::first()).with(Alignment::left()))
            .with(Width::wrap(self.width).priority(PriorityMax::right()).keep_words(true));
        let text = table.to_string();
        self.out.push_str(&text);
        self.out.push('\n');
    }

    fn finding(&mut self, n: usize, finding: &Finding) {
        self.out.push('\n');
        let title = format!(
            "{n}  {} {} depends on {}",
            summary::class(finding.class),
            summary::channel(finding),
            safe(&summary::factors(finding))
        );
        self.title(&title);
        let means = summary::class_means(finding.class);
        self.labelled("finding", &format!("{} ({}: {means})", safe(&finding.id), summary::class(finding.class)));
        self.labelled("severity", summary::severity(finding));
        let (shown, more) = summary::places(finding, PLACES);
        for place in shown {
            self.labelled("where", &cut(&safe(place)));
        }
        if more > 0 {
            self.labelled("", &format!("and {more} more place{}", summary::plural(more)));
        }
        for (condition, value) in summary::rule_lines(finding) {
            self.labelled("rule", &format!("{} → {}", safe(&condition), cut(&safe(&value))));
        }
        self.labelled("", "otherwise → as at the baseline");
        let excerpt = &finding.excerpt;
        self.labelled_in("baseline", &cut(&safe(summary::value(excerpt.baseline.as_deref()))), Some(Ink::Green));
        self.labelled_in("variant", &cut(&safe(summary::value(excerpt.variant.as_deref()))), Some(Ink::Red));
        for side in ["baseline", "variant"] {
            let points = summary::codepoints(finding, side).take(8);
            let points: Vec<String> =
                points.map(|point| format!("{} {}", safe(&point.codepoint), safe(&point.name))).collect();
            if !points.is_empty() {
                self.labelled("differs", &format!("{side} has {}", points.join(", ")));
            }
        }
        self.labelled("effect", &safe(&summary::effect(finding)));
        self.labelled("evidence", &summary::evidence(finding));
        if let Some(suggested) = summary::suggested(finding) {
            self.labelled("", &safe(&suggested));
        }
        let reproduce = &finding.reproduce;
        self.labelled(
            "again",
            &format!(
                "cells {} and {}: {}",
                safe(&reproduce.baseline_cell),
                safe(&reproduce.variant_cell),
                safe(&reproduce.command)
            ),
        );
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.out.push('\n');
        self.title(text);
    }

    pub(super) fn title(&mut self, text: &str) {
        for line in wrap(text, self.width) {
            let line = self.paint(&line, Ink::Bold);
            self.line(&line);
        }
    }

    pub(super) fn labelled(&mut self, label: &str, text: &str) {
        self.labelled_in(label, text, None);
    }

    /// A label and its text, wrapped under itself. The text is escaped already.
    pub(super) fn labelled_in(&mut self, label: &str, text: &str, ink: Option<Ink>) {
        // The same label twice in a row is written once.
        let repeated = !label.is_empty() && self.last_label() == Some(label);
        let shown = if repeated { "" } else { label };
        let room = self.width.saturating_sub(INDENT).max(20);
        for (n, line) in wrap(text, room).into_iter().enumerate() {
            let label = self.paint(&format!("   {:<11}", if n == 0 { shown } else { "" }), Ink::Dim);
            let line = ink.map_or_else(|| line.clone(), |ink| self.paint(&line, ink));
            self.line(&format!("{label}{line}"));
        }
    }

    /// The label of the last labelled block, without styles.
    fn last_label(&self) -> Option<&str> {
        let lines = self.out.trim_end_matches('\n').rsplit('\n');
        for line in lines {
            let line = line.trim_start_matches("\u{1b}[2m");
            let label = line.strip_prefix("   ")?.get(..11)?.trim();
            if !label.is_empty() {
                return Some(label);
            }
        }
        None
    }

    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn paint(&self, text: &str, ink: Ink) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Red => "31",
            Ink::Green => "32",
            Ink::Yellow => "33",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// What a reader recognises a finding by, in a few words: code points if there are any, else the variant.
fn example(finding: &Finding) -> String {
    let excerpt = &finding.excerpt;
    let points = |side: &str| {
        let points = summary::codepoints(finding, side).take(2);
        points.map(|point| safe(&point.codepoint)).collect::<Vec<_>>().join(" ")
    };
    let (before, after) = (points("baseline"), points("variant"));
    if before.is_empty() && after.is_empty() {
        let variant = finding.rule.last().map_or(excerpt.variant.as_deref(), |rule| rule.value.as_deref());
        return safe(summary::value(variant));
    }
    let side = |points: String| if points.is_empty() { String::from("nothing") } else { points };
    format!("{} → {}", side(before), side(after))
}

pub(super) fn cut(text: &str) -> String {
    shorten(text, LONGEST)
}

fn shorten(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest - 1).chain(['…']).collect()
}

/// Breaks text at spaces into lines of at most `width` columns; a word that is longer is broken where it must be.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for (n, word) in text.split(' ').enumerate() {
        let long = word.width();
        if n > 0 {
            if used + 1 + long <= width || used == 0 {
                lines.last_mut().unwrap_or(&mut String::new()).push(' ');
                used += 1;
            } else {
                lines.push(String::new());
                used = 0;
            }
        }
        for c in word.chars() {
            let columns = c.width().unwrap_or(0);
            if used + columns > width {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
            used += columns;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing;

    fn text(width: usize) -> String {
        let text = Text { width, colour: false }.render(&testing::findings(), &testing::manifest());
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_finding_says_everything_that_a_reader_needs() {
        let text = text(100);
        for part in [
            "conditioned: 1 dependence is neither explained nor disclosed",
            "covert body depends on timezone × base_url",
            "timezone = Asia/Tokyo or Asia/Seoul, and base_url = http://gateway.example → ’",
            "otherwise → as at the baseline",
            "baseline has U+0027 APOSTROPHE",
            "variant has U+2019 RIGHT SINGLE QUOTATION MARK",
            "U+0027 → U+2019",
            "20 of 21 cells agree",
            "E = 1.0e4",
            "and 1 more place",
            "echo of a level of hostname",
            "Disclosed, and not borne out",
            "clock, cpus",
            "0.81 bits: timezone alone 0.20, base_url alone 0.05, 0.56 only together; interaction",
            "1 factor: all 23 levels were run, the rarest 14 times (seen if it shows",
            "3 factors: 61 of 120 combinations of levels were run (50 %)",
            "needs 7 at least (E ≥ 75.0); 96 cells were left",
            "one signal without a factor",
            "the second note",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }

    #[test]
    fn lines_fit_the_terminal() {
        for width in [60, 80, 120] {
            for line in text(width).lines() {
                assert!(line.width() <= width, "{} columns: {line}", line.width());
            }
        }
    }

    #[test]
    fn what_an_agent_wrote_is_escaped() {
        let text = text(100);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
        assert!(text.contains("⟨U+001B⟩[31m"), "{text}");
        assert!(text.contains("⟨U+202E⟩"), "{text}");
    }

    #[test]
    fn a_hostile_agent_changes_nothing_of_the_structure() {
        let hostile = testing::hostile();
        let text = Text { width: 100, colour: false }.render(&hostile, &testing::manifest());
        let text = String::from_utf8(text).unwrap();
        assert!(text.chars().all(|c| c == '\n' || !crate::report::escape::is_hidden(c)));
        assert!(text.lines().all(|line| line.width() <= 100));
        // A part begins at the left margin, and nothing of an agent's does: the title may take several lines.
        let open = hostile.findings.iter().filter(|one| one.explained_by.is_none() && one.disclosed.is_none()).count();
        let numbered = |line: &&str| line.split_once("  ").is_some_and(|(number, _)| number.parse::<usize>().is_ok());
        assert_eq!(text.lines().filter(numbered).count(), open);
    }

    #[test]
    fn colours_only_where_they_are_wanted_and_change_nothing_else() {
        let colour = Text { width: 100, colour: true }.render(&testing::findings(), &testing::manifest());
        let colour = String::from_utf8(colour).unwrap();
        assert!(colour.contains("\u{1b}[1m"));
        let mut plain = colour;
        for code in ["0", "1", "2", "31", "32", "33"] {
            plain = plain.replace(&format!("\u{1b}[{code}m"), "");
        }
        let plain: Vec<&str> = plain.lines().map(str::trim_end).collect();
        assert_eq!(plain.join("\n") + "\n", text(100));
    }

    #[test]
    fn wrapping_counts_columns() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("日本語", 4), ["日本", "語"]);
        assert_eq!(wrap("abcdefgh i", 3), ["abc", "def", "gh", "i"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
