//! The **store**: a run's folder on disk. Takes records and findings, gives back exactly what it took; refuses to
//! know what any of it means.
//!
//! ```text
//! manifest.json     what is needed to do the run again
//! plan.jsonl        the cells, in plan order, as each round planned them
//! cells.jsonl.zst   one record a cell, one zstd frame a line, in plan order
//! raw/              bodies, and heads that are spelt oddly, <sha256>.zst (the only part that is not meant to be shared)
//! findings.json     what was found
//! observed.json.zst what each cell showed at the findings' places, so that reports need not read the bodies again
//! report.md         the same for people
//! report.html       the same as one page for a browser
//! ```

#[doc(hidden)]
pub mod entry;
mod folder;
mod manifest;
mod pack;
mod recorded;
mod records;

pub use folder::{Folder, StoreError};
pub use manifest::{Manifest, Pinned, Usage};
pub use pack::{pack, unpack};
pub use recorded::{Recollection, Recorded, Stored};
pub use records::{Packed, Packer, RecordWriter};
