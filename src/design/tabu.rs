//! **Tabu search** for smaller covering arrays: drop the row that is least useful, then repair: take a combination that
//! no row has and make the single change, in whichever row, that costs least; a cell that was just changed rests for a
//! while. (After Nurmela 2004, "Upper bounds for covering arrays by tabu search".)
//!
//! The effort is counted in steps, not seconds: the same seed gives the same array on every machine.

use super::Space;
use super::coverage::Coverage;
use super::randomise::{self, Generator};

/// Moves for which a changed cell rests. Short: of 1 to 60, two to four left the fewest rows.
const REST: usize = 3;
/// One move in so many is a random one.
const WALK: usize = 3000;
/// Each try to do without a row may use this share of the effort that is left; after it another row is dropped from the
/// same array, for a search that is stuck is seldom helped by more of the same.
const TRY: usize = 4;
/// A try with less effort than this is not worth its beginning.
const LEAST_TRY: usize = 2_000;

/// Shrinks an array that covers everything, with at most `effort` evaluations of single changes, never below `floor`
/// rows. The rows returned cover everything that the rows given do.
pub(super) fn shrink(
    space: &Space,
    coverage: &mut Coverage,
    rows: &mut Vec<Vec<u16>>,
    floor: usize,
    mut effort: usize,
    generator: &mut Generator,
) {
    let mut stuck = false;
    while rows.len() > floor.max(1) && effort > 0 {
        let before = rows.clone();
        let dropped = if stuck {
            randomise::below(rows.len(), generator)
        } else {
            (0..rows.len()).min_by_key(|row| coverage.only_here(&rows[*row])).unwrap_or(0)
        };
        coverage.remove(&rows[dropped]);
        rows.swap_remove(dropped);
        let allowance = (effort / TRY).max(LEAST_TRY).min(effort);
        let mut left = allowance;
        stuck = !repair(space, coverage, rows, &mut left, generator);
        effort -= allowance - left;
        if stuck {
            for row in rows.iter() {
                coverage.remove(row);
            }
            *rows = before;
            for row in rows.iter() {
                coverage.add(row);
            }
        }
    }
}

/// Repairs until nothing is open. `false` when the effort is used up.
fn repair(
    space: &Space,
    coverage: &mut Coverage,
    rows: &mut [Vec<u16>],
    effort: &mut usize,
    generator: &mut Generator,
) -> bool {
    let factors = space.factors();
    let mut rested: Vec<usize> = vec![0; rows.len() * factors];
    let mut turn = REST + 1;
    while !coverage.open().is_empty() {
        if *effort == 0 {
            return false;
        }
        turn += 1;
        let slot = coverage.open()[randomise::below(coverage.open().len(), generator)];
        let wanted: Vec<(usize, u16)> =
            coverage.partial(slot).into_iter().enumerate().filter_map(|(at, level)| Some((at, level?))).collect();
        let random_walk = randomise::below(WALK, generator) == 0;
        // Rows that lack just one of the levels can be made to have the combination by one change; if none does, the
        // nearest rows come one step nearer.
        let lacking = |row: &Vec<u16>| wanted.iter().filter(|(factor, level)| row[*factor] != *level).count();
        let nearest = rows.iter().map(lacking).min().unwrap_or(0);
        let mut best: Option<(i32, usize, usize, u16)> = None;
        let mut ties = 0;
        for at in 0..rows.len() {
            if lacking(&rows[at]) != nearest && !(nearest > 1 && random_walk) {
                continue;
            }
            for (factor, level) in &wanted {
                if rows[at][*factor] == *level || rested[at * factors + factor] + REST > turn {
                    continue;
                }
                *effort = effort.saturating_sub(1);
                let old = std::mem::replace(&mut rows[at][*factor], *level);
                let allowed = space.constraints.is_empty()
                    || space.constraints.feasible(&rows[at].iter().copied().map(Some).collect::<Vec<_>>());
                rows[at][*factor] = old;
                if !allowed {
                    continue;
                }
                let cost = if random_walk { 0 } else { coverage.change_cost(&rows[at], *factor, *level) };
                match &best {
                    Some((least, ..)) if cost > *least => {}
                    Some((least, ..)) if cost == *least => {
                        ties += 1;
                        if randomise::below(ties + 1, generator) == 0 {
                            best = Some((cost, at, *factor, *level));
                        }
                    }
                    _ => {
                        ties = 0;
                        best = Some((cost, at, *factor, *level));
                    }
                }
            }
        }
        let Some((_, at, factor, level)) = best else {
            // Everything that would help rests, or is forbidden: time passes.
            *effort = effort.saturating_sub(1);
            continue;
        };
        coverage.change(&mut rows[at], factor, level);
        rested[at * factors + factor] = turn;
    }
    true
}
