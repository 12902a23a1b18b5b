//! The **program** of an external engine: its command line, where it is found, and the digests by which it is known.

use std::path::{Path, PathBuf};

use crate::engine::EngineError;
use crate::engine::target::{find_program, hash_file};

/// A program with its arguments, found on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// As it was written.
    line: String,
    words: Vec<String>,
    file: PathBuf,
    /// SHA-256 of the program and of each argument that is a file, with their names as they were written.
    digests: Vec<(String, String)>,
}

impl Program {
    /// Takes a command line, quoted as for a shell (`"./sim.py --fast"`, `'/opt/my farm/run' 7`). No shell is run.
    ///
    /// # Errors
    /// [`EngineError::Missing`] when it cannot be read, or names no program of this machine.
    pub fn find(line: &str) -> Result<Self, EngineError> {
        let missing = |message: String| EngineError::Missing(message);
        let words = shlex::split(line)
            .ok_or_else(|| missing(format!("--engine exec:{line}: a quote or a backslash is left open")))?;
        let Some(name) = words.first().filter(|name| !name.is_empty()) else {
            return Err(missing(String::from("--engine exec: needs a program, as in --engine exec:./simulator.py")));
        };
        let file = if name.contains('/') {
            Some(PathBuf::from(name)).filter(|path| path.is_file())
        } else {
            find_program(name)
        };
        let file = file.ok_or_else(|| {
            missing(format!("--engine exec:{line}: there is no program `{name}` (a program beside you is `./{name}`)"))
        })?;
        let files = words[1..].iter().filter(|word| Path::new(word).is_file());
        let mut digests = Vec::new();
        for (name, path) in std::iter::once((name, file.as_path())).chain(files.map(|word| (word, Path::new(word)))) {
            let sha256 = hash_file(path).map_err(|error| missing(format!("--engine exec:{line}: {error}")))?;
            digests.push((name.clone(), sha256));
        }
        Ok(Self { line: line.to_owned(), file, digests, words })
    }

    /// Its name for the manifest: the command line with the digests of its files.
    #[must_use]
    pub fn describe(&self) -> String {
        let digests = match &self.digests[..] {
            [(_, only)] => only.clone(),
            several => several.iter().map(|(name, sha256)| format!("{name} {sha256}")).collect::<Vec<_>>().join(", "),
        };
        format!("exec:{} (sha256 {digests})", self.line)
    }

    /// The file that is run.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// What it is given.
    pub(super) fn arguments(&self) -> &[String] {
        &self.words[1..]
    }
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_cut_as_a_shell_would() {
        let place = tempfile::tempdir().unwrap();
        let script = place.path().join("my sim.sh");
        std::fs::write(&script, "hello").unwrap();
        let program = Program::find(&format!("sh '{}' \"two words\" three", script.display())).unwrap();
        assert_eq!(program.arguments(), [script.to_str().unwrap(), "two words", "three"]);
        // The program and the script that it is given are both part of the name.
        let hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        assert!(program.describe().contains(hello), "{}", program.describe());
        assert_eq!(program.describe().matches("sh ").count(), 3, "{}", program.describe());
    }

    #[test]
    fn what_is_not_there_is_said() {
        for (line, says) in [
            ("", "needs a program"),
            ("'open", "left open"),
            ("./no-such-simulator", "there is no program"),
            ("no-such-simulator-at-all 1", "beside you"),
        ] {
            let error = Program::find(line).unwrap_err();
            assert!(error.to_string().contains(says), "{line}: {error}");
        }
    }
}
