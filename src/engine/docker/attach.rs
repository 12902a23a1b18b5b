//! **Attaching** to a container: its output and input as plain streams of bytes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bollard::Docker as Client;
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::query_parameters::AttachContainerOptionsBuilder;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::bytes::Bytes;
use tokio_util::io::StreamReader;

use super::connection::failed;
use crate::engine::EngineError;

/// What is kept of each stream of an agent's output.
pub(super) const OUTPUT_LIMIT: usize = 1 << 20;

/// What is kept of a gateway's complaints.
const TAIL: usize = 4 << 10;

/// The last words of a container on its standard error.
#[derive(Clone, Debug, Default)]
pub(super) struct LastWords(Arc<Mutex<VecDeque<u8>>>);

impl LastWords {
    fn push(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(bytes);
        let excess = kept.len().saturating_sub(TAIL);
        kept.drain(..excess);
    }

    /// As one line of text.
    pub(super) fn text(&self) -> String {
        let kept: Vec<u8> = self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        String::from_utf8_lossy(&kept).split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// A container that is talked to.
pub(super) struct Dialogue {
    /// Its standard output.
    pub(super) output: Pin<Box<dyn AsyncRead + Send>>,
    /// Its standard input; it ends when this is dropped.
    pub(super) input: Pin<Box<dyn AsyncWrite + Send>>,
    /// What it said last on its standard error, gathered while its output is read.
    pub(super) last_words: LastWords,
}

/// Attaches to all three streams of a container that has not been started.
pub(super) async fn converse(client: &Client, container: &str) -> Result<Dialogue, EngineError> {
    let AttachContainerResults { output, input } = attach(client, container, true).await?;
    let last_words = LastWords::default();
    let words = last_words.clone();
    let bytes = output.map_err(std::io::Error::other).try_filter_map(move |frame| {
        let kept = match frame {
            LogOutput::StdErr { message } => {
                words.push(&message);
                None
            }
            LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
                Some(message)
            }
        };
        futures_util::future::ready(Ok::<Option<Bytes>, std::io::Error>(kept))
    });
    Ok(Dialogue { output: Box::pin(StreamReader::new(Box::pin(bytes))), input, last_words })
}

/// What an agent printed.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Standard output, its beginning.
    pub(super) stdout: Vec<u8>,
    /// Standard error, its beginning.
    pub(super) stderr: Vec<u8>,
}

impl Output {
    fn take(&mut self, frame: &LogOutput) {
        let (kept, bytes) = match frame {
            LogOutput::StdErr { message } => (&mut self.stderr, message),
            LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
                (&mut self.stdout, message)
            }
        };
        let room = OUTPUT_LIMIT.saturating_sub(kept.len()).min(bytes.len());
        kept.extend_from_slice(&bytes[..room]);
    }
}

/// Attaches to the output of a container that has not been started, and reads it to its end: past the limit too, or the
/// agent would block.
pub(super) async fn listen(
    client: &Client,
    container: &str,
) -> Result<impl Future<Output = Output> + Send + 'static, EngineError> {
    let AttachContainerResults { mut output, input } = attach(client, container, false).await?;
    Ok(async move {
        let _input = input;
        let mut kept = Output::default();
        while let Some(Ok(frame)) = output.next().await {
            kept.take(&frame);
        }
        kept
    })
}

async fn attach(client: &Client, container: &str, stdin: bool) -> Result<AttachContainerResults, EngineError> {
    let options = AttachContainerOptionsBuilder::new().stream(true).stdin(stdin).stdout(true).stderr(true).build();
    client.attach_container(container, Some(options)).await.map_err(failed("attaching to a container"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_at_its_limit_and_streams_stay_apart() {
        let mut output = Output::default();
        for _ in 0..3 {
            output.take(&LogOutput::StdOut { message: Bytes::from(vec![b'a'; OUTPUT_LIMIT / 2 + 1]) });
        }
        output.take(&LogOutput::StdErr { message: Bytes::from_static(b"oops") });
        assert_eq!(output.stdout.len(), OUTPUT_LIMIT);
        assert_eq!(output.stderr, b"oops");
    }

    #[test]
    fn last_words_are_the_last_ones() {
        let words = LastWords::default();
        words.push(&vec![b'x'; TAIL]);
        words.push(b"\nthe end\n");
        assert!(words.text().ends_with("x the end"));
        assert!(words.text().len() <= TAIL);
    }
}
