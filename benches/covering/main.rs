//! Sizes and times of covering arrays, beside allpairspy run in the same go (strength 2; if the Python in
//! `COVERING_PYTHON`, or `python3`, has it) and beside quoted figures of PICT and of the best published arrays.
//!
//! `cargo bench --bench covering` prints the table and writes `results/covering.md`. `COVERING_ONLY=10^20` picks one line,
//! `COVERING_CHANGES=1000000` sets the effort of every line (single changes evaluated; by default each line has its own).

#![allow(missing_docs, clippy::print_stdout, reason = "a program of its own")]

#[path = "../zoo/commit.rs"]
mod commit;
mod instance;
mod peer;

use std::fmt::Write as _;
use std::time::Instant;

use parallax::design::coverage::{Strength, subsets};
use parallax::design::covering::{self, Effort};
use parallax::design::feasible::Constraints;
use parallax::design::randomise;
use parallax::design::{self, Space};
use parallax::scenario::{DesignOptions, Matrix};

use instance::Instance;

fn main() -> std::io::Result<()> {
    let only = std::env::var("COVERING_ONLY").ok();
    let changes = std::env::var("COVERING_CHANGES").ok().and_then(|text| text.parse().ok());
    let mut text = format!(
        "# Covering arrays\n\n`cargo bench --bench covering` at {}. Rows after the greedy step, rows and seconds of the whole on one \
         core (the effort is counted in steps, so the rows are the same on every machine), rows at the effort of the program \
         itself, which spends about two seconds on a plan, allpairspy run in the same go; PICT and the best published sizes are \
         *quoted*, not run. Every array was checked here, independently of its builder.\n\n\
         | levels^factors | t | greedy | rows | seconds | rows of a plan | allpairspy (seconds) | PICT, quoted | best published, quoted |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        commit::commit(),
    );
    println!("{text}");
    for instance in instance::all() {
        if only.as_deref().is_some_and(|only| only != instance.name) {
            continue;
        }
        let line = measure(&instance, changes.unwrap_or(instance.changes));
        println!("{line}");
        let _ = writeln!(text, "{line}");
    }
    if only.is_none() && changes.is_none() {
        std::fs::create_dir_all("results")?;
        std::fs::write("results/covering.md", text)?;
    }
    Ok(())
}

fn measure(instance: &Instance, changes: usize) -> String {
    let space = Space { constraints: Constraints::default(), levels: instance.levels.clone() };
    let strength = Strength::uniform(instance.strength);
    let build = |changes| {
        let effort = Effort { changes, enough: 1, most: usize::MAX };
        covering::array(&space, &strength, &[], effort, &mut randomise::generator(1, "bench"))
    };
    let greedy = build(0).rows.len();
    let whole = Instant::now();
    let array = build(changes);
    let seconds = whole.elapsed().as_secs_f64();
    let rows: Vec<&[u16]> = array.rows.iter().map(|row| row.0.as_slice()).collect();
    assert!(covers(&instance.levels, instance.strength, &rows), "{} is not covered", instance.name);
    // As `parallax plan` has it, but for the rows that a run adds where an array has few.
    let options = DesignOptions {
        strength: u8::try_from(instance.strength).unwrap_or(u8::MAX),
        budget: u32::MAX,
        replicates: 0,
        minimum_rows: 0,
        alpha: 0.05,
    };
    let plan = design::cover(&space, options, &Matrix::default(), 1);
    let planned: Vec<&[u16]> = plan.cells.iter().map(|cell| cell.0.as_slice()).collect();
    assert!(covers(&instance.levels, instance.strength, &planned), "{} is not covered by its plan", instance.name);
    let quoted = |rows: usize| if rows == 0 { "–".to_owned() } else { rows.to_string() };
    let peer = match (instance.strength, peer::allpairspy(&instance.levels)) {
        (2, Some((rows, seconds))) => format!("{rows} ({seconds:.1})"),
        (2, None) => "not installed".to_owned(),
        _ => "pairs only".to_owned(),
    };
    format!(
        "| {} | {} | {greedy} | {} | {seconds:.1} | {} | {peer} | {} | {} |",
        instance.name,
        instance.strength,
        rows.len(),
        plan.rows,
        quoted(instance.pict),
        quoted(instance.best),
    )
}

/// Whether rows have every combination: by marking, set by set, without the builder's bookkeeping.
fn covers(levels: &[u16], strength: usize, rows: &[&[u16]]) -> bool {
    subsets(levels.len(), strength).iter().all(|set| {
        let total = set.iter().map(|factor| usize::from(levels[*factor])).product();
        let mut seen = vec![false; total];
        for row in rows {
            let code = set.iter().fold(0, |code, f| code * usize::from(levels[*f]) + usize::from(row[*f]));
            seen[code] = true;
        }
        seen.into_iter().all(|seen| seen)
    })
}
