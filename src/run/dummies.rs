//! **Dummies** in place of secrets: a stored scenario has `⟨secret NAME⟩` where a value was, which no agent could use.

use crate::scenario::{Level, Scenario};

const OPEN: &str = "⟨secret ";
const CLOSE: char = '⟩';

/// The scenario with a plain dummy in place of every secret that was taken out.
#[must_use]
pub fn fill(scenario: &Scenario) -> Scenario {
    let mut filled = scenario.clone();
    let target = &mut filled.target;
    let own = target.env.values_mut().chain(target.files.iter_mut().map(|file| &mut file.contents));
    for text in own.chain(&mut target.command).chain([&mut target.prompt]) {
        *text = dummy(text);
    }
    for factor in &mut filled.factors {
        for level in &mut factor.levels {
            *level = Level(level.value().map(dummy));
        }
    }
    filled
}

/// Whether anything was taken out of the scenario.
#[must_use]
pub fn are_needed(scenario: &Scenario) -> bool {
    fill(scenario) != *scenario
}

/// The text with `dummy-NAME` in place of `⟨secret NAME⟩`.
#[must_use]
pub fn dummy(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(OPEN) {
        let Some((name, after)) = behind.split_once(CLOSE) else { break };
        out.push_str(before);
        out.push_str("dummy-");
        out.extend(name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }));
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_becomes_a_word_that_a_header_can_carry() {
        assert_eq!(dummy("a ⟨secret API_KEY⟩, ⟨secret zone 1⟩."), "a dummy-api-key, dummy-zone-1.");
        assert_eq!(dummy("⟨secret never ends"), "⟨secret never ends");
        let mut scenario = crate::run::testing::scenario();
        assert!(!are_needed(&scenario));
        scenario.target.env.insert("X_TOKEN".into(), "⟨secret X_TOKEN⟩".into());
        assert!(are_needed(&scenario));
        assert_eq!(fill(&scenario).target.env["X_TOKEN"], "dummy-x-token");
    }
}
