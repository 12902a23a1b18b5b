//! A **factor** and its **levels**: one thing of the environment that is varied, and the values that it takes.

use serde::{Deserialize, Serialize};

/// What a factor is, which decides how a level of it becomes real (see `engine/environment.rs`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FactorKind {
    /// `TZ`, `/etc/localtime` and `/etc/timezone` together. Levels are IANA names.
    Timezone,
    /// `LANG` and `LC_ALL` together, such as `ja_JP.UTF-8`.
    Locale,
    /// The machine's name.
    Hostname,
    /// `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and their lower-case twins. Levels are URLs or none.
    Proxy,
    /// The API's base URL: in this variable, and in the placeholder of the factor's name.
    BaseUrl {
        /// Name of the variable, if the agent reads one.
        variable: Option<String>,
    },
    /// Name of the account: the passwd entry, `USER`, `LOGNAME`, and HOME unless that is a factor.
    User,
    /// `HOME`, an absolute path.
    Home,
    /// `TERM`.
    Terminal,
    /// The variables of a continuous-integration service.
    Ci,
    /// `SHELL` and the passwd entry's shell.
    Shell,
    /// The workspace folder, an absolute path.
    Cwd,
    /// Whether the workspace is a git repository: `repository` or none.
    Git,
    /// The resolver's search domain.
    DnsSearch,
    /// `/etc/machine-id`, 32 hex digits.
    MachineId,
    /// Number of processors that the agent sees.
    Cpus,
    /// How the run's certificate authority is trusted: `variables`, `system` or none (both are the default elsewhere).
    Trust,
    /// Any environment variable.
    Env {
        /// Its name.
        variable: String,
    },
    /// Any file's contents.
    File {
        /// Absolute, or below HOME.
        path: String,
    },
    /// A further argument at the end of the command, or at the placeholder of the factor's name.
    Argument,
}

/// One value of a factor. `None` is "unset": the variable, file or argument is not there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Level(pub Option<String>);

impl Level {
    /// A set level.
    #[must_use]
    pub fn set(value: impl Into<String>) -> Self {
        Self(Some(value.into()))
    }

    /// The value, `None` where unset.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// What people read: the value, or `(unset)`.
    #[must_use]
    pub fn label(&self) -> &str {
        self.0.as_deref().unwrap_or("(unset)")
    }
}

/// One thing of the environment that is varied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Factor {
    /// Name, unique in the scenario.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: FactorKind,
    /// At least two, all different; the first is the baseline.
    pub levels: Vec<Level>,
}
