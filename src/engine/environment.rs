//! A cell's **environment** as an engine makes it real: variables, files, names and a command. Pure.
//!
//! [`realise`] turns levels into an [`Environment`]. Whatever a scenario does not vary is pinned here, to the same value
//! on every machine, so that what differs between two cells is what the design says and nothing else.

mod clock;
mod command;
mod files;
mod surroundings;
mod variables;

use std::collections::BTreeMap;

use crate::cell::Assignment;
use crate::scenario::{ClockSetting, Scenario};
use surroundings::Surroundings;

pub use clock::{can_be_set as clock_can_be_set, library as clock_library};

/// What a run pins beside the scenario, the same in all of its cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Certificate of the run's authority, PEM.
    pub ca_certificate_pem: String,
    /// Folders of the installed target that go first into PATH.
    pub search: Vec<String>,
    /// Variables that the installed target needs.
    pub variables: BTreeMap<String, String>,
    /// Address of the gateway's resolver, for `/etc/resolv.conf`. `None` where the engine writes that file itself.
    pub resolver: Option<String>,
}

/// Makes the levels of one cell real. The same arguments always give the same environment.
///
/// # Panics
/// If `levels` are not an assignment of this scenario.
#[must_use]
pub fn realise(scenario: &Scenario, levels: &Assignment, context: &Context) -> Environment {
    let around = Surroundings::of(scenario, levels);
    Environment {
        variables: variables::variables(scenario, levels, &around, context),
        files: files::files(scenario, levels, &around, context),
        hostname: around.hostname.to_owned(),
        dns_search: around.dns_search.map(String::from),
        user: User {
            name: around.user.to_owned(),
            uid: UID,
            gid: UID,
            home: around.home.clone(),
            shell: around.shell.unwrap_or(SHELL).to_owned(),
        },
        workdir: around.workspace.clone(),
        command: command::command(scenario, levels, &around),
        cpus: around.cpus,
        interface: around.plausible,
        http2: around.http2,
    }
}

/// The levels of one cell by factor name, `None` where unset: what manifests say and external engines are told.
///
/// # Panics
/// If `levels` are not an assignment of this scenario.
#[must_use]
pub fn materialised(scenario: &Scenario, levels: &Assignment) -> BTreeMap<String, Option<String>> {
    let values = scenario.factors.iter().enumerate();
    values.map(|(index, factor)| (factor.name.clone(), scenario.level(index, levels).0.clone())).collect()
}

/// User and group id of the agent's account inside the pod.
const UID: u32 = 1000;

/// The account's shell where nothing says otherwise.
const SHELL: &str = "/bin/bash";

/// The environment of one cell, complete: an engine adds nothing that an agent could see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// All variables, PATH included.
    pub variables: BTreeMap<String, String>,
    /// Files to lay over the image before the start, sorted, so that parents stand before children. Folders that every
    /// system has (`/etc`, `/usr/share`, `/home`, …) are not among them: laying them would change what they are.
    pub files: Vec<PodFile>,
    /// The machine's name.
    pub hostname: String,
    /// The resolver's search domain.
    pub dns_search: Option<String>,
    /// The account.
    pub user: User,
    /// Working folder, absolute.
    pub workdir: String,
    /// Argument vector; the first is found by PATH unless it has a slash.
    pub command: Vec<String>,
    /// Processors to show, if limited.
    pub cpus: Option<u32>,
    /// Whether the machine shows a network interface beside `lo`. Whatever is sent ends at the gateway all the same.
    pub interface: bool,
    /// Whether the gateway agrees on HTTP/2 with clients that offer it beside HTTP/1.1.
    pub http2: bool,
}

/// The account that the agent runs under. Always unprivileged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// User id inside the pod.
    pub uid: u32,
    /// Group id inside the pod.
    pub gid: u32,
    /// Home folder, absolute.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

/// A file, folder or link laid into the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFile {
    /// Absolute path inside the pod, normalised (no `..`).
    pub path: String,
    /// What stands there.
    pub node: Node,
    /// Permission bits.
    pub mode: u32,
    /// Whether it belongs to the agent's account; else to root.
    pub owned_by_user: bool,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder,
    /// A file with this content.
    File(Vec<u8>),
    /// A symbolic link.
    Link(String),
    /// The zone file of this IANA name, from the machine's time-zone database (the engine reads it).
    Zone(String),
    /// The library that sets the clock of the cell's programs ([`clock_library`]; the engine makes it when the cell begins).
    Clock(ClockSetting),
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scenario::parse;

    fn context() -> Context {
        Context {
            ca_certificate_pem: String::from("-----CA-----\n"),
            search: vec![String::from("/opt/target/bin")],
            variables: BTreeMap::from([(String::from("PYTHONPATH"), String::from("/opt/target/lib"))]),
            resolver: Some(String::from("10.0.0.53")),
        }
    }

    fn scenario(target: &str, factors: &str) -> Scenario {
        let text = format!("name = 'x'\n[target]\nnpm = 'x'\n{target}\n{factors}");
        parse(&text, "test.toml", Path::new("."), &[])
            .unwrap_or_else(|error| panic!("{error}: {:?}", error.underlined()))
    }

    /// The environment of each level of the only factor.
    fn of(factor: &str) -> Vec<Environment> {
        let scenario = scenario("command = ['x', '-p', '{prompt}']", factor);
        let count = u16::try_from(scenario.factors[0].levels.len()).unwrap();
        (0..count).map(|level| realise(&scenario, &Assignment(vec![level]), &context())).collect()
    }

    fn node<'a>(environment: &'a Environment, path: &str) -> Option<&'a PodFile> {
        environment.files.iter().find(|file| file.path == path)
    }

    fn text(environment: &Environment, path: &str) -> Option<String> {
        match &node(environment, path)?.node {
            Node::File(bytes) => Some(String::from_utf8(bytes.clone()).unwrap()),
            _ => None,
        }
    }

    fn variable<'a>(environment: &'a Environment, name: &str) -> Option<&'a str> {
        environment.variables.get(name).map(String::as_str)
    }

    #[test]
    fn what_is_not_varied_is_pinned() {
        let cell = &of("[factors.x]\nkind = 'env'\nvariable = 'X'\nlevels = ['1', '2']")[0];
        let expected = [
            ("PATH", "/opt/target/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("TZ", "UTC"),
            ("LANG", "en_US.UTF-8"),
            ("LC_ALL", "en_US.UTF-8"),
            ("HOME", "/home/dev"),
            ("USER", "dev"),
            ("LOGNAME", "dev"),
            ("SHELL", "/bin/bash"),
            ("TERM", "xterm-256color"),
            ("PWD", "/workspace"),
            ("HOSTNAME", "workstation"),
            ("PYTHONPATH", "/opt/target/lib"),
            ("NODE_EXTRA_CA_CERTS", "/usr/local/share/ca-certificates/local.crt"),
            ("SSL_CERT_FILE", "/usr/local/share/ca-certificates/local.crt"),
            ("REQUESTS_CA_BUNDLE", "/usr/local/share/ca-certificates/local.crt"),
            ("CURL_CA_BUNDLE", "/usr/local/share/ca-certificates/local.crt"),
            ("GIT_SSL_CAINFO", "/usr/local/share/ca-certificates/local.crt"),
            ("DENO_CERT", "/usr/local/share/ca-certificates/local.crt"),
            ("PIP_CERT", "/usr/local/share/ca-certificates/local.crt"),
            ("AWS_CA_BUNDLE", "/usr/local/share/ca-certificates/local.crt"),
            ("X", "1"),
        ];
        let expected: BTreeMap<String, String> = expected.map(|(name, value)| (name.into(), value.into())).into();
        assert_eq!(cell.variables, expected);
        assert_eq!((cell.hostname.as_str(), cell.workdir.as_str()), ("workstation", "/workspace"));
        assert_eq!((cell.dns_search.as_deref(), cell.cpus), (None, None));
        assert_eq!((cell.user.uid, cell.user.gid, cell.user.shell.as_str()), (1000, 1000, "/bin/bash"));
        assert_eq!(cell.command, ["x", "-p", "Reply with OK."]);
        assert_eq!(text(cell, "/etc/resolv.conf").unwrap(), "nameserver 10.0.0.53\n");
        assert_eq!(text(cell, "/etc/machine-id").unwrap().len(), 33);
        assert_eq!(text(cell, "/usr/local/share/ca-certificates/local.crt").unwrap(), "-----CA-----\n");
        assert_eq!(text(cell, "/etc/ssl/certs/ca-certificates.crt").unwrap(), "-----CA-----\n");
        let link = Node::Link(String::from("/etc/ssl/certs/ca-certificates.crt"));
        assert_eq!(node(cell, "/usr/lib/ssl/cert.pem").unwrap().node, link);
        assert!(text(cell, "/workspace/README.md").is_some() && node(cell, "/workspace/.git").is_none());
    }

    #[test]
    fn nothing_that_an_agent_sees_names_this_program() {
        for cell in of("[factors.git]\nlevels = ['none', 'repository']") {
            assert!(!format!("{cell:?}").to_lowercase().contains("parallax"));
        }
    }

    #[test]
    fn parents_stand_before_children_and_owners_are_sensible() {
        let scenario = scenario(
            "command = ['x']\nfiles = { '.config/a/b.json' = '', '/srv/data/x' = '', '/tmp/y' = '' }",
            "[factors.git]\nlevels = ['repository', 'none']",
        );
        let cell = realise(&scenario, &Assignment(vec![0]), &context());
        let paths: Vec<&str> = cell.files.iter().map(|file| file.path.as_str()).collect();
        for (index, path) in paths.iter().enumerate() {
            let parent = Path::new(path).parent().unwrap().to_str().unwrap();
            let standing =
                ["/", "/etc", "/home", "/usr/lib", "/usr/share", "/usr/local/share", "/srv", "/tmp"].contains(&parent);
            assert!(standing || paths[..index].contains(&parent), "{path} has no parent");
            assert!(index == 0 || paths[index - 1] < *path, "{path} is not sorted");
        }
        for own in
            ["/home/dev", "/home/dev/.config", "/home/dev/.config/a/b.json", "/workspace", "/workspace/.git/HEAD"]
        {
            assert!(node(&cell, own).unwrap().owned_by_user, "{own}");
        }
        for root in ["/etc/passwd", "/srv/data", "/srv/data/x", "/tmp/y", "/usr/share/zoneinfo"] {
            assert!(!node(&cell, root).unwrap().owned_by_user, "{root}");
        }
        assert_eq!(node(&cell, "/srv/data").unwrap().mode, 0o755);
        assert_eq!(node(&cell, "/srv/data/x").unwrap().mode, 0o644);
        for standing in ["/tmp", "/etc", "/home", "/usr/share"] {
            assert!(node(&cell, standing).is_none(), "{standing} would be changed");
        }
    }

    #[test]
    fn a_zone_is_set_in_all_three_places() {
        let cells = of("[factors.timezone]\nlevels = ['UTC', 'Asia/Tokyo']");
        assert_eq!(variable(&cells[1], "TZ"), Some("Asia/Tokyo"));
        assert_eq!(text(&cells[1], "/etc/timezone").unwrap(), "Asia/Tokyo\n");
        let zone = "/usr/share/zoneinfo/Asia/Tokyo";
        assert_eq!(node(&cells[1], "/etc/localtime").unwrap().node, Node::Link(zone.into()));
        assert_eq!(node(&cells[1], zone).unwrap().node, Node::Zone("Asia/Tokyo".into()));
        assert!(node(&cells[1], "/usr/share/zoneinfo/Asia").is_some());
        assert_eq!(node(&cells[0], "/etc/localtime").unwrap().node, Node::Link("/usr/share/zoneinfo/UTC".into()));
    }

    #[test]
    fn an_account_moves_its_home_unless_that_is_a_factor() {
        let cells = of("[factors.user]\nlevels = ['dev', 'wei']");
        let wei = &cells[1];
        assert_eq!((wei.user.name.as_str(), wei.user.home.as_str()), ("wei", "/home/wei"));
        assert_eq!(
            [variable(wei, "USER"), variable(wei, "LOGNAME"), variable(wei, "HOME")],
            [Some("wei"), Some("wei"), Some("/home/wei")]
        );
        assert!(text(wei, "/etc/passwd").unwrap().ends_with("\nwei:x:1000:1000::/home/wei:/bin/bash\n"));
        assert!(text(wei, "/etc/group").unwrap().ends_with("\nwei:x:1000:\n"));
        assert!(node(wei, "/home/dev").is_none() && node(wei, "/home/wei").unwrap().owned_by_user);
        let both = scenario(
            "command = ['x', '{home}/a', '{user}']\nfiles = { 'a' = '{home}' }",
            "[factors.user]\nlevels = ['dev', 'wei']\n[factors.home]\nlevels = ['/srv/h', '/Users/q/']",
        );
        let cell = realise(&both, &Assignment(vec![1, 1]), &context());
        assert_eq!((cell.user.name.as_str(), cell.user.home.as_str()), ("wei", "/Users/q"));
        assert_eq!(cell.command, ["x", "/Users/q/a", "wei"]);
        assert_eq!(text(&cell, "/Users/q/a").unwrap(), "/Users/q");
        assert_eq!(
            (node(&cell, "/Users").unwrap().owned_by_user, node(&cell, "/Users/q").unwrap().owned_by_user),
            (false, true)
        );
    }

    #[test]
    fn names_and_terminals() {
        assert_eq!(of("[factors.hostname]\nlevels = ['a', 'zhang-mbp']")[1].hostname, "zhang-mbp");
        assert_eq!(variable(&of("[factors.hostname]\nlevels = ['a', 'b']")[1], "HOSTNAME"), Some("b"));
        let locale = of("[factors.locale]\nlevels = ['ja_JP.UTF-8', { unset = true }]");
        assert_eq!([variable(&locale[0], "LANG"), variable(&locale[0], "LC_ALL")], [Some("ja_JP.UTF-8"); 2]);
        assert_eq!([variable(&locale[1], "LANG"), variable(&locale[1], "LC_ALL")], [None; 2]);
        let terminal = of("[factors.terminal]\nlevels = ['dumb', { unset = true }]");
        assert_eq!((variable(&terminal[0], "TERM"), variable(&terminal[1], "TERM")), (Some("dumb"), None));
        let shell = of("[factors.shell]\nlevels = ['/bin/zsh', { unset = true }]");
        assert_eq!((variable(&shell[0], "SHELL"), shell[0].user.shell.as_str()), (Some("/bin/zsh"), "/bin/zsh"));
        assert!(text(&shell[0], "/etc/passwd").unwrap().contains(":/bin/zsh\n"));
        assert_eq!((variable(&shell[1], "SHELL"), shell[1].user.shell.as_str()), (None, "/bin/bash"));
        let search = of("[factors.dns_search]\nlevels = ['none', 'corp.example']");
        assert_eq!((search[0].dns_search.as_deref(), search[1].dns_search.as_deref()), (None, Some("corp.example")));
        assert_eq!(text(&search[1], "/etc/resolv.conf").unwrap(), "search corp.example\nnameserver 10.0.0.53\n");
        assert_eq!(
            of("[factors.cpus]\nlevels = ['none', 3]").iter().map(|cell| cell.cpus).collect::<Vec<_>>(),
            [None, Some(3)]
        );
        let id = of("[factors.machine_id]\nlevels = ['00000000000000000000000000000001', 'none']");
        assert_eq!(text(&id[0], "/etc/machine-id").unwrap(), "00000000000000000000000000000001\n");
        assert!(node(&id[1], "/etc/machine-id").is_none());
    }

    #[test]
    fn a_proxy_is_in_both_cases_or_in_none() {
        let cells = of("[factors.proxy]\nlevels = ['none', 'http://p:3128']");
        let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
        for name in names {
            assert_eq!((variable(&cells[0], name), variable(&cells[1], name)), (None, Some("http://p:3128")), "{name}");
        }
    }

    #[test]
    fn trust_by_variables_by_the_system_by_both_or_not_at_all() {
        let cells = of("[factors.trust]\nlevels = ['both', 'variables', 'system', 'none']");
        let seen: Vec<(bool, bool, bool)> = cells
            .iter()
            .map(|cell| {
                let variables = variable(cell, "SSL_CERT_FILE").is_some();
                (
                    variables,
                    node(cell, files::CA_FILE).is_some(),
                    node(cell, "/etc/ssl/certs/ca-certificates.crt").is_some(),
                )
            })
            .collect();
        assert_eq!(seen, [(true, true, true), (true, true, false), (false, false, true), (false, false, false)]);
    }

    #[test]
    fn a_clock_that_is_varied_has_its_library_in_every_cell() {
        let cells = of("[factors.clock]\nlevels = ['now', '-36h']");
        for (cell, seconds) in cells.iter().zip([0, -36 * 3600]) {
            assert_eq!(text(cell, clock::LIST).unwrap(), format!("{}\n", clock::PLACE));
            assert_eq!(node(cell, clock::PLACE).unwrap().node, Node::Clock(ClockSetting::Offset(seconds)));
            assert!(!cell.variables.contains_key("LD_PRELOAD"));
        }
        let other = &of("[factors.git]\nlevels = ['none', 'repository']")[0];
        assert!(node(other, clock::LIST).is_none() && node(other, clock::PLACE).is_none());
    }

    #[test]
    fn a_repository_is_one_that_git_would_take() {
        let cells = of("[factors.git]\nlevels = ['none', 'repository']");
        assert!(node(&cells[0], "/workspace/.git").is_none());
        assert_eq!(text(&cells[1], "/workspace/.git/HEAD").unwrap(), "ref: refs/heads/main\n");
        for folder in ["objects", "refs/heads"] {
            assert_eq!(node(&cells[1], &format!("/workspace/.git/{folder}")).unwrap().node, Node::Folder);
        }
        assert!(text(&cells[1], "/workspace/.git/config").unwrap().contains("repositoryformatversion = 0"));
    }

    #[test]
    fn a_working_folder_takes_the_workspace_along() {
        let cells = of("[factors.cwd]\nlevels = ['/workspace', '/home/dev/src/app', '/tmp']");
        assert_eq!(
            (cells[1].workdir.as_str(), variable(&cells[1], "PWD")),
            ("/home/dev/src/app", Some("/home/dev/src/app"))
        );
        assert!(node(&cells[1], "/home/dev/src").unwrap().owned_by_user && node(&cells[1], "/workspace").is_none());
        assert!(text(&cells[1], "/home/dev/src/app/README.md").is_some());
        let open = node(&cells[2], "/tmp").unwrap();
        assert_eq!((open.mode, open.owned_by_user), (0o1777, false));
    }

    #[test]
    fn every_ci_service_says_that_it_is_one() {
        let cells = of("[factors.ci]\nlevels = ['none', 'github', 'gitlab', 'generic']");
        let seen = |name| cells.iter().map(|cell| variable(cell, name)).collect::<Vec<_>>();
        assert_eq!(seen("CI"), [None, Some("true"), Some("true"), Some("true")]);
        assert_eq!(seen("GITHUB_ACTIONS"), [None, Some("true"), None, None]);
        assert_eq!(seen("GITLAB_CI"), [None, None, Some("true"), None]);
        assert_eq!(variable(&cells[1], "GITHUB_WORKSPACE"), Some("/workspace"));
    }

    #[test]
    fn variables_files_and_arguments_come_and_go() {
        let env = of("[factors.x]\nkind = 'env'\nvariable = 'TERM'\nlevels = ['', { unset = true }]");
        assert_eq!((variable(&env[0], "TERM"), variable(&env[1], "TERM")), (Some(""), None));
        let file = of("[factors.x]\nkind = 'file'\npath = '~/.rc'\nlevels = ['{home}', { unset = true }]");
        assert_eq!(
            (text(&file[0], "/home/dev/.rc").as_deref(), node(&file[1], "/home/dev/.rc")),
            (Some("{home}"), None)
        );
        let argument = of("[factors.x]\nkind = 'argument'\nlevels = ['--fast', { unset = true }, '']");
        assert_eq!(argument[0].command, ["x", "-p", "Reply with OK.", "--fast"]);
        assert_eq!(argument[1].command, ["x", "-p", "Reply with OK."]);
        assert_eq!(argument[2].command, ["x", "-p", "Reply with OK.", ""]);
        let url = of("[factors.base_url]\nvariable = 'U'\nlevels = ['http://a', 'none']");
        assert_eq!((variable(&url[0], "U"), variable(&url[1], "U")), (Some("http://a"), None));
    }

    #[test]
    fn placeholders_are_replaced_everywhere_and_unset_leaves_nothing() {
        let scenario = scenario(
            "command = ['x', '{mode}', 'u={base_url};{mode}', '{unknown}', '{target}/y']\nprompt = 'say {home}'\n\
             env = { A = '[{base_url}]', P = '{prompt}', W = '{workspace}' }\nfiles = { 'c' = '{\"u\": \"{base_url}\"}' }",
            "[factors.base_url]\nlevels = ['http://a', { unset = true }]\n[factors.mode]\nkind = 'argument'\nlevels = ['m', { unset = true }]",
        );
        let set = realise(&scenario, &Assignment(vec![0, 0]), &context());
        assert_eq!(set.command, ["x", "m", "u=http://a;m", "{unknown}", "/opt/target/y"]);
        assert_eq!(text(&set, "/home/dev/c").unwrap(), "{\"u\": \"http://a\"}");
        let unset = realise(&scenario, &Assignment(vec![1, 1]), &context());
        assert_eq!(unset.command, ["x", "u=;", "{unknown}", "/opt/target/y"]);
        assert_eq!(text(&unset, "/home/dev/c").unwrap(), "{\"u\": \"\"}");
        assert_eq!(variable(&unset, "A"), Some("[]"));
        // What a placeholder brings is text, never a placeholder again.
        assert_eq!((variable(&unset, "P"), variable(&unset, "W")), (Some("say {home}"), Some("/workspace")));
    }

    #[test]
    fn a_local_program_is_known_by_its_name_alone() {
        let text = "name = 'x'\n[target]\ncommand = ['/bin/sh', '-c', '/bin/true']\n[factors.git]\nlevels = ['none', 'repository']";
        let scenario = parse(text, "test.toml", Path::new("."), &[]).unwrap();
        assert_eq!(realise(&scenario, &Assignment(vec![0]), &context()).command, ["sh", "-c", "/bin/true"]);
    }

    #[test]
    fn each_kind_changes_only_the_variables_that_it_claims() {
        for (name, levels) in [
            ("timezone", "'UTC', 'Asia/Tokyo'"),
            ("locale", "'C', 'de_DE.UTF-8'"),
            ("hostname", "'a', 'b'"),
            ("proxy", "'none', 'http://p'"),
            ("terminal", "'a', 'b'"),
            ("shell", "'/bin/a', '/bin/b'"),
            ("cwd", "'/a', '/b'"),
            ("git", "'none', 'repository'"),
            ("dns_search", "'a', 'b'"),
            ("machine_id", "'none', '00000000000000000000000000000001'"),
            ("cpus", "1, 2"),
            ("trust", "'none', 'both'"),
            ("clock", "'now', '+1d'"),
            ("home", "'/a', '/b'"),
        ] {
            let factor = format!("[factors.{name}]\nlevels = [{levels}]");
            let cells = of(&factor);
            let scenario = scenario("command = ['x']", &factor);
            let claimed = scenario.factors[0].kind.variables();
            let names = cells[0].variables.keys().chain(cells[1].variables.keys());
            for changed in names.filter(|name| variable(&cells[0], name) != variable(&cells[1], name)) {
                assert!(claimed.contains(&changed.as_str()), "{name} changes {changed}");
            }
            assert_ne!(cells[0], cells[1], "{name} changes nothing");
        }
    }

    #[test]
    fn levels_by_name_for_manifests() {
        let scenario = scenario(
            "command = ['x']",
            "[factors.proxy]\nlevels = ['none', 'http://p']\n[factors.user]\nlevels = ['a', 'b']",
        );
        let named = materialised(&scenario, &Assignment(vec![0, 1]));
        assert_eq!(
            named,
            BTreeMap::from([(String::from("proxy"), None), (String::from("user"), Some(String::from("b")))])
        );
    }

    proptest::proptest! {
        /// Whatever the cell: the same again, sorted, and every file in a folder or on a place that stands.
        #[test]
        fn every_cell_of_the_first_scenario_is_well_formed(picks in proptest::collection::vec(0_u16..100, 6)) {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/claude-code.toml");
            let scenario = crate::scenario::load(&path, &[]).unwrap();
            let count = |factor: usize| u16::try_from(scenario.factors[factor].levels.len()).unwrap();
            let levels = Assignment(picks.iter().enumerate().map(|(factor, pick)| pick % count(factor)).collect());
            let cell = realise(&scenario, &levels, &context());
            proptest::prop_assert_eq!(&cell, &realise(&scenario, &levels, &context()));
            proptest::prop_assert!(cell.files.is_sorted_by(|a, b| a.path < b.path));
            for (index, factor) in scenario.factors.iter().enumerate().filter(|(_, factor)| factor.name != "hostname") {
                let value = scenario.level(index, &levels).value();
                for variable_name in factor.kind.variables() {
                    proptest::prop_assert_eq!(variable(&cell, variable_name), value, "{}", variable_name);
                }
            }
            proptest::prop_assert_eq!(cell.command, ["claude", "-p", "Reply with OK."]);
        }
    }
}
