//! The **gateway image**: our own executable in an otherwise empty image, known by the executable's digest.

use std::collections::HashMap;
use std::path::Path;

use bollard::Docker as Client;
use bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptionsBuilder};
use sha2::{Digest as _, Sha256};

use super::build::{Recipe, build, find};
use super::context::{Context, Source};
use super::elf;
use super::owner::ROLE_LABEL;
use crate::engine::EngineError;

/// Where the executable stands in the image.
pub(super) const PROGRAM: &str = "/parallax";

/// Finds or builds the image of this executable. Says what it is called.
pub(super) async fn provide(client: &Client, run: &str, program: &Path) -> Result<String, EngineError> {
    let unreadable =
        |error: std::io::Error| EngineError::Failed { step: "reading our own executable", message: error.to_string() };
    let path = program.to_owned();
    let (digest, needs) = tokio::task::spawn_blocking(move || Ok((digest(&path)?, elf::needs(&path)?)))
        .await
        .map_err(std::io::Error::other)
        .and_then(|read| read)
        .map_err(unreadable)?;
    let tag = format!("parallax-gateway:{}", &digest[..16]);
    if find(client, &tag).await?.is_some() {
        return Ok(tag);
    }
    let mut context = Context::new(include_str!("../../../images/gateway.Dockerfile"));
    context.add(format!("root{PROGRAM}"), Source::File(program.to_owned()));
    for file in needs {
        context.add(format!("root{}", file.display()), Source::File(file));
    }
    let recipe = Recipe { tag: &tag, role: "gateway", run, network: "none", arguments: HashMap::new(), context };
    build(client, recipe).await?;
    remove_old(client).await;
    Ok(tag)
}

/// Removes gateway images of earlier executables, which nobody will ask for again. Not those of today: another version may be
/// about to start a run. An image that a container stands on stays.
async fn remove_old(client: &Client) {
    let label = format!("{ROLE_LABEL}=gateway");
    let filters = HashMap::from([(String::from("label"), vec![label])]);
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let images = client.list_images(Some(options)).await.unwrap_or_default();
    let yesterday = chrono::Utc::now().timestamp() - 24 * 60 * 60;
    for image in images.iter().filter(|image| image.created < yesterday) {
        let options = RemoveImageOptionsBuilder::new().build();
        let removed = client.remove_image(&image.id, Some(options), None).await;
        tracing::debug!(image = image.id, done = removed.is_ok(), "removing an old gateway image");
    }
}

fn digest(path: &Path) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    std::io::copy(&mut fs_err::File::open(path)?, &mut HashWriter(&mut hasher))?;
    Ok(hex::encode(hasher.finalize()))
}

/// Feeds what is written to it into a digest.
pub(super) struct HashWriter<'a>(pub(super) &'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_sha256() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest(&path).unwrap(), expected);
        assert!(digest(&folder.path().join("none")).is_err());
    }
}
