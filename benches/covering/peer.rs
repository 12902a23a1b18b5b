//! allpairspy, run beside.

use std::process::Command;

/// Prints rows and seconds; the levels are its arguments.
const PROGRAM: &str = "import sys, time
from allpairspy import AllPairs
start = time.time()
rows = sum(1 for _ in AllPairs([list(range(int(n))) for n in sys.argv[1:]]))
print(rows, time.time() - start)";

/// Rows and seconds. `None` where Python or allpairspy is not there.
pub(crate) fn allpairspy(levels: &[u16]) -> Option<(usize, f64)> {
    let python = std::env::var("COVERING_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python).arg("-c").arg(PROGRAM).args(levels.iter().map(u16::to_string)).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (rows, seconds) = text.trim().split_once(' ')?;
    Some((rows.parse().ok()?, seconds.parse().ok()?))
}
