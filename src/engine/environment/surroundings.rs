//! Where the agent **stands**: each thing that a factor can vary, at its level, or at its pin where nothing varies it.

use crate::cell::Assignment;
use crate::engine::pod::{TARGET_ROOT, WORKSPACE};
use crate::scenario::{ClockSetting, FactorKind, Scenario, path, placeholder};

/// A machine id like any other. Pinned, since a random one would be noise.
const MACHINE_ID: &str = "5d1f2c9b7a3e4f60918273645a6b7c8d";

/// How the run's certificate authority is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trust {
    /// By the variables that runtimes read.
    pub(super) variables: bool,
    /// By the system's bundle.
    pub(super) system: bool,
}

/// What is around the agent in one cell.
#[derive(Clone, Debug)]
pub(super) struct Surroundings<'a> {
    scenario: &'a Scenario,
    levels: &'a Assignment,
    pub(super) timezone: &'a str,
    pub(super) locale: Option<&'a str>,
    pub(super) hostname: &'a str,
    pub(super) proxy: Option<&'a str>,
    pub(super) user: &'a str,
    pub(super) home: String,
    pub(super) terminal: Option<&'a str>,
    pub(super) ci: Option<&'a str>,
    pub(super) shell: Option<&'a str>,
    pub(super) workspace: String,
    pub(super) git: bool,
    pub(super) dns_search: Option<&'a str>,
    pub(super) machine_id: Option<&'a str>,
    /// Where the clock is varied at all: then its library stands in every cell.
    pub(super) clock: Option<ClockSetting>,
    pub(super) cpus: Option<u32>,
    pub(super) trust: Trust,
    /// Whether the machine looks like somebody's own.
    pub(super) plausible: bool,
    /// Whether HTTP/2 is agreed on where a client offers it.
    pub(super) http2: bool,
}

impl<'a> Surroundings<'a> {
    /// Takes each level of the assignment, and the pin of whatever is not varied.
    pub(super) fn of(scenario: &'a Scenario, levels: &'a Assignment) -> Self {
        let mut around = Self {
            scenario,
            levels,
            timezone: "UTC",
            locale: Some("en_US.UTF-8"),
            hostname: "workstation",
            proxy: None,
            user: "dev",
            home: String::new(),
            terminal: Some("xterm-256color"),
            ci: None,
            shell: Some(super::SHELL),
            workspace: String::from(WORKSPACE),
            git: false,
            dns_search: None,
            machine_id: Some(MACHINE_ID),
            clock: None,
            cpus: None,
            trust: Trust { variables: true, system: true },
            plausible: false,
            http2: false,
        };
        for (index, factor) in scenario.factors.iter().enumerate() {
            let value = scenario.level(index, levels).value();
            match factor.kind {
                FactorKind::Timezone => around.timezone = value.unwrap_or(around.timezone),
                FactorKind::Locale => around.locale = value,
                FactorKind::Hostname => around.hostname = value.unwrap_or(around.hostname),
                FactorKind::Proxy => around.proxy = value,
                FactorKind::User => around.user = value.unwrap_or(around.user),
                FactorKind::Home => around.home = value.and_then(path::normalise).unwrap_or_default(),
                FactorKind::Terminal => around.terminal = value,
                FactorKind::Ci => around.ci = value,
                FactorKind::Shell => around.shell = value,
                FactorKind::Cwd => {
                    around.workspace = value.and_then(path::normalise).unwrap_or(around.workspace);
                }
                FactorKind::Git => around.git = value.is_some(),
                FactorKind::DnsSearch => around.dns_search = value,
                FactorKind::MachineId => around.machine_id = value,
                FactorKind::Clock => around.clock = value.and_then(ClockSetting::read),
                FactorKind::Cpus => around.cpus = value.and_then(|value| value.parse().ok()),
                FactorKind::Trust => {
                    let by = |way| value == Some("both") || value == Some(way);
                    around.trust = Trust { variables: by("variables"), system: by("system") };
                }
                FactorKind::Appearance => around.plausible = value == Some("plausible"),
                FactorKind::HttpVersion => around.http2 = value == Some("2"),
                FactorKind::BaseUrl { .. }
                | FactorKind::Env { .. }
                | FactorKind::File { .. }
                | FactorKind::Argument => {}
            }
        }
        if around.home.is_empty() {
            around.home = format!("/home/{}", around.user);
        }
        around
    }

    /// The text with its placeholders replaced. A factor that is unset leaves nothing.
    pub(super) fn fill(&self, text: &str) -> String {
        placeholder::replace(text, |name| match name {
            "prompt" => Some(&self.scenario.target.prompt),
            "home" => Some(&self.home),
            "workspace" => Some(&self.workspace),
            "target" => Some(TARGET_ROOT),
            name => {
                let index = self.scenario.factor_index(name)?;
                Some(self.scenario.level(index, self.levels).value().unwrap_or_default())
            }
        })
    }
}
