//! `parallax doctor`: the rows of [`doctor`](super::doctor) as a table.

use tabled::builder::Builder;

use super::exit::Exit;
use super::failure::Failure;
use super::{block_on, console, doctor};
use crate::engine::target::cache_folder;

pub(super) fn run() -> Result<Exit, Failure> {
    let rows = block_on(doctor::examine(&cache_folder()))?;
    let mut table = Builder::default();
    table.push_record(["what", "state", "found", "how to mend it"]);
    for row in &rows {
        let remedy = row.remedy.as_deref().unwrap_or("");
        table.push_record([row.what, row.state.label(), &row.detail, remedy]);
    }
    console::print(console::table(table).as_bytes());
    Ok(if doctor::can_run(&rows) { Exit::Clean } else { Exit::Engine })
}
