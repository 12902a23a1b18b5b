//! **Interpreters** of Python on this machine: finding them, and copying one with its library.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err as fs;

use super::{tree, version};

/// Prints the exact version, what distinguishes its build, the prefix and the program, a line each.
const ASK: &str = "import os, sys; print('%d.%d.%d' % sys.version_info[:3], getattr(sys, 'abiflags', ''), sys.base_prefix, \
                   os.path.realpath(sys.executable), sep='\\n')";

/// Folders of its library that nothing but tests, editors and compilers of extensions use.
const SUPERFLUOUS: [&str; 5] = ["__pycache__", "idlelib", "site-packages", "test", "turtledemo"];

/// Loads what links libraries from outside, and prints every file that then stands in memory, a line each.
const SELF_TEST: &str = "
for name in ('_bz2', '_ctypes', '_hashlib', '_lzma', '_sqlite3', '_uuid', 'pyexpat', 'readline', 'zlib'):
    try: __import__(name)
    except ImportError: pass
import json, ssl
for line in open('/proc/self/maps'):
    path = line.rstrip('\\n').split(' ', 5)[-1].strip()
    if path.startswith('/'): print(path)
";

/// A Python of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interpreter {
    /// The program, links followed.
    pub(super) program: PathBuf,
    /// Where its library stands below.
    pub(super) prefix: PathBuf,
    /// Exact version.
    pub(super) version: String,
}

impl Interpreter {
    /// Asks a program which Python it is. `None`: it does not run, or is a build with another binary interface.
    pub(super) fn ask(program: &Path) -> Option<Self> {
        let asked = Command::new(program).args(["-I", "-S", "-c", ASK]).stdin(Stdio::null()).output().ok()?;
        let said = String::from_utf8(asked.stdout).ok().filter(|_| asked.status.success())?;
        let [version, "", prefix, program] = said.lines().collect::<Vec<_>>()[..] else { return None };
        minor(version)?;
        let prefix = fs::canonicalize(prefix).ok()?;
        Some(Self { program: PathBuf::from(program), prefix, version: version.to_owned() })
    }

    /// Its minor version.
    pub(super) fn minor(&self) -> Option<&str> {
        minor(&self.version)
    }

    /// Copies the program and its library, without what only tests and editors use and without packages, to below `root`:
    /// `bin/python3.N`, `lib/python3.N/`. A shared library of its own is then found by where the program stands.
    pub(super) fn copy(&self, root: &Path) -> std::io::Result<()> {
        let name = format!("python{}", self.minor().unwrap_or_default());
        let (bin, lib) = (root.join("bin"), root.join("lib"));
        fs::create_dir_all(&bin)?;
        fs::create_dir_all(&lib)?;
        let own = self.prefix.join("lib");
        fs::write(bin.join(&name), beside_itself(fs::read(&self.program)?, &own))?;
        fs::set_permissions(bin.join(&name), fs::metadata(&self.program)?.permissions())?;
        for entry in fs::read_dir(&own)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("libpython3") && entry.file_type()?.is_file() {
                fs::copy(entry.path(), lib.join(entry.file_name()))?;
            }
        }
        fs::create_dir_all(lib.join(&name))?;
        for entry in fs::read_dir(own.join(&name))? {
            let entry = entry?;
            let (from, to) = (entry.path(), lib.join(&name).join(entry.file_name()));
            let file = entry.file_name();
            let file = file.to_string_lossy();
            if SUPERFLUOUS.contains(&file.as_ref()) || file.starts_with("config-") {
                continue;
            }
            if from.is_dir() {
                tree::copy(&from, &to)?;
            } else if from.is_file() {
                fs::copy(&from, &to)?;
            }
        }
        // The landmark by which a prefix is known in some versions, empty.
        fs::create_dir_all(lib.join(&name).join("site-packages"))
    }
}

/// `3.11` of `3.11.7`.
pub(super) fn minor(version: &str) -> Option<&str> {
    let dots: Vec<usize> = version.match_indices('.').map(|(at, _)| at).collect();
    match dots[..] {
        [_, second] => Some(&version[..second]),
        _ => None,
    }
}

/// Lets a program look for shared libraries in the `lib` beside its own folder where it looks in `library` by an absolute
/// path: that path, as the loader finds it in the file, is overwritten by a shorter one.
fn beside_itself(mut program: Vec<u8>, library: &Path) -> Vec<u8> {
    const BESIDE: &[u8] = b"$ORIGIN/../lib";
    let old = [b"\0", library.as_os_str().as_encoded_bytes(), b"\0"].concat();
    if BESIDE.len() + 2 <= old.len()
        && let Some(at) = program.windows(old.len()).position(|bytes| bytes == old)
    {
        let place = &mut program[at + 1..at + old.len()];
        place.fill(0);
        place[..BESIDE.len()].copy_from_slice(BESIDE);
    }
    program
}

/// Arguments with which Python compiles the modules of `folder`, a folder below `root`, that will stand below `place`. Once,
/// as a cell could not keep what it compiles; unchecked, as times of files change on their way into a pod.
pub(super) fn compilation(root: &Path, place: &str, folder: &Path) -> Vec<String> {
    let fixed = ["-I", "-m", "compileall", "-qq", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s"];
    let places = [root.display().to_string(), String::from("-p"), place.to_owned(), folder.display().to_string()];
    fixed.into_iter().map(str::to_owned).chain(places).collect()
}

/// Arguments with which Python prints every file that it has loaded.
pub(super) fn self_test() -> Vec<String> {
    ["-I", "-S", "-B", "-c", SELF_TEST].map(str::to_owned).to_vec()
}

/// Every Python of this minor version: of PATH in its order, then pyenv's and uv's, the newest first.
pub(super) fn of_minor(wanted: &str) -> Vec<Interpreter> {
    let name = format!("python{wanted}");
    let mut found: Vec<Interpreter> = Vec::new();
    let installed = installations().into_iter().filter(|(version, _)| minor(version) == Some(wanted));
    let mut installed: Vec<(String, PathBuf)> = installed.collect();
    installed.sort_by(|a, b| version::compare(&b.0, &a.0).then_with(|| a.1.cmp(&b.1)));
    let places = path().into_iter().map(|folder| folder.join(&name));
    for program in places.chain(installed.into_iter().map(|(_, prefix)| prefix.join("bin").join(&name))) {
        let asked = Some(program).filter(|program| program.exists()).and_then(|program| Interpreter::ask(&program));
        if let Some(asked) = asked.filter(|asked| asked.minor() == Some(wanted) && !found.contains(asked)) {
            found.push(asked);
        }
    }
    found
}

/// The first minor version of Python 3 whose wheels go by its version alone: `cp38`, after `cp37m`.
const FIRST: u32 = 8;

/// The minor versions of Python that are installed here and can be asked for, the oldest first, by their names: none of them
/// is run.
#[must_use]
pub fn minors() -> Vec<String> {
    let mut minors: BTreeSet<u32> = BTreeSet::new();
    let number = |minor: &str| minor.strip_prefix("3.").and_then(|minor| minor.parse::<u32>().ok());
    for folder in path() {
        let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
        minors.extend(names.filter_map(|name| number(name.to_str()?.strip_prefix("python")?)));
    }
    minors.extend(installations().iter().filter_map(|(version, _)| number(minor(version)?)));
    minors.range(FIRST..).map(|minor| format!("3.{minor}")).collect()
}

/// Folders in which programs are looked for, and where a distribution has its own.
fn path() -> Vec<PathBuf> {
    let set = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&set).filter(|folder| folder.is_absolute()).collect();
    folders.extend(["/usr/local/bin", "/usr/bin"].map(PathBuf::from));
    let mut seen = BTreeSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    folders
}

/// Exact version and prefix of everything that pyenv and uv have installed.
fn installations() -> Vec<(String, PathBuf)> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = |below: &str| set("HOME").map(|home| home.join(below));
    let pyenv = set("PYENV_ROOT").or_else(|| home(".pyenv")).map(|root| root.join("versions"));
    let uv = set("UV_PYTHON_INSTALL_DIR")
        .or_else(|| set("XDG_DATA_HOME").map(|data| data.join("uv/python")))
        .or_else(|| home(".local/share/uv/python"));
    listed(pyenv.as_deref(), "").into_iter().chain(listed(uv.as_deref(), "cpython-")).collect()
}

/// The folders of `root` whose names begin with `before` and an exact version: `3.13.0`, `cpython-3.13.0-linux-x86_64-gnu`.
fn listed(root: Option<&Path>, before: &str) -> Vec<(String, PathBuf)> {
    let entries = root.and_then(|root| std::fs::read_dir(root).ok()).into_iter().flatten().flatten();
    let version = |name: &str| {
        let version = name.strip_prefix(before)?.split('-').next()?;
        (minor(version).is_some() && version.starts_with(|c: char| c.is_ascii_digit())).then(|| version.to_owned())
    };
    entries.filter_map(|entry| Some((version(entry.file_name().to_str()?)?, entry.path()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_versions() {
        assert_eq!((minor("3.11.7"), minor("3.11"), minor("")), (Some("3.11"), None, None));
    }

    #[test]
    fn installations_are_known_by_their_folders() {
        let root = tempfile::tempdir().unwrap();
        for name in ["3.13.0", "3.12.1", "pypy3.10-7.3", "cpython-3.14.0-linux-x86_64-gnu", "cpython-3.14-linux", "x"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let versions = |before| {
            let mut found: Vec<String> =
                listed(Some(root.path()), before).into_iter().map(|(version, _)| version).collect();
            found.sort();
            found
        };
        assert_eq!(versions(""), ["3.12.1", "3.13.0"]);
        assert_eq!(versions("cpython-"), ["3.14.0"]);
        assert!(listed(Some(Path::new("/nonexistent")), "").is_empty());
    }

    #[test]
    fn a_librarys_path_is_replaced_by_one_that_moves_with_the_program() {
        let library = Path::new("/home/u/.pyenv/versions/3.13.0/lib");
        let program = b"ELF\0libc.so\0/home/u/.pyenv/versions/3.13.0/lib\0main\0".to_vec();
        let moved = beside_itself(program.clone(), library);
        assert_eq!(moved.len(), program.len());
        let strings: Vec<&[u8]> = moved.split(|byte| *byte == 0).filter(|text| !text.is_empty()).collect();
        assert_eq!(strings, [&b"ELF"[..], b"libc.so", b"$ORIGIN/../lib", b"main"]);
        // Nothing else is touched: neither a longer path nor one that is too short.
        assert_eq!(beside_itself(program.clone(), Path::new("/home/u/.pyenv")), program);
        assert_eq!(beside_itself(b"\0/p/lib\0".to_vec(), Path::new("/p/lib")), b"\0/p/lib\0");
    }

    #[test]
    fn what_is_no_python_is_none() {
        assert_eq!(Interpreter::ask(Path::new("/bin/true")), None);
        assert_eq!(Interpreter::ask(Path::new("/nonexistent/python3")), None);
        assert!(of_minor("3.99").is_empty());
    }
}
