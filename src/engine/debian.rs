//! **Debian releases**: which Python each has, and a root folder of one, made on the spot by debootstrap.

use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A Debian release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Release {
    /// Code name, `bookworm`.
    pub(super) name: &'static str,
    /// Minor version of its Python, `3.11`.
    pub(super) python: &'static str,
    /// Minor version of its C library, the 36 of glibc 2.36: wheels may want no newer one.
    pub(super) glibc: u32,
}

/// The releases that can be made, the oldest first.
pub(super) const RELEASES: [Release; 3] = [
    Release { name: "bullseye", python: "3.9", glibc: 31 },
    BOOKWORM,
    Release { name: "trixie", python: "3.13", glibc: 41 },
];

/// The release that pods have where nothing asks for another.
pub(super) const BOOKWORM: Release = Release { name: "bookworm", python: "3.11", glibc: 36 };

/// What a root folder need not have: nothing that runs reads it.
const SUPERFLUOUS: [&str; 7] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
];

/// The release whose Python is of the minor version `python`.
pub(super) fn with_python(python: &str) -> Option<Release> {
    RELEASES.into_iter().find(|release| release.python == python)
}

/// The Pythons that debootstrap can bring, for a message: `3.9 (bullseye), 3.11 (bookworm) or 3.13 (trixie)`.
pub(super) fn pythons() -> String {
    let told: Vec<String> = RELEASES.iter().map(|release| format!("{} ({})", release.python, release.name)).collect();
    match told.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => told.concat(),
    }
}

/// debootstrap, where this process may use it: it is installed, and we are root.
pub(super) fn debootstrap() -> Option<PathBuf> {
    let tools = ["/usr/sbin/debootstrap", "/usr/bin/debootstrap"].iter().map(PathBuf::from);
    tools.into_iter().find(|path| path.exists()).filter(|_| nix::unistd::geteuid().is_root())
}

/// Makes the folder `root` a minimal root of the release. Takes about a minute.
///
/// # Errors
/// The last lines of what debootstrap said.
pub(super) async fn bootstrap(tool: &Path, release: Release, root: &Path) -> Result<(), String> {
    let mut command = tokio::process::Command::new(tool);
    command.args(["--variant=minbase", release.name]).arg(root);
    if let Some(mirror) = mirror(Path::new("/etc/apt")) {
        command.arg(mirror);
    }
    let done = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("{}: {error}", tool.display()))?;
    if !done.status.success() {
        let text = String::from_utf8_lossy(&done.stdout);
        let last: Vec<&str> = text.lines().rev().take(4).collect();
        return Err(last.into_iter().rev().collect::<Vec<_>>().join("; "));
    }
    for superfluous in SUPERFLUOUS {
        // What is not there need not be removed.
        let _ = std::fs::remove_dir_all(root.join(superfluous));
    }
    for needed in ["var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/log"] {
        fs_err::create_dir_all(root.join(needed)).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The mirror that this machine itself uses for Debian, if it says so.
fn mirror(apt: &Path) -> Option<String> {
    let folder =
        std::fs::read_dir(apt.join("sources.list.d")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = folder
        .filter(|path| path.extension().is_some_and(|extension| extension == "sources" || extension == "list"))
        .chain([apt.join("sources.list")])
        .collect();
    files.sort();
    let texts = files.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    texts.flat_map(|text| mirrors(&text)).find(|url| url.trim_end_matches('/').ends_with("/debian"))
}

/// URLs of package sources, in either of apt's formats.
pub(super) fn mirrors(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines
        .filter(|line| line.starts_with("URIs:") || line.starts_with("deb "))
        .flat_map(str::split_whitespace)
        .filter(|word| word.starts_with("http://") || word.starts_with("https://"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_of_package_sources_are_read() {
        let modern = "Types: deb\n# http://old.example/debian\nURIs: http://mirror.example/debian\nSuites: bookworm\n";
        assert_eq!(mirrors(modern), ["http://mirror.example/debian"]);
        let old = "deb [signed-by=/x] https://mirror.example/debian/ bookworm main\n# deb http://no.example/debian x\n";
        assert_eq!(mirrors(old), ["https://mirror.example/debian/"]);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(mirror(folder.path()), None);
        std::fs::write(folder.path().join("sources.list"), old).unwrap();
        assert_eq!(mirror(folder.path()).as_deref(), Some("https://mirror.example/debian/"));
    }

    #[test]
    fn a_release_is_known_by_its_python() {
        assert_eq!(with_python("3.13").map(|release| release.name), Some("trixie"));
        assert_eq!(with_python("3.12"), None);
        assert_eq!(pythons(), "3.9 (bullseye), 3.11 (bookworm) or 3.13 (trixie)");
    }
}
