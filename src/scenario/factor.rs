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
    /// What time it is: `now`, an offset such as `+30d`, or the instant at which the cell begins.
    Clock,
    /// Number of processors that the agent sees.
    Cpus,
    /// How the run's certificate authority is trusted: `variables`, `system` or none (both are the default elsewhere).
    Trust,
    /// What the machine looks like: `bare`, or `plausible`: a network interface with an address and a default route, and
    /// the variables of a terminal window on a desktop.
    Appearance,
    /// Which HTTP version the gateway agrees on under TLS, with a client that offers both: `1.1`, or `2`.
    HttpVersion,
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

/// Variables that name a file of certificates to trust, each for the runtimes and programs that read it: Node.js and Bun;
/// OpenSSL, Go and Rust's; Python's requests; curl; git; Deno; pip; the tools of AWS. `SSL_CERT_DIR` is not among them:
/// whoever reads it reads `SSL_CERT_FILE` too, and it wants a folder with names made of digests.
pub const TRUST_VARIABLES: [&str; 8] = [
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "DENO_CERT",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
];

/// Names that are factors by themselves, sorted. The last word on what a run did not vary.
pub const WELL_KNOWN: [&str; 19] = [
    "appearance",
    "base_url",
    "ci",
    "clock",
    "cpus",
    "cwd",
    "dns_search",
    "git",
    "home",
    "hostname",
    "http_version",
    "locale",
    "machine_id",
    "proxy",
    "shell",
    "terminal",
    "timezone",
    "trust",
    "user",
];

impl FactorKind {
    /// Its name in a scenario: `timezone`, `env`, …
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Timezone => "timezone",
            Self::Locale => "locale",
            Self::Hostname => "hostname",
            Self::Proxy => "proxy",
            Self::BaseUrl { .. } => "base_url",
            Self::User => "user",
            Self::Home => "home",
            Self::Terminal => "terminal",
            Self::Ci => "ci",
            Self::Shell => "shell",
            Self::Cwd => "cwd",
            Self::Git => "git",
            Self::DnsSearch => "dns_search",
            Self::MachineId => "machine_id",
            Self::Clock => "clock",
            Self::Cpus => "cpus",
            Self::Trust => "trust",
            Self::Appearance => "appearance",
            Self::HttpVersion => "http_version",
            Self::Env { .. } => "env",
            Self::File { .. } => "file",
            Self::Argument => "argument",
        }
    }

    /// The variables that its levels decide, which nothing else in a scenario may set.
    #[must_use]
    pub fn variables(&self) -> Vec<&str> {
        match self {
            Self::Timezone => vec!["TZ"],
            Self::Locale => vec!["LANG", "LC_ALL"],
            Self::Hostname => vec!["HOSTNAME"],
            Self::Proxy => {
                vec!["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
            }
            Self::BaseUrl { variable } => variable.iter().map(String::as_str).collect(),
            Self::User => vec!["USER", "LOGNAME"],
            Self::Home => vec!["HOME"],
            Self::Terminal => vec!["TERM"],
            Self::Ci => vec!["CI", "GITHUB_ACTIONS", "GITLAB_CI"],
            Self::Shell => vec!["SHELL"],
            Self::Cwd => vec!["PWD"],
            Self::Trust => TRUST_VARIABLES.to_vec(),
            Self::Appearance => {
                vec!["COLORFGBG", "COLORTERM", "DISPLAY", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "XDG_SESSION_TYPE"]
            }
            Self::Env { variable } => vec![variable],
            Self::Git
            | Self::DnsSearch
            | Self::MachineId
            | Self::Clock
            | Self::Cpus
            | Self::HttpVersion
            | Self::File { .. }
            | Self::Argument => vec![],
        }
    }

    /// The files outside of HOME and workspace that its levels decide.
    #[must_use]
    pub fn files(&self) -> Vec<&str> {
        match self {
            Self::Timezone => vec!["/etc/localtime", "/etc/timezone"],
            Self::User => vec!["/etc/passwd", "/etc/group"],
            Self::Home | Self::Shell => vec!["/etc/passwd"],
            Self::MachineId => vec!["/etc/machine-id"],
            Self::Clock => vec!["/etc/ld.so.preload", "/usr/local/lib/libtime.so"],
            Self::Trust => vec![
                "/etc/ssl/certs/ca-certificates.crt",
                "/usr/lib/ssl/cert.pem",
                "/usr/local/share/ca-certificates/local.crt",
            ],
            Self::File { path } => vec![path],
            _ => vec![],
        }
    }

    /// Whether a level of it may be "not there at all". A machine always has a zone, a name, an account and folders.
    #[must_use]
    pub fn can_be_unset(&self) -> bool {
        !matches!(
            self,
            Self::Timezone
                | Self::Hostname
                | Self::User
                | Self::Home
                | Self::Cwd
                | Self::Clock
                | Self::Appearance
                | Self::HttpVersion
        )
    }
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
