//! Targets from the **Python Package Index**: wheels only, for the Python that the pod has. The layout in the pod:
//! `/opt/target/python` holds the packages (PYTHONPATH), `/opt/target/bin` the package's own programs; those of its
//! dependencies stay in `/opt/target/python/bin`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::Deserialize;

use super::cache::{self, Entry, Record};
use super::client::{self, Said, shorten};
use super::interpreter::{self, compilation, minor};
use super::python::{POD_PYTHON, Python};
use super::{Installed, TargetFacts, blocking, failed, node, tree, version, wheel};
use crate::engine::pod::TARGET_ROOT;
use crate::engine::{EngineError, debian};

const STEP: &str = "installing the target with pip";

const ASK_VERSION: &str = "import sys; print('%d.%d.%d' % sys.version_info[:3])";

/// A Python of this machine that has pip.
#[derive(Debug)]
struct Client {
    program: PathBuf,
    version: String,
}

/// Installs a package with all that it needs.
pub(super) async fn install(
    package: &str,
    spec: &str,
    runs_on: &Python,
    cache: &Path,
    notice: &(dyn Fn(String) + Sync),
) -> Result<Installed, EngineError> {
    let python = runs_on.minor.as_str();
    check(package, spec, python)?;
    let platform = node::platform()?;
    let package = wheel::normalised(package);
    let suffix = format!("-{}-{platform}", runs_on.label());
    let exact = match version::exact_pypi(spec) {
        Some(exact) => exact.to_owned(),
        None => resolve(&package, python, &suffix, cache, notice).await?,
    };
    let entry = Entry::new(cache, "pypi", &package, &format!("{exact}{suffix}"));
    if let Some(record) = load(&entry).await? {
        return Ok(entry.installed(record, cache::search(), false));
    }
    let client = find(&format!("{package} {exact}"), python).await?;
    let _lock = entry.lock(notice).await?;
    if let Some(record) = load(&entry).await? {
        return Ok(entry.installed(record, cache::search(), false));
    }
    if minor(&client.version) != Some(python) {
        notice(format!(
            "this machine's only Python with pip is {}, the pod's is {python}: wheels are chosen for {python}, but conditions in the \
             packages' requirements are read under {}. A `python{python}` with pip in PATH would be exact",
            client.version, client.version
        ));
    }
    notice(format!("installing {package} {exact} with pip"));
    let staged = entry.stage()?;
    let report = download(&client, &format!("{package}=={exact}"), python, staged.path()).await?;
    let precompiled = compile(&client, python, staged.path(), notice).await?;
    let platform = platform.to_owned();
    let (python, runs_on, making) = (python.to_owned(), runs_on.clone(), entry.clone());
    let record = blocking(move || {
        let root = staged.path().join("root");
        let integrity = report.integrity(&root.join("python"))?;
        let bins = place_programs(&root, &package)?;
        runs_on.put(&root)?;
        let identity = runs_on.identity();
        let facts = TargetFacts {
            package: format!("pkg:pypi/{package}@{exact}"),
            version: Some(exact.clone()),
            runtime: Some(runs_on.told()),
            integrity,
            ..TargetFacts::default()
        };
        let archives = facts.integrity.iter().flat_map(|(id, hash)| [id.as_str(), hash.as_str()]);
        let compiled = if precompiled { "compiled" } else { "sources" };
        let head = ["pypi", &package, &exact, &python, &platform, compiled];
        let ends = bins.iter().chain(&identity).map(String::as_str);
        let digest = tree::digest(head.into_iter().chain(archives).chain(["bins"]).chain(ends));
        let mut record = Record::new(facts, digest);
        record.packages = vec![String::from("python3")];
        record.variables = BTreeMap::from([
            (String::from("PYTHONPATH"), format!("{TARGET_ROOT}/python")),
            (String::from("PYTHONDONTWRITEBYTECODE"), String::from("1")),
        ]);
        making.commit(staged, record)
    })
    .await?;
    Ok(entry.installed(record, cache::search(), true))
}

async fn load(entry: &Entry) -> Result<Option<Record>, EngineError> {
    let entry = entry.clone();
    blocking(move || entry.load()).await
}

fn check(package: &str, spec: &str, python: &str) -> Result<(), EngineError> {
    let plain = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    };
    if !plain(package) {
        return Err(EngineError::Missing(format!("`{package}` is no name of a Python package")));
    }
    if version::exact_pypi(spec).is_none() && spec != "latest" {
        return Err(EngineError::Missing(format!(
            "`{spec}` is no version of the Python package {package}: write an exact version such as `1.2.3`, or `latest`"
        )));
    }
    let numbers = python.split_once('.').is_some_and(|(a, b)| [a, b].iter().all(|n| n.parse::<u32>().is_ok()));
    if numbers {
        Ok(())
    } else {
        Err(EngineError::Missing(format!("`{python}` is no minor version of Python, such as `{POD_PYTHON}`")))
    }
}

/// A Python with pip, best of the wanted minor version.
async fn find(wanted: &str, python: &str) -> Result<Client, EngineError> {
    let of_minor = python.to_owned();
    let exact = blocking(move || Ok(interpreter::of_minor(&of_minor))).await?;
    let others = [client::find_program("python3"), Some(PathBuf::from("/usr/bin/python3"))];
    let mut other = None;
    for program in exact.into_iter().map(|found| found.program).chain(others.into_iter().flatten()) {
        let ask = ["-c".to_owned(), format!("import pip; {ASK_VERSION}")];
        let Ok(said) = client::run(&program, &ask, Path::new("/"), &[]).await else { continue };
        let version = said.stdout.trim().to_owned();
        if !said.success || minor(&version).is_none() {
            continue;
        }
        let exact = minor(&version) == Some(python);
        let client = Client { program, version };
        if exact {
            return Ok(client);
        }
        other.get_or_insert(client);
    }
    other.ok_or_else(|| {
        EngineError::Missing(format!(
            "a Python with pip is needed once to fetch {wanted}, and none is in PATH. Install it (on Debian or Ubuntu: \
             `apt install python3-pip`) and run again; what is in the cache needs no pip"
        ))
    })
}

/// Which version `latest` means now; without the network, the newest of the cache.
async fn resolve(
    package: &str,
    python: &str,
    suffix: &str,
    cache: &Path,
    notice: &(dyn Fn(String) + Sync),
) -> Result<String, EngineError> {
    let found = match find(&format!("{package} latest"), python).await {
        Ok(client) => look_up(&client, package, python).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(exact) => Ok(exact),
        Err(error) => match cache::stand_in(cache, "pypi", package, "latest", suffix) {
            Some(exact) => {
                notice(format!(
                    "could not look up {package} latest, using {exact} from the cache ({})",
                    shorten(&error.to_string(), 160)
                ));
                Ok(exact)
            }
            None => Err(error),
        },
    }
}

async fn look_up(client: &Client, package: &str, python: &str) -> Result<String, EngineError> {
    let folder = tempfile::tempdir().map_err(failed(STEP))?;
    let more = ["--dry-run", "--no-deps", "--ignore-installed"].map(str::to_owned);
    let report = pip(client, package, python, folder.path(), &more).await?;
    report.install.into_iter().next().map(|found| found.metadata.version).ok_or_else(|| EngineError::Failed {
        step: STEP,
        message: format!("pip's report names no version of {package}"),
    })
}

/// Every version of a package that the index has, in no order.
pub(super) async fn versions(package: &str, python: &str) -> Result<Vec<String>, EngineError> {
    check(package, "latest", python)?;
    let client = find(&format!("the versions of {package}"), python).await?;
    let arguments = ["-m", "pip", "index", "versions", "--disable-pip-version-check", package].map(str::to_owned);
    let said = client::run(&client.program, &arguments, Path::new("/"), &[]).await.map_err(failed(STEP))?;
    if !said.success {
        return Err(explain(package, python, &client, &said));
    }
    Ok(listed(&said.stdout))
}

/// The versions of the line `Available versions: 1.2.0, 1.1.0`.
fn listed(said: &str) -> Vec<String> {
    let line = said.lines().find_map(|line| line.trim().strip_prefix("Available versions:")).unwrap_or_default();
    line.split(',').map(str::trim).filter(|version| !version.is_empty()).map(str::to_owned).collect()
}

async fn download(client: &Client, wanted: &str, python: &str, folder: &Path) -> Result<Report, EngineError> {
    fs::create_dir_all(folder.join("root")).map_err(failed(STEP))?;
    pip(client, wanted, python, folder, &[]).await
}

/// `pip install` of wheels into `folder/root/python`, with its report. Wheels are unpacked, never built: nothing of a package
/// runs on this machine. pip checks every archive against the hash that the index gives.
async fn pip(
    client: &Client,
    wanted: &str,
    python: &str,
    folder: &Path,
    more: &[String],
) -> Result<Report, EngineError> {
    let report = folder.join("report.json");
    let site = folder.join("root/python");
    let compact = python.replace('.', "");
    let mut arguments: Vec<String> =
        ["-m", "pip", "install", "--no-input", "--no-compile", "--quiet", "--only-binary=:all:"]
            .into_iter()
            .chain(["--disable-pip-version-check", "--no-warn-script-location", "--progress-bar=off", "--no-user"])
            .chain(["--implementation=cp", "--abi=abi3", "--abi=none"])
            .map(str::to_owned)
            .collect();
    arguments.extend([format!("--abi=cp{compact}"), format!("--python-version={python}")]);
    arguments
        .extend(platforms(std::env::consts::ARCH, python).into_iter().map(|platform| format!("--platform={platform}")));
    arguments.extend([
        "--target".to_owned(),
        site.display().to_string(),
        "--report".to_owned(),
        report.display().to_string(),
    ]);
    arguments.extend_from_slice(more);
    arguments.push(wanted.to_owned());
    // pip compares its environment's other packages with what it installs and warns; they have nothing to do with it.
    let variables = [("PIP_ROOT_USER_ACTION", "ignore"), ("PIP_NO_WARN_CONFLICTS", "1")];
    let said = client::run(&client.program, &arguments, folder, &variables).await.map_err(failed(STEP))?;
    if !said.success {
        return Err(explain(wanted, python, client, &said));
    }
    let text = fs::read(&report).map_err(failed(STEP))?;
    let _ = fs::remove_file(&report);
    serde_json::from_slice(&text)
        .map_err(|error| EngineError::Failed { step: STEP, message: format!("pip's report cannot be read: {error}") })
}

/// Wheel platforms that a pod with this Python can run, newest first. Its base image may be of the release that has that
/// Python, or of the usual one.
fn platforms(machine: &str, python: &str) -> Vec<String> {
    let usual = debian::BOOKWORM.glibc;
    let glibc = debian::with_python(python).map_or(usual, |release| release.glibc.min(usual));
    let oldest = if machine == "x86_64" { 5 } else { 17 };
    let mut names: Vec<String> = (oldest..=glibc).rev().map(|glibc| format!("manylinux_2_{glibc}_{machine}")).collect();
    names.push(format!("manylinux2014_{machine}"));
    if machine == "x86_64" {
        names.extend([format!("manylinux2010_{machine}"), format!("manylinux1_{machine}")]);
    }
    names.push(format!("linux_{machine}"));
    names
}

/// pip's own reason, shortened, with what to do about it.
fn explain(wanted: &str, python: &str, client: &Client, said: &Said) -> EngineError {
    let errors: Vec<&str> = said.stderr.lines().filter_map(|line| line.trim().strip_prefix("ERROR: ")).collect();
    let reason = if errors.is_empty() { shorten(&said.stderr, 240) } else { shorten(&errors.join(" "), 240) };
    let lost = [
        "NewConnectionError",
        "Failed to establish",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "Name or service",
        "Max retries",
        "Temporary failure",
    ];
    let all = &said.stderr;
    let remedy = if all.contains("no such option: --report") {
        format!(
            "The pip of {} is too old: 22.2 or newer is needed (`{} -m pip install --upgrade pip`)",
            client.program.display(),
            client.program.display()
        )
    } else if all.contains("THESE PACKAGES DO NOT MATCH THE HASHES") || all.contains("HashMismatch") {
        String::from(
            "What was downloaded is not what the index says it is, so it was thrown away. If it stays, do not trust the index or the proxy in between",
        )
    } else if all.contains("CERTIFICATE_VERIFY_FAILED") {
        String::from(
            "pip does not trust the certificate that it was shown: behind an inspecting proxy, set PIP_CERT to its authority's file",
        )
    } else if lost.iter().any(|sign| all.contains(sign)) {
        String::from(
            "The index could not be reached: check the network, the proxy and `pip config list`. Once it is in the cache no network is needed",
        )
    } else if all.contains("No matching distribution") && all.contains("(from versions: none)") {
        format!(
            "Either there is no such package, or it (or one that it needs) has no wheel for Python {python} on Linux {}. A package that comes \
             only as sources is refused: building it would run its code on this machine. Build its wheel yourself in a container and give pip the \
             folder (PIP_FIND_LINKS), or use an image as the target",
            std::env::consts::ARCH
        )
    } else if all.contains("No matching distribution") {
        format!(
            "Is the version in the scenario's [target] right, and does it come as a wheel for Python {python}? Sources are never built here"
        )
    } else if all.contains("No space left") {
        String::from("The disk is full: free some space, or set PARALLAX_CACHE to a folder on another one")
    } else {
        String::from("`pip download --only-binary=:all:` of the same package shows the whole story")
    };
    let message = format!("pip could not fetch {wanted}: {reason}. {remedy}");
    if lost.iter().any(|sign| all.contains(sign)) || !all.contains("No matching distribution") {
        return EngineError::Missing(message);
    }
    let key = if all.contains("(from versions: none)") { "pypi" } else { "version" };
    EngineError::NoTarget { key, message }
}

/// What pip reports of an installation.
#[derive(Debug, Deserialize)]
struct Report {
    #[serde(default)]
    install: Vec<Distribution>,
}

#[derive(Debug, Deserialize)]
struct Distribution {
    metadata: Metadata,
    #[serde(default)]
    download_info: Download,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
    version: String,
}

#[derive(Debug, Default, Deserialize)]
struct Download {
    #[serde(default)]
    archive_info: Archive,
}

#[derive(Debug, Default, Deserialize)]
struct Archive {
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

impl Report {
    /// The hash of every archive by `name@version`; for one that came from a local folder without a hash, that of its list of
    /// files, which has a hash of each.
    fn integrity(&self, site: &Path) -> Result<BTreeMap<String, String>, EngineError> {
        let mut found = BTreeMap::new();
        for Distribution { metadata: Metadata { name, version }, download_info } in &self.install {
            let hashes = &download_info.archive_info.hashes;
            let best =
                ["sha512", "sha384", "sha256"].iter().find_map(|kind| Some(format!("{kind}:{}", hashes.get(*kind)?)));
            let record = || {
                let record = wheel::dist_info(site, name)?.join("RECORD");
                Some(format!("record-sha256:{}", tree::hash_file(&record).ok()?))
            };
            let hash = best.or_else(record).ok_or_else(|| EngineError::Failed {
                step: STEP,
                message: format!("pip reports no hash of {name} {version}"),
            })?;
            found.insert(format!("{}@{version}", wheel::normalised(name)), hash);
        }
        Ok(found)
    }
}

/// Compiles all modules once: a cell could not keep what it compiles, and would do it again every time. Unchecked, as times of
/// files change on their way into a pod. Needs the pod's own minor version.
async fn compile(
    client: &Client,
    python: &str,
    folder: &Path,
    notice: &(dyn Fn(String) + Sync),
) -> Result<bool, EngineError> {
    if minor(&client.version) != Some(python) {
        notice(format!("Python {} cannot compile modules for {python}: every cell will start slower", client.version));
        return Ok(false);
    }
    let root = folder.join("root");
    let arguments = compilation(&root, TARGET_ROOT, &root.join("python"));
    // It fails if any one file cannot be compiled (templates, files for another Python): those are compiled by nobody.
    client::run(&client.program, &arguments, folder, &[]).await.map_err(failed(STEP))?;
    Ok(true)
}

/// Makes every program portable, and puts those of the package itself into `bin/`. Gives their names.
fn place_programs(root: &Path, package: &str) -> Result<Vec<String>, EngineError> {
    let site = root.join("python");
    let bin = root.join("bin");
    fs::create_dir_all(&bin).map_err(failed(STEP))?;
    for entry in fs::read_dir(site.join("bin")).into_iter().flatten().flatten() {
        let text = fs::read(entry.path()).unwrap_or_default();
        if let Some(text) = wheel::portable(&text) {
            fs::write(entry.path(), text).map_err(failed(STEP))?;
        }
    }
    let record = wheel::dist_info(&site, package).and_then(|folder| fs::read_to_string(folder.join("RECORD")).ok());
    let names = wheel::programs(&record.unwrap_or_default());
    for name in &names {
        let from = site.join("bin").join(name);
        if from.is_file() {
            fs::copy(&from, bin.join(name)).map_err(failed(STEP))?;
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(stderr: &str) -> String {
        let client = Client { program: PathBuf::from("/p/python3"), version: String::from("3.11.2") };
        explain("x==1", "3.11", &client, &Said { success: false, stdout: String::new(), stderr: stderr.to_owned() })
            .to_string()
    }

    #[test]
    fn pips_reason_is_kept_and_gets_its_remedy() {
        let message = explained(
            "ERROR: Could not find a version that satisfies the requirement x==1 (from versions: none)\nERROR: No matching distribution found for x==1\n",
        );
        assert!(message.starts_with("pip could not fetch x==1: Could not find a version"), "{message}");
        assert!(message.contains("only as sources is refused"), "{message}");
        assert!(explained("no such option: --report").contains("22.2 or newer"));
        assert!(
            explained("WARNING: NewConnectionError …\nERROR: No matching distribution found (from versions: none)")
                .contains("index could not be reached")
        );
    }

    #[test]
    fn wheels_may_want_no_newer_c_library_than_the_pod_has() {
        let x86 = platforms("x86_64", "3.11");
        assert_eq!((x86[0].as_str(), x86.last().unwrap().as_str()), ("manylinux_2_36_x86_64", "linux_x86_64"));
        assert_eq!(platforms("x86_64", "3.9")[0], "manylinux_2_31_x86_64");
        // Published images of other Pythons are of bookworm.
        for python in ["3.12", "3.13"] {
            assert_eq!(platforms("x86_64", python), x86, "{python}");
        }
        assert!(!platforms("aarch64", "3.11").iter().any(|name| name.contains("_2_5_") || name.contains("2010")));
    }

    #[test]
    fn only_names_and_exact_versions_are_passed_on() {
        assert!(check("aider-chat", "0.86.2", "3.11").is_ok() && check("x", "latest", "3.9").is_ok());
        for (name, spec, python) in
            [("-r", "1", "3.11"), ("x y", "1", "3.11"), ("x", ">=1", "3.11"), ("x", "1", "3"), ("x[a]", "1", "3.11")]
        {
            assert!(check(name, spec, python).is_err(), "{name} {spec} {python}");
        }
    }

    #[test]
    fn versions_are_read_from_pips_list() {
        assert_eq!(listed("x (2.0)\nAvailable versions: 2.0, 1.1, 1.0\n  INSTALLED: 1.0\n"), ["2.0", "1.1", "1.0"]);
        assert!(listed("").is_empty());
    }

    #[test]
    fn every_distribution_needs_a_hash() {
        let site = tempfile::tempdir().unwrap();
        let text = r#"{"install": [
            {"metadata": {"name": "A_b", "version": "1"}, "download_info": {"url": "u", "archive_info": {"hash": "sha256=aa", "hashes": {"sha256": "aa"}}}},
            {"metadata": {"name": "c", "version": "2"}, "download_info": {"url": "file:///c", "archive_info": {}}}]}"#;
        let report: Report = serde_json::from_str(text).unwrap();
        let message = report.integrity(site.path()).unwrap_err().to_string();
        assert!(message.contains("no hash of c 2"), "{message}");
        std::fs::create_dir(site.path().join("c-2.dist-info")).unwrap();
        std::fs::write(site.path().join("c-2.dist-info/RECORD"), "text").unwrap();
        let found = report.integrity(site.path()).unwrap();
        assert_eq!(found["a-b@1"], "sha256:aa");
        assert!(found["c@2"].starts_with("record-sha256:982d9e"));
    }
}
