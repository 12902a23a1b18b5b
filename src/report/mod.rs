//! **Reports**: views of a stored run. Take findings and a manifest, give bytes; refuse to know engines, captures and
//! terminals. Whatever an agent wrote is escaped: a report must be safe to print and to paste.
//!
//! Reports speak of dependence and of the evidence for it, never of intent.

pub mod compare;
mod detail;
mod difference;
pub mod escape;
mod har;
mod html;
mod json;
mod junit;
mod markdown;
mod matrix;
pub mod observed;
mod sarif;
pub mod stored;
mod summary;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod text;
mod trail;

pub use difference::Difference;
pub use har::archive;
pub use html::Html;
pub use json::Json;
pub use junit::Junit;
pub use markdown::Markdown;
pub use matrix::{Column as MatrixColumn, Matrix};
pub use observed::Observed;
pub use sarif::Sarif;
pub use table::{Form, Table};
pub use text::Text;
pub(crate) use text::wrap;
pub use trail::Trail;

use crate::finding::Findings;
use crate::store::Manifest;

/// A format.
pub trait Report {
    /// Renders the whole report. The same arguments always give the same bytes.
    fn render(&self, findings: &Findings, manifest: &Manifest) -> Vec<u8>;
}
