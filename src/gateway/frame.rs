//! **Frames**: how a report travels from gateway to program. A line of JSON; behind the line of an exchange its body, byte
//! for byte, and a line feed: bodies are nearly all that is told, and as text they would be read and written several times.

use std::io::IoSlice;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::GatewayError;
use super::body::LARGEST_BODY;
use super::protocol::Report;

/// Appends a report's line to `bytes`; gives the body that is to follow it, which is copied nowhere.
///
/// # Errors
/// When it cannot be written as JSON; `bytes` are then what they were.
pub(super) fn line(mut report: Report, bytes: &mut Vec<u8>) -> serde_json::Result<Vec<u8>> {
    let before = bytes.len();
    let body = match &mut report {
        Report::Exchange { exchange, .. } => {
            exchange.length = exchange.body.len();
            std::mem::take(&mut exchange.body)
        }
        _ => Vec::new(),
    };
    if let Err(error) = serde_json::to_writer(&mut *bytes, &report) {
        bytes.truncate(before);
        return Err(error);
    }
    bytes.push(b'\n');
    Ok(body)
}

/// Writes lines, and behind the last of them its body, as few calls as there can be.
///
/// # Errors
/// As the output's.
pub(super) async fn write<W>(output: &mut W, lines: &[u8], body: &[u8]) -> std::io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    let end: &[u8] = if body.is_empty() { b"" } else { b"\n" };
    let slices = &mut [lines, body, end].map(IoSlice::new)[..];
    let mut left = slices;
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        let count = output.write_vectored(left).await?;
        if count == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut left, count);
    }
    Ok(())
}

/// Reads the next report; `None` at the end. `line` is room for its line.
///
/// # Errors
/// When what is read is no report, or ends in its middle.
pub(super) async fn read<R>(reader: &mut R, line: &mut Vec<u8>) -> Result<Option<Report>, GatewayError>
where
    R: AsyncBufRead + Unpin,
{
    loop {
        line.clear();
        if reader.read_until(b'\n', line).await? == 0 {
            return Ok(None);
        }
        // What ends a body.
        if line.as_slice() != b"\n" {
            break;
        }
    }
    let protocol = |error: String| GatewayError::Protocol(error);
    let mut report = serde_json::from_slice(line).map_err(|error| protocol(error.to_string()))?;
    if let Report::Exchange { exchange, .. } = &mut report {
        if exchange.length > LARGEST_BODY {
            return Err(protocol(format!("a body of {} bytes", exchange.length)));
        }
        exchange.body.reserve_exact(exchange.length);
        let length = u64::try_from(exchange.length).unwrap_or(u64::MAX);
        if reader.take(length).read_to_end(&mut exchange.body).await? < exchange.length {
            return Err(GatewayError::Io(std::io::ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok(Some(report))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Seconds, Via};
    use crate::gateway::protocol::WireExchange;

    fn exchange(body: &[u8]) -> Report {
        let exchange = WireExchange {
            at: Seconds::default(),
            scheme: String::from("http"),
            host: String::from("h"),
            port: 80,
            dialled: String::from("203.0.113.9:80"),
            via: Via::Direct,
            version: String::from("1.1"),
            method: String::from("POST"),
            target: String::from("/"),
            headers: Vec::new(),
            length: 0,
            body: body.to_vec(),
            status: 200,
            hops: Vec::new(),
            note: None,
            head: Vec::new(),
        };
        Report::Exchange { cell: String::from("c1"), exchange }
    }

    async fn written(report: Report, bytes: &mut Vec<u8>) {
        let mut lines = Vec::new();
        let body = line(report, &mut lines).unwrap();
        write(bytes, &lines, &body).await.unwrap();
    }

    async fn all(mut bytes: &[u8]) -> Result<Vec<Report>, GatewayError> {
        let (mut line, mut reports) = (Vec::new(), Vec::new());
        while let Some(report) = read(&mut bytes, &mut line).await? {
            reports.push(report);
        }
        Ok(reports)
    }

    #[tokio::test]
    async fn bodies_of_any_bytes_come_back_between_other_reports() {
        let large = vec![b'x'; 300_000];
        let bodies = [&b""[..], b"\n", b"{\"report\":\"appeared\"}\n", &[0, 255, 10, 10, 13], &large];
        let mut bytes = Vec::new();
        for body in bodies {
            written(exchange(body), &mut bytes).await;
            written(Report::Appeared, &mut bytes).await;
        }
        let reports = all(&bytes).await.unwrap();
        assert_eq!(reports.len(), 2 * bodies.len());
        for (report, body) in reports.iter().step_by(2).zip(bodies) {
            let Report::Exchange { exchange, .. } = report else { panic!("{report:?}") };
            assert_eq!(exchange.body, body);
        }
        assert!(reports.iter().skip(1).step_by(2).all(|report| matches!(report, Report::Appeared)));
    }

    #[tokio::test]
    async fn what_ends_in_its_middle_or_claims_too_much_is_refused() {
        let mut bytes = Vec::new();
        written(exchange(b"0123456789"), &mut bytes).await;
        for end in 1..bytes.len() - 1 {
            assert!(all(&bytes[..end]).await.is_err(), "{end}");
        }
        let text = String::from_utf8(bytes).unwrap().replace("\"length\":10", "\"length\":99999999999");
        assert!(matches!(all(text.as_bytes()).await, Err(GatewayError::Protocol(_))));
    }
}
