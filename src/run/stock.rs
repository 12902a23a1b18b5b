//! The **stock** of installed versions: they are installed ahead while cells of another run, and those that a search has
//! installed itself are removed once it needs them no more.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tokio::task::JoinHandle;

use super::event::{Event, Listener};
use crate::engine::EngineError;
use crate::engine::docker;
use crate::engine::select::Kind;
use crate::engine::target::{self, Installed};
use crate::scenario::{Source, Target};

/// Installed versions of one target.
pub(super) struct Stock {
    kind: Kind,
    target: Target,
    cache: PathBuf,
    listener: Listener,
    /// Whether what was installed stays.
    keep: bool,
    /// Folders of the cache that were there before.
    had: BTreeSet<PathBuf>,
    ahead: BTreeMap<String, JoinHandle<Result<Installed, EngineError>>>,
    /// Versions that were installed, as far as they were not there before.
    fetched: BTreeSet<String>,
    /// How many were installed in all.
    pub(super) built: usize,
    /// Runs that may have made images, by version.
    images: BTreeMap<String, Vec<String>>,
}

impl Stock {
    pub(super) fn new(kind: Kind, target: Target, keep: bool, listener: Listener) -> Self {
        let cache = target::cache_folder();
        let had = target::cached(&cache).into_iter().map(|entry| entry.folder).collect();
        Self {
            kind,
            target,
            cache,
            listener,
            keep,
            had,
            ahead: BTreeMap::new(),
            fetched: BTreeSet::new(),
            built: 0,
            images: BTreeMap::new(),
        }
    }

    /// Begins to install a version.
    pub(super) fn prefetch(&mut self, version: &str) {
        if !self.kind.has_pods() || self.ahead.contains_key(version) || self.fetched.contains(version) {
            return;
        }
        let target = Target { source: with_version(&self.target.source, version), ..self.target.clone() };
        let (cache, userland, listener) = (self.cache.clone(), self.kind.userland(), self.listener.clone());
        let install = async move {
            let notice = move |line: String| listener(Event::Preparing(line));
            target::install_for(&target, &cache, userland, &notice).await
        };
        self.ahead.insert(version.to_owned(), tokio::spawn(install));
    }

    /// Waits until a version is there.
    ///
    /// # Errors
    /// When it cannot be installed.
    pub(super) async fn fetch(&mut self, version: &str) -> Result<(), EngineError> {
        self.prefetch(version);
        let Some(task) = self.ahead.remove(version) else { return Ok(()) };
        let installed = match task.await {
            Ok(installed) => installed?,
            Err(error) => {
                return Err(EngineError::Failed { step: "installing the target", message: error.to_string() });
            }
        };
        if installed.facts.fresh {
            self.fetched.insert(version.to_owned());
            self.built += 1;
        }
        Ok(())
    }

    /// A run of this version may have made an image, which carries the run's id.
    pub(super) fn imaged(&mut self, version: &str, run: String) {
        self.images.entry(version.to_owned()).or_default().push(run);
    }

    /// Removes what was installed and made here, but for these versions.
    pub(super) async fn retire(&mut self, wanted: &BTreeSet<String>) {
        if self.keep {
            return;
        }
        let old: BTreeSet<String> = self.fetched.difference(wanted).cloned().collect();
        let package = package_url(&self.target.source);
        for entry in target::cached(&self.cache) {
            let is_old = entry.version.as_ref().is_some_and(|version| old.contains(version))
                && package.as_ref().is_some_and(|package| entry.package.starts_with(&format!("{package}@")));
            if !is_old || self.had.contains(&entry.folder) {
                continue;
            }
            if let Err(error) = target::remove(&self.cache, &entry.folder) {
                (self.listener)(Event::Warning(format!("{error}; `parallax clean` removes what is left")));
            }
        }
        self.fetched.retain(|version| !old.contains(version));
        let gone = self.images.extract_if(.., |version, _| !wanted.contains(version));
        let runs: Vec<String> = gone.flat_map(|(_, runs)| runs).collect();
        if self.kind == Kind::Docker
            && !runs.is_empty()
            && let Err(error) = docker::forget(&runs).await
        {
            (self.listener)(Event::Warning(format!("images stay: {error}")));
        }
    }

    /// Ends what is still being installed and removes everything that was.
    pub(super) async fn close(&mut self) {
        for (version, task) in std::mem::take(&mut self.ahead) {
            task.abort();
            if let Ok(Ok(installed)) = task.await
                && installed.facts.fresh
            {
                self.fetched.insert(version);
                self.built += 1;
            }
        }
        self.retire(&BTreeSet::new()).await;
    }
}

/// The source at another version.
pub(super) fn with_version(source: &Source, version: &str) -> Source {
    let (package, version) = match source {
        Source::Npm { package, .. } | Source::Pypi { package, .. } => (package.clone(), version.to_owned()),
        Source::Image { .. } | Source::Local { .. } => return source.clone(),
    };
    match source {
        Source::Pypi { .. } => Source::Pypi { package, version },
        _ => Source::Npm { package, version },
    }
}

/// The package URL without a version, as the cache has it.
fn package_url(source: &Source) -> Option<String> {
    match source {
        Source::Npm { package, .. } => Some(format!("pkg:npm/{}", package.replace('@', "%40"))),
        Source::Pypi { package, .. } => Some(format!("pkg:pypi/{package}")),
        Source::Image { .. } | Source::Local { .. } => None,
    }
}
