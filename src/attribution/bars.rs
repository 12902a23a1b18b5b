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

/// Coins of one factor after which a confirmed claim in a crowded request waits for it no longer, unless it is well on its
/// way.
pub(super) const TIRING: u32 = 24;

/// What each of `factors` factors' E has to reach, in a claim whose own E has to reach `threshold`.
pub(super) fn of_a_factor(factors: usize, threshold: f64) -> f64 {
    (f64::from(u32::try_from(factors).unwrap_or(u32::MAX)) / FACTOR_ALPHA).min(threshold)
}
