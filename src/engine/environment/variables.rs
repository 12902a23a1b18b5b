//! The variables of one cell: pins, then what the target needs, then the scenario's own, then the factors'.

use std::collections::BTreeMap;

use super::Context;
use super::files::CA_FILE;
use super::surroundings::Surroundings;
use crate::cell::Assignment;
use crate::scenario::{FactorKind, Scenario, TRUST_VARIABLES};

/// Where programs are, behind the target's own folders.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a terminal window on a desktop sets: a program that looks for somebody in front of it looks for these.
const DESKTOP: [(&str, &str); 6] = [
    ("COLORFGBG", "15;0"),
    ("COLORTERM", "truecolor"),
    ("DISPLAY", ":0"),
    ("TERM_PROGRAM", "WezTerm"),
    ("TERM_PROGRAM_VERSION", "20240203-110809-5046fc22"),
    ("XDG_SESSION_TYPE", "x11"),
];

/// All variables of one cell.
pub(super) fn variables(
    scenario: &Scenario,
    levels: &Assignment,
    around: &Surroundings<'_>,
    context: &Context,
) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut set = |name: &str, value: &str| variables.insert(name.to_owned(), value.to_owned());
    set("PATH", &context.search.iter().map(String::as_str).chain([PATH]).collect::<Vec<_>>().join(":"));
    set("TZ", around.timezone);
    set("HOSTNAME", around.hostname);
    set("USER", around.user);
    set("LOGNAME", around.user);
    set("HOME", &around.home);
    set("PWD", &around.workspace);
    for (names, value) in [
        (&["LANG", "LC_ALL"][..], around.locale),
        (&["TERM"], around.terminal),
        (&["SHELL"], around.shell),
        (&["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"], around.proxy),
        (&TRUST_VARIABLES, around.trust.variables.then_some(CA_FILE)),
    ] {
        for (name, value) in names.iter().zip(std::iter::repeat(value)) {
            if let Some(value) = value {
                set(name, value);
            }
        }
    }
    for (name, value) in ci(around) {
        set(name, &value);
    }
    if around.plausible {
        variables.extend(DESKTOP.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    variables.extend(context.variables.clone());
    variables.extend(scenario.target.env.iter().map(|(name, value)| (name.clone(), around.fill(value))));
    for (index, factor) in scenario.factors.iter().enumerate() {
        let (FactorKind::Env { variable } | FactorKind::BaseUrl { variable: Some(variable) }) = &factor.kind else {
            continue;
        };
        match scenario.level(index, levels).value() {
            Some(value) => variables.insert(variable.clone(), value.to_owned()),
            None => variables.remove(variable),
        };
    }
    variables
}

/// What a service of continuous integration sets: the variables by which programs know it.
fn ci(around: &Surroundings<'_>) -> Vec<(&'static str, String)> {
    let fixed =
        |pairs: &[(&'static str, &str)]| pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let workspace = around.workspace.clone();
    match around.ci {
        Some("github") => {
            let mut variables: Vec<_> = fixed(&[
                ("CI", "true"),
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_ACTOR", "octocat"),
                ("GITHUB_API_URL", "https://api.github.com"),
                ("GITHUB_EVENT_NAME", "push"),
                ("GITHUB_JOB", "build"),
                ("GITHUB_REF", "refs/heads/main"),
                ("GITHUB_REF_NAME", "main"),
                ("GITHUB_REPOSITORY", "octocat/widgets"),
                ("GITHUB_RUN_ATTEMPT", "1"),
                ("GITHUB_RUN_ID", "7154203812"),
                ("GITHUB_RUN_NUMBER", "41"),
                ("GITHUB_SERVER_URL", "https://github.com"),
                ("GITHUB_SHA", "4f1c2d3e5a6b708192a3b4c5d6e7f8091a2b3c4d"),
                ("GITHUB_WORKFLOW", "build"),
                ("RUNNER_ARCH", "X64"),
                ("RUNNER_NAME", "runner-1"),
                ("RUNNER_OS", "Linux"),
            ]);
            variables.push(("GITHUB_WORKSPACE", workspace));
            variables
        }
        Some("gitlab") => {
            let mut variables: Vec<_> = fixed(&[
                ("CI", "true"),
                ("GITLAB_CI", "true"),
                ("CI_COMMIT_BRANCH", "main"),
                ("CI_COMMIT_SHA", "4f1c2d3e5a6b708192a3b4c5d6e7f8091a2b3c4d"),
                ("CI_JOB_ID", "715420381"),
                ("CI_JOB_NAME", "build"),
                ("CI_JOB_STAGE", "build"),
                ("CI_PIPELINE_ID", "41382"),
                ("CI_PROJECT_NAME", "widgets"),
                ("CI_PROJECT_PATH", "group/widgets"),
                ("CI_SERVER", "yes"),
                ("CI_SERVER_NAME", "GitLab"),
                ("CI_SERVER_URL", "https://gitlab.com"),
            ]);
            variables.push(("CI_PROJECT_DIR", workspace));
            variables
        }
        Some(_) => fixed(&[("CI", "true")]),
        None => Vec::new(),
    }
}
