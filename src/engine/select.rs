//! **Which engine** runs the cells: the one that was asked for, or the best that this machine has.

use std::str::FromStr;
use std::sync::Arc;

use futures_util::future::join_all;

use super::docker::{self, Docker};
use super::embedded::{self, Embedded};
use super::external::Program;
use super::pod::PodOptions;
use super::target::Userland;
use super::{Engine, EngineError, canary};
use crate::scenario::Source;

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Docker where it answers, else embedded.
    #[default]
    Auto,
    /// Docker.
    Docker,
    /// Namespaces of our own.
    Embedded,
    /// The program of this command line.
    External(String),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "docker" => Ok(Self::Docker),
            "embedded" => Ok(Self::Embedded),
            _ => match text.strip_prefix("exec:") {
                Some(line) if !line.trim().is_empty() => Ok(Self::External(line.trim().to_owned())),
                Some(_) => Err(String::from("needs a program, as in exec:./simulator.py")),
                None => Err(String::from("expected auto, docker, embedded or exec:PROGRAM")),
            },
        }
    }
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Docker.
    Docker,
    /// Namespaces of our own.
    Embedded,
    /// Somebody else's program.
    External(Program),
}

impl Kind {
    /// Whether cells run in pods of ours, for which a target must be installed.
    #[must_use]
    pub fn has_pods(&self) -> bool {
        !matches!(self, Self::External(_))
    }

    /// Whose programs its pods have beside the target's.
    #[must_use]
    pub fn userland(&self) -> Userland {
        match self {
            Self::Docker | Self::External(_) => Userland::Image,
            Self::Embedded => Userland::Machine,
        }
    }
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
        Choice::External(line) => Ok(Kind::External(Program::find(&line)?)),
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

/// Opens an engine that has pods and proves with a canary that they are closed.
///
/// # Errors
/// When it cannot be opened, or the canary saw something that must not be.
pub async fn open(kind: &Kind, options: PodOptions) -> Result<Arc<dyn Engine>, EngineError> {
    match kind {
        Kind::External(program) => {
            Err(EngineError::Failed { step: "opening pods", message: format!("`{program}` has none") })
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_read_from_its_name() {
        assert_eq!("auto".parse(), Ok(Choice::Auto));
        assert_eq!("exec:./sim --fast 'a b'".parse(), Ok(Choice::External("./sim --fast 'a b'".into())));
        assert!("exec: ".parse::<Choice>().unwrap_err().contains("needs a program"));
        assert!("podman".parse::<Choice>().unwrap_err().contains("exec:PROGRAM"));
    }
}
