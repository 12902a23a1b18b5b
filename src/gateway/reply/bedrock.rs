//! Anthropic answers as **Bedrock** gives them: the same objects, a stream of them in binary frames (AWS event stream).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use super::{INPUT_TOKENS, OUTPUT_TOKENS, Payload, Reply, anthropic};
use crate::gateway::script::Chosen;
use crate::wire::Prompt;

/// The answer to a prompt.
pub(super) fn reply(prompt: &Prompt, chosen: &Chosen) -> Reply {
    let mut reply = anthropic::reply(prompt, chosen);
    reply.headers.retain(|(name, _)| name == "Content-Type");
    if let Payload::Events(events) = &reply.payload {
        let frames = events.iter().filter_map(|event| data(event)).map(frame).collect();
        reply = Reply::empty(200).with_header("Content-Type", String::from("application/vnd.amazon.eventstream"));
        reply.payload = Payload::Frames(frames);
    }
    reply
        .with_header("X-Amzn-Bedrock-Input-Token-Count", INPUT_TOKENS.to_string())
        .with_header("X-Amzn-Bedrock-Output-Token-Count", OUTPUT_TOKENS.to_string())
}

/// The data of a server-sent event.
fn data(event: &str) -> Option<&str> {
    event.lines().find_map(|line| line.strip_prefix("data: "))
}

/// One frame: lengths and their checksum, headers, payload, checksum of it all.
fn frame(data: &str) -> Vec<u8> {
    let mut headers = Vec::new();
    for (name, value) in [(":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")] {
        headers.push(u8::try_from(name.len()).unwrap_or_default());
        headers.extend_from_slice(name.as_bytes());
        // Type 7: a string, its length before it.
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let payload = json!({ "bytes": BASE64.encode(data) }).to_string();
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes();
    let mut frame = Vec::with_capacity(16 + headers.len() + payload.len());
    frame.extend_from_slice(&length(16 + headers.len() + payload.len()));
    frame.extend_from_slice(&length(headers.len()));
    frame.extend_from_slice(&checksum(&frame));
    frame.extend_from_slice(&headers);
    frame.extend_from_slice(payload.as_bytes());
    let whole = checksum(&frame);
    frame.extend_from_slice(&whole);
    frame
}

/// CRC-32 as in gzip.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_their_lengths_and_checksums() {
        let frame = frame(r#"{"type":"ping"}"#);
        assert_eq!(u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize, frame.len());
        assert_eq!(checksum(&frame[..8]), frame[8..12]);
        assert_eq!(checksum(&frame[..frame.len() - 4]), frame[frame.len() - 4..]);
        // The check value that is published with the polynomial.
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926_u32.to_be_bytes());
    }
}
