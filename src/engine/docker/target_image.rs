//! The **target image**: an installed target's files over a base image, its install scripts run without a network. Known by
//! the digest of what was installed, so that a second run builds nothing.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;

use bollard::Docker as Client;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder, RemoveContainerOptionsBuilder,
};
use futures_util::TryStreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::io::StreamReader;

use super::base;
use super::build::{Recipe, build, find, pull};
use super::connection::{failed, is_absent};
use super::context::{Context, Source};
use super::gateway_image::HashWriter;
use super::owner::Owner;
use super::python;
use crate::engine::EngineError;
use crate::engine::pod::{PodOptions, TARGET_ROOT};
use crate::engine::target::{Installed, TargetFacts};

/// How many links a path may lead through.
const LINKS: usize = 40;

/// A target's image, ready to be run.
#[derive(Clone, Debug)]
pub(super) struct TargetImage {
    /// What it is called.
    pub(super) name: String,
    /// Names of the variables that the image itself would set.
    pub(super) variables: Vec<String>,
    /// What is known of the target now.
    pub(super) facts: TargetFacts,
}

/// Finds, fetches or builds the image of the target.
pub(super) async fn provide(client: &Client, owner: &Owner, options: &PodOptions) -> Result<TargetImage, EngineError> {
    let target = &options.target;
    let name = match &target.image {
        Some(reference) => fetch(client, reference).await?,
        None => build_target(client, options).await?,
    };
    let image = find(client, &name).await?.ok_or_else(|| EngineError::Failed {
        step: "looking for the target's image",
        message: format!("{name} is gone"),
    })?;
    let variables = image.config.and_then(|config| config.env).unwrap_or_default();
    let variables = variables.iter().map(|line| line.split('=').next().unwrap_or_default().to_owned()).collect();
    let mut facts = target.facts.clone();
    let id = image.id.unwrap_or_else(|| name.clone());
    if let Some(wanted) = &target.python {
        let known = base::named().unwrap_or_else(|| name.clone());
        let version = python::expect(client, owner, options, (&id, &known), wanted).await?;
        facts.runtime = Some(format!("Python {version}"));
    }
    if let Some(executable) = facts.executable.clone() {
        let (path, digest) = executable_digest(client, owner, options, &id, &executable).await?;
        facts.executable = Some(path);
        facts.executable_sha256 = Some(digest);
    }
    Ok(TargetImage { name, variables, facts })
}

async fn fetch(client: &Client, reference: &str) -> Result<String, EngineError> {
    if find(client, reference).await?.is_none() {
        pull(client, reference).await.map_err(|problem| {
            EngineError::NoTarget {
                key: "image",
                message: format!(
                    "the target's image `{reference}` is not here and could not be pulled ({problem}): build or load it first \
                     (`docker build -t {reference} .`, `docker load`), or check its name"
                ),
            }
        })?;
    }
    Ok(reference.to_owned())
}

async fn build_target(client: &Client, options: &PodOptions) -> Result<String, EngineError> {
    let target = &options.target;
    let base = base::provide(client, &options.run, &target.packages, target.python.as_deref(), &options.cache).await?;
    let Some(root) = &target.root else { return Ok(base) };
    let dockerfile = dockerfile(target)?;
    let id = find(client, &base).await?.and_then(|image| image.id).unwrap_or_default();
    let digest = hex::encode(Sha256::digest(format!("{id}\n{}\n{dockerfile}", target.digest)));
    let tag = format!("parallax-target:{}", &digest[..16]);
    if find(client, &tag).await?.is_none() {
        let mut context = Context::new(dockerfile);
        context.add("target", Source::Folder(root.clone()));
        let arguments = HashMap::from([(String::from("BASE"), base)]);
        let recipe = Recipe { tag: &tag, role: "target", run: &options.run, network: "none", arguments, context };
        build(client, recipe).await?;
    }
    Ok(tag)
}

/// The Dockerfile of a target: its files, then its install scripts in order.
fn dockerfile(target: &Installed) -> Result<String, EngineError> {
    let mut text = String::from(include_str!("../../../images/target.Dockerfile"));
    let mut search = target.search.join(":");
    search.push_str(if search.is_empty() { "" } else { ":" });
    search.push_str("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    for script in &target.scripts {
        // `env` instead of ENV lines: nothing of this may show up in an agent's environment.
        let mut words = vec![String::from("/usr/bin/env"), format!("PATH={search}"), String::from("HOME=/tmp")];
        words.extend(target.variables.iter().map(|(name, value)| format!("{name}={value}")));
        words.extend(["/bin/sh", "-ec"].map(String::from));
        words.push(format!("cd \"$1\"\n{}", script.command));
        words.extend([String::from("sh"), script.folder.clone()]);
        let json = serde_json::to_string(&words)
            .map_err(|error| EngineError::Failed { step: "writing a Dockerfile", message: error.to_string() })?;
        text.push_str("RUN ");
        text.push_str(&json);
        text.push('\n');
    }
    Ok(text)
}

/// The digest of the executable as it is in the image, kept in the cache by the image's id.
async fn executable_digest(
    client: &Client,
    owner: &Owner,
    options: &PodOptions,
    image: &str,
    executable: &str,
) -> Result<(String, String), EngineError> {
    let key = hex::encode(Sha256::digest(format!("{image} {executable}")));
    let kept = options.cache.join("executables").join(key);
    if let Ok(text) = std::fs::read_to_string(&kept)
        && let Some((digest, path)) = text.trim_end().split_once(' ')
        && digest.len() == 64
    {
        return Ok((path.to_owned(), digest.to_owned()));
    }
    let container = shelf(client, owner, &options.run, image).await?;
    let read = async {
        let path = follow(client, &container, executable).await?;
        let digest = file_digest(client, &container, &path).await?;
        Ok((path, digest))
    };
    let result: Result<(String, String), EngineError> = read.await;
    let removal = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    if let Err(error) = client.remove_container(&container, Some(removal)).await {
        tracing::debug!(container, %error, "left for the sweep");
    }
    let (path, digest) = result?;
    let folder = kept.parent().unwrap_or(Path::new("/"));
    if let Err(error) = fs_err::create_dir_all(folder).and_then(|()| fs_err::write(&kept, format!("{digest} {path}\n")))
    {
        tracing::debug!(%error, "the digest is not kept");
    }
    Ok((path, digest))
}

/// A container that is never started, to read files of an image from.
async fn shelf(client: &Client, owner: &Owner, run: &str, image: &str) -> Result<String, EngineError> {
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec![String::from("/bin/true")]),
        labels: Some(owner.labels(run, "shelf")),
        host_config: Some(HostConfig { network_mode: Some(String::from("none")), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    };
    Ok(client.create_container(None, body).await.map_err(failed("reading the target's image"))?.id)
}

/// Follows links to the file itself.
async fn follow(client: &Client, container: &str, path: &str) -> Result<String, EngineError> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let options = ContainerArchiveInfoOptionsBuilder::new().path(&path).build();
        let found = client.get_container_archive_info(container, Some(options)).await.map_err(|error| {
            if is_absent(&error) {
                EngineError::Missing(format!("the target's executable {path} is not in its image"))
            } else {
                failed("looking at the target's executable")(error)
            }
        })?;
        if found.link_target.is_empty() {
            return Ok(path);
        }
        path = join(&path, &found.link_target);
    }
    Err(EngineError::Missing(format!("the target's executable {path} is a link without an end")))
}

/// Where a link at `path` leads to.
fn join(path: &str, to: &str) -> String {
    let folder = if to.starts_with('/') { "" } else { path.rsplit_once('/').map_or("", |(folder, _)| folder) };
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(to.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

async fn file_digest(client: &Client, container: &str, path: &str) -> Result<String, EngineError> {
    let step = "reading the target's executable";
    let options = DownloadFromContainerOptionsBuilder::new().path(path).build();
    let stream = client.download_from_container(container, Some(options)).map_err(std::io::Error::other);
    let bridge = Bridge { reader: StreamReader::new(Box::pin(stream)), runtime: tokio::runtime::Handle::current() };
    let hash = move || -> std::io::Result<String> {
        let mut archive = tar::Archive::new(bridge);
        let mut entry = archive.entries()?.next().ok_or(std::io::ErrorKind::UnexpectedEof)??;
        let mut hasher = Sha256::new();
        std::io::copy(&mut entry.by_ref(), &mut HashWriter(&mut hasher))?;
        Ok(hex::encode(hasher.finalize()))
    };
    let hashed = tokio::task::spawn_blocking(hash).await.map_err(std::io::Error::other).and_then(|hashed| hashed);
    hashed.map_err(|error| EngineError::Failed { step, message: format!("{path} under {TARGET_ROOT}: {error}") })
}

/// An asynchronous reader for code that blocks, on a thread where blocking is allowed.
struct Bridge<R> {
    reader: R,
    runtime: tokio::runtime::Handle,
}

impl<R: AsyncRead + Unpin> std::io::Read for Bridge<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.runtime.block_on(self.reader.read(buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::target::InstallScript;

    #[test]
    fn links_lead_where_the_kernel_would_lead() {
        assert_eq!(join("/opt/target/bin/claude", "../lib/cli.js"), "/opt/target/lib/cli.js");
        assert_eq!(join("/opt/target/bin/claude", "/usr/bin/x"), "/usr/bin/x");
        assert_eq!(join("/a", "../../../b/./c"), "/b/c");
    }

    #[test]
    fn a_script_is_one_line_whatever_is_in_it() {
        let target = Installed {
            root: None,
            image: None,
            search: vec![String::from("/opt/target/node/bin")],
            variables: std::collections::BTreeMap::from([(String::from("A"), String::from("b c"))]),
            scripts: vec![InstallScript {
                folder: String::from("/opt/target/it's here"),
                command: String::from("echo \"$PATH\" \\\n  && node install.js\n"),
            }],
            packages: Vec::new(),
            python: None,
            digest: String::new(),
            facts: TargetFacts::default(),
        };
        let text = dockerfile(&target).unwrap();
        let runs: Vec<&str> = text.lines().filter(|line| line.starts_with("RUN ")).collect();
        assert_eq!(runs.len(), 1);
        let words: Vec<String> = serde_json::from_str(&runs[0]["RUN ".len()..]).unwrap();
        assert_eq!(words[1], "PATH=/opt/target/node/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        assert_eq!(words[3], "A=b c");
        assert_eq!(words[6], "cd \"$1\"\necho \"$PATH\" \\\n  && node install.js\n");
        assert_eq!(words[8], "/opt/target/it's here");
    }
}
