//! A **column** is one varying place of the captures. Its **plan** says how the raw text there is read: which dates are
//! moments, which forms are echoes, what is random. It is decided once, over all learned captures, so that nothing
//! varies because of how we read: what is constant is never touched.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::context::Context;
use super::mask;
use super::moment::{self, Basis};
use super::date::Window;

/// What stands for a text that is random and has no class.
const RANDOM: &str = "${random}";

/// How a column's raw text is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    basis: Option<Basis>,
    echoes: Vec<Echo>,
    mask: Mask,
}

/// A form of a factor's level that is echoed here.
#[derive(Clone, Debug)]
struct Echo {
    factor: usize,
    form: &'static str,
    /// What stands here where the level is unset: the agent's own default.
    default: Option<String>,
}

/// What is random here.
#[derive(Clone, Debug, Default)]
enum Mask {
    /// Nothing.
    #[default]
    Nothing,
    /// Values of the opaque classes.
    Classes,
    /// Everything but these, which were seen too often for chance.
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
}

impl Plan {
    /// Decides how to read a column from its samples. `all` are the contexts of every capture, those without this
    /// column too.
    pub(super) fn decide(samples: &[Sample<'_>], all: &[Context], window: &Window) -> Self {
        let mut plan = Self::default();
        plan.basis = moment::decide(samples.iter().map(|s| (s.text, s.context.clock)), window);
        let mut texts: Vec<String> = samples.iter().map(|s| plan.without_moments(s, window).0).collect();
        while plan.echoes.len() < 6 {
            let Some((echo, after)) = best_echo(samples, &texts, all, &plan.echoes) else { break };
            texts = after;
            plan.echoes.push(echo);
        }
        plan.mask = random(samples, &texts);
        plan
    }

    /// Whether the text is taken as it is.
    pub(super) fn is_plain(&self) -> bool {
        self.basis.is_none() && self.echoes.is_empty() && matches!(self.mask, Mask::Nothing)
    }

    fn without_moments(&self, sample: &Sample<'_>, window: &Window) -> (String, Option<moment::Rewritten>) {
        let rewritten =
            self.basis.and_then(|basis| moment::rewrite(sample.text, window, &sample.context.clock, basis));
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
            reading.shifts = (!moments.shifts.is_empty()).then(|| moments.shifts.join(" \u{b7} "));
        }
        for echo in &self.echoes {
            if let Some(replaced) = echo.apply(&text, sample.context) {
                text = replaced;
                reading.echoes.push(echo.factor);
            }
        }
        match &self.mask {
            Mask::Nothing => {}
            Mask::Classes => {
                let masked = mask::masked(&text);
                if masked != text {
                    reading.shape = Some(mask::shape(&text));
                    text = masked;
                }
            }
            Mask::AllBut(kept) => {
                if !kept.contains(&text) {
                    reading.shape = Some(mask::shape(&text));
                    text = String::from(RANDOM);
                }
            }
        }
        reading.text = text;
        reading
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

fn distinct(texts: &[String]) -> usize {
    texts.iter().collect::<HashSet<_>>().len()
}

/// The echo that leaves the fewest different texts, if any leaves fewer than there are.
fn best_echo(samples: &[Sample<'_>], texts: &[String], all: &[Context], known: &[Echo]) -> Option<(Echo, Vec<String>)> {
    let context = samples.first()?.context;
    let before = distinct(texts);
    let mut best: Option<(usize, Echo, Vec<String>)> = None;
    for factor in 0..context.factors() {
        for form in context.form_names(factor) {
            if known.iter().any(|echo| echo.factor == factor && echo.form == form) {
                continue;
            }
            let mut echo = Echo { factor, form, default: None };
            let Some(after) = attempt(&echo, samples, texts, all, before) else { continue };
            let (default, after) = with_default(&echo, samples, texts, after);
            echo.default = default;
            let count = distinct(&after);
            if best.as_ref().is_none_or(|(fewest, ..)| count < *fewest) {
                best = Some((count, echo, after));
            }
        }
    }
    best.map(|(_, echo, after)| (echo, after))
}

/// The texts after an echo, if it is to be believed: several levels stand here, each under itself, and fewer different
/// texts are left. A factor with just one set level proves itself by standing here always and only under that level.
fn attempt(
    echo: &Echo,
    samples: &[Sample<'_>],
    texts: &[String],
    all: &[Context],
    before: usize,
) -> Option<Vec<String>> {
    let mut levels = HashSet::new();
    let mut hits = 0;
    let mut after = Vec::with_capacity(texts.len());
    for (sample, text) in samples.iter().zip(texts) {
        match echo.apply(text, sample.context) {
            Some(replaced) => {
                levels.insert(sample.context.level(echo.factor));
                hits += 1;
                after.push(replaced);
            }
            None => after.push(text.clone()),
        }
    }
    if levels.len() >= 2 && distinct(&after) < before {
        return Some(after);
    }
    let level = *levels.iter().next().filter(|_| levels.len() == 1)?;
    let context = samples.first()?.context;
    if context.set_levels(echo.factor) != 1 || samples.len() == all.len() && before == 1 {
        return None;
    }
    let form = samples
        .iter()
        .find(|s| s.context.level(echo.factor) == level)
        .and_then(|s| s.context.forms(echo.factor).iter().find(|form| form.name == echo.form))?;
    let under = all.iter().filter(|context| context.level(echo.factor) == level).count();
    let elsewhere = samples
        .iter()
        .zip(texts)
        .any(|(s, text)| s.context.level(echo.factor) != level && form.substitute(text, "").is_some());
    (form.text.chars().count() >= 6 && hits == under && !elsewhere).then_some(after)
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

/// Decides what is random. The proof is replicates: captures of one and the same environment that differ.
fn random(samples: &[Sample<'_>], texts: &[String]) -> Mask {
    if distinct(texts) <= 1 {
        let lone = texts.len() == 1 && !mask::spans(&texts[0]).is_empty();
        return if lone { Mask::Classes } else { Mask::Nothing };
    }
    let everything: Vec<usize> = (0..texts.len()).collect();
    if is_random(samples, texts, &everything) {
        let masked: Vec<String> = texts.iter().map(|text| mask::masked(text)).collect();
        if masked != texts && !is_random(samples, &masked, &everything) {
            return Mask::Classes;
        }
        let mut count: HashMap<&str, usize> = HashMap::new();
        for text in texts {
            *count.entry(text).or_default() += 1;
        }
        let often = (texts.len() / 12).max(4);
        let kept = count.into_iter().filter(|(_, n)| *n >= often).map(|(text, _)| text.to_owned()).collect();
        return Mask::AllBut(kept);
    }
    // Here constant, there random: look at those captures alone that have an identifier.
    let opaque: Vec<usize> = everything.into_iter().filter(|i| !mask::spans(&texts[*i]).is_empty()).collect();
    if !opaque.is_empty() && is_random(samples, texts, &opaque) { Mask::Classes } else { Mask::Nothing }
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
        let mut seen: HashMap<u16, &str> = HashMap::new();
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
