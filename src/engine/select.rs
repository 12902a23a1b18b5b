//! **Which engine** runs the cells: the one that was asked for, or the best that this machine has.

use std::sync::Arc;

use futures_util::future::join_all;

use super::docker::{self, Docker};
use super::embedded::{self, Embedded};
use super::pod::PodOptions;
use super::{Engine, EngineError, canary, target};
use crate::scenario::Source;

/// What was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Docker where it answers, else embedded.
    #[default]
    Auto,
    /// Docker.
    Docker,
    /// Namespaces of our own.
    Embedded,
}

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Docker.
    Docker,
    /// Namespaces of our own.
    Embedded,
}

/// Chooses an engine for a target, before the target is installed: what is installed can depend on it.
///
/// # Errors
/// [`EngineError::Missing`] when this machine has no engine that could run it; says why of each.
pub async fn choose(choice: Choice, source: &Source) -> Result<Kind, EngineError> {
    let image = matches!(source, Source::Image { .. });
    match choice {
        // Whether they answer is found out by opening them, with messages of their own.
        Choice::Docker => Ok(Kind::Docker),
        Choice::Embedded if image => Err(EngineError::NoTarget {
            key: "image",
            message: "a target that is a container image needs Docker: use --engine docker".into(),
        }),
        Choice::Embedded => Ok(Kind::Embedded),
        Choice::Auto => {
            let Err(no_docker) = docker::probe().await else { return Ok(Kind::Docker) };
            if image {
                return Err(EngineError::Missing(format!(
                    "a target that is a container image needs Docker: {no_docker}"
                )));
            }
            let embedded = tokio::task::spawn_blocking(embedded::probe)
                .await
                .map_err(|error| EngineError::Failed { step: "looking at this machine", message: error.to_string() })?;
            match embedded {
                Ok(_) => Ok(Kind::Embedded),
                Err(no_embedded) => Err(EngineError::Missing(format!(
                    "this machine has no engine that can run cells\n  docker: {no_docker}\n  embedded: {no_embedded}\n\
                     `parallax doctor` says more"
                ))),
            }
        }
    }
}

/// The minor version of the Python that the engine's pods have, for which Python packages are installed.
#[must_use]
pub fn pod_python(kind: Kind) -> String {
    match kind {
        Kind::Docker => target::POD_PYTHON.to_owned(),
        Kind::Embedded => target::host_python().unwrap_or_else(|| target::POD_PYTHON.to_owned()),
    }
}

/// Opens an engine and proves with a canary that its pods are closed.
///
/// # Errors
/// When it cannot be opened, or the canary saw something that must not be.
pub async fn open(kind: Kind, options: PodOptions) -> Result<Arc<dyn Engine>, EngineError> {
    match kind {
        // It lets the canary fly itself.
        Kind::Embedded => Ok(Arc::new(Embedded::open(options).await?)),
        Kind::Docker => {
            let slots = options.slots.max(1);
            let engine = Docker::open(options).await?;
            let flights = join_all((0..slots).map(|slot| canary::run(&engine, slot))).await;
            if let Some(error) = flights.into_iter().find_map(Result::err) {
                engine.close().await;
                return Err(error);
            }
            Ok(Arc::new(engine))
        }
    }
}
