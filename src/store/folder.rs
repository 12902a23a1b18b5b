//! The run's **folder**: its layout, made and opened with care for what may already stand there.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::manifest::Manifest;
use super::recorded::{Recollection, Recorded};
use super::records::RecordWriter;
use crate::cell::Cell;
use crate::finding::{self, Findings};

/// Why a run's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder has something in it.
    #[error("{} is not empty; choose another with --out, or go on with the run in it with --resume", .0.display())]
    NotEmpty(PathBuf),
    /// The folder holds no run.
    #[error("{} holds no run (it has no manifest.json)", .0.display())]
    NoRun(PathBuf),
    /// Another process writes to it.
    #[error("{} is being written to by another parallax", .0.display())]
    Busy(PathBuf),
    /// It was written by a later program.
    #[error("{} has schema version {found}; this parallax reads up to {known}", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// Ours.
        known: u32,
    },
    /// A file is not what it should be.
    #[error("{} is damaged: {message}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The machine refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A run's folder.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Fails if `path` exists and has anything in it. Makes nothing.
    pub fn require_empty(path: &Path) -> Result<(), StoreError> {
        match fs::read_dir(path) {
            Ok(mut entries) => match entries.next() {
                Some(_) => Err(StoreError::NotEmpty(path.to_owned())),
                None => Ok(()),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a new run's folder and writes its manifest.
    pub fn create(path: &Path, manifest: &Manifest) -> Result<Self, StoreError> {
        Self::require_empty(path)?;
        fs::create_dir_all(path.join("raw"))?;
        let folder = Self { path: path.to_owned() };
        folder.write_manifest(manifest)?;
        Ok(folder)
    }

    /// Opens the folder of a run that was begun.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.join("manifest.json").is_file() {
            return Err(StoreError::NoRun(path.to_owned()));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the manifest.
    pub fn manifest(&self) -> Result<Manifest, StoreError> {
        self.read_json("manifest.json", Manifest::SCHEMA_VERSION)
    }

    /// Writes the manifest.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), StoreError> {
        self.write("manifest.json", &pretty(manifest)?)
    }

    /// Reads the findings.
    pub fn findings(&self) -> Result<Findings, StoreError> {
        self.read_json("findings.json", finding::SCHEMA_VERSION)
    }

    /// Writes the findings: the same findings are always the same bytes.
    pub fn write_findings(&self, findings: &Findings) -> Result<(), StoreError> {
        self.write("findings.json", &pretty(findings)?)
    }

    /// Writes a file of the folder, whole or not at all.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(write_whole(&self.path, &self.path.join(name), bytes)?)
    }

    /// Reads the plan so far. A torn last line is left out.
    pub fn plan(&self) -> Result<Vec<Cell>, StoreError> {
        let path = self.path.join("plan.jsonl");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| {
                serde_json::from_str(line)
                    .map_err(|error| StoreError::Damaged { path: path.clone(), message: error.to_string() })
            })
            .collect()
    }

    /// Writes the plan: the cells of every round so far.
    pub fn write_plan(&self, cells: &[Cell]) -> Result<(), StoreError> {
        let mut text = Vec::new();
        for cell in cells {
            serde_json::to_writer(&mut text, cell).map_err(std::io::Error::from)?;
            text.push(b'\n');
        }
        self.write("plan.jsonl", &text)
    }

    /// The index of every whole record.
    pub fn records(&self) -> Result<Recorded, StoreError> {
        Recorded::open(&self.path)
    }

    /// What recalls captures of this folder; `recorded` are those that are known to be there.
    #[must_use]
    pub fn recollection(path: &Path, recorded: Arc<Recorded>) -> Arc<Recollection> {
        Arc::new(Recollection::new(path, recorded))
    }

    /// Opens the records for appending, after the first `keep` of `recorded`; what stands behind them is cut off.
    /// Only one process at a time may do this.
    pub fn append_after(&self, recorded: &Recorded, keep: usize) -> Result<RecordWriter, StoreError> {
        RecordWriter::open(&self.path, recorded.end_of(keep))
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str, known: u32) -> Result<T, StoreError> {
        #[derive(serde::Deserialize)]
        struct Versioned {
            schema_version: u64,
        }
        let path = self.path.join(name);
        let bytes = fs::read(&path)?;
        let damaged = |error: serde_json::Error| StoreError::Damaged { path: path.clone(), message: error.to_string() };
        let Versioned { schema_version } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if schema_version > u64::from(known) {
            return Err(StoreError::Newer { path, found: schema_version, known });
        }
        serde_json::from_slice(&bytes).map_err(damaged)
    }
}

fn pretty(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(std::io::Error::from)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Writes beside and renames, so that a reader sees the old file or the new one and never half of it.
pub(super) fn write_whole(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut file = tempfile::Builder::new()
        .prefix(".writing-")
        .permissions(std::fs::Permissions::from_mode(0o644))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{Assignment, CellId, Phase};

    fn cell(n: usize) -> Cell {
        Cell { id: CellId::nth(n), round: 0, phase: Phase::Cover, levels: Assignment(vec![0, 1]), replicate: 0 }
    }

    #[test]
    fn a_folder_with_something_in_it_is_refused() {
        let place = tempfile::tempdir().unwrap();
        Folder::require_empty(place.path()).unwrap();
        Folder::require_empty(&place.path().join("not yet there")).unwrap();
        std::fs::write(place.path().join("notes.txt"), "mine").unwrap();
        let refusal = Folder::require_empty(place.path()).unwrap_err();
        assert!(refusal.to_string().contains("--resume"), "{refusal}");
    }

    #[test]
    fn a_folder_without_a_manifest_is_no_run() {
        let place = tempfile::tempdir().unwrap();
        assert!(matches!(Folder::open(place.path()), Err(StoreError::NoRun(_))));
    }

    #[test]
    fn the_plan_comes_back_without_a_torn_line() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder { path: place.path().to_owned() };
        assert_eq!(folder.plan().unwrap(), []);
        folder.write_plan(&[cell(0), cell(1)]).unwrap();
        assert_eq!(folder.plan().unwrap(), [cell(0), cell(1)]);
        let path = place.path().join("plan.jsonl");
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 3]).unwrap();
        assert_eq!(folder.plan().unwrap(), [cell(0)]);
    }

    #[test]
    fn a_later_schema_is_refused_by_its_number() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("manifest.json"), r#"{"schema_version": 99}"#).unwrap();
        let error = Folder::open(place.path()).unwrap().manifest().unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
    }
}
