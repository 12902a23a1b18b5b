//! The **context** of a capture: the levels that it was made under, in every form, and its clock.

use std::sync::Arc;

use chrono::{DateTime, Duration, TimeZone as _, Utc};
use chrono_tz::Tz;
use indexmap::{IndexMap, IndexSet};

use super::Observation;
use super::date::Window;
use super::echo::{Form, forms};
use super::moment::Clock;
use crate::scenario::{ClockSetting, FactorKind, Scenario};

/// Every form of every level, and when the run is. Made once, at the first capture.
#[derive(Debug)]
pub(super) struct Levels {
    scenario: Arc<Scenario>,
    /// `forms[factor][level]`, empty where the level is unset.
    forms: Vec<Vec<Vec<Form>>>,
    /// For each factor the names of its forms, with the number of levels that have one.
    names: Vec<Vec<(&'static str, usize)>>,
    timezone: Option<usize>,
    clock: Option<usize>,
    reference: DateTime<Utc>,
}

impl Levels {
    /// Derives all forms. `reference_unix_ms` is the first capture's time.
    pub(super) fn new(scenario: Arc<Scenario>, reference_unix_ms: i64) -> Self {
        let reference = DateTime::from_timestamp_millis(reference_unix_ms).unwrap_or_default();
        let forms: Vec<Vec<Vec<Form>>> = scenario
            .factors
            .iter()
            .map(|factor| {
                let of_level = |level: &crate::scenario::Level| {
                    level.value().map(|text| forms(&factor.kind, text, reference)).unwrap_or_default()
                };
                factor.levels.iter().map(of_level).collect()
            })
            .collect();
        let timezone = scenario.factors.iter().position(|f| f.kind == FactorKind::Timezone);
        let clock = scenario.factors.iter().position(|f| f.kind == FactorKind::Clock);
        let names = forms.iter().map(|levels| counted(levels)).collect();
        Self { scenario, forms, names, timezone, clock, reference }
    }

    /// The days near the run, by the clock of each cell. A run may be resumed days later.
    pub(super) fn window(&self) -> Window {
        let levels = self.clock.map(|factor| self.scenario.factors[factor].levels.as_slice()).unwrap_or_default();
        let set = levels
            .iter()
            .filter_map(|level| ClockSetting::read(level.value()?))
            .filter_map(|setting| DateTime::from_timestamp_millis(setting.at_start(self.reference.timestamp_millis())));
        let near = |at: DateTime<Utc>| at.date_naive() - Duration::days(3)..=at.date_naive() + Duration::days(60);
        let instants: Vec<DateTime<Utc>> = std::iter::once(self.reference).chain(set).collect();
        let zones = self.timezone.map(|factor| self.scenario.factors[factor].levels.as_slice()).unwrap_or_default();
        let zones = zones.iter().filter_map(|level| level.value()?.parse::<Tz>().ok());
        let abbreviations = zones.flat_map(|zone| {
            // One of them may change its clocks while the run goes on.
            let ends = instants.iter().flat_map(|at| [*at - Duration::days(3), *at + Duration::days(60)]);
            ends.map(move |at| zone.offset_from_utc_datetime(&at.naive_utc()).to_string()).collect::<Vec<_>>()
        });
        Window::new(instants.iter().copied().map(near)).with_zones(abbreviations)
    }

    /// Every form's text, for the tokeniser.
    pub(super) fn texts(&self) -> Vec<String> {
        self.forms.iter().flatten().flatten().map(|form| form.text.clone()).collect()
    }
}

/// How many levels have a form of each name, plain forms first.
fn counted(levels: &[Vec<Form>]) -> Vec<(&'static str, usize)> {
    let mut names: IndexMap<&'static str, usize> = IndexMap::new();
    for forms in levels {
        let own: IndexSet<&'static str> = forms.iter().map(|form| form.name).collect();
        for name in own {
            *names.entry(name).or_default() += 1;
        }
    }
    names.into_iter().collect()
}

/// What a capture was made under.
#[derive(Clone, Debug)]
pub(super) struct Context {
    levels: Arc<Levels>,
    /// Level index by factor.
    pub(super) assignment: Vec<u16>,
    /// When it was made.
    pub(super) clock: Clock,
}

impl Context {
    /// The context of an observation.
    pub(super) fn new(levels: &Arc<Levels>, observation: &Observation<'_>) -> Self {
        let assignment = observation.levels.0.clone();
        let level = |factor: usize| {
            let index = assignment.get(factor)?;
            levels.scenario.factors[factor].levels.get(usize::from(*index))?.value()
        };
        let zone = levels.timezone.and_then(level).and_then(|name| name.parse::<Tz>().ok()).unwrap_or(Tz::UTC);
        let wall = i64::try_from(observation.capture.wall.0 / 1000).unwrap_or(i64::MAX);
        let clock = Clock::new(observation.capture.started_unix_ms, wall, zone, levels.reference);
        let setting = levels.clock.and_then(level).and_then(ClockSetting::read);
        let clock = setting.map_or(clock, |setting| clock.set(setting));
        Self { levels: Arc::clone(levels), assignment, clock }
    }

    /// How many factors there are.
    pub(super) fn factors(&self) -> usize {
        self.levels.forms.len()
    }

    /// The factor that is the time zone.
    pub(super) fn timezone(&self) -> Option<usize> {
        self.levels.timezone
    }

    /// The names of a factor's forms, plain ones first.
    pub(super) fn form_names(&self, factor: usize) -> impl Iterator<Item = &'static str> {
        self.levels.names.get(factor).into_iter().flatten().map(|(name, _)| *name)
    }

    /// The level index of a factor.
    pub(super) fn level(&self, factor: usize) -> u16 {
        self.assignment.get(factor).copied().unwrap_or(0)
    }

    /// Forms of the capture's own level of a factor; none where it is unset.
    pub(super) fn forms(&self, factor: usize) -> &[Form] {
        self.levels
            .forms
            .get(factor)
            .and_then(|levels| levels.get(usize::from(self.level(factor))))
            .map_or(&[], Vec::as_slice)
    }

    /// How many levels of a factor have a form of this name.
    pub(super) fn levels_with(&self, factor: usize, form: &str) -> usize {
        let names = self.levels.names.get(factor).map(Vec::as_slice).unwrap_or_default();
        names.iter().find(|(name, _)| *name == form).map_or(0, |(_, levels)| *levels)
    }

    /// What stands for a level of this factor in a text.
    pub(super) fn placeholder(&self, factor: usize) -> String {
        format!("${{{}}}", self.levels.scenario.factors.get(factor).map_or("", |f| f.name.as_str()))
    }

    /// What people read for the capture's own level.
    pub(super) fn label(&self, factor: usize) -> &str {
        let factor_levels = self.levels.scenario.factors.get(factor).map(|f| f.levels.as_slice()).unwrap_or_default();
        factor_levels.get(usize::from(self.level(factor))).map_or("", |level| level.label())
    }

    /// Factors whose levels name a host, with the capture's own host.
    pub(super) fn hosts(&self) -> Vec<(usize, &str)> {
        let is_host = |form: &&Form| form.name == "host";
        (0..self.factors())
            .filter_map(|factor| Some((factor, self.forms(factor).iter().find(is_host)?.text.as_str())))
            .collect()
    }

    /// The path of the capture's own base URL, without a final slash, with the factor.
    pub(super) fn base_path(&self) -> Option<(usize, &str)> {
        let factors = &self.levels.scenario.factors;
        let factor = factors.iter().position(|f| matches!(f.kind, FactorKind::BaseUrl { .. }))?;
        let form = self.forms(factor).iter().find(|form| form.name == "path")?;
        Some((factor, form.text.as_str()))
    }
}
