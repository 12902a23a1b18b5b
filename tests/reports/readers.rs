//! Independent **readers**: Python packages, npm packages and a browser, or why they are not there.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// What the tests read with.
const PACKAGES: [&str; 4] = ["jsonschema[format-nongpl]", "junitparser", "pandas", "duckdb"];
/// Installed once, whichever test comes first.
static INSTALLING: Mutex<()> = Mutex::new(());

fn skip(what: &str, reason: &str) {
    let required = std::env::var("PARALLAX_REQUIRE").unwrap_or_default();
    assert!(!required.split([',', ' ']).any(|one| one == what), "{what} is required, but {reason}");
    println!("skipped: {reason}");
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Whether a command ended well; its last line if not.
fn good(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said.trim().lines().last().unwrap_or("no reason").to_owned()) }
}

/// A Python with the packages that the tests read with.
pub(crate) fn python() -> Option<PathBuf> {
    let _installing = INSTALLING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let place = folder("report-readers-python");
    let (program, ready) = (place.join("bin/python"), place.join("ready"));
    if std::fs::read_to_string(&ready).is_ok_and(|packages| packages == PACKAGES.join(" ")) {
        return Some(program);
    }
    let made = good(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&place)).and_then(|()| {
        let mut pip = Command::new(&program);
        good(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES))
    });
    match made {
        Ok(()) => {
            std::fs::write(ready, PACKAGES.join(" ")).unwrap();
            Some(program)
        }
        Err(reason) => {
            skip("pypi", &format!("the Python packages cannot be installed: {reason}"));
            None
        }
    }
}

/// A folder in which npm packages are installed.
pub(crate) fn npm(packages: &[&str]) -> Option<PathBuf> {
    let _installing = INSTALLING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let place = folder("report-readers-npm").join(packages.join("+").replace(['/', '@'], "_"));
    let ready = place.join("ready");
    if ready.is_file() {
        return Some(place);
    }
    std::fs::create_dir_all(&place).unwrap();
    let mut install = Command::new("npm");
    install.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]).arg(&place).args(packages);
    match good(&mut install) {
        Ok(()) => {
            std::fs::write(ready, "").unwrap();
            Some(place)
        }
        Err(reason) => {
            skip("npm", &format!("{} cannot be installed: {reason}", packages.join(", ")));
            None
        }
    }
}

/// A browser.
pub(crate) fn browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|one| one.is_file());
    if found.is_none() {
        skip("chromium", "there is no Chromium on this machine");
    }
    found
}

/// Runs a program with arguments and gives what it printed.
pub(crate) fn script(python: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(python).arg("-c").arg(program).args(arguments).env("PYTHONUTF8", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
