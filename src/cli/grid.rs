//! The **grid**: cells × factors with the labels of their levels, in as many tables one below the other as it takes to keep
//! every label readable at the terminal's width.

use tabled::builder::Builder;
use unicode_width::UnicodeWidthStr as _;

use super::console;
use crate::cell::Cell;
use crate::report::escape;
use crate::scenario::Scenario;

/// Columns of the terminal that one label takes at most; the middle of longer ones is left out.
const WIDEST: usize = 32;
/// Columns that a table's column takes beside its text: two blanks and a line.
const FRAME: usize = 3;

/// The cells as tables, none wider than `width`. A baseline level is a dot, so that what differs stands out.
pub(super) fn tables(scenario: &Scenario, cells: &[Cell], width: usize) -> String {
    let ids: Vec<String> = cells.iter().map(|cell| cell.id.to_string()).collect();
    let id_width = ids.iter().map(|id| id.width()).max().unwrap_or(0).max("cell".len());
    let room = width.saturating_sub(id_width + FRAME + 1);
    let widest = WIDEST.min(room.saturating_sub(FRAME)).max(4);
    let labels: Vec<Vec<String>> = (0..scenario.factors.len()).map(|factor| labels(scenario, factor, widest)).collect();
    let heads: Vec<String> = scenario.factors.iter().map(|factor| shortened(&factor.name, widest)).collect();
    let column = |factor: usize| {
        let used = cells.iter().filter_map(|cell| labels[factor].get(usize::from(cell.levels.level(factor))));
        used.map(|label| label.width()).max().unwrap_or(0).max(heads[factor].width()) + FRAME
    };
    let mut blocks: Vec<Vec<usize>> = Vec::new();
    let mut left = 0;
    for factor in 0..scenario.factors.len() {
        let wanted = column(factor);
        match blocks.last_mut() {
            Some(block) if wanted <= left => block.push(factor),
            _ => {
                blocks.push(vec![factor]);
                left = room;
            }
        }
        left = left.saturating_sub(wanted);
    }
    let mut tables = String::new();
    for block in blocks {
        let mut table = Builder::default();
        table.push_record(std::iter::once("cell").chain(block.iter().map(|factor| heads[*factor].as_str())));
        for (cell, id) in cells.iter().zip(&ids) {
            let level = |factor: &usize| labels[*factor].get(usize::from(cell.levels.level(*factor)));
            let row = block.iter().map(|factor| level(factor).map_or("?", String::as_str));
            table.push_record(std::iter::once(id.as_str()).chain(row));
        }
        tables += &console::table_within(table, width);
    }
    tables
}

/// What stands for each level of a factor: different texts for different levels.
fn labels(scenario: &Scenario, factor: usize, widest: usize) -> Vec<String> {
    let levels = &scenario.factors[factor].levels;
    let mut labels: Vec<String> = Vec::new();
    for (index, level) in levels.iter().enumerate() {
        let mut label =
            if index == 0 { String::from("·") } else { shortened(&escape::terminal(level.label()), widest) };
        if labels.contains(&label) {
            let number = format!("…#{index}");
            label = shortened(&label, widest.saturating_sub(number.width()).max(1)) + &number;
        }
        labels.push(label);
    }
    labels
}

/// The text, or its beginning and end where it is too wide.
fn shortened(text: &str, widest: usize) -> String {
    if text.width() <= widest {
        return text.to_owned();
    }
    let room = widest.saturating_sub(1);
    let taken = |characters: &mut dyn Iterator<Item = char>, room: usize| {
        let mut taken = String::new();
        for c in characters {
            let more = format!("{taken}{c}");
            if more.width() > room {
                break;
            }
            taken = more;
        }
        taken
    };
    let start = taken(&mut text.chars(), room.div_ceil(2));
    let end: String = taken(&mut text.chars().rev(), room / 2).chars().rev().collect();
    format!("{start}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{Assignment, CellId, Phase};
    use crate::scenario::{FactorKind, Level, parse};

    fn scenario(levels: &[&str]) -> Scenario {
        let text = "name = \"x\"\n[target]\nnpm = \"x\"\ncommand = [\"x\"]\n[factors.user]\nlevels = [\"a\", \"b\"]\n";
        let mut scenario = parse(text, "x.toml", std::path::Path::new("."), &[]).unwrap();
        let mut factor = scenario.factors[0].clone();
        for name in ["one", "two", "three"] {
            factor.name = name.to_owned();
            factor.kind = FactorKind::Argument;
            factor.levels = levels.iter().map(|level| Level::set(*level)).collect();
            scenario.factors.push(factor.clone());
        }
        scenario
    }

    fn cells() -> Vec<Cell> {
        (0..3)
            .map(|n| {
                let levels = Assignment(vec![0, n % 3, (n + 1) % 3, (n + 2) % 3]);
                Cell { id: CellId::nth(usize::from(n)), round: 0, phase: Phase::Cover, levels, replicate: 0 }
            })
            .collect()
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_every_level_can_be_told() {
        let long = "x".repeat(90);
        let (first, second) = (format!("http://{long}/a?1"), format!("http://{long}/b?1"));
        let scenario = scenario(&["plain", &first, &second, "日本語日本語日本語日本語日本語日本語"]);
        for width in [30, 80, 120, 400] {
            let text = tables(&scenario, &cells(), width);
            assert!(text.lines().all(|line| line.width() <= width), "{width}: {text}");
            for factor in 1..4 {
                let labels = labels(&scenario, factor, width.min(WIDEST) - 8);
                assert_eq!(labels.iter().collect::<std::collections::BTreeSet<_>>().len(), 4, "{labels:?}");
            }
        }
        assert_eq!(tables(&scenario, &cells(), 400).matches("cell").count(), 1);
        assert!(tables(&scenario, &cells(), 80).matches("cell").count() > 1);
    }

    #[test]
    fn what_acts_on_a_terminal_is_shown() {
        let text = tables(&scenario(&["plain", "a\u{1b}[2J\nb", "c"]), &cells(), 200);
        assert!(text.contains("⟨U+001B⟩") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn the_middle_of_a_long_label_is_left_out() {
        assert_eq!(shortened("abcdefghij", 10), "abcdefghij");
        assert_eq!(shortened("abcdefghijk", 6), "abc…jk");
        assert_eq!(shortened("日本語日本語", 6), "日…語");
    }
}
