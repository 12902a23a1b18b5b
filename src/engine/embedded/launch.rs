//! The program's side of a pod: starts it, gives it its specification, and gathers what comes back.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::Command;

use super::spec::{Ended, PodSpec, Status};
use crate::engine::EngineError;

/// Bytes of each standard stream that are kept; the rest is read and dropped.
const KEPT: usize = 1 << 20;

/// How long after the deadline the pod's init may take to end everything and to report.
const GRACE: Duration = Duration::from_secs(20);

/// The hidden subcommand that makes a pod.
pub(super) const SUBCOMMAND: &str = "pod-agent";

/// What came of a pod.
#[derive(Debug)]
pub(super) struct Finished {
    /// How the agent ran.
    pub(super) ended: Ended,
    /// Standard output, its beginning.
    pub(super) stdout: Vec<u8>,
    /// Standard error, its beginning.
    pub(super) stderr: Vec<u8>,
}

/// Runs one pod to its end. Dropped before, it takes the pod with it.
pub(super) async fn run(program: &Path, spec: &PodSpec) -> Result<Finished, EngineError> {
    let failed =
        |step: &'static str| move |error: std::io::Error| EngineError::Failed { step, message: error.to_string() };
    let message = spec.encode().map_err(failed("writing the pod's specification"))?;
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed("making a socket pair"))?;
    ours.set_nonblocking(true).map_err(failed("making a socket pair"))?;
    let mut control = UnixStream::from_std(ours).map_err(failed("making a socket pair"))?;
    let mut child = Command::new(program)
        .arg(SUBCOMMAND)
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed("starting a pod"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let talk = async {
        // A pod that could not even read has said why, or its end says enough.
        let _ = control.write_all(&message).await;
        let mut said = Vec::new();
        // Our writing half stays open: the pod's init takes its end for ours. A stream that breaks off has ended: what
        // came is judged below.
        let _ = control.read_to_end(&mut said).await;
        said
    };
    let all = async { tokio::join!(talk, keep(stdout), keep(stderr), child.wait()) };
    let patience = Duration::from_millis(spec.timeout_ms).saturating_add(GRACE);
    let Ok((said, stdout, stderr, status)) = tokio::time::timeout(patience, all).await else {
        let _ = child.kill().await;
        return Err(EngineError::Failed { step: "running a pod", message: "it did not end in time".to_owned() });
    };
    let status = status.map_err(failed("waiting for the pod"))?;
    match serde_json::from_slice(&said) {
        Ok(Status::Ended(ended)) => Ok(Finished { ended, stdout, stderr }),
        Ok(Status::Failed { message }) => Err(EngineError::Failed { step: "building the pod", message }),
        Err(_) => {
            let said = String::from_utf8_lossy(&stderr[..stderr.len().min(300)]).into_owned();
            Err(EngineError::Failed { step: "running a pod", message: format!("it ended silently ({status}) {said}") })
        }
    }
}

/// Reads a stream to its end and keeps its beginning.
async fn keep(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return kept };
    let mut buffer = vec![0; 64 << 10];
    // An error is an end: what came before it counts.
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read.min(KEPT - kept.len())]);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_stream_is_cut_and_read_to_its_end() {
        let stream = tokio::io::repeat(b'x').take(3 << 20);
        assert_eq!(keep(Some(stream)).await.len(), KEPT);
        assert_eq!(keep(Some(&b"short"[..])).await, b"short");
    }

    #[tokio::test]
    async fn a_program_that_is_no_pod_is_a_failure_of_the_engine() {
        let spec = PodSpec::bare(super::super::spec::Standing::Rootless, 1);
        let error = run(Path::new("/bin/false"), &spec).await.unwrap_err();
        assert!(error.to_string().contains("silently"), "{error}");
        let error = run(Path::new("/nonexistent"), &spec).await.unwrap_err();
        assert!(error.to_string().starts_with("starting a pod"), "{error}");
    }
}
