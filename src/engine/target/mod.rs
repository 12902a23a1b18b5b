//! **Targets**: from a scenario's source to a folder of files that a pod can run. Installed once, cached by what was
//! asked for; package install scripts are never run on this machine, only inside a pod.
//!
//! Takes a checked [`Target`](crate::scenario::Target), gives an [`Installed`]; refuses to know which engine will run it.
//! Packages are fetched with the machine's own `npm` or `pip`, so that its registry, proxy and certificate settings apply.

mod cache;
mod client;
mod executable;
mod interpreter;
mod listing;
mod local;
mod node;
mod npm;
mod package_lock;
mod pypi;
mod python;
mod tree;
mod version;
mod wheel;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use cache::{Cached, Cleaned, cache_folder, cached, clean};
pub use client::find_program;
pub use executable::{executable_facts, is_static};
pub use interpreter::minors as pythons;
pub use listing::{Wanted, remove, versions};
pub use local::command_in_pod;
use python::Python;
pub use python::{POD_PYTHON, Userland, pod_python};
pub use tree::copy as copy_tree;
pub(in crate::engine) use tree::hash_file;

use super::EngineError;
use crate::scenario::{Source, Target};

/// An installed target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Folder on this machine that must stand at `/opt/target` in a pod, world-readable. `None`: the image has it all.
    /// It belongs to the cache and is checked against what was installed before every run: never write into it. An
    /// engine that runs [`Installed::scripts`] does so on a copy ([`copy_tree`]).
    pub root: Option<PathBuf>,
    /// The complete image, for `image` sources.
    pub image: Option<String>,
    /// Folders inside the pod that go first into PATH, for cells and for [`Installed::scripts`].
    pub search: Vec<String>,
    /// Variables that the installed files need (`PYTHONPATH`), pinned in every cell.
    pub variables: std::collections::BTreeMap<String, String>,
    /// Install scripts still to be run, inside a closed pod with `/opt/target` writable, in order.
    pub scripts: Vec<InstallScript>,
    /// Debian packages that a base image must have beside its own, sorted: `python3-minimal`.
    pub packages: Vec<String>,
    /// Minor version that a base image's `python3` must have: `3.11`. `None`: whatever it has, if any.
    pub python: Option<String>,
    /// Digest of all that was installed (lower-case hex), by which images are cached.
    pub digest: String,
    /// For the manifest.
    pub facts: TargetFacts,
}

impl Installed {
    /// The executable's file on this machine; `None` where it is the image's own.
    #[must_use]
    pub fn executable_file(&self) -> Option<PathBuf> {
        let inside = self.facts.executable.as_deref()?;
        let below = Path::new(inside).strip_prefix(super::pod::TARGET_ROOT).ok()?;
        Some(self.root.as_ref()?.join(below))
    }
}

/// A package's own install script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallScript {
    /// Folder inside the pod.
    pub folder: String,
    /// Shell command, for `sh -c`. A failure is an error: scripts whose failure npm would forgive forgive it themselves.
    pub command: String,
}

/// What the manifest says of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFacts {
    /// Package URL, `pkg:npm/%40scope/name@1.2.3`, or the path or image reference.
    pub package: String,
    /// Resolved version.
    pub version: Option<String>,
    /// Registry integrity of the package's archive (`sha512-…`), and of every other package installed with it, by name@version.
    pub integrity: std::collections::BTreeMap<String, String>,
    /// The executable: path inside the pod, links followed. As [`install`] gives it where scripts are still to be run: the
    /// link at which it is found; the engine then follows it and fills in the digest ([`executable_facts`]).
    pub executable: Option<String>,
    /// SHA-256 of the executable after install scripts, lower-case hex.
    pub executable_sha256: Option<String>,
    /// Version of the Node.js or Python that runs it.
    pub runtime: Option<String>,
    /// Whether this run installed it (false: it came from the cache).
    #[serde(skip)]
    pub fresh: bool,
}

/// Installs `target` into `cache` unless it is there, and says where. `notice` hears one line of every slow step and of
/// everything that a person should know. An exact version that is cached needs neither network nor package client.
///
/// For pods of a base image, Docker's; see [`install_for`].
///
/// # Errors
/// [`EngineError::Missing`] where the machine, the registry or the scenario's folder lacks something, with what and how;
/// [`EngineError::NoTarget`] where nobody has what the scenario names; [`EngineError::Failed`] when a step failed.
pub async fn install(
    target: &Target,
    cache: &Path,
    notice: &(dyn Fn(String) + Sync),
) -> Result<Installed, EngineError> {
    install_for(target, cache, Userland::Image, notice).await
}

/// As [`install`], for pods of this userland: where they show the machine's own programs, the Python that a target asks for
/// is one of the machine's.
///
/// # Errors
/// As [`install`].
pub async fn install_for(
    target: &Target,
    cache: &Path,
    userland: Userland,
    notice: &(dyn Fn(String) + Sync),
) -> Result<Installed, EngineError> {
    let asked = target.python.as_deref();
    let mut installed = match &target.source {
        Source::Npm { package, version } => npm::install(package, version, &target.node, cache, notice).await?,
        Source::Pypi { package, version } => {
            let python = python::provide(asked, userland, cache, notice).await?;
            runs_on(pypi::install(package, version, &python, cache, notice).await?, &python, userland)
        }
        Source::Image { reference } => image(reference),
        Source::Local { include } => {
            let (command, folder) = (target.command.first().cloned().unwrap_or_default(), target.folder.clone());
            let python = match asked {
                Some(_) => Some(python::provide(asked, userland, cache, notice).await?),
                None => None,
            };
            let (include, cache, beside) = (include.clone(), cache.to_path_buf(), python.clone());
            let work = move || local::install(&command, &folder, &include, beside.as_ref(), &cache);
            let installed = blocking(work).await?;
            match &python {
                Some(python) => runs_on(installed, python, userland),
                None => installed,
            }
        }
    };
    let command = command_in_pod(target);
    if let (Some(root), Some(name)) = (installed.root.clone(), command.into_iter().next()) {
        let search = installed.search.clone();
        if installed.scripts.is_empty() {
            let found = blocking(move || Ok(executable_facts(&root, &search, &name))).await?;
            (installed.facts.executable, installed.facts.executable_sha256) = found.unzip();
        } else {
            // The scripts may put another file in its place: the engine looks once they have run.
            installed.facts.executable = executable::entry_point(&root, &search, &name);
        }
    }
    Ok(installed)
}

/// Says of an installed target which Python it runs on, and what a base image needs for that.
fn runs_on(mut installed: Installed, python: &Python, userland: Userland) -> Installed {
    installed.facts.runtime = Some(python.told());
    if userland == Userland::Image {
        installed.python = Some(python.minor.clone());
        installed.packages.push(String::from("python3"));
        installed.packages.sort();
        installed.packages.dedup();
    }
    installed
}

/// An image is complete: nothing is installed, and its digest is the engine's to find.
fn image(reference: &str) -> Installed {
    Installed {
        root: None,
        image: Some(reference.to_owned()),
        search: Vec::new(),
        variables: std::collections::BTreeMap::new(),
        scripts: Vec::new(),
        packages: Vec::new(),
        python: None,
        digest: tree::digest(["image", reference]),
        facts: TargetFacts { package: reference.to_owned(), ..TargetFacts::default() },
    }
}

/// Runs file work where it does not hold up the cells.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(EngineError::Failed { step: "installing the target", message: error.to_string() }),
    }
}

/// Puts an [`std::io::Error`] under the name of the step that it ended.
fn failed(step: &'static str) -> impl Fn(std::io::Error) -> EngineError {
    move |error| EngineError::Failed { step, message: error.to_string() }
}
