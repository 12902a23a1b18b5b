//! **Building** images through the engine's own builder, and asking what images there are.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bollard::Docker as Client;
use bollard::models::{BuildInfo, ImageInspect};
use bollard::query_parameters::{BuildImageOptionsBuilder, CreateImageOptionsBuilder};
use futures_util::StreamExt as _;

use super::connection::{explain, failed, is_absent};
use super::context::Context;
use super::owner::ROLE_LABEL;
use crate::engine::EngineError;
use crate::engine::pod::LABEL;

/// How long the engine may be silent while it takes in a context: it answers first when it has all of it.
const INTAKE: Duration = Duration::from_mins(30);

/// How long a pull may take.
const PULL: Duration = Duration::from_mins(15);

/// Lines of a builder's output that an error message quotes.
const QUOTED: usize = 12;

/// An image to be built.
#[derive(Debug)]
pub(super) struct Recipe<'a> {
    /// What it will be called, `name:tag`.
    pub(super) tag: &'a str,
    /// What it is for.
    pub(super) role: &'a str,
    /// The run that builds it.
    pub(super) run: &'a str,
    /// Network of its RUN steps: `none` or `host`.
    pub(super) network: &'a str,
    /// Values of its ARG lines.
    pub(super) arguments: HashMap<String, String>,
    /// Dockerfile and files.
    pub(super) context: Context,
}

/// The image of this name, if the engine has it.
pub(super) async fn find(client: &Client, name: &str) -> Result<Option<ImageInspect>, EngineError> {
    match client.inspect_image(name).await {
        Ok(image) => Ok(Some(image)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(failed("looking for an image")(error)),
    }
}

/// Builds an image.
pub(super) async fn build(client: &Client, recipe: Recipe<'_>) -> Result<(), EngineError> {
    tracing::info!(image = recipe.tag, "building");
    let labels =
        HashMap::from([(LABEL.to_owned(), recipe.run.to_owned()), (ROLE_LABEL.to_owned(), recipe.role.to_owned())]);
    let options = BuildImageOptionsBuilder::new()
        .t(recipe.tag)
        .rm(true)
        .forcerm(true)
        .networkmode(recipe.network)
        .buildargs(&recipe.arguments)
        .labels(&labels)
        .build();
    let patient = client.clone().with_timeout(INTAKE);
    let body = bollard::body_try_stream(recipe.context.stream());
    let mut progress = std::pin::pin!(patient.build_image(options, None, Some(body)));
    let mut said = VecDeque::new();
    while let Some(step) = progress.next().await {
        let problem = match step {
            Ok(BuildInfo { stream: Some(text), .. }) => {
                for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
                    tracing::debug!(image = recipe.tag, "{line}");
                    said.push_back(line.to_owned());
                    if said.len() > QUOTED {
                        said.pop_front();
                    }
                }
                continue;
            }
            Ok(_) => continue,
            Err(error) => explain(&error),
        };
        let quoted: Vec<String> = said.into_iter().map(|line| format!("\n    {line}")).collect();
        return Err(EngineError::Failed {
            step: "building an image",
            message: format!("{} ({}): {problem}{}", recipe.tag, recipe.role, quoted.concat()),
        });
    }
    Ok(())
}

/// Fetches an image from its registry.
///
/// # Errors
/// One line: why it could not be had.
pub(super) async fn pull(client: &Client, name: &str) -> Result<(), String> {
    tracing::info!(image = name, "pulling");
    // Without a tag the engine would fetch every tag there is.
    let tagged = name.contains('@') || name.rsplit('/').next().is_some_and(|last| last.contains(':'));
    let reference = if tagged { name.to_owned() } else { format!("{name}:latest") };
    let options = CreateImageOptionsBuilder::new().from_image(&reference).build();
    let fetch = async {
        let mut progress = std::pin::pin!(client.create_image(Some(options), None, None));
        while let Some(step) = progress.next().await {
            step.map_err(|error| explain(&error))?;
        }
        Ok(())
    };
    tokio::time::timeout(PULL, fetch).await.map_err(|_| format!("not done within {} min", PULL.as_secs() / 60))?
}
