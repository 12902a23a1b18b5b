//! **Records** on disk: one JSON line a record, each in a zstd frame of its own, so that a run that was killed can be
//! read up to its last whole line; bodies beside them by their SHA-256, each written once.

use std::collections::{HashMap, HashSet};
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::folder::{StoreError, write_whole};
use crate::capture::{
    Body, Capture, Connection, DnsQuestion, Dropped, EngineFailure, Exchange, FileChange, Hop, Outcome, Record,
    Seconds, TlsHello, Via,
};
use crate::cell::Cell;

/// Version of a line of `cells.jsonl.zst`.
const SCHEMA_VERSION: u32 = 1;
/// The file's name.
const FILE: &str = "cells.jsonl.zst";
/// zstd's own default.
const LEVEL: i32 = 3;
/// A record's line or a body is never longer than this when unpacked: a damaged length must not take all memory.
const LONGEST: usize = 1 << 30;

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    schema_version: u32,
    cell: Cell,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    capture: Option<StoredCapture>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<EngineFailure>,
}

/// A body that stands in `raw/`.
#[derive(Serialize, Deserialize)]
struct StoredBody {
    sha256: String,
    bytes: usize,
}

#[derive(Serialize, Deserialize)]
struct StoredExchange {
    at: Seconds,
    scheme: String,
    host: String,
    port: u16,
    dialled: String,
    via: Via,
    version: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: StoredBody,
    status: u16,
    // Later than the format: what is not there is nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hops: Vec<Hop>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredCapture {
    started_unix_ms: i64,
    wall: Seconds,
    cpu: Option<Seconds>,
    outcome: Outcome,
    stdout: StoredBody,
    stderr: StoredBody,
    exchanges: Vec<StoredExchange>,
    dns: Vec<DnsQuestion>,
    tls: Vec<TlsHello>,
    connections: Vec<Connection>,
    files: Vec<FileChange>,
    left_open: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dropped: Vec<Dropped>,
}

/// What was read of a run's records.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Every whole record, in plan order.
    pub records: Vec<Record>,
    /// Whether something stood behind them that was not a whole record.
    pub torn: bool,
    ends: Vec<u64>,
}

impl Recorded {
    /// Where in the file the first `count` records end.
    pub(super) fn end_of(&self, count: usize) -> u64 {
        if count == 0 { 0 } else { self.ends[count.min(self.ends.len()) - 1] }
    }
}

/// Appends records. Holds the file's lock.
#[derive(Debug)]
pub struct RecordWriter {
    folder: PathBuf,
    file: std::fs::File,
    written: HashSet<String>,
}

impl RecordWriter {
    pub(super) fn open(folder: &Path, end: u64) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        let mut file =
            std::fs::File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(
                |error| std::io::Error::new(error.kind(), format!("failed to open `{}`: {error}", path.display())),
            )?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(StoreError::Busy(folder.to_owned())),
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        file.set_len(end)?;
        file.seek(std::io::SeekFrom::End(0))?;
        fs::create_dir_all(folder.join("raw"))?;
        Ok(Self { folder: folder.to_owned(), file, written: HashSet::new() })
    }

    /// Appends one record: its bodies first, so that a whole line never lacks them.
    pub fn append(&mut self, record: &Record) -> Result<(), StoreError> {
        let (capture, failure) = match &record.outcome {
            Ok(capture) => (Some(self.store_capture(capture)?), None),
            Err(failure) => (None, Some(failure.clone())),
        };
        let line = Line {
            schema_version: SCHEMA_VERSION,
            cell: record.cell.clone(),
            attempts: record.attempts,
            capture,
            failure,
        };
        let mut json = serde_json::to_vec(&line).map_err(std::io::Error::from)?;
        json.push(b'\n');
        // One write a frame: what a killed process leaves behind is whole frames and at most one torn one.
        self.file.write_all(&frame(&json)?)?;
        Ok(())
    }

    fn store_capture(&mut self, capture: &Capture) -> Result<StoredCapture, StoreError> {
        let mut exchanges = Vec::with_capacity(capture.exchanges.len());
        for exchange in &capture.exchanges {
            exchanges.push(StoredExchange {
                at: exchange.at,
                scheme: exchange.scheme.clone(),
                host: exchange.host.clone(),
                port: exchange.port,
                dialled: exchange.dialled.clone(),
                via: exchange.via,
                version: exchange.version.clone(),
                method: exchange.method.clone(),
                target: exchange.target.clone(),
                headers: exchange.headers.clone(),
                body: self.store_body(&exchange.body)?,
                status: exchange.status,
                hops: exchange.hops.clone(),
                note: exchange.note.clone(),
            });
        }
        Ok(StoredCapture {
            started_unix_ms: capture.started_unix_ms,
            wall: capture.wall,
            cpu: capture.cpu,
            outcome: capture.outcome.clone(),
            stdout: self.store_body(&capture.stdout)?,
            stderr: self.store_body(&capture.stderr)?,
            exchanges,
            dns: capture.dns.clone(),
            tls: capture.tls.clone(),
            connections: capture.connections.clone(),
            files: capture.files.clone(),
            left_open: capture.left_open,
            dropped: capture.dropped.clone(),
        })
    }

    fn store_body(&mut self, body: &Body) -> Result<StoredBody, StoreError> {
        let stored = StoredBody { sha256: body.sha256.clone(), bytes: body.bytes.len() };
        if !body.bytes.is_empty() && self.written.insert(body.sha256.clone()) {
            let path = body_path(&self.folder, &body.sha256);
            if !path.is_file() {
                write_whole(&self.folder.join("raw"), &path, &frame(&body.bytes)?)?;
            }
        }
        Ok(stored)
    }
}

fn frame(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(bytes.len() as u64))?;
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn unframe(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut out = Vec::new();
    zstd::Decoder::new(bytes)?.single_frame().take(LONGEST as u64 + 1).read_to_end(&mut out)?;
    if out.len() > LONGEST {
        return Err(std::io::Error::other("too long"));
    }
    Ok(out)
}

fn body_path(folder: &Path, sha256: &str) -> PathBuf {
    folder.join("raw").join(format!("{sha256}.zst"))
}

/// Reads every whole record of the folder.
pub(super) fn read(folder: &Path) -> Result<Recorded, StoreError> {
    let path = folder.join(FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Recorded::default()),
        Err(error) => return Err(error.into()),
    };
    let mut recorded = Recorded::default();
    let mut bodies = Bodies { folder, seen: HashMap::new() };
    let mut offset = 0;
    while offset < bytes.len() {
        let rest = &bytes[offset..];
        // A frame that is not whole can only be the last: each is appended by one write, and none is ever changed.
        let Ok(length) = zstd::zstd_safe::find_frame_compressed_size(rest) else {
            recorded.torn = true;
            break;
        };
        let damaged = |message: String| StoreError::Damaged { path: path.clone(), message };
        let last = offset + length == bytes.len();
        let json = match unframe(&rest[..length]) {
            Ok(json) => json,
            Err(_) if last => {
                recorded.torn = true;
                break;
            }
            Err(error) => return Err(damaged(format!("record {}: {error}", recorded.records.len()))),
        };
        let line: Line = serde_json::from_slice(&json)
            .map_err(|error| damaged(format!("record {}: {error}", recorded.records.len())))?;
        if line.schema_version > SCHEMA_VERSION {
            return Err(StoreError::Newer { path, found: line.schema_version.into(), known: SCHEMA_VERSION });
        }
        let outcome = match (line.capture, line.failure) {
            (Some(capture), None) => Ok(Arc::new(bodies.capture(capture)?)),
            (None, Some(failure)) => Err(failure),
            _ => return Err(damaged(format!("record {}: neither or both of capture and failure", line.cell.id))),
        };
        recorded.records.push(Record { cell: line.cell, attempts: line.attempts, outcome });
        offset += length;
        recorded.ends.push(offset as u64);
    }
    Ok(recorded)
}

/// The bodies of a folder, each read once.
struct Bodies<'a> {
    folder: &'a Path,
    seen: HashMap<String, Body>,
}

impl Bodies<'_> {
    fn load(&mut self, stored: &StoredBody) -> Result<Body, StoreError> {
        if let Some(body) = self.seen.get(&stored.sha256) {
            return Ok(body.clone());
        }
        let path = body_path(self.folder, &stored.sha256);
        let damaged = |message: &str| StoreError::Damaged { path: path.clone(), message: message.to_owned() };
        if !(stored.sha256.len() == 64 && stored.sha256.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Err(damaged("its name is no digest"));
        }
        let bytes = if stored.bytes == 0 {
            Vec::new()
        } else {
            unframe(&fs::read(&path)?).map_err(|error| damaged(&error.to_string()))?
        };
        let body = Body::new(bytes);
        if body.sha256 != stored.sha256 {
            return Err(damaged("its content has another digest"));
        }
        self.seen.insert(stored.sha256.clone(), body.clone());
        Ok(body)
    }

    fn capture(&mut self, stored: StoredCapture) -> Result<Capture, StoreError> {
        let mut exchanges = Vec::with_capacity(stored.exchanges.len());
        for exchange in stored.exchanges {
            exchanges.push(Exchange {
                body: self.load(&exchange.body)?,
                at: exchange.at,
                scheme: exchange.scheme,
                host: exchange.host,
                port: exchange.port,
                dialled: exchange.dialled,
                via: exchange.via,
                version: exchange.version,
                method: exchange.method,
                target: exchange.target,
                headers: exchange.headers,
                status: exchange.status,
                hops: exchange.hops,
                note: exchange.note,
            });
        }
        Ok(Capture {
            started_unix_ms: stored.started_unix_ms,
            wall: stored.wall,
            cpu: stored.cpu,
            outcome: stored.outcome,
            stdout: self.load(&stored.stdout)?,
            stderr: self.load(&stored.stderr)?,
            exchanges,
            dns: stored.dns,
            tls: stored.tls,
            connections: stored.connections,
            files: stored.files,
            left_open: stored.left_open,
            dropped: stored.dropped,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Change, ConnectionKind, HelloDetail, HopForm};
    use crate::cell::{Assignment, CellId, Phase};
    use proptest::prelude::*;

    fn body() -> impl Strategy<Value = Body> {
        prop_oneof![
            Just(Body::default()),
            Just(Body::new(&b"the same bytes again"[..])),
            proptest::collection::vec(any::<u8>(), 0..200).prop_map(Body::new),
        ]
    }

    fn seconds() -> impl Strategy<Value = Seconds> {
        (0_u64..1_000_000_000_000_000).prop_map(Seconds)
    }

    fn exchange() -> impl Strategy<Value = Exchange> {
        (
            (seconds(), ".*", any::<u16>(), body(), any::<u16>()),
            proptest::collection::vec((".*", ".*"), 0..4),
            prop_oneof![Just(Via::Direct), Just(Via::Connect), Just(Via::Absolute), Just(Via::Socks)],
        )
            .prop_map(|((at, text, port, body, status), headers, via)| Exchange {
                at,
                scheme: "https".into(),
                host: text.clone(),
                port,
                dialled: format!("{text}:{port}"),
                via,
                version: "1.1".into(),
                method: "POST".into(),
                target: text,
                headers,
                body,
                status,
                hops: vec![Hop { form: HopForm::Socks5, secure: true, toward: "h:1".into(), headers: Vec::new() }],
                note: Some("cut".into()),
            })
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            any::<i32>().prop_map(|code| Outcome::Exited { code }),
            any::<i32>().prop_map(|signal| Outcome::Signalled { signal }),
            Just(Outcome::TimedOut),
            Just(Outcome::MemoryLimit),
            Just(Outcome::ProcessLimit),
        ]
    }

    fn capture() -> impl Strategy<Value = Capture> {
        (
            (any::<i64>(), seconds(), proptest::option::of(seconds()), outcome(), any::<u32>()),
            (body(), body(), proptest::collection::vec(exchange(), 0..3)),
            (".*", proptest::collection::vec(any::<u8>(), 0..20), proptest::option::of(".*")),
        )
            .prop_map(
                |((started_unix_ms, wall, cpu, outcome, left_open), (stdout, stderr, exchanges), other)| {
                    let (text, first_bytes, name) = other;
                    Capture {
                        started_unix_ms,
                        wall,
                        cpu,
                        outcome,
                        stdout,
                        stderr,
                        exchanges,
                        dns: vec![DnsQuestion {
                            at: wall,
                            name: text.clone(),
                            kind: "A".into(),
                            resolver: name.clone(),
                        }],
                        tls: vec![TlsHello {
                            at: wall,
                            sni: name.clone(),
                            alpn: vec![text.clone()],
                            cipher_suites: vec!["1301".into()],
                            completed: true,
                            detail: name.clone().map(|ja4| HelloDetail { ja4, ..HelloDetail::default() }),
                        }],
                        connections: vec![Connection {
                            at: wall,
                            dialled: text.clone(),
                            toward: name.clone(),
                            name,
                            first_bytes,
                            kind: ConnectionKind::Refused,
                        }],
                        files: vec![FileChange { path: text, change: Change::Deleted }],
                        left_open,
                        dropped: vec![Dropped { what: "x".into(), count: 1 }],
                    }
                },
            )
    }

    fn records() -> impl Strategy<Value = Vec<Record>> {
        proptest::collection::vec((prop_oneof![4 => capture().prop_map(Ok), 1 => ".*".prop_map(Err)], 1_u32..4), 0..5)
            .prop_map(|outcomes| {
                let outcomes = outcomes.into_iter().enumerate();
                outcomes
                    .map(|(n, (outcome, attempts))| Record {
                        cell: Cell {
                            id: CellId::nth(n),
                            round: 3,
                            phase: Phase::Explain,
                            levels: Assignment(vec![1, 0, 65_535]),
                            replicate: 2,
                        },
                        attempts,
                        outcome: outcome.map(Arc::new).map_err(|message| EngineFailure { message }),
                    })
                    .collect()
            })
    }

    fn write(folder: &Path, records: &[Record]) {
        let mut writer = RecordWriter::open(folder, 0).unwrap();
        for record in records {
            writer.append(record).unwrap();
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_read_is_what_was_written(records in records()) {
            let place = tempfile::tempdir().unwrap();
            write(place.path(), &records);
            let back = read(place.path()).unwrap();
            prop_assert_eq!(back.records, records);
            prop_assert!(!back.torn);
        }

        #[test]
        fn a_file_cut_anywhere_gives_a_prefix(records in records(), cut in 0.0_f64..1.0) {
            let place = tempfile::tempdir().unwrap();
            write(place.path(), &records);
            let path = place.path().join(FILE);
            let whole = std::fs::read(&path).unwrap();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let length = (whole.len() as f64 * cut) as usize;
            std::fs::write(&path, &whole[..length]).unwrap();
            let back = read(place.path()).unwrap();
            prop_assert_eq!(&back.records[..], &records[..back.records.len()]);
            prop_assert_eq!(back.torn, back.end_of(back.records.len()) != length as u64);
            // Going on from there gives the whole file again, byte for byte.
            let mut writer = RecordWriter::open(place.path(), back.end_of(back.records.len())).unwrap();
            for record in &records[back.records.len()..] {
                writer.append(record).unwrap();
            }
            prop_assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn a_body_that_was_changed_is_noticed() {
        let place = tempfile::tempdir().unwrap();
        let record = Record {
            cell: Cell { id: CellId::nth(0), round: 0, phase: Phase::Cover, levels: Assignment(vec![0]), replicate: 0 },
            attempts: 1,
            outcome: Ok(Arc::new(Capture {
                started_unix_ms: 0,
                wall: Seconds(1),
                cpu: None,
                outcome: Outcome::Exited { code: 0 },
                stdout: Body::new(&b"hello"[..]),
                stderr: Body::default(),
                exchanges: Vec::new(),
                dns: Vec::new(),
                tls: Vec::new(),
                connections: Vec::new(),
                files: Vec::new(),
                left_open: 0,
                dropped: Vec::new(),
            })),
        };
        write(place.path(), std::slice::from_ref(&record));
        let path = body_path(place.path(), &Body::new(&b"hello"[..]).sha256);
        std::fs::write(path, frame(b"jello").unwrap()).unwrap();
        let error = read(place.path()).unwrap_err();
        assert!(error.to_string().contains("another digest"), "{error}");
    }

    #[test]
    fn only_one_may_write() {
        let place = tempfile::tempdir().unwrap();
        let _first = RecordWriter::open(place.path(), 0).unwrap();
        assert!(matches!(RecordWriter::open(place.path(), 0), Err(StoreError::Busy(_))));
    }
}
