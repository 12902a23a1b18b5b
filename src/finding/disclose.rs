//! **Disclosure**: which findings the vendor speaks of openly.

use crate::scenario::Disclosed;

/// What the vendor says, where one disclosure covers all of the finding's factors and places.
#[must_use]
pub fn disclosed(disclosures: &[Disclosed], factors: &[String], places: &[String]) -> Option<String> {
    disclosures
        .iter()
        .find(|disclosure| {
            factors.iter().all(|factor| disclosure.factors.contains(factor))
                && places.iter().all(|place| glob(&disclosure.place, place))
        })
        .map(|disclosure| disclosure.says.clone())
}

/// Whether `text` matches `pattern`, in which `*` stands for any run of characters.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    let mut rest = rest;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        assert!(glob("*", ""));
        assert!(glob("*date*", "line 3 · date"));
        assert!(glob("POST */messages", "POST /v1/messages"));
        assert!(!glob("*date", "date of"));
        assert!(!glob("a*b*c", "acb"));
        assert!(!glob("", "x"));
    }

    #[test]
    fn a_disclosure_must_cover_every_factor_and_place() {
        let says = vec![Disclosed { factors: vec!["timezone".into()], place: "*date*".into(), says: "so".into() }];
        let own = |items: &[&str]| items.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(disclosed(&says, &own(&["timezone"]), &own(&["the date line"])), Some("so".into()));
        assert_eq!(disclosed(&says, &own(&["timezone", "proxy"]), &own(&["the date line"])), None);
        assert_eq!(disclosed(&says, &own(&["timezone"]), &own(&["the date line", "a header"])), None);
    }
}
