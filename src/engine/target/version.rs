//! **Versions** of packages: which are exact, and which of two is newer.

use std::cmp::Ordering;

/// An npm version that names one release: `1.2.3`, `v1.2.3`, `1.2.3-beta.1`. Gives it without the `v`.
pub(super) fn exact_npm(text: &str) -> Option<&str> {
    let text = text.trim().trim_start_matches(['v', '=']);
    let release = text.split(['-', '+']).next()?;
    let numbers: Vec<&str> = release.split('.').collect();
    let numeric = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let rest_is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+.".contains(&b));
    (numbers.len() == 3 && numbers.iter().all(numeric) && rest_is_plain).then_some(text)
}

/// A Python version that names one release: `1.2`, `0.86.2`, `1.0rc1`, `2026.1.post1`.
pub(super) fn exact_pypi(text: &str) -> Option<&str> {
    let text = text.trim().trim_start_matches("==").trim();
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+._!".contains(&b));
    (plain && text.starts_with(|c: char| c.is_ascii_digit())).then_some(text)
}

/// Orders versions by their numbers; a pre-release comes before its release. Enough for semantic versions and for most
/// of Python's; used only to choose among versions, never to check a requirement.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let split = |text: &str| {
        let text = text.split('+').next().unwrap_or_default().to_owned();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let numbers: Vec<u64> = text[..end].split('.').filter_map(|n| n.parse().ok()).collect();
        let rest: Vec<Piece> = pieces(text[end..].trim_start_matches(['-', '.', '_']));
        (numbers, rest)
    };
    let ((a_numbers, a_rest), (b_numbers, b_rest)) = (split(a), split(b));
    let width = a_numbers.len().max(b_numbers.len());
    let padded = |numbers: &[u64]| (0..width).map(|i| numbers.get(i).copied().unwrap_or(0)).collect::<Vec<_>>();
    let is_post = |rest: &[Piece]| matches!(rest.first(), Some(Piece::Word(word)) if word.starts_with("post"));
    // Pre-release < release < post-release.
    let class = |rest: &[Piece]| match rest {
        [] => 1,
        rest if is_post(rest) => 2,
        _ => 0,
    };
    padded(&a_numbers)
        .cmp(&padded(&b_numbers))
        .then_with(|| class(&a_rest).cmp(&class(&b_rest)))
        .then_with(|| a_rest.cmp(&b_rest))
}

/// Whether it is a pre-release.
pub(super) fn is_prerelease(text: &str) -> bool {
    let release: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    compare(text, release.trim_end_matches('.')) == Ordering::Less
}

/// The newest of these, releases before pre-releases.
pub(super) fn newest<'a>(versions: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    versions.into_iter().max_by(|a, b| is_prerelease(b).cmp(&is_prerelease(a)).then_with(|| compare(a, b)))
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Number(u64),
    Word(String),
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let piece = rest[..end].trim_matches(['.', '-', '_']);
        match piece.parse() {
            Ok(number) => found.push(Piece::Number(number)),
            Err(_) if piece.is_empty() => {}
            Err(_) => found.push(Piece::Word(piece.to_owned())),
        }
        rest = &rest[end..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_versions_are_told_from_ranges_and_tags() {
        assert_eq!(exact_npm("2.1.91"), Some("2.1.91"));
        assert_eq!(exact_npm("v1.2.3-beta.1"), Some("1.2.3-beta.1"));
        for other in ["latest", "2", "2.1", "^2.1.3", "2.1.x", "1.2.3 - 2.0.0", ">=1.2.3", "1.2.3 || 2.0.0", ""] {
            assert_eq!(exact_npm(other), None, "{other}");
        }
        assert_eq!(exact_pypi("0.86.2"), Some("0.86.2"));
        assert_eq!(exact_pypi("==1.0rc1"), Some("1.0rc1"));
        for other in ["latest", ">=1", "~=1.0", "1.*", "", "1.0; x"] {
            assert_eq!(exact_pypi(other), None, "{other}");
        }
    }

    #[test]
    fn newer_versions_come_later() {
        let ordered = [
            "1.0.0-alpha.1",
            "1.0.0-alpha.2",
            "1.0.0-beta",
            "1.0.0",
            "1.0.0.post1",
            "1.2.0",
            "1.10.0",
            "22.9.0",
            "22.23.3",
        ];
        for (i, a) in ordered.iter().enumerate() {
            for (j, b) in ordered.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} {b}");
            }
        }
        assert_eq!(compare("1.0", "1.0.0"), Ordering::Equal);
    }

    #[test]
    fn a_release_is_preferred_to_a_newer_prerelease() {
        assert_eq!(newest(["1.0.0", "2.0.0-rc.1", "1.5.0"]), Some("1.5.0"));
        assert_eq!(newest(["2.0.0-rc.1", "2.0.0-rc.2"]), Some("2.0.0-rc.2"));
        assert_eq!(newest([]), None);
    }
}
