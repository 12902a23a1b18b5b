//! The tables of the benches that are read by others of them.

#![allow(missing_docs, clippy::unwrap_used, unreachable_pub, reason = "tests")]

#[path = "../benches/zoo/arrays.rs"]
mod arrays;

use arrays::Sizes;

const HEAD: &str = "# Covering arrays\n\n| levels^factors | t | greedy | rows | PICT, quoted | best published, quoted |\n|---|---|---|---|---|---|\n";
const LINES: [&str; 6] = [
    "| 3^13 | 2 | 18 | 15 | 19 | 15 |",
    "| 4^15 3^17 2^29 | 2 | 40 | 28 | 38 | 29 |",
    "| 4^1 3^39 2^35 | 2 | 30 | 21 | 28 | 21 |",
    "| 2^100 | 2 | 16 | 10 | 16 | 10 |",
    "| 10^20 | 2 | 203 | 181 | 213 | 180 |",
    "| 4^15 3^17 2^29 | 3 | 206 | 175 | 217 | – |",
];

fn of(lines: &[&str]) -> Option<Sizes> {
    Sizes::read(&format!("{HEAD}{}\n", lines.join("\n")))
}

#[test]
fn arrays_keep_the_promise_where_none_is_above_pict_and_those_that_were_promised_reach_the_best() {
    let kept = of(&LINES).unwrap();
    assert_eq!(kept.told(), "6 of 6 ≤ PICT; 4 of 5 ≤ best published, 4 of 4 where promised");
    assert!(kept.kept(), "10^20 was not promised to reach the best");
    let with = |at: usize, line| {
        let mut lines = LINES;
        lines[at] = line;
        of(&lines).unwrap()
    };
    assert!(!with(5, "| 4^15 3^17 2^29 | 3 | 230 | 218 | 217 | – |").kept(), "above PICT");
    assert!(!with(3, "| 2^100 | 2 | 16 | 11 | 16 | 10 |").kept(), "above the best published, which was promised");
    assert!(!of(&LINES[1..]).unwrap().kept(), "one that was promised is not there");
    // What cannot be read is no promise kept.
    assert_eq!(of(&[]), None);
    assert_eq!(Sizes::read(&format!("{HEAD}| 3^13 | 2 | 18 | many | 19 | 15 |")), None);
    assert_eq!(Sizes::read("| a | b |\n|---|---|\n| 1 | 2 |"), None);
}

#[test]
fn the_committed_table_is_read() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/results/covering.md")).unwrap();
    let sizes = Sizes::read(&text).unwrap();
    assert_eq!((sizes.pict, sizes.best), (12, 6), "{sizes:?}");
    assert!(sizes.kept(), "{}", sizes.told());
}
