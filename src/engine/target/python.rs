//! **Python** of the minor version that a scenario asks for. A base image has it; where pods show the machine's own programs,
//! one of the machine's is used where it stands, or brought along if no pod could see it there.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::cache::{self, Entry, Record};
use super::interpreter::{self, Interpreter};
use super::{TargetFacts, blocking, client, failed, node, tree, version};
use crate::engine::pod::{PROGRAM_FOLDERS, TARGET_ROOT};
use crate::engine::{EngineError, debian};
use crate::scenario::Target;

/// Minor version of the Python of Docker's base image (Debian bookworm).
pub const POD_PYTHON: &str = debian::BOOKWORM.python;

const STEP: &str = "bringing Python";

/// Where an interpreter that is brought along stands, below the target's folder.
const PLACE: &str = "runtime";

/// Whose programs stand in a pod beside the target's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Userland {
    /// A base image's, which the engine provides with the Python that the target wants.
    Image,
    /// This machine's own.
    Machine,
}

/// The minor version (`3.11`) of the Python that a target gets in pods of this userland.
#[must_use]
pub fn pod_python(target: &Target, userland: Userland) -> String {
    let own = || match userland {
        Userland::Image => None,
        Userland::Machine => own().and_then(|own| own.minor().map(str::to_owned)),
    };
    target.python.clone().or_else(own).unwrap_or_else(|| POD_PYTHON.to_owned())
}

/// The Python at /usr/bin, which pods show that have the machine's programs. With it they see the packages that the machine's
/// distribution has installed for it, though after the target's own.
fn own() -> Option<Interpreter> {
    Interpreter::ask(Path::new("/usr/bin/python3"))
}

/// The Python of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Python {
    /// Minor version, `3.11`.
    pub(super) minor: String,
    /// Exact version, as far as it is known before a pod has been made.
    pub(super) version: Option<String>,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Whatever `python3` the pod has.
    Userland,
    /// A program of the machine that pods show, at this path.
    Shown(PathBuf),
    /// Brought along: the folder in the cache, and its digest.
    Brought { root: PathBuf, digest: String },
}

/// Finds, or brings into the cache, the Python that a target asks for.
pub(super) async fn provide(
    asked: Option<&str>,
    userland: Userland,
    cache: &Path,
    notice: &(dyn Fn(String) + Sync),
) -> Result<Python, EngineError> {
    match (asked, userland) {
        (_, Userland::Image) => {
            let minor = asked.unwrap_or(POD_PYTHON).to_owned();
            Ok(Python { minor, version: None, place: Place::Userland })
        }
        (None, Userland::Machine) => {
            let own = blocking(|| Ok(own())).await?;
            let minor = own.as_ref().and_then(Interpreter::minor).unwrap_or(POD_PYTHON).to_owned();
            Ok(Python { minor, version: own.map(|own| own.version), place: Place::Userland })
        }
        (Some(asked), Userland::Machine) => of_machine(asked, cache, notice).await,
    }
}

async fn of_machine(asked: &str, cache: &Path, notice: &(dyn Fn(String) + Sync)) -> Result<Python, EngineError> {
    let minor = asked.to_owned();
    let wanted = minor.clone();
    let found = blocking(move || Ok(interpreter::of_minor(&wanted))).await?;
    if let Some(shown) = found.iter().find(|found| is_shown(&found.program) && is_shown(&found.prefix)) {
        let place = Place::Shown(shown.program.clone());
        return Ok(Python { minor, version: Some(shown.version.clone()), place });
    }
    let suffix = format!("-{}", node::platform()?);
    let cached = cache::versions(cache, "python", "python", &suffix);
    let of_minor = |version: &&str| interpreter::minor(version) == Some(asked);
    let version = match version::newest(cached.iter().map(String::as_str).filter(of_minor)) {
        Some(version) => version.to_owned(),
        None => found.first().map(|found| found.version.clone()).ok_or_else(|| nowhere(asked))?,
    };
    let entry = Entry::new(cache, "python", "python", &format!("{version}{suffix}"));
    let record = load_or_bring(&entry, found.into_iter().next().ok_or_else(|| nowhere(asked)), notice).await?;
    let place = Place::Brought { root: entry.root(), digest: record.digest };
    Ok(Python { minor, version: record.facts.version, place })
}

/// Whether pods with the machine's programs show this path of it.
fn is_shown(path: &Path) -> bool {
    PROGRAM_FOLDERS.iter().any(|folder| path.strip_prefix("/").is_ok_and(|below| below.starts_with(folder)))
}

fn nowhere(asked: &str) -> EngineError {
    let here = interpreter::minors();
    let here = if here.is_empty() { String::new() } else { format!(" What is here: {}.", here.join(", ")) };
    EngineError::NoTarget {
        key: "python",
        message: format!(
            "this machine has no Python {asked} to show to its pods: there is no `python{asked}` in PATH, none of pyenv's and \
             none of uv's.{here} Install it (`uv python install {asked}`, `pyenv install {asked}`), or use --engine docker, \
             where it comes in an image"
        ),
    }
}

async fn load(entry: &Entry) -> Result<Option<Record>, EngineError> {
    let entry = entry.clone();
    blocking(move || entry.load()).await
}

/// The entry, made of `from` unless it is there.
async fn load_or_bring(
    entry: &Entry,
    from: Result<Interpreter, EngineError>,
    notice: &(dyn Fn(String) + Sync),
) -> Result<Record, EngineError> {
    if let Some(record) = load(entry).await? {
        return Ok(record);
    }
    let _lock = entry.lock(notice).await?;
    if let Some(record) = load(entry).await? {
        return Ok(record);
    }
    let from = from?;
    notice(format!("bringing Python {} of {}", from.version, from.prefix.display()));
    bring(entry, from).await
}

/// Copies an interpreter with its library into the cache, so that it runs wherever it stands.
async fn bring(entry: &Entry, from: Interpreter) -> Result<Record, EngineError> {
    let staged = entry.stage()?;
    let root = staged.path().join("root");
    let (copied, to) = (from.clone(), root.clone());
    blocking(move || copied.copy(&to).map_err(failed(STEP))).await?;
    let minor = from.minor().unwrap_or_default().to_owned();
    let program = root.join("bin").join(format!("python{minor}"));
    let library = root.join("lib").join(format!("python{minor}"));
    let arguments = interpreter::compilation(&root, &format!("{TARGET_ROOT}/{PLACE}"), &library);
    // It fails if any one file cannot be compiled: those are compiled by nobody.
    client::run(&program, &arguments, &root, &[]).await.map_err(failed(STEP))?;
    check(&program, &root, &from).await?;
    let making = entry.clone();
    blocking(move || {
        let contents = tree::contents(&root).map_err(failed(STEP))?;
        let lines = contents.iter().flat_map(|(path, what)| [path.as_str(), what.as_str()]);
        let digest = tree::digest(["python", &from.version].into_iter().chain(lines));
        let facts = TargetFacts {
            package: format!("pkg:generic/python@{}", from.version),
            version: Some(from.version),
            ..TargetFacts::default()
        };
        making.commit(staged, Record::new(facts, digest))
    })
    .await
}

/// Refuses a copy that does not run by itself, or that needs a library that pods do not show.
async fn check(program: &Path, root: &Path, from: &Interpreter) -> Result<(), EngineError> {
    let arguments = interpreter::self_test();
    // What the user's own variables make it find, a pod would lack.
    let variables = [("LD_LIBRARY_PATH", ""), ("LD_PRELOAD", "")];
    let said = client::run(program, &arguments, root, &variables).await.map_err(failed(STEP))?;
    let refused = |what: String| {
        EngineError::Missing(format!(
            "Python {} of {} cannot be brought into a pod: {what}. Install that version in another way (`uv python install` \
             brings one that stands by itself), or use --engine docker",
            from.version,
            from.prefix.display()
        ))
    };
    if !said.success {
        return Err(refused(format!("its copy does not run ({})", client::shorten(&said.stderr, 160))));
    }
    // As the kernel names what is loaded.
    let root = fs::canonicalize(root).map_err(failed(STEP))?;
    let outside = |path: &&str| !Path::new(path).starts_with(&root) && !is_shown(Path::new(path));
    match said.stdout.lines().find(outside) {
        Some(path) => Err(refused(format!("it uses {path}, which no pod shows"))),
        None => Ok(()),
    }
}

impl Python {
    /// What tells it apart from other Pythons of the same minor version in the names of the cache: `cp311`, `cp313-3.13.0`.
    pub(super) fn label(&self) -> String {
        let tag = format!("cp{}", self.minor.replace('.', ""));
        let digest = match &self.place {
            Place::Userland => return tag,
            Place::Shown(program) => tree::digest(["shown", &program.display().to_string()]),
            Place::Brought { digest, .. } => digest.clone(),
        };
        format!("{tag}-{}-{}", self.version.as_deref().unwrap_or_default(), &digest[..8])
    }

    /// What of it belongs into a target's digest: nothing where it is the userland's.
    pub(super) fn identity(&self) -> Vec<String> {
        if self.place == Place::Userland { Vec::new() } else { vec![self.label()] }
    }

    /// As the manifest names it.
    pub(super) fn told(&self) -> String {
        format!("Python {}", self.version.as_deref().unwrap_or(&self.minor))
    }

    /// Whether it is the one that pods have anyway.
    pub(super) fn is_userlands(&self) -> bool {
        self.place == Place::Userland
    }

    /// Puts it into a target's folder, as `bin/python3` and `bin/python3.N`. Refuses to take the place of anything.
    pub(super) fn put(&self, root: &Path) -> Result<(), EngineError> {
        let program = match &self.place {
            Place::Userland => return Ok(()),
            Place::Shown(program) => program.clone(),
            Place::Brought { root: from, .. } => {
                let to = root.join(PLACE);
                if to.exists() {
                    return Err(EngineError::Missing(format!(
                        "the target brings along a `{PLACE}` of its own, where its Python has to stand: rename that"
                    )));
                }
                tree::link_all(from, &to).map_err(failed(STEP))?;
                Path::new("..").join(PLACE).join("bin").join(format!("python{}", self.minor))
            }
        };
        let bin = root.join("bin");
        fs::create_dir_all(&bin).map_err(failed(STEP))?;
        for name in ["python3", &format!("python{}", self.minor)] {
            let place = bin.join(name);
            if place.symlink_metadata().is_err() {
                symlink(&program, &place).map_err(failed(STEP))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pods_show_is_told_from_what_they_do_not() {
        for shown in ["/usr/bin/python3.11", "/usr/local/lib", "/nix/store/x/bin/python3.12"] {
            assert!(is_shown(Path::new(shown)), "{shown}");
        }
        for hidden in ["/home/u/.pyenv/versions/3.13.0", "/opt/python3.13", "/usrlocal/x", "/", "usr/bin"] {
            assert!(!is_shown(Path::new(hidden)), "{hidden}");
        }
    }

    #[test]
    fn pythons_of_one_minor_version_have_names_of_their_own() {
        let python = |place| Python { minor: String::from("3.13"), version: Some(String::from("3.13.2")), place };
        let userlands = python(Place::Userland);
        assert_eq!((userlands.label().as_str(), userlands.identity().len()), ("cp313", 0));
        let brought = |digest: &str| python(Place::Brought { root: PathBuf::new(), digest: digest.repeat(64) });
        assert_eq!(brought("a").label(), "cp313-3.13.2-aaaaaaaa");
        assert_ne!(brought("a").identity(), brought("b").identity());
        let shown = |path: &str| python(Place::Shown(PathBuf::from(path))).label();
        assert_ne!(shown("/usr/bin/python3.13"), shown("/usr/local/bin/python3.13"));
        assert_eq!(userlands.told(), "Python 3.13.2");
    }

    #[test]
    fn a_python_that_is_shown_goes_first_in_the_pod() {
        let root = tempfile::tempdir().unwrap();
        let place = Place::Shown(PathBuf::from("/usr/bin/python3.13"));
        let python = Python { minor: String::from("3.13"), version: None, place };
        python.put(root.path()).unwrap();
        for name in ["python3", "python3.13"] {
            assert_eq!(fs::read_link(root.path().join("bin").join(name)).unwrap(), Path::new("/usr/bin/python3.13"));
        }
    }

    #[test]
    fn nothing_of_the_target_is_replaced() {
        let (root, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let place = Place::Brought { root: from.path().to_owned(), digest: "a".repeat(64) };
        let python = Python { minor: String::from("3.13"), version: None, place };
        fs::create_dir(root.path().join(PLACE)).unwrap();
        let message = python.put(root.path()).unwrap_err().to_string();
        assert!(message.contains("`runtime` of its own") && message.contains("rename"), "{message}");
    }
}
