//! Which commit a table was made at.

/// The commit that the program was built from, as far as it can be known.
pub(crate) fn commit() -> String {
    let said = |arguments: &[&str]| {
        let output = std::process::Command::new("git").args(arguments).output().ok().filter(|o| o.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let name = said(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let changed = said(&["status", "--porcelain", "--", "src", "benches"]).is_none_or(|text| !text.is_empty());
    if changed { format!("{name} with changes") } else { name }
}
