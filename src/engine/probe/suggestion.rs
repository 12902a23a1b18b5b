//! **Suggestions**: what an agent was seen to read, as factors for its scenario, ready to be pasted.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Discovery;
use super::reads::is_below;
use crate::scenario::TRUST_VARIABLES;

/// A factor that the scenario could have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// The factor's name.
    pub factor: String,
    /// What was seen.
    pub because: String,
    /// A section of a scenario.
    pub toml: String,
}

/// A well-known factor, what shows that it is read, and levels to begin with.
struct Known {
    name: &'static str,
    variables: &'static [&'static str],
    files: &'static [&'static str],
    machine: &'static [&'static str],
    levels: &'static str,
}

const fn known(
    name: &'static str,
    variables: &'static [&'static str],
    files: &'static [&'static str],
    machine: &'static [&'static str],
    levels: &'static str,
) -> Known {
    Known { name, variables, files, machine, levels }
}

const KNOWN: [Known; 16] = [
    known(
        "timezone",
        &["TZ"],
        &["/etc/localtime", "/etc/timezone", "/usr/share/zoneinfo"],
        &[],
        r#"["UTC", "America/New_York", "Asia/Tokyo"]"#,
    ),
    known(
        "locale",
        &["LANG", "LC_ALL", "LC_MESSAGES", "LC_CTYPE", "LC_TIME", "LANGUAGE"],
        &[],
        &[],
        r#"["en_US.UTF-8", "de_DE.UTF-8", "ja_JP.UTF-8"]"#,
    ),
    known(
        "hostname",
        &["HOSTNAME"],
        &["/etc/hostname", "/proc/sys/kernel/hostname"],
        &["host name"],
        r#"["workstation", "build-7"]"#,
    ),
    known(
        "proxy",
        &["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "NO_PROXY", "no_proxy"],
        &[],
        &[],
        r#"["none", "http://proxy.corp.example:3128"]"#,
    ),
    known("user", &["USER", "LOGNAME", "USERNAME"], &["/etc/passwd"], &[], r#"["dev", "alice"]"#),
    known("home", &["HOME"], &[], &[], r#"["/home/dev", "/srv/people/dev"]"#),
    known("terminal", &["TERM"], &[], &[], r#"["xterm-256color", "dumb"]"#),
    known("ci", &["CI", "GITHUB_ACTIONS", "GITLAB_CI"], &[], &[], r#"["none", "github", "gitlab"]"#),
    known("shell", &["SHELL"], &["/etc/shells"], &[], r#"["/bin/bash", "/bin/zsh"]"#),
    known("cwd", &["PWD"], &[], &["working folder"], r#"["/workspace", "/srv/app"]"#),
    known("git", &[], &["/workspace/.git"], &[], r#"["none", "repository"]"#),
    known("dns_search", &[], &["/etc/resolv.conf"], &[], r#"["none", "corp.example"]"#),
    known(
        "machine_id",
        &[],
        &["/etc/machine-id", "/var/lib/dbus/machine-id"],
        &[],
        r#"["5d1f2c9b7a3e4f60918273645a6b7c8d", "none"]"#,
    ),
    known("cpus", &[], &["/proc/cpuinfo", "/sys/devices/system/cpu"], &["processors"], r#"["none", 1]"#),
    known(
        "trust",
        &TRUST_VARIABLES,
        &["/etc/ssl/certs", "/usr/local/share/ca-certificates"],
        &[],
        r#"["both", "variables", "system"]"#,
    ),
    known(
        "appearance",
        &[
            "COLORTERM",
            "COLORFGBG",
            "TERM_PROGRAM",
            "TERM_PROGRAM_VERSION",
            "DISPLAY",
            "XDG_SESSION_TYPE",
            "XDG_CURRENT_DESKTOP",
        ],
        &["/sys/class/net", "/proc/net/dev", "/proc/net/route"],
        &[],
        r#"["bare", "plausible"]"#,
    ),
];

/// Variables of loaders, C libraries and language runtimes: what they change is the runtime, as a rule.
const RUNTIMES: [&str; 22] = [
    "LD_",
    "LC_",
    "NODE_",
    "NODE",
    "UV_",
    "V8_",
    "ICU_",
    "OPENSSL_",
    "SSL_",
    "PYTHON",
    "MALLOC_",
    "GLIBC_",
    "GCONV_",
    "LOCPATH",
    "NLSPATH",
    "RES_OPTIONS",
    "LOCALDOMAIN",
    "POSIXLY_CORRECT",
    "SIMDUTF_",
    "WATCH_REPORT_DEPENDENCIES",
    "PATH",
    "TMPDIR",
];

/// Factors that a scenario could have, the well-known ones first, then base URLs, variables that were asked for, files,
/// and variables that are only mentioned. `accepts` says whether a scenario would still be one with a section added:
/// what it pins or varies already is not suggested.
pub fn suggest(discovery: &Discovery, workspace: &str, home: &str, accepts: impl Fn(&str) -> bool) -> Vec<Suggestion> {
    let reads = &discovery.reads;
    // What git or a shell reads is theirs: the agent's own reads are what a scenario could vary.
    let own = reads.variables.iter().filter(|(_, read)| read.own);
    let asked: BTreeSet<&str> = own.map(|(name, _)| name.as_str()).collect();
    let every = asked.iter().copied().chain(discovery.mentioned.keys().map(String::as_str));
    let mut out: Vec<Suggestion> = Vec::new();
    let mut put = |factor: String, because: String, body: String| {
        let toml = format!("[factors.{factor}]\n{body}\n");
        if !out.iter().any(|other| other.factor == factor) && accepts(&toml) {
            out.push(Suggestion { factor, because, toml });
        }
    };
    for known in &KNOWN {
        let mut signs: Vec<String> = Vec::new();
        signs.extend(
            known
                .variables
                .iter()
                .filter(|name| reads.variables.contains_key(**name))
                .map(|name| format!("asks for {name}")),
        );
        let files = reads.files.keys().filter(|path| known.files.iter().any(|folder| is_below(path, folder)));
        signs.extend(files.take(2).map(|path| format!("looks at {path}")));
        signs.extend(
            known
                .machine
                .iter()
                .filter(|what| reads.machine.contains(*what))
                .map(|what| format!("asks for the {what}")),
        );
        if signs.is_empty() {
            let mentioned = known.variables.iter().filter(|name| discovery.mentioned.contains_key(**name));
            signs.extend(mentioned.map(|name| format!("mentions {name}")));
        }
        if !signs.is_empty() {
            signs.truncate(3);
            put(known.name.to_owned(), signs.join(", "), format!("levels = {}", known.levels));
        }
    }
    let names: Vec<&str> = every.filter(|name| is_agents(name)).collect();
    for name in names.iter().filter(|name| is_url(name)) {
        let body = format!(
            "kind = \"base_url\"\nvariable = \"{name}\"\nlevels = [{{ unset = true }}, \"http://gateway.example.com\"]"
        );
        put(name.to_lowercase(), how(discovery, name), body);
    }
    let variable = |name: &&&str| !is_url(name);
    let body = |name: &str| format!("kind = \"env\"\nvariable = \"{name}\"\nlevels = [{{ unset = true }}, \"1\"]");
    for name in names.iter().filter(variable).filter(|name| asked.contains(**name)) {
        put(name.to_lowercase(), how(discovery, name), body(name));
    }
    for (path, read) in &reads.files {
        let below = |folder: &str| is_below(path, folder) && path != folder;
        // What is there already is the scenario's own, or a folder's.
        if read.found
            || read.written
            || !(below(workspace) || below(home))
            || is_below(path, &format!("{workspace}/.git"))
        {
            continue;
        }
        let Some((stem, extension)) = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')) else { continue };
        let contents = match extension {
            "md" | "txt" | "mdc" => "Be brief.\n",
            "json" | "jsonc" => "{}\n",
            "toml" | "yaml" | "yml" | "ini" | "conf" | "cfg" => "# empty\n",
            _ => continue,
        };
        let name: String =
            format!("{stem}_{extension}").chars().filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect();
        let path = path.strip_prefix(&format!("{home}/")).unwrap_or(path);
        // What JSON calls a string is one for TOML too.
        let (path_text, contents) = (serde_json::json!(path), serde_json::json!(contents));
        let body = format!("kind = \"file\"\npath = {path_text}\nlevels = [{{ unset = true }}, {contents}]");
        put(format!("file_{}", name.to_lowercase()), format!("looks for {path}"), body);
    }
    for name in names.iter().filter(variable).filter(|name| !asked.contains(**name)) {
        put(name.to_lowercase(), how(discovery, name), body(name));
    }
    out
}

/// How a variable came to be known.
fn how(discovery: &Discovery, name: &str) -> String {
    match discovery.mentioned.get(name) {
        Some(file) => format!("mentioned in {file}"),
        None => format!("asks for {name}"),
    }
}

/// Whether a name is a variable's, and not one of a well-known factor or of a runtime.
fn is_agents(name: &str) -> bool {
    let good =
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.starts_with(|c: char| c.is_ascii_digit());
    let known = KNOWN.iter().any(|known| known.variables.contains(&name));
    let runtime = RUNTIMES.iter().any(|start| name == *start || (start.ends_with('_') && name.starts_with(start)));
    good && name.len() > 1 && name.len() <= 100 && !known && !runtime && !name.starts_with("PYTHON")
}

/// Whether a variable is likely to name an API's place.
fn is_url(name: &str) -> bool {
    ["BASE_URL", "API_BASE", "API_URL", "API_ENDPOINT", "ENDPOINT_URL", "API_HOST"]
        .iter()
        .any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::super::reads::{FileRead, Reads, VariableRead};
    use super::*;
    use crate::capture::Outcome;
    use crate::scenario::parse;

    const SCENARIO: &str = "name = 'x'\n[target]\nnpm = 'x'\ncommand = ['x']\nenv = { PINNED = '1' }\n\
                            [factors.timezone]\nlevels = ['UTC', 'Asia/Tokyo']\n";

    fn discovery() -> Discovery {
        let variables =
            ["TZ", "LANG", "REGION", "PINNED", "MY_BASE_URL", "NODE_OPTIONS", "GIT_TRACE", "bad name", "x=\"\n[y]"];
        let file = |path: &str, found| (path.to_owned(), FileRead { found, ..FileRead::default() });
        Discovery {
            target: String::from("x"),
            outcome: Outcome::Exited { code: 0 },
            complaint: None,
            reads: Reads {
                variables: variables
                    .map(|name| (name.to_owned(), VariableRead { own: name != "GIT_TRACE", ..VariableRead::default() }))
                    .into(),
                files: BTreeMap::from([
                    file("/workspace/AGENT.md", false),
                    file("/home/dev/.agent/set\"tings.json", false),
                    file("/workspace/README.md", true),
                    file("/etc/machine-id", true),
                ]),
                ..Reads::default()
            },
            mentioned: BTreeMap::from([(String::from("HIDDEN"), String::from("/opt/target/x.js"))]),
            names: BTreeSet::new(),
            hosts: BTreeMap::new(),
            connections: BTreeSet::new(),
            blind: Vec::new(),
        }
    }

    #[test]
    fn what_is_suggested_can_be_pasted_as_it_is() {
        let read = |more: &str| parse(&format!("{SCENARIO}\n{more}"), "t", Path::new("."), &[]);
        let suggestions = suggest(&discovery(), "/workspace", "/home/dev", |toml| read(toml).is_ok());
        let names: Vec<&str> = suggestions.iter().map(|suggestion| suggestion.factor.as_str()).collect();
        let expected =
            ["locale", "machine_id", "my_base_url", "region", "file_settings_json", "file_agent_md", "hidden"];
        assert_eq!(names, expected);
        let all: String = suggestions.iter().map(|suggestion| suggestion.toml.as_str()).collect();
        let scenario = read(&all).unwrap_or_else(|error| panic!("{error}\n{all}"));
        assert_eq!(scenario.factors.len(), 1 + expected.len());
        assert_eq!(suggestions[6].because, "mentioned in /opt/target/x.js");
    }
}
