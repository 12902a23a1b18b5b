//! A difference shown **by hand**: plain shell commands that run the agent in the baseline's and in the variant's
//! environment without this program, for a reader who trusts neither it nor its statistics. A stub of a few lines prints
//! what the agent sends. Pure: from a manifest and two cells to text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use super::dummies;
use crate::cell::Assignment;
use crate::engine::environment::{Context, Environment, Node, realise};
use crate::finding::{ByHand, Finding};
use crate::scenario::{FactorKind, Scenario, Source, TRUST_VARIABLES};
use crate::store::Manifest;

/// Answers and prints requests: 40 lines of Python with nothing but its standard library.
const STUB: &str = include_str!("stub.py");
/// Variables that the container or the shell sets by itself.
const OWN: [&str; 3] = ["PATH", "PWD", "HOSTNAME"];
/// Public images: the runtime of a target, and Python for the stub.
const PYTHON: &str = "python:3.11-bookworm";
/// Longer commands are no longer read by anyone.
const LONGEST: usize = 12_000;

/// How the commands make an environment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Docker,
    Namespaces,
}

/// The commands for a finding; `None` where they could not show it: the agent is not sent to a plain-HTTP address, or what
/// a factor of the finding stands for takes more than a command.
#[must_use]
pub fn by_hand(manifest: &Manifest, finding: &Finding, baseline: &Assignment, variant: &Assignment) -> Option<ByHand> {
    let scenario = dummies::fill(&manifest.scenario);
    let way = if manifest.engine.starts_with("docker") { Way::Docker } else { Way::Namespaces };
    let source = &scenario.target.source;
    if [baseline, variant].iter().any(|levels| !fits(&scenario, levels))
        || (way == Way::Namespaces && matches!(source, Source::Image { .. }))
        || manifest.engine.starts_with("exec")
    {
        return None;
    }
    let out_of_reach = |kind: &FactorKind| match kind {
        FactorKind::MachineId
        | FactorKind::DnsSearch
        | FactorKind::Trust
        | FactorKind::Clock
        | FactorKind::HttpVersion => true,
        FactorKind::Cpus | FactorKind::Cwd => way == Way::Namespaces,
        _ => false,
    };
    let own = |name: &String| scenario.factors.iter().any(|known| known.name == *name && out_of_reach(&known.kind));
    if finding.factors.iter().any(own) {
        return None;
    }
    let context = Context::default();
    let sides = [baseline, variant].map(|levels| realise(&scenario, levels, &context));
    let [baseline, variant] = sides.each_ref().map(|environment| side(manifest, &scenario, environment, way));
    let (baseline, variant) = (baseline?, variant?);
    let mut leaves_out =
        vec![String::from("answers: the stub refuses every request, so only what is sent first is seen")];
    leaves_out.push(String::from("TLS: requests to https addresses do not arrive"));
    leaves_out.push(match way {
        Way::Docker => {
            String::from("files outside of the home and working folders, such as /etc/passwd and /etc/localtime")
        }
        Way::Namespaces => String::from("all files of the machine, which are there; home is below /mnt"),
    });
    leaves_out
        .extend(scenario.factors.iter().filter(|factor| out_of_reach(&factor.kind)).map(|factor| factor.name.clone()));
    let shown = ByHand {
        prepare: prepare(manifest, &scenario, way),
        baseline: format!("{baseline} > baseline.txt"),
        variant: format!("{variant} > variant.txt"),
        compare: format!("diff baseline.txt variant.txt{}", look_for(finding)),
        leaves_out,
    };
    (shown.baseline.len() + shown.variant.len() <= LONGEST).then_some(shown)
}

/// The variant's characters beyond ASCII as the stub prints them, as a comment.
fn look_for(finding: &Finding) -> String {
    let points = finding.excerpt.codepoints.iter().filter(|point| point.side == "variant");
    let codes = points.filter_map(|point| u16::from_str_radix(point.codepoint.trim_start_matches("U+"), 16).ok());
    let shown: Vec<String> = codes.filter(|code| *code > 0x7e).take(4).map(|code| format!("\\u{code:04x}")).collect();
    if shown.is_empty() { String::new() } else { format!("   # look for {}", shown.join(" and ")) }
}

/// Whether these are levels of this scenario: they may come from a file.
fn fits(scenario: &Scenario, levels: &Assignment) -> bool {
    levels.0.len() == scenario.factors.len()
        && scenario.factors.iter().zip(&levels.0).all(|(factor, level)| usize::from(*level) < factor.levels.len())
}

/// What the two commands need: the stub, and the agent.
fn prepare(manifest: &Manifest, scenario: &Scenario, way: Way) -> Vec<String> {
    let version = |asked: &str| manifest.target.version.clone().unwrap_or_else(|| asked.to_owned());
    let stub = format!("cat > stub.py <<'END'\n{STUB}END");
    let agent = match (&scenario.target.source, way) {
        (Source::Npm { package, version: asked }, Way::Docker) => Some(image(
            &format!("node:{}-bookworm", scenario.target.node),
            &format!("npm install --global {}", quote(&format!("{package}@{}", version(asked)))),
        )),
        (Source::Npm { package, version: asked }, Way::Namespaces) => {
            Some(format!("npm install --prefix agent {}", quote(&format!("{package}@{}", version(asked)))))
        }
        (Source::Pypi { package, version: asked }, Way::Docker) => Some(image(
            &python_image(manifest, scenario),
            &format!("pip install {}", quote(&format!("{package}=={}", version(asked)))),
        )),
        (Source::Pypi { package, version: asked }, Way::Namespaces) => Some(format!(
            "{} -m venv agent && agent/bin/pip install {}",
            python_program(scenario),
            quote(&format!("{package}=={}", version(asked)))
        )),
        (Source::Image { .. } | Source::Local { .. }, _) => None,
    };
    std::iter::once(stub).chain(agent).collect()
}

/// The published image of the Python that the target ran on.
fn python_image(manifest: &Manifest, scenario: &Scenario) -> String {
    let ran = manifest.target.runtime.as_deref().and_then(|ran| ran.strip_prefix("Python "));
    let version = scenario.target.python.as_deref().or(ran);
    let minor: Option<Vec<&str>> = version.map(|version| version.split('.').take(2).collect());
    minor.map_or_else(|| PYTHON.to_owned(), |minor| format!("python:{}-bookworm", minor.join(".")))
}

/// What a Python of the version that the scenario asks for is called.
fn python_program(scenario: &Scenario) -> String {
    format!("python{}", scenario.target.python.as_deref().unwrap_or("3"))
}

/// Builds an image of one step on a public one.
fn image(from: &str, step: &str) -> String {
    format!("docker build --tag agent-by-hand - <<'END'\nFROM {from}\nRUN {step}\nEND")
}

/// One side: the agent in this environment, with the stub behind every address that it is given.
fn side(manifest: &Manifest, scenario: &Scenario, environment: &Environment, way: Way) -> Option<String> {
    let variables: BTreeMap<&String, &String> = environment
        .variables
        .iter()
        .filter(|(name, _)| {
            let said = scenario.target.env.contains_key(*name);
            // There is no certificate of the run here that they could name.
            !OWN.contains(&name.as_str()) && (said || !TRUST_VARIABLES.contains(&name.as_str()))
        })
        .collect();
    let (hosts, ports) = addresses(variables.values().map(|value| value.as_str()), &environment.command);
    if hosts.is_empty() {
        return None;
    }
    let seconds = scenario.target.timeout.as_secs().max(1);
    let ports = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(" ");
    match way {
        Way::Docker => docker(manifest, scenario, environment, &variables, (&hosts, &ports, seconds)),
        Way::Namespaces => Some(namespaces(manifest, scenario, environment, &variables, (&hosts, &ports, seconds))),
    }
}

fn docker(
    manifest: &Manifest,
    scenario: &Scenario,
    environment: &Environment,
    variables: &BTreeMap<&String, &String>,
    (hosts, ports, seconds): (&BTreeSet<String>, &str, u64),
) -> Option<String> {
    let user = &environment.user;
    let own = format!(":exec,uid={},gid={}", user.uid, user.gid);
    let mut words = vec![format!(
        "docker run --rm --network none --hostname {} --user {}:{}",
        quote(&environment.hostname),
        user.uid,
        user.gid
    )];
    // A folder that is mounted over would hide what stands in it.
    if environment.workdir == "/" || user.home == "/" {
        return None;
    }
    words.push(format!(
        "--tmpfs {} --tmpfs {} --workdir {}",
        quote(&format!("{}{own}", user.home)),
        quote(&format!("{}{own}", environment.workdir)),
        quote(&environment.workdir)
    ));
    if let Some(cpus) = environment.cpus {
        words.push(format!("--cpuset-cpus 0-{}", cpus.saturating_sub(1)));
    }
    words.extend(hosts.iter().map(|host| format!("--add-host {}", quote(&format!("{host}:127.0.0.1")))));
    words.extend(variables.iter().map(|(name, value)| format!("--env {}", quote(&format!("{name}={value}")))));
    words.push(String::from("--volume \"$PWD/stub.py:/stub.py:ro\""));
    let image = match &scenario.target.source {
        Source::Image { reference } => quote(reference),
        Source::Local { include } => {
            let program = scenario.target.command.first().filter(|word| word.contains('/'));
            for path in program.map(Path::new).into_iter().chain(include.iter().map(std::path::PathBuf::as_path)) {
                let name = path.file_name()?.to_str()?;
                words.push(format!(
                    "--volume {}:{}:ro",
                    on_this_machine(manifest, path)?,
                    quote(&format!("/usr/local/bin/{name}"))
                ));
            }
            python_image(manifest, scenario)
        }
        Source::Npm { .. } | Source::Pypi { .. } => String::from("agent-by-hand"),
    };
    let inner =
        format!("{}python3 /stub.py {ports} & sleep 2; timeout {seconds} \"$@\" >&2; true", laid(environment, ""));
    let command = environment.command.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
    // The program that the image would start by itself is not what is to be run.
    words.push(format!("--init --entrypoint sh {image} -c {} sh {command}", quote(&inner)));
    Some(words.join(" \\\n  "))
}

fn namespaces(
    manifest: &Manifest,
    scenario: &Scenario,
    environment: &Environment,
    variables: &BTreeMap<&String, &String>,
    (hosts, ports, seconds): (&BTreeSet<String>, &str, u64),
) -> String {
    const ROOT: &str = "/mnt";
    let user = &environment.user;
    let names = hosts.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let search = match &scenario.target.source {
        Source::Npm { .. } => "$PWD/agent/node_modules/.bin:",
        Source::Pypi { .. } => "$PWD/agent/bin:",
        _ => "",
    };
    let mut command = environment.command.clone();
    let local = scenario.target.command.first().filter(|word| word.contains('/')).map(Path::new);
    let program = match (&scenario.target.source, local) {
        (Source::Local { .. }, Some(path)) => on_this_machine(manifest, path),
        _ => None,
    };
    if program.is_some() && !command.is_empty() {
        command.remove(0);
    }
    let words = program.into_iter().chain(command.iter().map(|word| quote(word))).collect::<Vec<_>>().join(" ");
    let inner = format!(
        "set -e; ip link set lo up; hostname \"$1\"; hosts=$(mktemp); echo \"127.0.0.1 localhost $1 {names}\" > \"$hosts\"; \
         mount --bind \"$hosts\" /etc/hosts; rm \"$hosts\"; mount -t tmpfs tmpfs {ROOT}; shift; {}python3 stub.py {ports} & sleep 2; \
         set +e; timeout {seconds} \"$@\" >&2; true",
        laid(environment, ROOT)
    );
    let mut lines = vec![
        String::from("unshare --user --map-root-user --net --uts --mount --pid --fork --mount-proc"),
        format!("bash -c {} bash {}", quote(&inner), quote(&environment.hostname)),
        format!("env -i PATH=\"{search}$PATH\" HOSTNAME={}", quote(&environment.hostname)),
    ];
    lines.extend(variables.iter().map(|(name, value)| {
        let value = if name.as_str() == "HOME" { format!("{ROOT}{}", user.home) } else { (*value).clone() };
        quote(&format!("{name}={value}"))
    }));
    lines.push(words);
    lines.join(" \\\n  ")
}

/// Shell commands that put the files of the home and working folders there.
fn laid(environment: &Environment, root: &str) -> String {
    let below = |path: &str, folder: &str| {
        path == folder || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    };
    let mut commands = String::new();
    for file in &environment.files {
        if !below(&file.path, &environment.user.home) && !below(&file.path, &environment.workdir) {
            continue;
        }
        let path = quote(&format!("{root}{}", file.path));
        match &file.node {
            Node::Folder => {
                let _ = write!(commands, "mkdir -p {path}; ");
            }
            Node::File(bytes) => {
                let _ = write!(commands, "printf %b {} > {path}; ", quote(&escaped(bytes)));
            }
            Node::Link(_) | Node::Zone(_) | Node::Clock(_) => {}
        }
    }
    commands
}

/// Bytes as `printf %b` of every shell reads them, in printable ASCII.
fn escaped(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(*byte)),
            byte => {
                let _ = write!(out, "\\0{byte:03o}");
            }
        }
    }
    out
}

/// A file of the scenario's as a word of the shell: relative paths begin at the scenario's folder.
fn on_this_machine(manifest: &Manifest, path: &Path) -> Option<String> {
    let folder = Path::new(&manifest.scenario_path).parent().unwrap_or(Path::new(""));
    let path = folder.join(path.strip_prefix("./").unwrap_or(path));
    let text = path.to_str()?;
    Some(if path.is_absolute() { quote(text) } else { format!("\"$PWD\"/{}", quote(text)) })
}

/// The hosts and ports of all plain-HTTP addresses in these texts. Port 80 is always among them.
fn addresses<'a>(variables: impl Iterator<Item = &'a str>, command: &'a [String]) -> (BTreeSet<String>, BTreeSet<u16>) {
    let (mut hosts, mut ports) = (BTreeSet::new(), BTreeSet::from([80]));
    for text in variables.chain(command.iter().map(String::as_str)) {
        for (at, found) in text.match_indices("http://") {
            let rest = &text[at + found.len()..];
            let authority = rest.split(|c: char| "/?#\"' ,".contains(c)).next().unwrap_or("");
            let authority = authority.rsplit('@').next().unwrap_or("");
            let (host, port) = match authority.rsplit_once(':') {
                Some((host, port)) => (host, port.parse().ok()),
                None => (authority, Some(80)),
            };
            let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            if let (Some(port), true, false) = (port, host.chars().all(good), host.is_empty()) {
                hosts.insert(host.to_owned());
                ports.insert(port);
            }
        }
    }
    (hosts, ports)
}

/// A word for the shell, in printable ASCII whatever is in it.
#[must_use]
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    if text.chars().all(|c| matches!(c, ' '..='~')) {
        return format!("'{}'", text.replace('\'', "'\\''"));
    }
    // What is not printable is written by its bytes, as bash and zsh read them.
    let mut out = String::from("$'");
    for byte in text.bytes() {
        match byte {
            b'\'' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=b'~' => out.push(char::from(byte)),
            // Octal, always of three digits: a hexadecimal escape would swallow a digit behind it.
            byte => {
                let _ = write!(out, "\\{byte:03o}");
            }
        }
    }
    out + "'"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;

    fn manifest(engine: &str, text: &str) -> Manifest {
        let scenario = parse(text, "x.toml", Path::new("."), &[]).unwrap();
        let mut manifest = crate::report::testing::manifest();
        manifest.engine = engine.into();
        manifest.scenario_path = "scenarios/x.toml".into();
        manifest.scenario = scenario;
        manifest
    }

    const SCENARIO: &str = "name = 'x'\n[target]\nnpm = '@a/agent'\nversion = '1.2.3'\ncommand = ['agent', '-p', '{prompt}']\n\
        prompt = \"don't\"\n[factors.timezone]\nlevels = ['UTC', 'Asia/Tokyo']\n[factors.base_url]\nvariable = 'BASE'\n\
        levels = ['http://a.example', 'http://b.example:8080/v1', 'https://c.example']\n\
        [factors.machine_id]\nlevels = ['00000000000000000000000000000001', 'none']\n";

    fn shown(engine: &str, factors: &[&str], variant: &[u16]) -> Option<ByHand> {
        let mut finding = crate::report::testing::finding();
        finding.factors = factors.iter().map(|name| (*name).to_owned()).collect();
        by_hand(&manifest(engine, SCENARIO), &finding, &Assignment(vec![0, 0, 0]), &Assignment(variant.to_vec()))
    }

    #[test]
    fn a_container_is_given_what_the_cell_had() {
        let shown = shown("docker 27", &["timezone"], &[1, 1, 0]).unwrap();
        assert!(shown.prepare[1].contains("RUN npm install --global @a/agent@1.2.3"), "{}", shown.prepare[1]);
        for part in [
            "--network none",
            "--env TZ=Asia/Tokyo",
            "--env BASE=http://b.example:8080/v1",
            "--add-host b.example:127.0.0.1",
            "python3 /stub.py 80 8080 &",
            "sh agent -p 'don'\\''t' > variant.txt",
        ] {
            assert!(shown.variant.contains(part), "{part} is missing in\n{}", shown.variant);
        }
        assert!(shown.baseline.contains("--env TZ=UTC") && !shown.baseline.contains("SSL_CERT_FILE"));
        assert!(shown.leaves_out.contains(&String::from("machine_id")));
    }

    #[test]
    fn a_python_package_gets_the_python_that_it_ran_on() {
        let pypi = |more: &str| SCENARIO.replace("npm = '@a/agent'", &format!("pypi = 'agent'\n{more}"));
        let agent = |more: &str, runtime: Option<&str>, way| {
            let mut manifest = manifest("docker 27", &pypi(more));
            manifest.target.runtime = runtime.map(str::to_owned);
            prepare(&manifest, &manifest.scenario, way)[1].clone()
        };
        assert!(agent("", Some("Python 3.13.5"), Way::Docker).contains("FROM python:3.13-bookworm\n"));
        assert!(agent("python = '3.12'", None, Way::Docker).contains("FROM python:3.12-bookworm\n"));
        assert!(agent("", None, Way::Docker).contains("FROM python:3.11-bookworm\n"));
        assert!(agent("python = '3.12'", None, Way::Namespaces).starts_with("python3.12 -m venv agent"));
        assert!(agent("", None, Way::Namespaces).starts_with("python3 -m venv agent"));
    }

    #[test]
    fn nothing_is_shown_that_would_not_show_it() {
        assert_eq!(shown("docker 27", &["machine_id"], &[0, 0, 1]), None, "a factor that the commands leave out");
        assert_eq!(shown("docker 27", &["base_url"], &[0, 2, 0]), None, "an address that the stub cannot answer");
        assert_eq!(shown("docker 27", &["timezone"], &[9, 0, 0]), None, "a level that there is not");
        assert_eq!(shown("exec farm", &["timezone"], &[1, 0, 0]), None);
    }

    #[test]
    fn words_come_through_a_shell_as_they_are() {
        for word in [
            "a",
            "",
            "two words",
            "it's $HOME `x` \\n",
            "line\nend\t\u{1b}[31m7",
            "\u{2bc}\u{200b}日本1",
            "-n",
            "~",
            "#",
            "*",
        ] {
            let quoted = quote(word);
            assert!(quoted.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{quoted}");
            let Ok(said) = std::process::Command::new("bash").args(["-c", &format!("printf %s {quoted}")]).output()
            else {
                return;
            };
            if word != "-n" {
                assert_eq!(String::from_utf8(said.stdout).unwrap(), word, "{quoted}");
            }
        }
    }
}
