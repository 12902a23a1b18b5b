//! Which **Python** an image has: asked of it once, in a container without a network, and kept in the cache by the image's id.

use std::path::Path;
use std::time::Duration;

use bollard::Docker as Client;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{RemoveContainerOptionsBuilder, StartContainerOptions, WaitContainerOptionsBuilder};
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};

use super::attach::listen;
use super::connection::failed;
use super::owner::Owner;
use crate::engine::EngineError;
use crate::engine::pod::PodOptions;

const STEP: &str = "asking which Python the base image has";

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_mins(2);

/// Refuses an image whose `python3`, as the target finds it, is not of the minor version `wanted`. Gives its exact version.
///
/// `image` is its id, `name` what a person knows it by.
pub(super) async fn expect(
    client: &Client,
    owner: &Owner,
    options: &PodOptions,
    (image, name): (&str, &str),
    wanted: &str,
) -> Result<String, EngineError> {
    let key = hex::encode(Sha256::digest(format!("{image} {}", options.target.search.join(":"))));
    let kept = options.cache.join("pythons").join(key);
    let version = match std::fs::read_to_string(&kept) {
        Ok(text) if is_version(text.trim_end()) => text.trim_end().to_owned(),
        _ => {
            let said = ask(client, owner, options, image).await?;
            let version = said.trim().to_owned();
            if !is_version(&version) {
                return Err(refused(name, wanted, "no python3 that answers"));
            }
            let folder = kept.parent().unwrap_or(Path::new("/"));
            let text = format!("{version}\n");
            if let Err(error) = fs_err::create_dir_all(folder).and_then(|()| fs_err::write(&kept, text)) {
                tracing::debug!(%error, "the version is not kept");
            }
            version
        }
    };
    let of_wanted = version.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('.'));
    if of_wanted { Ok(version) } else { Err(refused(name, wanted, &format!("Python {version}"))) }
}

fn is_version(text: &str) -> bool {
    text.split('.').count() == 3 && text.split('.').all(|part| part.parse::<u32>().is_ok())
}

fn refused(name: &str, wanted: &str, found: &str) -> EngineError {
    EngineError::NoTarget {
        key: "python",
        message: format!(
            "the target is to run on Python {wanted}, and the image `{name}` has {found}: write its version as \
             `python` into the scenario's [target], or name another image in {} (or unset it)",
            super::BASE_VARIABLE
        ),
    }
}

/// What the image's `python3` says of its version.
async fn ask(client: &Client, owner: &Owner, options: &PodOptions, image: &str) -> Result<String, EngineError> {
    let mut search = options.target.search.join(":");
    search.push_str(if search.is_empty() { "" } else { ":" });
    let path = format!("PATH={search}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let question = "import sys; print('%d.%d.%d' % sys.version_info[:3])";
    let words = [path.as_str(), "python3", "-I", "-S", "-c", question].map(str::to_owned);
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec![String::from("/usr/bin/env")]),
        cmd: Some(words.to_vec()),
        user: Some(String::from("1000:1000")),
        labels: Some(owner.labels(&options.run, "shelf")),
        host_config: Some(HostConfig {
            network_mode: Some(String::from("none")),
            cap_drop: Some(vec![String::from("ALL")]),
            security_opt: Some(vec![String::from("no-new-privileges")]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let container = client.create_container(None, body).await.map_err(failed(STEP))?.id;
    let said = async {
        let output = listen(client, &container).await?;
        client.start_container(&container, None::<StartContainerOptions>).await.map_err(failed(STEP))?;
        let wait = WaitContainerOptionsBuilder::new().condition("not-running").build();
        // How it ends, its output tells; the client takes an exit code other than 0 for an error of its own.
        let _ = client.wait_container(&container, Some(wait)).next().await;
        Ok::<_, EngineError>(String::from_utf8_lossy(&output.await.stdout).into_owned())
    };
    let said = tokio::time::timeout(PATIENCE, said).await;
    let removal = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    if let Err(error) = client.remove_container(&container, Some(removal)).await {
        tracing::debug!(container, %error, "left for the sweep");
    }
    said.unwrap_or_else(|_| {
        Err(EngineError::Failed { step: STEP, message: format!("no answer within {} s", PATIENCE.as_secs()) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_version_is_an_answer() {
        assert!(is_version("3.13.5"));
        for bad in ["", "3.13", "3.13.x", "python3: not found", "3.13.5\n3"] {
            assert!(!is_version(bad), "{bad}");
        }
    }

    #[test]
    fn the_wrong_python_is_refused_with_its_remedy() {
        let EngineError::NoTarget { key, message } = refused("img:1", "3.13", "Python 3.11.2") else { panic!() };
        assert_eq!(key, "python");
        assert!(message.contains("`img:1` has Python 3.11.2") && message.contains("PARALLAX_BASE"), "{message}");
    }
}
