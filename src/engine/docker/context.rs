//! A **build context**: a Dockerfile and the files that it copies, streamed to the engine as one archive, so that a target
//! of hundreds of megabytes never stands in memory.

use std::io::Write;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use tokio_util::bytes::Bytes;

use super::overlay::MTIME;

/// How much is sent at once.
const CHUNK: usize = 256 << 10;

/// What is copied into an image.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// This text.
    Text(String),
    /// A file of this machine.
    File(PathBuf),
    /// A folder of this machine with all that is in it; links stay links.
    Folder(PathBuf),
}

/// A build context: the Dockerfile, and what stands beside it under which path.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    entries: Vec<(String, Source)>,
}

impl Context {
    /// A context with this Dockerfile.
    pub(super) fn new(dockerfile: impl Into<String>) -> Self {
        Self { entries: vec![(String::from("Dockerfile"), Source::Text(dockerfile.into()))] }
    }

    /// Adds something under `path`, relative to the context.
    pub(super) fn add(&mut self, path: impl Into<String>, source: Source) {
        self.entries.push((path.into(), source));
    }

    /// The context as a stream of archive bytes, written by a thread of its own. A file that cannot be read ends the stream
    /// with an error, and with it the build.
    pub(super) fn stream(self) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static {
        let (sender, receiver) = mpsc::channel(8);
        tokio::task::spawn_blocking(move || {
            let mut sink = Sink { sender: sender.clone(), buffer: Vec::with_capacity(CHUNK) };
            if let Err(error) = self.write(&mut sink).and_then(|()| sink.flush()) {
                // The receiver may be gone: then the build has already failed for a reason of its own.
                let _ = sender.blocking_send(Err(error));
            }
        });
        futures_util::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        })
    }

    fn write(&self, sink: &mut impl Write) -> std::io::Result<()> {
        let mut archive = tar::Builder::new(sink);
        for (path, source) in &self.entries {
            match source {
                Source::Text(text) => {
                    let mut header = header(tar::EntryType::Regular, 0o644);
                    header.set_size(text.len() as u64);
                    archive.append_data(&mut header, path, text.as_bytes())?;
                }
                Source::File(file) => append_file(&mut archive, path, file)?,
                Source::Folder(folder) => append_folder(&mut archive, path, folder)?,
            }
        }
        archive.into_inner()?.flush()
    }
}

/// Owner, group and time are the same everywhere: an agent can see them, and equal trees must give equal images.
fn header(kind: tar::EntryType, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(MTIME);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

fn append_file(archive: &mut tar::Builder<impl Write>, path: &str, file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let opened = fs_err::File::open(file)?;
    let facts = opened.metadata()?;
    // Readable by everybody, executable by everybody where it is by its owner, writable by nobody but root.
    let mode = if facts.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
    let mut header = header(tar::EntryType::Regular, mode);
    header.set_size(facts.len());
    archive.append_data(&mut header, path, opened)
}

fn append_folder(archive: &mut tar::Builder<impl Write>, path: &str, folder: &Path) -> std::io::Result<()> {
    archive.append_data(&mut header(tar::EntryType::Directory, 0o755), format!("{path}/"), std::io::empty())?;
    let mut entries = fs_err::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs_err::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(std::io::Error::other(format!("{}: a name that is not UTF-8", entry.path().display())));
        };
        let inside = format!("{path}/{name}");
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            let to = fs_err::read_link(entry.path())?;
            archive.append_link(&mut header(tar::EntryType::Symlink, 0o777), &inside, to)?;
        } else if kind.is_dir() {
            append_folder(archive, &inside, &entry.path())?;
        } else if kind.is_file() {
            append_file(archive, &inside, &entry.path())?;
        }
    }
    Ok(())
}

/// Gathers small writes into chunks and sends them on.
struct Sink {
    sender: mpsc::Sender<std::io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        self.sender.blocking_send(Ok(Bytes::from(chunk))).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures_util::TryStreamExt as _;

    use super::*;

    #[tokio::test]
    async fn a_folder_arrives_whole_and_owned_by_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("bin/deep")).unwrap();
        std::fs::write(root.join("bin/deep/large"), vec![7; 3 * CHUNK]).unwrap();
        std::fs::write(root.join("bin/run"), "#!/bin/sh\n").unwrap();
        std::os::unix::fs::symlink("run", root.join("bin/link")).unwrap();
        std::process::Command::new("chmod").arg("700").arg(root.join("bin/run")).status().unwrap();
        let mut context = Context::new("FROM scratch\n");
        context.add("target", Source::Folder(root.to_owned()));
        let bytes: Vec<u8> = context.stream().map_ok(|chunk| chunk.to_vec()).try_concat().await.unwrap();
        let mut seen = BTreeMap::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.mtime().unwrap()), (0, MTIME));
            seen.insert(
                entry.path().unwrap().display().to_string(),
                (
                    header.mode().unwrap(),
                    header.size().unwrap(),
                    entry.link_name().unwrap().map(std::borrow::Cow::into_owned),
                ),
            );
        }
        assert_eq!(seen["target/bin/deep/large"], (0o644, 3 * CHUNK as u64, None));
        assert_eq!(seen["target/bin/run"], (0o755, 10, None));
        assert_eq!(seen["target/bin/link"].2, Some(PathBuf::from("run")));
        assert_eq!(seen.len(), 7, "{seen:?}");
    }

    #[tokio::test]
    async fn what_cannot_be_read_ends_the_stream_with_an_error() {
        let mut context = Context::new("FROM scratch\n");
        context.add("file", Source::File(PathBuf::from("/nonexistent/file")));
        let result: std::io::Result<Vec<Bytes>> = context.stream().try_collect().await;
        assert!(result.unwrap_err().to_string().contains("/nonexistent/file"));
    }
}
