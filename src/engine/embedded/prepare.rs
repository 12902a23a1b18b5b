//! Runs a target's install scripts, once: in a closed pod that may write to a copy of the installed folder, which then
//! takes the folder's place. The copy gets its final name only when every script has succeeded.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};

use super::spec::TargetMount;
use super::{Embedded, plain};
use crate::capture::Outcome;
use crate::cell::CellId;
use crate::engine::EngineError;
use crate::engine::target::{copy_tree, executable_facts};

/// How long one script may take.
const TIMEOUT_MS: u64 = 300_000;

/// What scripts may use: they are not the agent, whose limits are the scenario's.
const MEMORY_BYTES: u64 = 4 << 30;
const PROCESSES: u32 = 1024;

/// Makes the engine's target complete.
pub(super) async fn prepare(engine: &mut Embedded) -> Result<(), EngineError> {
    let TargetMount::Folder { path: root, .. } = engine.target.clone() else { return Ok(()) };
    let target = &engine.options.target;
    if target.scripts.is_empty() {
        return Ok(());
    }
    // Known by what was installed, so that another install at the same place is not taken for it.
    let digest = target.digest.get(..16).unwrap_or(&target.digest);
    let built = beside(&root, &format!("built-{digest}"));
    if !built.is_dir() {
        build(engine, &root, &built).await?;
    }
    // A script may have put another file in the executable's place.
    let found = target.facts.executable.as_ref().and_then(|path| executable_facts(&built, &target.search, path));
    if let Some((executable, sha256)) = found {
        engine.facts.executable = Some(executable);
        engine.facts.executable_sha256 = Some(sha256);
    }
    engine.target = TargetMount::Folder { path: built, writable: false };
    Ok(())
}

/// The folder `root` with another ending to its name.
fn beside(root: &Path, ending: &str) -> PathBuf {
    let mut name = root.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    root.with_file_name(name)
}

async fn build(engine: &Embedded, root: &Path, built: &Path) -> Result<(), EngineError> {
    let copy = beside(root, &format!("building-{}", engine.options.run));
    let made = run_scripts(engine, root, &copy).await;
    let finished = match made {
        Ok(()) => {
            let (copy, built) = (copy.clone(), built.to_path_buf());
            blocking("finishing the install", move || {
                give(&copy, None)?;
                match fs::rename(&copy, &built) {
                    // Another run was faster; its folder is as good.
                    Err(_) if built.is_dir() => Ok(()),
                    other => other,
                }
            })
            .await
        }
        Err(error) => Err(error),
    };
    // Only a copy that did not become the target is still there.
    let _ = blocking("removing the copy", move || if copy.exists() { fs::remove_dir_all(copy) } else { Ok(()) }).await;
    finished
}

async fn run_scripts(engine: &Embedded, root: &Path, copy: &Path) -> Result<(), EngineError> {
    let (from, to, owner) = (root.to_path_buf(), copy.to_path_buf(), engine.outer_id(0));
    blocking("copying the target for its install scripts", move || {
        if to.exists() {
            fs::remove_dir_all(&to)?;
        }
        copy_tree(&from, &to)?;
        give(&to, owner)
    })
    .await?;
    let target = &engine.options.target;
    for script in &target.scripts {
        let command = ["/bin/sh", "-c", &script.command].map(str::to_owned).to_vec();
        let mut environment = plain(command, &script.folder);
        environment.variables.extend(target.variables.clone());
        if let Some(path) = environment.variables.get_mut("PATH") {
            *path = target.search.iter().map(String::as_str).chain([path.as_str()]).collect::<Vec<_>>().join(":");
        }
        let specify = |spec: &mut super::PodSpec| {
            spec.set_environment(&environment, 0);
            spec.target = TargetMount::Folder { path: copy.to_path_buf(), writable: true };
            (spec.memory_bytes, spec.processes, spec.timeout_ms) = (MEMORY_BYTES, PROCESSES, TIMEOUT_MS);
        };
        let (finished, _) = engine.fly(0, &CellId("install".to_owned()), specify).await?;
        if finished.ended.outcome != (Outcome::Exited { code: 0 }) {
            let said = [finished.stdout, finished.stderr].concat();
            let said = String::from_utf8_lossy(&said[said.len().saturating_sub(2000)..]).into_owned();
            return Err(EngineError::Missing(format!(
                "the target's install script {:?} in {} failed ({:?}); it runs without a network:\n{}",
                script.command,
                script.folder,
                finished.ended.outcome,
                said.trim()
            )));
        }
    }
    Ok(())
}

async fn blocking(
    step: &'static str,
    work: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) -> Result<(), EngineError> {
    let failed = |message: String| EngineError::Failed { step, message };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| failed(error.to_string()))?
        .map_err(|error| failed(error.to_string()))
}

/// Gives a tree to an owner outside (`None`: to ourselves), readable by all. Links are not followed.
fn give(tree: &Path, owner: Option<u32>) -> std::io::Result<()> {
    let metadata = fs::symlink_metadata(tree)?;
    let me = nix::unistd::geteuid();
    if me.is_root() {
        let owner = owner.unwrap_or(0);
        lchown(tree, Some(owner), Some(owner))?;
    }
    if metadata.is_symlink() {
        return Ok(());
    }
    let executable = metadata.is_dir() || metadata.mode() & 0o111 != 0;
    // Never set-user-id: the owner may be somebody else by now.
    let mode = (metadata.mode() & 0o777) | 0o444 | if executable { 0o111 } else { 0 };
    fs::set_permissions(tree, fs::Permissions::from_mode(mode))?;
    if metadata.is_dir() {
        for entry in fs::read_dir(tree)? {
            give(&entry?.path(), owner)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_tree_is_copied_with_its_modes_and_links_and_opened_to_all() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("root"), folder.path().join("copy"));
        fs::create_dir_all(from.join("bin")).unwrap();
        fs::write(from.join("bin/tool"), "#!/bin/sh").unwrap();
        fs::set_permissions(from.join("bin/tool"), fs::Permissions::from_mode(0o4750)).unwrap();
        fs::write(from.join("data"), "x").unwrap();
        fs::set_permissions(from.join("data"), fs::Permissions::from_mode(0o600)).unwrap();
        symlink("/nowhere", from.join("link")).unwrap();
        copy_tree(&from, &to).unwrap();
        give(&to, None).unwrap();
        let mode = |name: &str| fs::metadata(to.join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode("bin/tool"), 0o755);
        assert_eq!(mode("data"), 0o644);
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/nowhere"));
        assert_eq!(fs::read(to.join("data")).unwrap(), b"x");
    }

    #[test]
    fn names_stand_beside_the_root() {
        assert_eq!(beside(Path::new("/c/t/root"), "built"), Path::new("/c/t/root.built"));
    }
}
