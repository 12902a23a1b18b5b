//! Runtimes in pods, as real targets bring them: of the version that is asked for, under the clock of the cell, and with the
//! trust that each level says, by a TLS handshake.
//!
//! Needs the registries: `PARALLAX_REQUIRE` says `npm` and `pypi` where these tests must not be skipped.

use std::path::Path;

use parallax::cell::Assignment;
use parallax::engine::docker::{self, Docker};
use parallax::engine::embedded::Embedded;
use parallax::engine::environment::{Context, realise};
use parallax::engine::select::{Kind, pod_python};
use parallax::engine::target::{self, find_program};
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

/// Runs the levels of the scenario's only factor, each in a cell, and gives what they print. `None` where the engine, or
/// the target, cannot be had here. `packages` are what a base image must have beside its own.
fn cells(kind: &(&str, Kind), scenario: &Scenario, packages: &[&str]) -> Option<Vec<String>> {
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
        let installed = target::install_for(&scenario.target, &cache, &pod_python(kind), &notice).await;
        let mut installed = installed.unwrap_or_else(|error| panic!("{error}"));
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
            Kind::Docker => Box::new(Docker::open(options).await.unwrap_or_else(|error| panic!("{error}"))),
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
        engine.close().await;
        Some(seen)
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
