//! Package **clients** of this machine, run as subprocesses so that the user's registry, proxy and certificates apply.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

/// What a client said.
pub(super) struct Said {
    pub(super) success: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Finds a program in PATH, as a shell would.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| std::fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0))
}

/// Runs a client in `folder` to its end. It ends with us: it is killed when the caller is cancelled.
pub(super) async fn run(
    program: &Path,
    arguments: &[String],
    folder: &Path,
    variables: &[(&str, &str)],
) -> std::io::Result<Said> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?
        .wait_with_output()
        .await?;
    Ok(Said {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// The first `most` characters of a text on one line.
pub(super) fn shorten(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_path() {
        assert!(find_program("sh").unwrap().is_absolute());
        assert_eq!(find_program("no-such-program-anywhere"), None);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shorten("a\n b\t c", 20), "a b c");
        assert_eq!(shorten("ääää", 3), "äää…");
    }

    #[tokio::test]
    async fn a_client_gets_no_input_and_its_output_is_kept() {
        let arguments = ["-c".to_owned(), "cat; echo out; echo err >&2; pwd; echo $X; exit 3".to_owned()];
        let said = run(Path::new("/bin/sh"), &arguments, Path::new("/"), &[("X", "y")]).await.unwrap();
        assert!(!said.success);
        assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("out\n/\ny\n", "err\n"));
    }
}
