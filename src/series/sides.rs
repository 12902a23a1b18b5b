//! The **sides** of a finding: under which environments its rule says that the value is the baseline's, and under which
//! another; and the few cells that are enough to see whether a version still behaves so.

use std::collections::BTreeSet;

use crate::cell::Assignment;
use crate::design::Space;
use crate::design::randomise::{Generator, below, coin};
use crate::finding::Finding;
use crate::scenario::Scenario;

/// Draws for one cell before it is given up: constraints may forbid most.
const DRAWS: usize = 64;

/// A finding's rule over level indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sides {
    factors: Vec<usize>,
    rules: Vec<Vec<(usize, BTreeSet<u16>)>>,
    /// Rules that give the baseline's value back.
    reverting: Vec<bool>,
}

impl Sides {
    /// Of a finding of this scenario. `None` where it names factors or levels that the scenario has not.
    #[must_use]
    pub fn of(finding: &Finding, scenario: &Scenario) -> Option<Self> {
        let factors = finding.factors.iter().map(|name| scenario.factor_index(name)).collect::<Option<Vec<_>>>()?;
        let mut rules = Vec::new();
        for rule in &finding.rule {
            let mut literals = Vec::new();
            for (name, labels) in &rule.when {
                let factor = scenario.factor_index(name)?;
                let known = &scenario.factors[factor].levels;
                let index = |label: &String| known.iter().position(|level| level.label() == label);
                let levels = labels.iter().map(|label| u16::try_from(index(label)?).ok()).collect::<Option<_>>()?;
                literals.push((factor, levels));
            }
            rules.push(literals);
        }
        // With as many values among the rules as there are in all, one of them is the baseline's: that of the rule
        // which has the last word, as an exception to those before it.
        let values: BTreeSet<&Option<String>> = finding.rule.iter().map(|rule| &rule.value).collect();
        let all = usize::try_from(finding.effect.distinguishable).unwrap_or(usize::MAX);
        let back =
            finding.rule.last().map(|rule| &rule.value).filter(|_| rules.len() > 1 && values.len() >= all && all > 1);
        let reverting = finding.rule.iter().map(|rule| Some(&rule.value) == back).collect();
        (!factors.is_empty() && !rules.is_empty()).then_some(Self { factors, rules, reverting })
    }

    /// The rule that decides for a cell; `None` where the value is the baseline's.
    #[must_use]
    pub fn rule(&self, levels: &Assignment) -> Option<usize> {
        let holds = |literals: &Vec<(usize, BTreeSet<u16>)>| {
            literals.iter().all(|(factor, known)| levels.0.get(*factor).is_some_and(|level| known.contains(level)))
        };
        self.rules.iter().rposition(holds).filter(|rule| !self.reverting[*rule])
    }

    /// A cell of the variant's side: the rules in turn, whatever the finding does not name at random.
    fn variant(&self, turn: usize, space: &Space, generator: &mut Generator) -> Option<Assignment> {
        let telling: Vec<usize> = (0..self.rules.len()).filter(|rule| !self.reverting[*rule]).collect();
        (0..telling.len()).find_map(|shift| {
            let rule = telling[(turn + shift) % telling.len()];
            (0..DRAWS).find_map(|_| {
                let mut cell = surroundings(space, generator);
                for (factor, levels) in &self.rules[rule] {
                    let nth = below(levels.len(), generator);
                    cell = cell.with(*factor, *levels.iter().nth(nth)?);
                }
                (self.rule(&cell) == Some(rule) && space.allows(&cell)).then_some(cell)
            })
        })
    }

    /// A cell of the baseline's side that is as near to the variant's as can be: one of the finding's factors is set
    /// back, each in turn, so that what needs several factors at once is seen to need them.
    fn base(&self, turn: usize, space: &Space, generator: &mut Generator) -> Option<Assignment> {
        let near = (0..DRAWS).find_map(|_| {
            let cell = self.variant(turn, space, generator)?;
            let factor = self.factors[turn % self.factors.len()];
            let level = if coin(generator) { 0 } else { below(usize::from(space.levels[factor]), generator) };
            let cell = cell.with(factor, u16::try_from(level).ok()?);
            (self.rule(&cell).is_none() && space.allows(&cell)).then_some(cell)
        });
        near.or_else(|| {
            let fits = |cell: &Assignment| self.rule(cell).is_none() && space.allows(cell);
            (0..DRAWS).map(|_| surroundings(space, generator)).find(fits)
        })
    }
}

/// Each factor at a random level with probability ½, else at the baseline.
fn surroundings(space: &Space, generator: &mut Generator) -> Assignment {
    let mut cell = space.baseline();
    for (factor, levels) in space.levels.iter().enumerate() {
        if coin(generator) {
            cell.0[factor] = u16::try_from(below(usize::from(*levels), generator)).unwrap_or(0);
        }
    }
    cell
}

/// The cells that must be run so that each finding has `each` cells on both of its sides, beside those that there are.
/// A cell counts for every finding. In random order.
#[must_use]
pub fn lacking(
    sides: &[&Sides],
    have: &[Assignment],
    each: usize,
    space: &Space,
    generator: &mut Generator,
) -> Vec<Assignment> {
    let mut cells: Vec<Assignment> = Vec::new();
    for one in sides {
        let on_variant = have.iter().chain(&cells).filter(|cell| one.rule(cell).is_some()).count();
        let on_base = have.len() + cells.len() - on_variant;
        for turn in on_variant..each {
            cells.extend(one.variant(turn, space, generator));
        }
        for turn in on_base..each {
            cells.extend(one.base(turn, space, generator));
        }
    }
    crate::design::randomise::shuffle(&mut cells, generator);
    cells
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::*;
    use crate::design::randomise::generator;
    use crate::finding::Rule;

    pub(in crate::series) fn scenario() -> Scenario {
        let text = r#"
            name = "x"
            [target]
            npm = "x"
            command = ["x"]
            [factors.timezone]
            levels = ["UTC", "Asia/Tokyo", "Asia/Shanghai"]
            [factors.base_url]
            variable = "U"
            levels = ["http://a", "http://b", "http://c"]
            [factors.user]
            levels = ["dev", "wei"]
        "#;
        crate::scenario::parse(text, "x.toml", Path::new("."), &[]).unwrap()
    }

    /// A covert finding.
    #[allow(clippy::needless_pass_by_value, reason = "a list is what a finding has")]
    pub(in crate::series) fn finding(factors: &[&str], place: &str, rule: Vec<Rule>) -> Finding {
        let finding = serde_json::json!({
            "id": "f1", "channel": "body", "places": [place], "factors": factors, "order": factors.len(), "rule": rule,
            "class": "covert", "explained_by": null, "excerpt": { "baseline": null, "variant": null, "codepoints": [] },
            "effect": { "bits": 1.0, "cramers_v": 1.0, "distinguishable": 2 }, "p_value": 0.001, "q_value": 0.01,
            "support": { "agree": 9, "disagree": 0, "coins": 9 }, "disclosed": null,
            "reproduce": { "baseline_cell": "c0", "variant_cell": "c1", "command": "" }
        });
        serde_json::from_value(finding).unwrap()
    }

    pub(in crate::series) fn rule(when: &[(&str, &[&str])], value: &str) -> Rule {
        let labels = |levels: &[&str]| levels.iter().map(|&level| level.to_owned()).collect();
        let when = when.iter().map(|(factor, levels)| ((*factor).to_owned(), labels(levels))).collect();
        Rule { when, value: Some(value.to_owned()) }
    }

    fn joint() -> Finding {
        let when: [(&str, &[&str]); 2] =
            [("timezone", &["Asia/Tokyo", "Asia/Shanghai"]), ("base_url", &["http://b", "http://c"])];
        finding(&["timezone", "base_url"], "the date", vec![rule(&when, "/")])
    }

    #[test]
    fn a_rule_is_read_over_levels() {
        let sides = Sides::of(&joint(), &scenario()).unwrap();
        assert_eq!(sides.rule(&Assignment(vec![1, 2, 0])), Some(0));
        assert_eq!(sides.rule(&Assignment(vec![1, 0, 1])), None);
        let mut elsewhere = joint();
        elsewhere.rule[0].when.insert("locale".into(), vec!["C".into()]);
        assert_eq!(Sides::of(&elsewhere, &scenario()), None);
        // An exception that gives the baseline's value back is of the baseline's side.
        let mut excepted = joint();
        excepted.rule.push(rule(&[("timezone", &["Asia/Shanghai"]), ("base_url", &["http://c"])], "-"));
        let sides = Sides::of(&excepted, &scenario()).unwrap();
        assert_eq!(sides.rule(&Assignment(vec![2, 2, 0])), None);
        assert_eq!(sides.rule(&Assignment(vec![2, 1, 0])), Some(0));
    }

    #[test]
    fn each_side_gets_its_cells_and_what_is_there_counts() {
        let (scenario, joint) = (scenario(), joint());
        let space = Space::of(&scenario);
        let sides = Sides::of(&joint, &scenario).unwrap();
        let cells = lacking(&[&sides], &[], 6, &space, &mut generator(1, "t"));
        let variants = cells.iter().filter(|cell| sides.rule(cell).is_some()).count();
        assert_eq!((cells.len(), variants), (12, 6));
        // Baseline cells keep one of the two factors where it triggers: otherwise nothing would be said about both.
        let triggers = |cell: &Assignment| usize::from(cell.0[0] != 0) + usize::from(cell.0[1] != 0);
        assert!(cells.iter().filter(|cell| sides.rule(cell).is_none()).all(|cell| triggers(cell) == 1), "{cells:?}");
        let more = lacking(&[&sides, &sides], &cells[..12], 6, &space, &mut generator(2, "t"));
        assert!(more.is_empty());
    }
}
