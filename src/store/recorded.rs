//! What a run has **recorded**: an index of its records, each read when it is wanted. Memory holds the compressed lines and
//! a few bytes a record, never all bodies.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fs_err as fs;
use rayon::prelude::*;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::folder::StoreError;
use super::records::{FILE, Line, SCHEMA_VERSION, StoredBody, StoredCapture, body_path};
use crate::capture::{Body, Capture, EngineFailure, Exchange, Recall, Record};
use crate::cell::{Cell, CellId};

/// A record's line or a body is never longer than this when unpacked: a damaged length must not take all memory.
const LONGEST: usize = 1 << 30;

/// Records in plan order that are loaded when they are wanted.
pub trait Stored: Send + Sync {
    /// How many there are.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The cell of the `n`th, which is one of them.
    fn cell(&self, n: usize) -> &Cell;
    /// Whether the `n`th is a failure of the engine.
    fn is_failure(&self, n: usize) -> bool;
    /// Loads some of them, all of which there are.
    fn load(&self, which: Range<usize>) -> Result<Vec<Record>, StoreError>;
}

impl Stored for Vec<Record> {
    fn len(&self) -> usize {
        self.len()
    }
    fn cell(&self, n: usize) -> &Cell {
        &self[n].cell
    }
    fn is_failure(&self, n: usize) -> bool {
        self[n].outcome.is_err()
    }
    fn load(&self, which: Range<usize>) -> Result<Vec<Record>, StoreError> {
        Ok(self[which].to_vec())
    }
}

impl<T: Stored + ?Sized> Stored for Arc<T> {
    fn len(&self) -> usize {
        (**self).len()
    }
    fn cell(&self, n: usize) -> &Cell {
        (**self).cell(n)
    }
    fn is_failure(&self, n: usize) -> bool {
        (**self).is_failure(n)
    }
    fn load(&self, which: Range<usize>) -> Result<Vec<Record>, StoreError> {
        (**self).load(which)
    }
}

/// The records of a folder.
#[derive(Debug, Default)]
pub struct Recorded {
    folder: PathBuf,
    /// `cells.jsonl.zst` as it was when it was opened.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Whether something stood behind them that was not a whole record.
    pub torn: bool,
}

#[derive(Debug)]
struct Entry {
    cell: Cell,
    failed: bool,
    frame: Range<usize>,
}

impl Recorded {
    /// Reads the index of every whole record of the folder.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        Self::read(folder, bytes)
    }

    /// Reads the index of every whole record of these bytes, whose bodies are in the folder.
    pub(super) fn read(folder: &Path, bytes: Vec<u8>) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        let (frames, mut torn) = frames(&bytes);
        let read: Vec<Result<Entry, StoreError>> =
            frames.par_iter().enumerate().map(|(n, frame)| entry(&path, n, &bytes, frame.clone())).collect();
        let mut entries = Vec::with_capacity(read.len());
        let last = read.len().saturating_sub(1);
        for (n, entry) in read.into_iter().enumerate() {
            match entry {
                Ok(entry) => entries.push(entry),
                // The last frame may have been cut where its length still looked whole.
                Err(StoreError::Damaged { .. })
                    if n == last && !torn && unframe(&bytes[frames[n].clone()]).is_err() =>
                {
                    torn = true;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self { folder: folder.to_owned(), bytes, entries, torn })
    }

    /// Where in the file the first `count` records end.
    pub(super) fn end_of(&self, count: usize) -> u64 {
        match count.min(self.entries.len()).checked_sub(1) {
            Some(last) => self.entries[last].frame.end as u64,
            None => 0,
        }
    }

    fn of(&self, cell: &CellId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.cell.id == *cell)
    }

    fn record(&self, entry: &Entry) -> Result<Record, StoreError> {
        let path = self.folder.join(FILE);
        let line = line(&path, &entry.cell.id, &self.bytes[entry.frame.clone()])?;
        record(&self.folder, &path, line)
    }
}

impl Stored for Recorded {
    fn len(&self) -> usize {
        self.entries.len()
    }
    fn cell(&self, n: usize) -> &Cell {
        &self.entries[n].cell
    }
    fn is_failure(&self, n: usize) -> bool {
        self.entries[n].failed
    }
    fn load(&self, which: Range<usize>) -> Result<Vec<Record>, StoreError> {
        self.entries[which].par_iter().map(|entry| self.record(entry)).collect()
    }
}

/// Recalls captures of a folder, those too that were appended after this was made.
#[derive(Debug)]
pub struct Recollection {
    folder: PathBuf,
    recorded: Mutex<Arc<Recorded>>,
    failure: Mutex<Option<StoreError>>,
}

impl Recollection {
    pub(super) fn new(folder: &Path, recorded: Arc<Recorded>) -> Self {
        Self { folder: folder.to_owned(), recorded: Mutex::new(recorded), failure: Mutex::default() }
    }

    /// Fails if a capture that was wanted could not be read: what was made without it is not to be kept.
    pub fn check(&self) -> Result<(), StoreError> {
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn look(&self, cell: &CellId) -> Result<Option<Arc<Capture>>, StoreError> {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if recorded.of(cell).is_none() {
            *recorded = Arc::new(Recorded::open(&self.folder)?);
        }
        let entry = recorded.of(cell).ok_or_else(|| StoreError::Damaged {
            path: self.folder.join(FILE),
            message: format!("the record of {cell} is gone"),
        })?;
        Ok(recorded.record(entry)?.outcome.ok())
    }
}

impl Recall for Recollection {
    fn recall(&self, cell: &CellId) -> Option<Arc<Capture>> {
        match self.look(cell) {
            Ok(capture) => capture,
            Err(error) => {
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                None
            }
        }
    }
}

/// Every whole frame, and whether something stands behind them. A frame that is not whole can only be the last: each is
/// appended by one write, and none is ever changed.
fn frames(bytes: &[u8]) -> (Vec<Range<usize>>, bool) {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match zstd::zstd_safe::find_frame_compressed_size(&bytes[at..]) {
            Ok(length @ 1..) => frames.push(at..at + length),
            _ => return (frames, true),
        }
        at = frames.last().map_or(at, |frame| frame.end);
    }
    (frames, false)
}

/// What the index keeps of a line.
fn entry(path: &Path, n: usize, bytes: &[u8], frame: Range<usize>) -> Result<Entry, StoreError> {
    #[derive(Deserialize)]
    struct Head {
        schema_version: u32,
        cell: Cell,
        capture: Option<IgnoredAny>,
        failure: Option<IgnoredAny>,
    }
    let damaged =
        |message: String| StoreError::Damaged { path: path.to_owned(), message: format!("record {n}: {message}") };
    let json = unframe(&bytes[frame.clone()]).map_err(|error| damaged(error.to_string()))?;
    let head: Head = serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))?;
    if head.schema_version > SCHEMA_VERSION {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found: head.schema_version.into(),
            known: SCHEMA_VERSION,
        });
    }
    if head.capture.is_some() == head.failure.is_some() {
        return Err(damaged(String::from("neither or both of capture and failure")));
    }
    Ok(Entry { cell: head.cell, failed: head.failure.is_some(), frame })
}

fn line(path: &Path, cell: &CellId, frame: &[u8]) -> Result<Line<'static>, StoreError> {
    let damaged =
        |message: String| StoreError::Damaged { path: path.to_owned(), message: format!("record {cell}: {message}") };
    let json = unframe(frame).map_err(|error| damaged(error.to_string()))?;
    serde_json::from_slice(&json).map_err(|error| damaged(error.to_string()))
}

fn record(folder: &Path, path: &Path, line: Line<'_>) -> Result<Record, StoreError> {
    let outcome = match (line.capture, line.failure) {
        (Some(stored), None) => Ok(Arc::new(capture(folder, stored)?)),
        (None, Some(failure)) => Err(EngineFailure::clone(&failure)),
        _ => {
            let message = format!("record {}: neither or both of capture and failure", line.cell.id);
            return Err(StoreError::Damaged { path: path.to_owned(), message });
        }
    };
    Ok(Record { cell: line.cell.into_owned(), attempts: line.attempts, outcome })
}

fn capture(folder: &Path, stored: StoredCapture<'_>) -> Result<Capture, StoreError> {
    let mut exchanges = Vec::with_capacity(stored.exchanges.len());
    for exchange in stored.exchanges {
        exchanges.push(Exchange {
            body: body(folder, &exchange.body)?,
            head: exchange.head.map(|head| body(folder, &head)).transpose()?,
            at: exchange.at,
            scheme: exchange.scheme.into_owned(),
            host: exchange.host.into_owned(),
            port: exchange.port,
            dialled: exchange.dialled.into_owned(),
            via: exchange.via,
            version: exchange.version.into_owned(),
            method: exchange.method.into_owned(),
            target: exchange.target.into_owned(),
            headers: exchange.headers.into_owned(),
            status: exchange.status,
            hops: exchange.hops.into_owned(),
            note: exchange.note.map(Cow::into_owned),
        });
    }
    Ok(Capture {
        started_unix_ms: stored.started_unix_ms,
        wall: stored.wall,
        cpu: stored.cpu,
        outcome: stored.outcome.into_owned(),
        stdout: body(folder, &stored.stdout)?,
        stderr: body(folder, &stored.stderr)?,
        exchanges,
        dns: stored.dns.into_owned(),
        tls: stored.tls.into_owned(),
        connections: stored.connections.into_owned(),
        files: stored.files.into_owned(),
        left_open: stored.left_open,
        dropped: stored.dropped.into_owned(),
    })
}

fn body(folder: &Path, stored: &StoredBody<'_>) -> Result<Body, StoreError> {
    let path = body_path(folder, &stored.sha256);
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
    if body.sha256() != stored.sha256 {
        return Err(damaged("its content has another digest"));
    }
    Ok(body)
}

thread_local! {
    /// Making a decompressor costs more than unpacking a record.
    static DECOMPRESSOR: std::cell::RefCell<Option<zstd::bulk::Decompressor<'static>>> =
        const { std::cell::RefCell::new(None) };
}

fn unframe(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let declared = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten();
    let length = declared.and_then(|length| usize::try_from(length).ok()).filter(|length| *length <= LONGEST);
    let length = length.ok_or_else(|| std::io::Error::other("a frame without a believable length"))?;
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(zstd::bulk::Decompressor::new()?),
        };
        decompressor.decompress(bytes, length)
    })
}
