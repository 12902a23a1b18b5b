//! **Local** targets: a program of this machine, copied into the cache by content.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use fs_err as fs;

use super::cache::{self, Entry, Record};
use super::python::Python;
use super::{Installed, TargetFacts, failed, tree};
use crate::engine::EngineError;
use crate::scenario::{Source, Target};

const STEP: &str = "copying the local target";

/// The target's argument vector as it is inside a pod: a local program with a slash in its name is found there through PATH, by
/// its file name.
#[must_use]
pub fn command_in_pod(target: &Target) -> Vec<String> {
    let mut command = target.command.clone();
    if let (Source::Local { .. }, Some(first)) = (&target.source, command.first_mut())
        && let Some((_, name)) = first.rsplit_once('/')
        && !name.is_empty()
    {
        *first = name.to_owned();
    }
    command
}

/// Copies the program and what it brings along. A command without a slash is looked up in the pod: only the includes are copied.
pub(super) fn install(
    command: &str,
    folder: &Path,
    include: &[PathBuf],
    python: Option<&Python>,
    cache: &Path,
) -> Result<Installed, EngineError> {
    let program = if command.contains('/') { Some(program(command, folder)?) } else { None };
    if program.is_none() && include.is_empty() && python.is_none_or(Python::is_userlands) {
        return Ok(Installed {
            root: None,
            image: None,
            search: Vec::new(),
            variables: std::collections::BTreeMap::new(),
            scripts: Vec::new(),
            packages: Vec::new(),
            python: None,
            digest: tree::digest(["local", command]),
            facts: TargetFacts { package: command.to_owned(), ..TargetFacts::default() },
        });
    }
    let name = command.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("target");
    // Staged first, as its digest is known only then; an equal entry that is there already wins.
    let staged = Entry::new(cache, "local", name, "new").stage()?;
    let root = staged.path().join("root");
    fs::create_dir_all(root.join("bin")).map_err(failed(STEP))?;
    let mut packages = Vec::new();
    if let Some(program) = &program {
        fs::copy(program, root.join("bin").join(name)).map_err(failed(STEP))?;
        if let Some((path, package)) = interpreter(program).map_err(failed(STEP))? {
            if python.is_some() && package == "python3" && !path.ends_with("/env") {
                return Err(EngineError::Missing(format!(
                    "the target's program `{command}` names the Python that runs it by a path, {path}, and the scenario asks for \
                     one by its version: write `#!/usr/bin/env python3` there, or remove `python`"
                )));
            }
            packages.push(package);
        }
    }
    for path in include {
        bring(path, folder, &root)?;
    }
    tree::open_to_readers(&root).map_err(failed(STEP))?;
    let identity = python.map(Python::identity).unwrap_or_default();
    let contents = tree::contents(&root).map_err(failed(STEP))?;
    let lines = contents.iter().flat_map(|(path, what)| [path.as_str(), what.as_str()]);
    let parts = ["local", command].into_iter().chain(lines).chain(identity.iter().map(String::as_str));
    let digest = tree::digest(parts);
    let entry = Entry::new(cache, "local", name, &digest[..16]);
    if let Some(record) = entry.load()? {
        return Ok(entry.installed(record, cache::search(), false));
    }
    if let Some(python) = python {
        python.put(&root)?;
    }
    let facts = TargetFacts { package: command.to_owned(), ..TargetFacts::default() };
    let mut record = Record::new(facts, digest);
    record.packages = packages;
    let record = entry.commit(staged, record)?;
    Ok(entry.installed(record, cache::search(), true))
}

/// The program's file, links followed.
fn program(command: &str, folder: &Path) -> Result<PathBuf, EngineError> {
    let path = folder.join(command);
    let missing =
        |what: &str| EngineError::Missing(format!("the target's program `{command}` {what} ({})", path.display()));
    let metadata = std::fs::metadata(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => missing("does not exist: a path is resolved against the scenario's folder"),
        _ => missing(&format!("cannot be read: {error}")),
    })?;
    if !metadata.is_file() {
        return Err(missing("is not a file"));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(missing("is not executable: `chmod +x` it"));
    }
    Ok(path)
}

/// The interpreter that a script's first line names: the path there, and the Debian package, for a base image that has none.
fn interpreter(program: &Path) -> io::Result<Option<(String, String)>> {
    let mut start = [0; 128];
    let read = io::Read::read(&mut fs::File::open(program)?, &mut start)?;
    let first = String::from_utf8_lossy(&start[..read]);
    let first = first.strip_prefix("#!").and_then(|rest| rest.lines().next()).unwrap_or_default();
    let names = [("python3", "python3"), ("node", "nodejs"), ("perl", "perl"), ("ruby", "ruby")];
    let words: Vec<&str> = first.split([' ', '/']).collect();
    let path = first.split_whitespace().next().unwrap_or_default().to_owned();
    Ok(names.iter().find(|(word, _)| words.contains(word)).map(|(_, package)| (path, (*package).to_owned())))
}

/// Copies one include to its place below the pod's `/opt/target`: as the scenario names it, or by its file name where that is
/// absolute or leads out of the scenario's folder.
fn bring(path: &Path, folder: &Path, root: &Path) -> Result<(), EngineError> {
    let from = folder.join(path);
    let missing = |what: String| {
        EngineError::Missing(format!("`{}`, which the target includes, {what} ({})", path.display(), from.display()))
    };
    let named: PathBuf = path.components().filter(|part| !matches!(part, Component::CurDir)).collect();
    let inside = named.components().all(|part| matches!(part, Component::Normal(_)));
    let below = if inside && named.components().next().is_some() {
        named
    } else {
        PathBuf::from(
            path.file_name().ok_or_else(|| missing(String::from("has no name of its own: name what is in it")))?,
        )
    };
    let to = root.join(below);
    let metadata = std::fs::metadata(&from).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            missing(String::from("does not exist: a path is resolved against the scenario's folder"))
        }
        _ => missing(format!("cannot be read: {error}")),
    })?;
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(failed(STEP))?;
    }
    if metadata.is_dir() { tree::copy(&from, &to) } else { fs::copy(&from, &to).map(|_| ()) }
        .map_err(|error| missing(format!("cannot be copied: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Machine {
        folder: tempfile::TempDir,
        cache: tempfile::TempDir,
    }

    impl Machine {
        fn new() -> Self {
            let machine = Self { folder: tempfile::tempdir().unwrap(), cache: tempfile::tempdir().unwrap() };
            fs::create_dir_all(machine.folder.path().join("lib/deep")).unwrap();
            fs::write(machine.folder.path().join("lib/deep/data"), "data").unwrap();
            fs::write(machine.folder.path().join("agent"), "#!/usr/bin/env python3\nprint()\n").unwrap();
            machine.mode("agent", 0o700);
            machine
        }

        fn mode(&self, name: &str, mode: u32) {
            fs::set_permissions(self.folder.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }

        fn install(&self, command: &str, include: &[&str]) -> Result<Installed, EngineError> {
            let include: Vec<PathBuf> = include.iter().map(PathBuf::from).collect();
            install(command, self.folder.path(), &include, None, self.cache.path())
        }
    }

    #[test]
    fn a_program_is_copied_with_what_it_brings_and_found_again() {
        let machine = Machine::new();
        let first = machine.install("./agent", &["lib/deep", "./lib/deep/data"]).unwrap();
        let root = first.root.clone().unwrap();
        assert_eq!(fs::read_to_string(root.join("lib/deep/data")).unwrap(), "data");
        assert_eq!(fs::metadata(root.join("bin/agent")).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(
            (first.search.clone(), first.packages.clone()),
            (vec![String::from("/opt/target/bin")], vec![String::from("python3")])
        );
        assert!(first.facts.fresh);
        let again = machine.install("./agent", &["lib/deep", "./lib/deep/data"]).unwrap();
        assert!(!again.facts.fresh);
        assert_eq!((again.root, &again.digest), (Some(root), &first.digest));
        fs::write(machine.folder.path().join("lib/deep/data"), "other").unwrap();
        assert_ne!(machine.install("./agent", &["lib/deep"]).unwrap().digest, first.digest);
    }

    #[test]
    fn equal_contents_give_equal_digests_on_another_machine() {
        let digests =
            [Machine::new(), Machine::new()].map(|machine| machine.install("./agent", &["lib"]).unwrap().digest);
        assert_eq!(digests[0], digests[1]);
    }

    #[test]
    fn what_is_missing_is_said_exactly() {
        let machine = Machine::new();
        let says = |command: &str, include: &[&str]| machine.install(command, include).unwrap_err().to_string();
        assert!(says("./nothing", &[]).contains("`./nothing` does not exist"));
        assert!(says("./lib", &[]).contains("`./lib` is not a file"));
        machine.mode("agent", 0o644);
        assert!(says("./agent", &[]).contains("is not executable: `chmod +x` it"));
        machine.mode("agent", 0o755);
        assert!(says("./agent", &["gone"]).contains("`gone`, which the target includes, does not exist"));
        assert!(says("./agent", &[".."]).contains("has no name of its own"));
    }

    #[test]
    fn a_path_of_a_python_and_its_version_are_not_both_asked_for() {
        let machine = Machine::new();
        let python = tokio::runtime::Runtime::new().unwrap().block_on(super::super::python::provide(
            Some("3.13"),
            super::super::Userland::Image,
            machine.cache.path(),
            &|_| {},
        ));
        let python = python.unwrap();
        let install = || install("./agent", machine.folder.path(), &[], Some(&python), machine.cache.path());
        assert!(install().is_ok(), "`env` finds whichever goes first");
        fs::write(machine.folder.path().join("agent"), "#!/usr/bin/python3 -u\nprint()\n").unwrap();
        let message = install().unwrap_err().to_string();
        assert!(message.contains("by a path, /usr/bin/python3,") && message.contains("env python3"), "{message}");
    }

    #[test]
    fn an_include_from_elsewhere_goes_by_its_name() {
        let machine = Machine::new();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("extra"), "x").unwrap();
        let path = elsewhere.path().join("extra");
        let installed = machine.install("./agent", &[path.to_str().unwrap()]).unwrap();
        assert!(installed.root.unwrap().join("extra").exists());
    }

    #[test]
    fn a_name_without_a_slash_is_left_to_the_pod() {
        let machine = Machine::new();
        let installed = machine.install("sh", &[]).unwrap();
        assert_eq!((installed.root, installed.search), (None, Vec::new()));
    }
}
