//! **Entry points** for fuzzing and for `tests/robustness.rs`: records of whatever bytes, without a run around them.

use std::path::Path;

use super::folder::StoreError;
use super::recorded::{Recorded, Stored as _};
use super::records::{self, Packer};
use crate::capture::Record;

/// Nowhere: a record that names a body is read as one whose body is gone.
const NO_FOLDER: &str = "/nonexistent";

/// Reads the records of a file of these bytes.
///
/// # Errors
/// When one that is whole cannot be read, or names a body.
pub fn read(bytes: &[u8]) -> Result<Vec<Record>, StoreError> {
    let recorded = Recorded::read(Path::new(NO_FOLDER), bytes.to_vec())?;
    recorded.load(0..recorded.len())
}

/// A file's bytes with these records, none of which has a body.
///
/// # Errors
/// When one has a body: there is nowhere to put it.
pub fn written(records: &[Record]) -> Result<Vec<u8>, StoreError> {
    let packer = Packer::new(Path::new(NO_FOLDER));
    let mut bytes = Vec::new();
    for record in records {
        bytes.extend(packer.pack(record)?.0);
    }
    Ok(bytes)
}

/// A file's bytes with one record of this line, whatever it says.
///
/// # Errors
/// Those of the compressor.
pub fn framed(line: &[u8]) -> std::io::Result<Vec<u8>> {
    records::frame(line)
}
