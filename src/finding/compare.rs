//! **Comparing** two runs: which findings are new, gone, changed or the same. An id names a cause; where the ids differ, the
//! same factors and class with another partition are a change, not one finding gone and another come.

use serde::Serialize;

use super::{Finding, Findings};

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The old run shows nothing like it.
    New,
    /// The same factors and class, another partition of the levels or other values.
    Changed,
    /// One of the runs saw it and did not confirm it, or chance plays a part in it and the other run's cells do not speak
    /// against it: no sign of a change.
    Unsettled,
    /// The new run shows nothing like it.
    Gone,
    /// The same in both.
    Unchanged,
}

/// A finding of either run, or of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// What became of it.
    pub change: Change,
    /// As it was; `None` where the old run has none.
    pub old: Option<Finding>,
    /// As it is; `None` where the new run has none.
    pub new: Option<Finding>,
}

impl Compared {
    /// The newer of the two.
    #[must_use]
    pub fn latest(&self) -> Option<&Finding> {
        self.new.as_ref().or(self.old.as_ref())
    }

    /// Whether it is new, and nobody speaks of it.
    #[must_use]
    pub fn is_alarm(&self) -> bool {
        self.change == Change::New
            && self.new.as_ref().is_some_and(|new| new.disclosed.is_none() && new.explained_by.is_none())
    }
}

/// Pairs the findings of two runs: by id, then by factors, class and whether they are explained. What comes first, is to
/// be read first.
#[must_use]
pub fn compare(old: &Findings, new: &Findings) -> Vec<Compared> {
    let mut left: Vec<&Finding> = old.findings.iter().collect();
    let mut take = |fits: &dyn Fn(&Finding) -> bool| {
        let at = left.iter().position(|finding| fits(finding))?;
        Some(left.remove(at))
    };
    let mut compared: Vec<Compared> = Vec::new();
    let mut unpaired = Vec::new();
    for finding in &new.findings {
        let Some(was) = take(&|other| other.id == finding.id) else {
            unpaired.push(finding);
            continue;
        };
        let change = if same_values(was, finding) { Change::Unchanged } else { Change::Changed };
        compared.push(Compared { change, old: Some(was.clone()), new: Some(finding.clone()) });
    }
    for finding in unpaired {
        let was = take(&|other| alike(other, finding)).cloned();
        let change = match &was {
            Some(_) => Change::Changed,
            None if is_unconfirmed_in(old, finding) => Change::Unsettled,
            None => Change::New,
        };
        compared.push(Compared { change, old: was, new: Some(finding.clone()) });
    }
    for finding in left {
        let change = if is_unconfirmed_in(new, finding) { Change::Unsettled } else { Change::Gone };
        compared.push(Compared { change, old: Some(finding.clone()), new: None });
    }
    sort(&mut compared);
    compared
}

fn sort(compared: &mut [Compared]) {
    compared.sort_by_key(|one| (one.change, !one.is_alarm()));
}

/// What chance plays a part in is confirmed by one run and not by the next of the same agent, and a search that did not
/// come to its end may have missed anything. Such a finding is only new or gone where the cells of the run that does not
/// have it say so: `denies` is asked whether they do, of the old run's where the finding is new.
pub fn settle(
    compared: &mut [Compared],
    (old, new): (&Findings, &Findings),
    mut denies: impl FnMut(Change, &Finding) -> bool,
) {
    for one in compared.iter_mut().filter(|one| matches!(one.change, Change::New | Change::Gone)) {
        let other = if one.change == Change::New { old } else { new };
        let in_doubt = one.latest().filter(|finding| finding.support.disagree > 0 || other.inconclusive);
        if in_doubt.is_some_and(|finding| !denies(one.change, finding)) {
            one.change = Change::Unsettled;
        }
    }
    sort(compared);
}

/// The same cause with other levels on its sides. A place in common tells which of several it is.
fn alike(was: &Finding, is: &Finding) -> bool {
    was.factors == is.factors
        && was.class == is.class
        && was.explained_by.is_some() == is.explained_by.is_some()
        && was.places.iter().any(|place| is.places.contains(place))
}

/// Whether the rules give the same values under the same conditions, in whatever order they are written. Where something
/// of an explained finding changes with every run (a date), its values do not count.
fn same_values(was: &Finding, is: &Finding) -> bool {
    let explained = is.explained_by.is_some();
    let lines = |finding: &Finding| {
        let mut lines: Vec<(String, Option<String>)> = finding
            .rule
            .iter()
            .map(|rule| (format!("{:?}", rule.when), rule.value.clone().filter(|_| !explained)))
            .collect();
        lines.sort();
        lines
    };
    lines(was) == lines(is)
}

/// Whether a run noticed this dependence at one of its places and did not confirm it.
fn is_unconfirmed_in(run: &Findings, finding: &Finding) -> bool {
    let seemed = format!(": seemed to depend on {}, was not confirmed", finding.factors.join(" and "));
    run.power
        .unexplained
        .iter()
        .filter_map(|line| Some(line.split_once(&seemed)?.0))
        .any(|place| finding.places.iter().any(|known| known == place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::disclose::tests::finding;

    fn run(findings: Vec<Finding>) -> Findings {
        Findings { findings, ..crate::run::testing::findings(Vec::new()) }
    }

    fn changes(old: &Findings, new: &Findings) -> Vec<Change> {
        compare(old, new).iter().map(|one| one.change).collect()
    }

    fn with_rule(mut finding: Finding, level: &str, value: &str) -> Finding {
        let when = std::collections::BTreeMap::from([(String::from("zone"), vec![level.to_owned()])]);
        finding.rule = vec![crate::finding::Rule { when, value: Some(value.into()) }];
        finding
    }

    #[test]
    fn by_id_findings_are_the_same_new_or_gone() {
        let (a, b) = (finding("f1", &["zone"], "the date", false), finding("f2", &["user"], "a header", false));
        assert_eq!(changes(&run(vec![a.clone()]), &run(vec![a.clone()])), [Change::Unchanged]);
        let compared = compare(&run(vec![a.clone()]), &run(vec![b.clone()]));
        assert_eq!(compared.iter().map(|one| one.change).collect::<Vec<_>>(), [Change::New, Change::Gone]);
        assert!(compared[0].is_alarm() && !compared[1].is_alarm());
        let echo = finding("f3", &["user"], "the home", true);
        assert!(!compare(&run(vec![]), &run(vec![echo])).iter().any(Compared::is_alarm), "an echo alarms nobody");
    }

    #[test]
    fn what_chance_plays_with_is_asked_for_before_it_is_called_new_or_gone() {
        let certain = finding("f1", &["zone"], "the date", false);
        let mut chance = finding("f2", &["user"], "an order", false);
        chance.support.disagree = 40;
        let (old, new) = (run(vec![certain.clone(), chance.clone()]), run(vec![]));
        for (old, new, change) in [(&old, &new, Change::Gone), (&new, &old, Change::New)] {
            let settled = |denied: bool| {
                let mut compared = compare(old, new);
                settle(&mut compared, (old, new), |asked, finding| {
                    assert_eq!((asked, finding.id.as_str()), (change, "f2"));
                    denied
                });
                compared.iter().map(|one| one.change).collect::<Vec<_>>()
            };
            assert_eq!(settled(true), [change, change]);
            assert_eq!(settled(false).iter().filter(|one| **one == Change::Unsettled).count(), 1);
        }
        // A search that did not come to its end may have missed what is certain.
        let cut_short = Findings { inconclusive: true, ..run(vec![]) };
        let certain = run(vec![certain]);
        for (denied, change) in [(true, Change::Gone), (false, Change::Unsettled)] {
            let mut compared = compare(&certain, &cut_short);
            settle(&mut compared, (&certain, &cut_short), |_, _| denied);
            assert_eq!(compared[0].change, change);
        }
    }

    #[test]
    fn another_value_or_partition_is_a_change() {
        let old = with_rule(finding("f1", &["zone"], "the date", false), "Asia/Tokyo", "’");
        let value = with_rule(finding("f1", &["zone"], "the date", false), "Asia/Tokyo", "ʹ");
        let partition = with_rule(finding("f9", &["zone"], "the date", false), "Europe/Berlin", "’");
        for new in [value, partition] {
            assert_eq!(changes(&run(vec![old.clone()]), &run(vec![new])), [Change::Changed]);
        }
        let elsewhere = finding("f9", &["zone"], "a header", false);
        assert_eq!(changes(&run(vec![old]), &run(vec![elsewhere])), [Change::New, Change::Gone]);
    }

    #[test]
    fn what_a_run_noticed_and_did_not_confirm_is_neither_new_nor_gone() {
        let found = run(vec![finding("f1", &["zone", "user"], "the date", false)]);
        let mut noticed = run(vec![]);
        let line = "the date: seemed to depend on zone and user, was not confirmed (E = 3 of 20)";
        noticed.power.unexplained = vec![line.into()];
        assert_eq!(changes(&noticed, &found), [Change::Unsettled]);
        assert_eq!(changes(&found, &noticed), [Change::Unsettled]);
        noticed.power.unexplained = vec![line.replace("the date", "a header")];
        assert_eq!(changes(&noticed, &found), [Change::New], "another place than that");
        noticed.power.unexplained = vec![line.replace("zone and user", "zone")];
        assert_eq!(changes(&noticed, &found), [Change::New], "another dependence than that");
    }
}
