//! The **bars** of the confirmation, which its power is computed from too: shares of α, what it may cost, and when a claim
//! is given up.

/// Runs that all confirmations together may ask for.
pub(super) const MOST_CONFIRM: usize = 120;

/// Share of α for the first confirmation; the rest is for claims that were contradicted, learned anew and confirmed
/// afresh. Their sum is α, so a claim's second chance costs no error control.
pub(super) const FIRST_SHARE: f64 = 0.8;

/// α within a claim, for telling its factors apart: that the claim is one at all has a bar of its own.
pub(super) const FACTOR_ALPHA: f64 = 0.05;

/// Where a claim that chance has a part in is given up: so many coins, and E below this.
pub(super) const FUTILE: [(usize, f64); 3] = [(12, 0.05), (30, 1.0), (56, 3.0)];

/// Coins after which a claim in a crowded request has to be on its way: half of the way by then, all of it by twice as many.
pub(super) const TIRING: u32 = 24;

/// Whether E is not on its way to `bar` after so many coins (as bets multiply: the way is counted in logarithms).
pub(super) fn tires(coins: u32, e: f64, bar: f64) -> bool {
    coins >= TIRING && e < bar.powf(f64::from(coins) / f64::from(2 * TIRING)).min(bar)
}

/// What each of `factors` factors' E has to reach, in a claim whose own E has to reach `threshold`.
pub(super) fn of_a_factor(factors: usize, threshold: f64) -> f64 {
    (f64::from(u32::try_from(factors).unwrap_or(u32::MAX)) / FACTOR_ALPHA).min(threshold)
}
