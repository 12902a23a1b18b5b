//! **Records** on disk: one JSON line a record, each in a zstd frame of its own, so that a run that was killed can be
//! read up to its last whole line; bodies beside them by their SHA-256, each written once.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::folder::{StoreError, write_whole};
use crate::capture::{
    Body, Capture, Connection, DnsQuestion, Dropped, EngineFailure, FileChange, Hop, Outcome, Record, Seconds,
    TlsHello, Via,
};
use crate::cell::Cell;

/// Version of a line of `cells.jsonl.zst`.
pub(super) const SCHEMA_VERSION: u32 = 1;
/// The file's name.
pub(super) const FILE: &str = "cells.jsonl.zst";
/// zstd's own default.
const LEVEL: i32 = 3;

/// A line of the file. Written from borrowed parts, read into owned ones.
#[derive(Serialize, Deserialize)]
pub(super) struct Line<'a> {
    pub(super) schema_version: u32,
    pub(super) cell: Cow<'a, Cell>,
    pub(super) attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) capture: Option<StoredCapture<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<Cow<'a, EngineFailure>>,
}

/// A body, or a head, that stands in `raw/`.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredBody<'a> {
    pub(super) sha256: Cow<'a, str>,
    pub(super) bytes: usize,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredExchange<'a> {
    pub(super) at: Seconds,
    pub(super) scheme: Cow<'a, str>,
    pub(super) host: Cow<'a, str>,
    pub(super) port: u16,
    pub(super) dialled: Cow<'a, str>,
    pub(super) via: Via,
    pub(super) version: Cow<'a, str>,
    pub(super) method: Cow<'a, str>,
    pub(super) target: Cow<'a, str>,
    pub(super) headers: Cow<'a, [(String, String)]>,
    pub(super) body: StoredBody<'a>,
    pub(super) status: u16,
    // Later than the format: what is not there is nothing.
    #[serde(default, skip_serializing_if = "<[Hop]>::is_empty")]
    pub(super) hops: Cow<'a, [Hop]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) head: Option<StoredBody<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredCapture<'a> {
    pub(super) started_unix_ms: i64,
    pub(super) wall: Seconds,
    pub(super) cpu: Option<Seconds>,
    pub(super) outcome: Cow<'a, Outcome>,
    pub(super) stdout: StoredBody<'a>,
    pub(super) stderr: StoredBody<'a>,
    pub(super) exchanges: Vec<StoredExchange<'a>>,
    pub(super) dns: Cow<'a, [DnsQuestion]>,
    pub(super) tls: Cow<'a, [TlsHello]>,
    pub(super) connections: Cow<'a, [Connection]>,
    pub(super) files: Cow<'a, [FileChange]>,
    pub(super) left_open: u32,
    #[serde(default, skip_serializing_if = "<[Dropped]>::is_empty")]
    pub(super) dropped: Cow<'a, [Dropped]>,
}

/// Appends records. Holds the file's lock.
#[derive(Debug)]
pub struct RecordWriter {
    file: std::fs::File,
    packer: Packer,
}

/// Makes frames of records, from any thread.
#[derive(Clone, Debug)]
pub struct Packer(Arc<Packing>);

#[derive(Debug)]
struct Packing {
    folder: PathBuf,
    /// Bodies that are on disk.
    written: Mutex<HashSet<String>>,
}

/// A record that is ready to be appended, its bodies already on disk.
#[derive(Debug)]
pub struct Packed(pub(super) Vec<u8>);

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
        Ok(Self { file, packer: Packer::new(folder) })
    }

    /// What makes frames for this writer.
    #[must_use]
    pub fn packer(&self) -> Packer {
        self.packer.clone()
    }

    /// Appends one record: its bodies first, so that a whole line never lacks them.
    pub fn append(&mut self, record: &Record) -> Result<(), StoreError> {
        let packed = self.packer.pack(record)?;
        self.append_packed(&packed)
    }

    /// Appends a record that its own packer has packed.
    pub fn append_packed(&mut self, packed: &Packed) -> Result<(), StoreError> {
        // One write a frame: what a killed process leaves behind is whole frames and at most one torn one.
        Ok(self.file.write_all(&packed.0)?)
    }
}

impl Packer {
    pub(super) fn new(folder: &Path) -> Self {
        Self(Arc::new(Packing { folder: folder.to_owned(), written: Mutex::default() }))
    }

    /// Writes a record's bodies and makes its frame.
    pub fn pack(&self, record: &Record) -> Result<Packed, StoreError> {
        let (capture, failure) = match &record.outcome {
            Ok(capture) => {
                self.store_bodies(capture)?;
                (Some(StoredCapture::of(capture)), None)
            }
            Err(failure) => (None, Some(Cow::Borrowed(failure))),
        };
        let line = Line {
            schema_version: SCHEMA_VERSION,
            cell: Cow::Borrowed(&record.cell),
            attempts: record.attempts,
            capture,
            failure,
        };
        let mut json = serde_json::to_vec(&line).map_err(std::io::Error::from)?;
        json.push(b'\n');
        Ok(Packed(frame(&json)?))
    }

    fn store_bodies(&self, capture: &Capture) -> Result<(), StoreError> {
        let bodies =
            capture.exchanges.iter().flat_map(|exchange| [Some(&exchange.body), exchange.head.as_ref()]).flatten();
        for body in bodies.chain([&capture.stdout, &capture.stderr]).filter(|body| !body.bytes.is_empty()) {
            if self.lock().contains(body.sha256()) {
                continue;
            }
            let path = body_path(&self.0.folder, body.sha256());
            let frame = frame(&body.bytes)?;
            match std::fs::File::options().write(true).create_new(true).open(&path) {
                // No record names it yet: should we be killed now, what is torn here belongs to none.
                Ok(mut file) => file.write_all(&frame)?,
                // Written by an earlier session, perhaps not to its end.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    if fs::read(&path)? != frame {
                        write_whole(&self.0.folder.join("raw"), &path, &frame)?;
                    }
                }
                Err(error) => return Err(error.into()),
            }
            self.lock().insert(body.sha256().to_owned());
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.0.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> StoredCapture<'a> {
    fn of(capture: &'a Capture) -> Self {
        let exchanges = capture.exchanges.iter().map(|exchange| StoredExchange {
            at: exchange.at,
            scheme: Cow::Borrowed(&exchange.scheme),
            host: Cow::Borrowed(&exchange.host),
            port: exchange.port,
            dialled: Cow::Borrowed(&exchange.dialled),
            via: exchange.via,
            version: Cow::Borrowed(&exchange.version),
            method: Cow::Borrowed(&exchange.method),
            target: Cow::Borrowed(&exchange.target),
            headers: Cow::Borrowed(&exchange.headers),
            body: StoredBody::of(&exchange.body),
            status: exchange.status,
            hops: Cow::Borrowed(&exchange.hops),
            note: exchange.note.as_deref().map(Cow::Borrowed),
            head: exchange.head.as_ref().map(StoredBody::of),
        });
        Self {
            started_unix_ms: capture.started_unix_ms,
            wall: capture.wall,
            cpu: capture.cpu,
            outcome: Cow::Borrowed(&capture.outcome),
            stdout: StoredBody::of(&capture.stdout),
            stderr: StoredBody::of(&capture.stderr),
            exchanges: exchanges.collect(),
            dns: Cow::Borrowed(&capture.dns),
            tls: Cow::Borrowed(&capture.tls),
            connections: Cow::Borrowed(&capture.connections),
            files: Cow::Borrowed(&capture.files),
            left_open: capture.left_open,
            dropped: Cow::Borrowed(&capture.dropped),
        }
    }
}

impl<'a> StoredBody<'a> {
    fn of(body: &'a Body) -> Self {
        Self { sha256: Cow::Borrowed(body.sha256()), bytes: body.bytes.len() }
    }
}

thread_local! {
    /// Making a compressor costs more than compressing a record.
    static COMPRESSOR: std::cell::RefCell<Option<zstd::bulk::Compressor<'static>>> = const { std::cell::RefCell::new(None) };
}

/// One frame of its own: with its length and a checksum.
pub(super) fn frame(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = if let Some(compressor) = kept {
            compressor
        } else {
            let mut made = zstd::bulk::Compressor::new(LEVEL)?;
            made.include_checksum(true)?;
            kept.insert(made)
        };
        compressor.compress(bytes)
    })
}

pub(super) fn body_path(folder: &Path, sha256: &str) -> PathBuf {
    folder.join("raw").join(format!("{sha256}.zst"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Change, ConnectionKind, DnsTransport, Exchange, HelloDetail, HopForm};
    use crate::cell::{Assignment, CellId, Phase};
    use crate::store::recorded::{Recorded, Stored as _};
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
                head: Some(Body::new(&b"GET / HTTP/1.1\n\n"[..])).filter(|_| status % 2 == 0),
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
                            transport: DnsTransport::Https,
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

    fn read(folder: &Path) -> Result<(Vec<Record>, Recorded), StoreError> {
        let recorded = Recorded::open(folder)?;
        Ok((recorded.load(0..recorded.len())?, recorded))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_read_is_what_was_written(records in records()) {
            let place = tempfile::tempdir().unwrap();
            write(place.path(), &records);
            let (back, recorded) = read(place.path()).unwrap();
            prop_assert_eq!(&back, &records);
            prop_assert!(!recorded.torn);
            for (n, record) in records.iter().enumerate() {
                prop_assert_eq!(recorded.cell(n), &record.cell);
                prop_assert_eq!(recorded.is_failure(n), record.outcome.is_err());
            }
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
            let (back, recorded) = read(place.path()).unwrap();
            prop_assert_eq!(&back[..], &records[..back.len()]);
            prop_assert_eq!(recorded.torn, recorded.end_of(back.len()) != length as u64);
            // Going on from there gives the whole file again, byte for byte.
            let mut writer = RecordWriter::open(place.path(), recorded.end_of(back.len())).unwrap();
            for record in &records[back.len()..] {
                writer.append(record).unwrap();
            }
            prop_assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
    }

    fn records_of_one() -> Record {
        Record {
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
        }
    }

    #[test]
    fn a_body_that_was_changed_is_noticed() {
        let place = tempfile::tempdir().unwrap();
        let record = records_of_one();
        write(place.path(), std::slice::from_ref(&record));
        let path = body_path(place.path(), Body::new(&b"hello"[..]).sha256());
        std::fs::write(path, frame(b"jello").unwrap()).unwrap();
        let error = read(place.path()).unwrap_err();
        assert!(error.to_string().contains("another digest"), "{error}");
    }

    #[test]
    fn a_body_that_was_left_torn_is_written_again() {
        let place = tempfile::tempdir().unwrap();
        let mut writer = RecordWriter::open(place.path(), 0).unwrap();
        let mut record = records_of_one();
        let body = Body::new(&b"hello again"[..]);
        std::fs::write(body_path(place.path(), body.sha256()), &frame(&body.bytes).unwrap()[..7]).unwrap();
        if let Ok(capture) = &mut record.outcome {
            Arc::make_mut(capture).stderr = body;
        }
        writer.append(&record).unwrap();
        assert_eq!(read(place.path()).unwrap().0, [record]);
    }

    #[test]
    fn only_one_may_write() {
        let place = tempfile::tempdir().unwrap();
        let _first = RecordWriter::open(place.path(), 0).unwrap();
        assert!(matches!(RecordWriter::open(place.path(), 0), Err(StoreError::Busy(_))));
    }
}
