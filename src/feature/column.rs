//! A **column** is one varying place of the captures. Its **plan** says how the raw text there is read: which dates are
//! moments, which forms are echoes, what is random. It is decided once, over all learned captures, so that nothing
//! varies because of how we read: what is constant is never touched.

use std::collections::BTreeMap;

use super::context::Context;
use super::date::Window;
use super::elapsed::Elapsed;
use super::hash::{HashMap, HashSet};
use super::mask;
use super::moment::{self, Habit};
use super::signature::{self, Part, Signature};

/// How a column's raw text is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    moments: Option<Habit>,
    /// Whether the values of dates are told as features of their own.
    dates_told: bool,
    echoes: Vec<Echo>,
    mask: Mask,
    /// Whether the form of what is random is told: not where it is random too.
    shaped: bool,
    /// Where the text is noise: what of its form is told beside it.
    signature: Option<Signature>,
}

/// A form of a factor's level that is echoed here.
#[derive(Clone, Debug)]
struct Echo {
    factor: usize,
    form: &'static str,
    /// What stands here where the level is unset: the agent's own default.
    default: Option<String>,
    /// Whether it is told as a feature of its own.
    told: bool,
}

/// What is random here.
#[derive(Clone, Debug, Default)]
enum Mask {
    /// Nothing.
    #[default]
    Nothing,
    /// Values of the opaque classes; the forms that many texts have.
    Classes(Vec<mask::Form>),
    /// The whole: a number that is measured, not chosen. Its form is as noisy as its value and is no feature.
    Number,
    /// The whole, where the clock accounts for it: a count of seconds, minutes, hours or days.
    Elapsed(Elapsed),
    /// Words but these, which were seen too often for chance; where how many there are is random too, several are one.
    Words(HashSet<String>, bool),
    /// Everything but these texts, which were seen too often for chance.
    AllBut(HashSet<String>),
}

/// One capture's raw text of a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample<'a> {
    /// The raw text.
    pub(super) text: &'a str,
    /// What it was captured under.
    pub(super) context: &'a Context,
}

/// A text as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// What is left: a marker would stand here.
    pub(super) text: String,
    /// Formats of the dates taken out.
    pub(super) formats: Option<String>,
    /// Their values, as functions of the zone.
    pub(super) shifts: Option<String>,
    /// Factors whose own level stood here.
    pub(super) echoes: Vec<usize>,
    /// The form of what is random.
    pub(super) shape: Option<String>,
    /// The parts of the text's signature that are told.
    pub(super) signature: Vec<(Part, String)>,
}

impl Plan {
    /// Decides how to read a column from its samples. `all` are the contexts of every capture, those without this
    /// column too.
    pub(super) fn decide(samples: &[Sample<'_>], all: &[Context], window: &Window) -> Self {
        let moments = moment::decide(samples.iter().map(|s| (s.text, s.context.clock)), window);
        if moments.is_none() && samples.len() == all.len() && samples.len() > 1 && is_constant(samples) {
            // Nothing can be echoed or random in what stands in every capture alike. Most columns are so.
            return Self::default();
        }
        let mut plan = Self { moments, ..Self::default() };
        let timezone = samples.first().and_then(|s| s.context.timezone());
        plan.dates_told = timezone.is_none_or(|factor| follows_presence(factor, samples, all));
        let mut texts: Vec<String> = samples.iter().map(|s| plan.without_moments(s, window).0).collect();
        while plan.echoes.len() < 6 {
            let Some((echo, after)) = best_echo(samples, &texts, all, &plan.echoes) else { break };
            texts = after;
            plan.echoes.push(echo);
        }
        let bare: Vec<String> = texts.iter().map(|text| signature::bare(text)).collect();
        plan.mask = random(samples, &bare);
        if !matches!(plan.mask, Mask::Nothing) || replicates_differ(samples, &texts) {
            plan.signature = Some(Signature::learn(texts.iter().map(String::as_str)));
            let shapes: Vec<String> = texts.iter().map(|text| plan.form(text)).collect();
            plan.shaped = !is_noise(samples, &shapes);
        }
        plan
    }

    /// Whether the text is taken as it is.
    pub(super) fn is_plain(&self) -> bool {
        self.moments.is_none() && self.echoes.is_empty() && self.signature.is_none()
    }

    fn without_moments(&self, sample: &Sample<'_>, window: &Window) -> (String, Option<moment::Rewritten>) {
        let rewritten =
            self.moments.and_then(|habit| moment::rewrite(sample.text, window, &sample.context.clock, habit));
        match rewritten {
            Some(rewritten) => (rewritten.text.clone(), Some(rewritten)),
            None => (sample.text.to_owned(), None),
        }
    }

    /// Reads a text.
    pub(super) fn read(&self, sample: &Sample<'_>, window: &Window) -> Reading {
        let (mut text, moments) = self.without_moments(sample, window);
        let mut reading = Reading::default();
        if let Some(moments) = moments {
            reading.formats = Some(moments.formats.join(" \u{b7} "));
            reading.shifts = (self.dates_told && !moments.shifts.is_empty()).then(|| moments.shifts.join(" \u{b7} "));
        }
        for echo in &self.echoes {
            if let Some(replaced) = echo.apply(&text, sample.context) {
                text = replaced;
                if echo.told && !reading.echoes.contains(&echo.factor) {
                    reading.echoes.push(echo.factor);
                }
            }
        }
        if let Some(signature) = &self.signature {
            reading.signature = signature.read(&text);
            if let Some(masked) = self.masked(&signature::bare(&text), sample.context) {
                let is_number = matches!(self.mask, Mask::Number | Mask::Elapsed(_));
                reading.shape = (self.shaped && !is_number).then(|| self.form(&text));
                text = masked;
            }
        }
        reading.text = text;
        reading
    }
}

impl Plan {
    /// The form of a random text, and where what nobody sees stands in it.
    fn form(&self, text: &str) -> String {
        let bare = signature::bare(text);
        let usual = match &self.mask {
            Mask::Classes(usual) => usual.iter().find(|form| form.fits(&bare)),
            _ => None,
        };
        usual.map_or_else(|| mask::shape(&bare), |form| form.shape.clone()) + &signature::anchors(text)
    }

    /// A text with what is random in it replaced; `None` where nothing is.
    fn masked(&self, text: &str, context: &Context) -> Option<String> {
        let masked = match &self.mask {
            Mask::Nothing => return None,
            Mask::Classes(usual) => {
                let usual = usual.iter().find(|form| form.fits(text));
                usual.map_or_else(|| mask::masked(text), |form| form.masked.clone())
            }
            Mask::Number => return mask::is_number(text).then(|| String::from(mask::MEASUREMENT)),
            Mask::Elapsed(elapsed) => {
                return elapsed.accounts_for(text, &context.clock).then(|| String::from(mask::ELAPSED));
            }
            Mask::Words(known, joined) => mask::only_known(text, known, *joined),
            Mask::AllBut(kept) => String::from(if kept.contains(text) { text } else { mask::RANDOM }),
        };
        (masked != text).then_some(masked)
    }
}

impl Echo {
    fn apply(&self, text: &str, context: &Context) -> Option<String> {
        let placeholder = context.placeholder(self.factor);
        let forms = context.forms(self.factor);
        if forms.is_empty() {
            let default = self.default.as_deref()?;
            return (text == default).then(|| placeholder.clone());
        }
        forms.iter().filter(|form| form.name == self.form).find_map(|form| form.substitute(text, &placeholder))
    }
}

fn is_constant(samples: &[Sample<'_>]) -> bool {
    samples.windows(2).all(|pair| pair[0].text == pair[1].text)
}

fn distinct(texts: &[String]) -> usize {
    texts.iter().collect::<HashSet<_>>().len()
}

/// The echo that leaves the fewest different texts, if any leaves fewer than there are.
fn best_echo(samples: &[Sample<'_>], texts: &[String], all: &[Context], known: &[Echo]) -> Option<(Echo, Vec<String>)> {
    let context = samples.first()?.context;
    let before = distinct(texts);
    if before == 1 && samples.len() == all.len() {
        return None;
    }
    let mut best: Option<(usize, Echo, Vec<String>)> = None;
    for factor in 0..context.factors() {
        let cases = Cases::of(factor, samples, texts);
        let mut told = None;
        for form in context.form_names(factor) {
            if known.iter().any(|echo| echo.factor == factor && echo.form == form) {
                continue;
            }
            let mut echo = Echo { factor, form, default: None, told: false };
            let Some((proof, after)) = cases.attempt(&echo, all) else { continue };
            let (default, after) = with_default(&echo, samples, texts, after);
            let count = distinct(&after);
            if proof == Proof::FewerTexts && count >= before {
                continue;
            }
            if best.as_ref().is_none_or(|(fewest, ..)| count < *fewest) {
                echo.default = default;
                echo.told = *told.get_or_insert_with(|| follows_presence(factor, samples, all));
                best = Some((count, echo, after));
            }
        }
    }
    best.map(|(_, echo, after)| (echo, after))
}

/// What an echo is to be believed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// Several levels stand here; it must leave fewer different texts.
    FewerTexts,
    /// Just one level has this form, and the form stands here always and only under that level.
    OwnLevelOnly,
}

/// The samples of a column by text and level of one factor: what an echo of that factor can make of them.
struct Cases<'a> {
    list: Vec<(&'a str, &'a Context, usize)>,
    of_sample: Vec<usize>,
}

impl<'a> Cases<'a> {
    fn of(factor: usize, samples: &[Sample<'a>], texts: &'a [String]) -> Self {
        let mut index: HashMap<(&str, u16), usize> = HashMap::default();
        let mut list: Vec<(&str, &Context, usize)> = Vec::new();
        let mut of_sample = Vec::with_capacity(samples.len());
        for (sample, text) in samples.iter().zip(texts) {
            let case = *index.entry((text, sample.context.level(factor))).or_insert_with(|| {
                list.push((text, sample.context, 0));
                list.len() - 1
            });
            list[case].2 += 1;
            of_sample.push(case);
        }
        Self { list, of_sample }
    }

    /// The texts after an echo, and what it is to be believed for; `None` if it is not.
    fn attempt(&self, echo: &Echo, all: &[Context]) -> Option<(Proof, Vec<String>)> {
        let after: Vec<Option<String>> = self.list.iter().map(|(text, context, _)| echo.apply(text, context)).collect();
        let hit = || self.list.iter().zip(&after).filter(|(_, after)| after.is_some()).map(|(case, _)| case);
        let (_, first, _) = hit().next()?;
        let level = first.level(echo.factor);
        let after_or = |case: usize| after[case].as_deref().unwrap_or(self.list[case].0);
        let result = || self.of_sample.iter().map(|case| after_or(*case).to_owned()).collect();
        if hit().any(|(_, context, _)| context.level(echo.factor) != level) {
            return Some((Proof::FewerTexts, result()));
        }
        if first.levels_with(echo.factor, echo.form) != 1 {
            return None;
        }
        let form = first.forms(echo.factor).iter().find(|form| form.name == echo.form)?;
        let telling = form.text.chars().count() >= if form.text.chars().all(char::is_alphanumeric) { 6 } else { 4 };
        let hits: usize = hit().map(|(_, _, n)| n).sum();
        let under = all.iter().filter(|context| context.level(echo.factor) == level).count();
        let elsewhere = self
            .list
            .iter()
            .any(|(text, context, _)| context.level(echo.factor) != level && form.substitute(text, "").is_some());
        (telling && hits == under && !elsewhere).then(|| (Proof::OwnLevelOnly, result()))
    }
}

/// Where the level is unset, one constant text in the place of the echo is the agent's own default for it.
fn with_default(
    echo: &Echo,
    samples: &[Sample<'_>],
    texts: &[String],
    after: Vec<String>,
) -> (Option<String>, Vec<String>) {
    let unset = |s: &Sample<'_>| s.context.forms(echo.factor).is_empty();
    let defaults: HashSet<&String> = samples.iter().zip(texts).filter(|(s, _)| unset(s)).map(|(_, t)| t).collect();
    let set: HashSet<&String> = samples.iter().zip(&after).filter(|(s, _)| !unset(s)).map(|(_, t)| t).collect();
    let placeholder = samples.first().map(|s| s.context.placeholder(echo.factor)).unwrap_or_default();
    let only = |set: &HashSet<&String>| if set.len() == 1 { set.iter().next().map(|t| (*t).clone()) } else { None };
    match (only(&defaults), only(&set)) {
        (Some(default), Some(echoed)) if echoed == placeholder && !default.is_empty() => {
            let all = vec![placeholder; after.len()];
            (Some(default), all)
        }
        _ => (None, after),
    }
}

/// Whether each level of a factor has this column always or never. Elsewhere a level's echo and a zone's date would only
/// say once more, mixed together, what two other features say: that the place is there, and what the level is.
fn follows_presence(factor: usize, samples: &[Sample<'_>], all: &[Context]) -> bool {
    let mut count: HashMap<u16, (usize, usize)> = HashMap::default();
    for context in all {
        count.entry(context.level(factor)).or_default().0 += 1;
    }
    for sample in samples {
        count.entry(sample.context.level(factor)).or_default().1 += 1;
    }
    count.values().all(|(captures, here)| *here == 0 || here == captures)
}

/// Decides what is random. The proof is replicates: captures of one and the same environment that differ.
fn random(samples: &[Sample<'_>], texts: &[String]) -> Mask {
    if distinct(texts) <= 1 {
        let lone = texts.len() == 1 && !mask::spans(&texts[0]).is_empty();
        return if lone { Mask::Classes(Vec::new()) } else { Mask::Nothing };
    }
    let everything: Vec<usize> = (0..texts.len()).collect();
    if texts.iter().all(|text| mask::is_number(text)) {
        if is_measured(samples, texts) {
            return Mask::Number;
        }
        let readings: Vec<_> = samples.iter().zip(texts).map(|(s, text)| (text.as_str(), s.context.clock)).collect();
        let elapsed = Elapsed::learn(&readings, replicates_differ(samples, texts));
        return elapsed.map_or(Mask::Nothing, Mask::Elapsed);
    }
    if is_random(samples, texts, &everything) {
        let masked: Vec<String> = texts.iter().map(|text| mask::masked(text)).collect();
        if masked != texts && !is_random(samples, &masked, &everything) {
            return Mask::Classes(usual_forms(texts));
        }
        let known = often(texts.iter().flat_map(|text| mask::words(text).collect::<HashSet<_>>()), texts.len());
        let masked: Vec<String> = texts.iter().map(|text| mask::only_known(text, &known, false)).collect();
        let joined = is_noise(samples, &masked);
        if !joined {
            return Mask::Words(known, false);
        }
        let masked: Vec<String> = texts.iter().map(|text| mask::only_known(text, &known, joined)).collect();
        if !is_random(samples, &masked, &everything) {
            return Mask::Words(known, joined);
        }
        return Mask::AllBut(often(texts.iter().map(String::as_str), texts.len()));
    }
    // Here constant, there random: look at those captures alone that have an identifier.
    let opaque: Vec<usize> = everything.into_iter().filter(|i| !mask::spans(&texts[*i]).is_empty()).collect();
    if !opaque.is_empty() && is_random(samples, texts, &opaque) { Mask::Classes(Vec::new()) } else { Mask::Nothing }
}

/// The forms that more texts have than chance would give one.
fn usual_forms(texts: &[String]) -> Vec<mask::Form> {
    let mut forms: BTreeMap<String, (usize, &String)> = BTreeMap::new();
    for text in texts {
        let entry = forms.entry(mask::masked(text) + &mask::shape(text)).or_insert((0, text));
        entry.0 += 1;
        entry.1 = entry.1.min(text);
    }
    let enough = (texts.len() / 16).max(3);
    let usual = forms.into_values().filter(|(count, text)| *count >= enough && !mask::spans(text).is_empty());
    usual.map(|(_, text)| mask::Form::of(text)).collect()
}

/// Different values from which on a number that differs between replicates is a measurement.
const MEASURED: usize = 5;

/// Whether numbers are measured (durations, loads, sizes of a heap): many values, and replicates of one environment
/// differ; or fractions that are nearly all different for no reason that we vary. A flag, a small enumeration or a number
/// that follows a level is none.
fn is_measured(samples: &[Sample<'_>], texts: &[String]) -> bool {
    let values = distinct(texts);
    let everything: Vec<usize> = (0..texts.len()).collect();
    if texts.iter().any(|text| text.contains('.')) && values >= 3 && values * 10 >= texts.len() * 7 {
        return !follows_a_factor(samples, texts, &everything);
    }
    if values < MEASURED {
        return false;
    }
    let mut groups: BTreeMap<&[u16], HashSet<&str>> = BTreeMap::new();
    for (sample, text) in samples.iter().zip(texts) {
        groups.entry(&sample.context.assignment).or_default().insert(text);
    }
    groups.values().any(|values| values.len() > 2) || groups.values().filter(|values| values.len() > 1).count() > 1
}

/// Whether captures of one and the same environment differ.
fn replicates_differ(samples: &[Sample<'_>], texts: &[String]) -> bool {
    let mut seen: HashMap<&[u16], &str> = HashMap::default();
    samples.iter().zip(texts).any(|(sample, text)| *seen.entry(&sample.context.assignment).or_insert(text) != text)
}

/// Whether texts differ between captures of one and the same environment in many ways.
fn is_noise(samples: &[Sample<'_>], texts: &[String]) -> bool {
    let mut groups: BTreeMap<&[u16], HashSet<&str>> = BTreeMap::new();
    for (sample, text) in samples.iter().zip(texts) {
        groups.entry(&sample.context.assignment).or_default().insert(text);
    }
    groups.values().any(|values| values.len() > 2)
}

/// What occurs too often for chance.
fn often<'a>(all: impl Iterator<Item = &'a str>, samples: usize) -> HashSet<String> {
    let mut count: HashMap<&str, usize> = HashMap::default();
    for text in all {
        *count.entry(text).or_default() += 1;
    }
    let enough = (samples / 12).max(4);
    count.into_iter().filter(|(_, n)| *n >= enough).map(|(text, _)| text.to_owned()).collect()
}

/// Whether the texts of these samples are (nearly) all different for no reason that we vary.
fn is_random(samples: &[Sample<'_>], texts: &[String], which: &[usize]) -> bool {
    let mut groups: BTreeMap<&[u16], Vec<&str>> = BTreeMap::new();
    for i in which {
        groups.entry(&samples[*i].context.assignment).or_default().push(&texts[*i]);
    }
    let (mut replicates, mut different) = (0, 0);
    for group in groups.values().filter(|group| group.len() > 1) {
        replicates += group.len();
        different += group.iter().collect::<HashSet<_>>().len();
    }
    if replicates >= 3 {
        return different * 5 >= replicates * 4;
    }
    let all: HashSet<&str> = which.iter().map(|i| texts[*i].as_str()).collect();
    let identifiers = which.iter().all(|i| !mask::spans(&texts[*i]).is_empty());
    let enough = if identifiers { 2 } else { 8 };
    which.len() >= enough && all.len() * 10 >= which.len() * 9 && !follows_a_factor(samples, texts, which)
}

/// Whether one factor alone tells the text, with at least one level seen twice to prove it.
fn follows_a_factor(samples: &[Sample<'_>], texts: &[String], which: &[usize]) -> bool {
    let factors = samples.first().map_or(0, |s| s.context.factors());
    (0..factors).any(|factor| {
        let mut seen: HashMap<u16, &str> = HashMap::default();
        let mut repeated = false;
        for i in which {
            match seen.insert(samples[*i].context.level(factor), &texts[*i]) {
                Some(other) if other != texts[*i] => return false,
                Some(_) => repeated = true,
                None => {}
            }
        }
        repeated
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cell::Assignment;
    use crate::feature::Observation;
    use crate::feature::context::Levels;

    /// What is random in a column with these texts, each under this level of the only factor.
    fn mask_of(column: &[(u16, &str)]) -> (bool, Mask) {
        let levels = Arc::new(Levels::new(Arc::new(crate::run::testing::scenario()), 1_700_000_000_000));
        let capture = crate::run::testing::capture();
        let context = |level: u16| {
            let assignment = Assignment(vec![level]);
            Context::new(&levels, &Observation { levels: &assignment, capture: &capture })
        };
        let contexts: Vec<Context> = column.iter().map(|(level, _)| context(*level)).collect();
        let samples: Vec<Sample<'_>> =
            column.iter().zip(&contexts).map(|((_, text), context)| Sample { text, context }).collect();
        let texts: Vec<String> = column.iter().map(|(_, text)| (*text).to_owned()).collect();
        (is_measured(&samples, &texts), random(&samples, &texts))
    }

    #[test]
    fn a_number_that_replicates_give_in_many_ways_is_measured() {
        let (measured, mask) = mask_of(&[(0, "31"), (0, "35"), (0, "32"), (1, "33"), (1, "38")]);
        assert!(measured && matches!(mask, Mask::Number));
        // Two environments, each of which disagrees with itself.
        assert!(mask_of(&[(0, "31"), (0, "35"), (1, "32"), (1, "33"), (1, "38")]).0);
        // Fractions that are nearly all different, though no environment was run twice with a difference.
        assert!(mask_of(&[(0, "0.31"), (0, "0.52"), (1, "1.7")]).0);
    }

    #[test]
    fn a_number_that_is_chosen_is_not_measured() {
        for column in [
            // It follows the level.
            &[(0, "31"), (0, "31"), (1, "35"), (1, "35")][..],
            &[(0, "0.5"), (0, "0.5"), (1, "0.7"), (1, "0.7")],
            // A flag that chance plays with, and a small enumeration.
            &[(0, "0"), (0, "1"), (1, "0"), (1, "1")],
            &[(0, "1"), (0, "2"), (0, "3"), (1, "4"), (1, "1")],
            // One upset among many that agree.
            &[(0, "1"), (0, "2"), (1, "7"), (1, "7")],
        ] {
            let (measured, mask) = mask_of(column);
            assert!(!measured && !matches!(mask, Mask::Number), "{column:?}");
        }
    }
}
