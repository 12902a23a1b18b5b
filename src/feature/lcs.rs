//! **Non-crossing pairing** of two sequences with the greatest total score: the one alignment that lines, tokens and
//! array elements all use.

/// The largest table that is filled; beyond it nothing is paired.
pub(super) const MAX_CELLS: usize = 6_000_000;

/// Pairs `0..n` with `0..m` without crossing so that the sum of scores is greatest; 0 is "not these two". Gives for each
/// of `0..m` its partner. Among equals the earliest partner wins, so that the answer is one and the same.
pub(super) fn pair(n: usize, m: usize, mut score: impl FnMut(usize, usize) -> u32) -> Vec<Option<usize>> {
    let mut partner = vec![None; m];
    if n == 0 || m == 0 || n.saturating_mul(m) > MAX_CELLS {
        return partner;
    }
    let width = m + 1;
    // best[i][j]: the best total of i.. against j.. (from the end, so that walking forward takes the earliest partner).
    let mut best = vec![0_u32; (n + 1) * width];
    let mut scores = vec![0_u32; n * m];
    for i in (0..n).rev() {
        for j in (0..m).rev() {
            let own = score(i, j);
            scores[i * m + j] = own;
            let skip = best[(i + 1) * width + j].max(best[i * width + j + 1]);
            let take = if own > 0 { own.saturating_add(best[(i + 1) * width + j + 1]) } else { 0 };
            best[i * width + j] = skip.max(take);
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < n && j < m {
        let here = best[i * width + j];
        let take = scores[i * m + j];
        if take > 0 && here == take.saturating_add(best[(i + 1) * width + j + 1]) {
            partner[j] = Some(i);
            i += 1;
            j += 1;
        } else if here == best[i * width + j + 1] {
            j += 1;
        } else {
            i += 1;
        }
    }
    partner
}

/// Like [`pair`], with equal beginnings and ends paired first.
pub(super) fn pair_trimmed(
    n: usize,
    m: usize,
    same: impl Fn(usize, usize) -> bool,
    mut score: impl FnMut(usize, usize) -> u32,
) -> Vec<Option<usize>> {
    let mut head = 0;
    while head < n.min(m) && same(head, head) {
        head += 1;
    }
    let mut tail = 0;
    while tail < n.min(m) - head && same(n - 1 - tail, m - 1 - tail) {
        tail += 1;
    }
    let middle = pair(n - head - tail, m - head - tail, |i, j| score(i + head, j + head));
    (0..m)
        .map(|j| {
            if j < head {
                Some(j)
            } else if j >= m - tail {
                Some(n - (m - j))
            } else {
                middle[j - head].map(|i| i + head)
            }
        })
        .collect()
}

/// How alike two sorted bags are: twice what they share over what they have (Dice), in thousandths.
pub(super) fn likeness(a: &[u64], b: &[u64]) -> u32 {
    if a.is_empty() && b.is_empty() {
        return 1000;
    }
    let (mut i, mut j, mut shared) = (0, 0, 0_usize);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                shared += 1;
                i += 1;
                j += 1;
            }
        }
    }
    u32::try_from(2000 * shared / (a.len() + b.len())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(a: &str, b: &str) -> String {
        let (x, y): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
        let partner = pair_trimmed(x.len(), y.len(), |i, j| x[i] == y[j], |i, j| u32::from(x[i] == y[j]));
        partner.into_iter().flatten().map(|i| x[i]).collect()
    }

    #[test]
    fn finds_longest_common_subsequences() {
        assert_eq!(common("abcbdab", "bdcaba").len(), 4);
        assert_eq!(common("abc", "axbxc"), "abc");
        assert_eq!(common("", "abc"), "");
        assert_eq!(common("aaa", "aa"), "aa");
    }

    #[test]
    fn weights_decide() {
        // One good pair beats a bad one that it crosses.
        let partner = pair(2, 2, |i, j| [[1, 9], [0, 1]][i][j]);
        assert_eq!(partner, [None, Some(0)]);
    }

    proptest::proptest! {
        #[test]
        fn pairs_are_equal_and_do_not_cross(a in "[ab c]{0,12}", b in "[ab c]{0,12}") {
            let (x, y): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            let partner = pair(x.len(), y.len(), |i, j| u32::from(x[i] == y[j]));
            let mut last = None;
            for (j, i) in partner.iter().enumerate().filter_map(|(j, i)| i.map(|i| (j, i))) {
                proptest::prop_assert_eq!(x[i], y[j]);
                proptest::prop_assert!(last.is_none_or(|l| l < i));
                last = Some(i);
            }
        }
    }
}
