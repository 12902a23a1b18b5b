//! **Correction**: from evidence against chance to p-values, and from one hypothesis to many.

/// The p-value of an E that was watched all along: `min(1, 1/E)`. Valid at whatever moment one stops (Ville's inequality).
#[must_use]
pub fn anytime_p(e: f64) -> f64 {
    if e > 1.0 { 1.0 / e } else { 1.0 }
}

/// A p-value adjusted for the number of hypotheses: `min(1, K·p)` (Bonferroni). At most α exactly where E reaches `K/α`.
#[must_use]
pub fn bonferroni(p: f64, hypotheses: usize) -> f64 {
    (p * f64::from(u32::try_from(hypotheses.max(1)).unwrap_or(u32::MAX))).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusted_p_values_pass_exactly_where_e_reaches_its_bar() {
        for (e, hypotheses, passes) in [(100.0, 5, true), (99.9, 5, false), (20.0, 1, true), (0.3, 1, false)] {
            assert_eq!(bonferroni(anytime_p(e), hypotheses) <= 0.05, passes, "{e} for {hypotheses}");
        }
    }
}
