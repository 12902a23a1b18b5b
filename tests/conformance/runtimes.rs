//! Runtimes in pods, as real targets bring them: of the version that is asked for, under the clock of the cell, and with the
//! trust that each level says, by a TLS handshake.
//!
//! Needs the registries: `PARALLAX_REQUIRE` says `npm` and `pypi` where these tests must not be skipped.

use std::path::Path;

use parallax::cell::Assignment;
use parallax::engine::docker::{self, Docker};
use parallax::engine::embedded::Embedded;
use parallax::engine::environment::{Context, realise};
use parallax::engine::select::Kind;
use parallax::engine::target::{self, TargetFacts, find_program};
use parallax::engine::{Engine, EngineError};
use parallax::gateway::{Authority, Validity};
use parallax::scenario::{Scenario, parse};

use crate::harness::{job, options, runtime, skip};

/// Small packages, of which nothing is used but what runs them.
const NPM: &str = "npm = 'semver'\nversion = '7.6.3'";
const PYPI: &str = "pypi = 'requests'\nversion = '2.32.3'";

const KINDS: [(&str, Kind); 2] = [("embedded", Kind::Embedded), ("docker", Kind::Docker)];

fn scenario(target: &str, script: &str, factors: &str) -> Scenario {
    let script = serde_json::Value::from(script);
    let text = format!("name = 'x'\n[target]\n{target}\ncommand = ['bash', '-c', {script}]\n{factors}");
    parse(&text, "test.toml", Path::new("."), &[]).unwrap_or_else(|error| panic!("{error}: {:?}", error.underlined()))
}

/// Runs the levels of the scenario's only factor, each in a cell, and gives what they print. `None` where the engine
/// cannot be had here. `packages` are what a base image must have beside its own.
fn cells(kind: &(&str, Kind), scenario: &Scenario, packages: &[&str]) -> Option<Vec<String>> {
    ran(kind, scenario, packages).map(|ran| ran.unwrap_or_else(|error| panic!("{error}")).0)
}

/// As [`cells`], with what is known of the target then; or why the target cannot be had.
fn ran(
    kind: &(&str, Kind),
    scenario: &Scenario,
    packages: &[&str],
) -> Option<Result<(Vec<String>, TargetFacts), EngineError>> {
    let (name, kind) = kind;
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        if *kind == Kind::Docker
            && let Err(reason) = docker::probe().await
        {
            skip(name, &reason);
            return None;
        }
        let cache = target::cache_folder();
        let notice = |line: String| println!("{line}");
        let installed = target::install_for(&scenario.target, &cache, kind.userland(), &notice).await;
        let mut installed = match installed {
            Ok(installed) => installed,
            Err(error) => return Some(Err(error)),
        };
        installed.packages.extend(packages.iter().map(ToString::to_string));
        installed.packages.sort();
        installed.packages.dedup();
        let clocks = scenario.clocks(chrono::Utc::now().timestamp_millis());
        let context = |authority: &Authority| Context {
            ca_certificate_pem: authority.certificate_pem.clone(),
            search: installed.search.clone(),
            variables: installed.variables.clone(),
            resolver: None,
        };
        let mut options = options(folder.path());
        options.slots = 1;
        options.target = installed.clone();
        options.authority = Authority::mint_for("conformance", Validity::default().and_at(&clocks)).unwrap();
        let context = context(&options.authority);
        let engine: Box<dyn Engine> = match kind {
            Kind::Docker => match Docker::open(options).await {
                Ok(engine) => Box::new(engine),
                Err(error) => return Some(Err(error)),
            },
            _ => match Embedded::open(options).await {
                Ok(engine) => Box::new(engine),
                Err(EngineError::Missing(reason)) => {
                    skip(name, &reason);
                    return None;
                }
                Err(error) => panic!("{error}"),
            },
        };
        let mut seen = Vec::new();
        for level in 0..scenario.factors[0].levels.len() {
            let levels = Assignment(vec![u16::try_from(level).unwrap()]);
            let mut job = job("c0001", realise(scenario, &levels, &context));
            job.limits.memory_bytes = 2 << 30;
            let capture = engine.run(0, &job).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            println!("{name}, level {level}: {}", capture.stderr.text());
            seen.push(capture.stdout.text().into_owned());
        }
        let facts = engine.target();
        engine.close().await;
        Some(Ok((seen, facts)))
    })
}

/// Whether a package client is here.
fn client(what: &str, program: &str) -> bool {
    let there = find_program(program).is_some();
    if !there {
        skip(what, &format!("there is no {program}"));
    }
    there
}

const TWO: &str = "[factors.any]\nkind = 'env'\nvariable = 'ANY'\nlevels = ['1', '2']";

pub(crate) fn node_is_of_the_version_that_is_asked_for() {
    if !client("npm", "npm") {
        return;
    }
    for kind in &KINDS {
        for major in [18, 20, 22] {
            let scenario = scenario(&format!("{NPM}\nnode = '{major}'"), "node --version", TWO);
            let Some(seen) = cells(kind, &scenario, &[]) else { continue };
            assert!(seen.iter().all(|said| said.starts_with(&format!("v{major}."))), "{}: {seen:?}", kind.0);
        }
    }
}

/// What a pod shows of its Python: version, the interpreter's own library, the clock, the account, and trust by a handshake.
const PYTHON: &str = r#"python3 -c '
import datetime, getpass, json, os, ssl, sys, sysconfig, urllib.request, urllib.error
try: urllib.request.urlopen("https://api.vendor.example/v1"); said = "trusted"
except urllib.error.HTTPError: said = "trusted"
except Exception as error: said = str(error)
whole = os.path.exists(json.__file__) and sysconfig.get_python_version() in json.__file__
print(sys.version.split()[0], "whole" if whole else json.__file__, datetime.date.today(), getpass.getuser(), said)'"#;

const CLOCK: &str = "[factors.clock]\nlevels = ['now', '2041-05-06']";

/// Asserts that the cells ran on a Python of this minor version, and that it is what the manifest will say.
#[track_caller]
fn is_python(minor: &str, seen: &[String], facts: &TargetFacts) {
    let words = |said: &'_ str| -> Vec<String> {
        said.lines().next().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    let (now, later) = (words(&seen[0]), words(&seen[1]));
    assert!(now.first().is_some_and(|version| version.starts_with(&format!("{minor}."))), "{seen:?}");
    assert_eq!(facts.runtime, Some(format!("Python {}", now[0])));
    assert_eq!(later[..], [now[0].as_str(), "whole", "2041-05-06", "dev", "trusted"]);
    assert_eq!((now[1].as_str(), now[3].as_str(), now[4].as_str()), ("whole", "dev", "trusted"));
    assert_ne!(now[2], "2041-05-06");
}

/// Packages of the Python Package Index run on the version that is asked for, in whichever userland. Of a machine that has
/// no such Python the embedded engine says so.
pub(crate) fn python_is_of_the_version_that_is_asked_for() {
    if !client("pypi", "python3") {
        return;
    }
    let script = format!("{PYTHON}; cowsay -t moo | grep -c moo; python3 -c 'import cowsay; print(cowsay.__file__)'");
    for kind in &KINDS {
        // The machine's own is never lacking in pods that show the machine's programs.
        let unasked = scenario(PYPI, &script, CLOCK);
        let own = target::pod_python(&unasked.target, kind.1.userland());
        for minor in ["3.11", "3.13", &own] {
            let target = format!("pypi = 'cowsay'\nversion = '6.1'\npython = '{minor}'");
            let scenario = scenario(&target, &script, CLOCK);
            let Some(ran) = ran(kind, &scenario, &[]) else { continue };
            match ran {
                Ok((seen, facts)) => {
                    is_python(minor, &seen, &facts);
                    let rest = seen[1].split_once('\n').unwrap().1;
                    assert_eq!(rest, "1\n/opt/target/python/cowsay/__init__.py\n", "{}", kind.0);
                }
                Err(EngineError::NoTarget { key: "python", message }) => {
                    assert!(minor != own || !Path::new("/usr/bin/python3").exists(), "{message}");
                    skip(&format!("python{minor}"), &message);
                    assert!(message.contains(&format!("Python {minor}")) && message.contains("docker"), "{message}");
                }
                Err(error) => panic!("{}: {error}", kind.0),
            }
        }
    }
}

/// A local program does, too, and nothing of the machine's own Python is mixed in.
pub(crate) fn a_local_program_runs_on_the_python_that_is_asked_for() {
    for kind in &KINDS {
        let script = serde_json::Value::from(format!("{PYTHON}; python3 -c 'import sys; print(sys.executable)'"));
        let text =
            format!("name = 'x'\n[target]\ncommand = ['bash', '-c', {script}]\ninclude = []\npython = '3.13'\n{CLOCK}");
        let scenario = parse(&text, "test.toml", Path::new("."), &[]).unwrap_or_else(|error| panic!("{error}"));
        let Some(ran) = ran(kind, &scenario, &[]) else { continue };
        match ran {
            Ok((seen, facts)) => is_python("3.13", &seen, &facts),
            Err(EngineError::NoTarget { key: "python", message }) => skip("python3.13", &message),
            Err(error) => panic!("{}: {error}", kind.0),
        }
    }
}

/// A version that nobody has is refused by both engines, with what can be had and how.
pub(crate) fn a_python_that_nobody_has_is_refused() {
    for kind in &KINDS {
        let target = "command = ['python3']\ninclude = []\npython = '3.0'";
        let text = format!("name = 'x'\n[target]\n{target}\n{TWO}");
        let scenario = parse(&text, "test.toml", Path::new("."), &[]).unwrap_or_else(|error| panic!("{error}"));
        let Some(ran) = ran(kind, &scenario, &[]) else { continue };
        let Err(EngineError::NoTarget { key: "python", message }) = ran else { panic!("{}: {ran:?}", kind.0) };
        let remedies = if kind.1 == Kind::Docker {
            [
                "python:3.0-slim-bookworm could not be pulled",
                "3.9 (bullseye), 3.11 (bookworm) or 3.13 (trixie)",
                "PARALLAX_BASE",
            ]
        } else {
            ["no Python 3.0 to show to its pods", "uv python install 3.0", "--engine docker"]
        };
        assert!(remedies.iter().all(|remedy| message.contains(remedy)), "{message}");
    }
}

/// Node.js and Python see the clock, wait as long as they say, and trust a certificate under it.
pub(crate) fn runtimes_see_the_clock() {
    if !client("npm", "npm") {
        return;
    }
    let script = r#"
        node -e '
            const date = new Date().toISOString().slice(0, 10), from = process.hrtime.bigint();
            setTimeout(async () => {
                const waited = Number(process.hrtime.bigint() - from) / 1e9;
                const said = await fetch("https://api.vendor.example/v1").then(() => "trusted", e => String(e.cause));
                console.log(date, waited < 5 ? "waited" : waited, said);
            }, 100)'
        /usr/bin/python3 -c '
import datetime, threading, time, urllib.request, urllib.error
date, start, condition = datetime.date.today(), time.monotonic(), threading.Condition()
with condition: condition.wait(0.1)
waited = time.monotonic() - start
try: urllib.request.urlopen("https://api.vendor.example/v1"); said = "trusted"
except urllib.error.HTTPError: said = "trusted"
except Exception as error: said = error
print(date, "waited" if 0.05 < waited < 5 else waited, said)'
    "#;
    let factor = "[factors.clock]\nlevels = ['now', '2041-05-06', '1999-02-03T12:00:00Z']";
    for kind in &KINDS {
        let Some(seen) = cells(kind, &scenario(NPM, script, factor), &["python3"]) else { continue };
        for (level, date) in [(1, "2041-05-06"), (2, "1999-02-03")] {
            let line = format!("{date} waited trusted\n");
            assert_eq!(seen[level], line.repeat(2), "{}", kind.0);
        }
        assert!(seen[0].starts_with("20") && seen[0].matches(" waited trusted\n").count() == 2, "{}", seen[0]);
    }
}

/// Node.js has its own certificates and reads `NODE_EXTRA_CA_CERTS`; it looks at no system's bundle.
pub(crate) fn node_trusts_as_the_level_says() {
    if !client("npm", "npm") {
        return;
    }
    let script = r#"node -e 'fetch("https://api.vendor.example/v1").then(() => console.log("trusted"), e => console.log(e.cause.code))'"#;
    let factor = "[factors.trust]\nlevels = ['both', 'variables', 'system', 'none']";
    for kind in &KINDS {
        let Some(seen) = cells(kind, &scenario(NPM, script, factor), &[]) else { continue };
        assert_eq!(seen[..2], ["trusted\n", "trusted\n"], "{}", kind.0);
        assert!(seen[2..].iter().all(|said| said.contains("CERT") || said.contains("SIGNATURE")), "{seen:?}");
    }
}

/// Python's own library and curl read variables and the system's bundle; `requests` brings a bundle of its own and reads
/// variables.
pub(crate) fn python_and_curl_trust_as_the_level_says() {
    if !client("pypi", "python3") {
        return;
    }
    let script = r#"
        /usr/bin/python3 -c '
import urllib.request, urllib.error
try: urllib.request.urlopen("https://api.vendor.example/v1"); print("trusted")
except urllib.error.HTTPError: print("trusted")
except urllib.error.URLError as error: print("CERTIFICATE" if "CERTIFICATE_VERIFY_FAILED" in str(error) else error)
import requests
try: requests.get("https://api.vendor.example/v1"); print("trusted")
except requests.exceptions.SSLError as error: print("CERTIFICATE")'
        curl --silent --output /dev/null https://api.vendor.example/v1 && echo trusted || echo "curl $?"
    "#;
    let factor = "[factors.trust]\nlevels = ['both', 'variables', 'system', 'none']";
    for kind in &KINDS {
        if kind.1 == Kind::Embedded && !Path::new("/usr/bin/curl").exists() {
            skip("curl", "this machine has no /usr/bin/curl to show to its pods");
            continue;
        }
        let Some(seen) = cells(kind, &scenario(PYPI, script, factor), &["curl", "python3"]) else { continue };
        let expected = [
            "trusted\ntrusted\ntrusted\n",
            "trusted\ntrusted\ntrusted\n",
            "trusted\nCERTIFICATE\ntrusted\n",
            "CERTIFICATE\nCERTIFICATE\n",
        ];
        assert_eq!(seen[..3], expected[..3], "{}", kind.0);
        // 60: the peer's certificate; 77: there is no bundle at all.
        let refused = [format!("{}curl 60\n", expected[3]), format!("{}curl 77\n", expected[3])];
        assert!(refused.contains(&seen[3]), "{}: {}", kind.0, seen[3]);
    }
}
