//! The **package lock** that npm writes: which packages make up a tree, with the integrity of each.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::InstallScript;
use crate::engine::pod::TARGET_ROOT;

/// `package-lock.json`, version 2 or 3: packages by their place in the tree (`node_modules/a/node_modules/b`).
#[derive(Debug, Deserialize)]
pub(super) struct PackageLock {
    packages: BTreeMap<String, Package>,
}

/// One package of the tree.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Package {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) version: String,
    #[serde(default)]
    pub(super) integrity: Option<String>,
    #[serde(default)]
    pub(super) bin: BTreeMap<String, String>,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    in_bundle: bool,
    #[serde(default)]
    os: OneOrMany,
    #[serde(default)]
    cpu: OneOrMany,
    #[serde(default)]
    libc: OneOrMany,
}

/// npm writes a list of one as the one.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    #[default]
    Absent,
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    /// Whether a platform list (`linux`, `!win32`) allows `value`.
    fn allows(&self, value: &str) -> bool {
        let list: Vec<&str> = match self {
            Self::Absent => return true,
            Self::One(one) => vec![one],
            Self::Many(many) => many.iter().map(String::as_str).collect(),
        };
        let denied = list.iter().any(|item| item.strip_prefix('!') == Some(value));
        let positive: Vec<&&str> = list.iter().filter(|item| !item.starts_with('!')).collect();
        !denied && (positive.is_empty() || positive.iter().any(|item| ***item == *value || ***item == *"any"))
    }
}

/// What an installed tree consists of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tree {
    /// Integrity of every archive, by `name@version`.
    pub(super) integrity: BTreeMap<String, String>,
    /// Packages whose integrity is weaker than SHA-512.
    pub(super) weak: Vec<String>,
    /// Optional packages for this platform that npm left out.
    pub(super) left_out: Vec<String>,
    /// Install scripts, in the order in which npm would run them.
    pub(super) scripts: Vec<InstallScript>,
    /// Every package with its place: what the digest is made from.
    pub(super) places: Vec<String>,
}

impl PackageLock {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("npm's package-lock.json cannot be read: {error}"))
    }

    /// The package at a place.
    pub(super) fn package(&self, place: &str) -> Option<&Package> {
        self.packages.get(place)
    }

    /// What of this lock stands below `folder` (which holds `node_modules`). Refuses a package whose archive has no integrity.
    pub(super) fn tree(&self, folder: &Path, cpu: &str) -> Result<Tree, String> {
        let mut tree = Tree::default();
        let mut scripted = Vec::new();
        for (place, package) in self.packages.iter().filter(|(place, _)| !place.is_empty()) {
            let name = package.name.as_deref().unwrap_or_else(|| name_of(place));
            let id = format!("{name}@{}", package.version);
            if !folder.join(place).join("package.json").exists() {
                if !package.optional {
                    return Err(format!("npm did not install {id} at {place}"));
                }
                if package.os.allows("linux") && package.cpu.allows(cpu) && package.libc.allows("glibc") {
                    tree.left_out.push(id);
                }
                continue;
            }
            match &package.integrity {
                Some(integrity) => {
                    if !integrity.split_whitespace().any(|hash| hash.starts_with("sha512-")) {
                        tree.weak.push(id.clone());
                    }
                    tree.places.push(format!("{place} {id} {integrity}"));
                    tree.integrity.insert(id, integrity.clone());
                }
                // A bundled package came in its parent's archive, and so under its integrity.
                None if package.in_bundle => tree.places.push(format!("{place} {id} bundled")),
                None => {
                    return Err(format!("{id} has no integrity in npm's package-lock.json: it is not from a registry"));
                }
            }
            scripted.push((place.as_str(), package.optional));
        }
        tree.scripts = install_scripts(folder, scripted)?;
        Ok(tree)
    }
}

/// `node_modules/a/node_modules/@s/b` is `@s/b`.
fn name_of(place: &str) -> &str {
    place.rsplit_once("node_modules/").map_or(place, |(_, name)| name)
}

/// What of a package's own description matters here.
#[derive(Debug, Default, Deserialize)]
struct Description {
    #[serde(default)]
    scripts: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    gypfile: Option<bool>,
}

/// npm's order: every `preinstall`, then every `install`, then every `postinstall`; within each, the less nested first.
/// `prepare` and its like are for those who develop a package and are never run for one from a registry.
fn install_scripts(folder: &Path, mut packages: Vec<(&str, bool)>) -> Result<Vec<InstallScript>, String> {
    packages.sort_by_key(|(place, _)| (place.matches("node_modules/").count(), *place));
    let mut described = Vec::new();
    for (place, optional) in packages {
        let path = folder.join(place);
        let text =
            std::fs::read_to_string(path.join("package.json")).map_err(|e| format!("{place}/package.json: {e}"))?;
        let mut description: Description = serde_json::from_str(text.trim_start_matches('\u{feff}'))
            .map_err(|e| format!("{place}/package.json: {e}"))?;
        let scripts = &mut description.scripts;
        if !scripts.contains_key("install")
            && !scripts.contains_key("preinstall")
            && description.gypfile != Some(false)
            && path.join("binding.gyp").exists()
        {
            scripts.insert(String::from("install"), "node-gyp rebuild".into());
        }
        described.push((place, optional, description));
    }
    let mut found = Vec::new();
    for event in ["preinstall", "install", "postinstall"] {
        for (place, optional, description) in &described {
            let Some(script) = description.scripts.get(event).and_then(serde_json::Value::as_str) else { continue };
            if script.trim().is_empty() {
                continue;
            }
            let folder = format!("{TARGET_ROOT}/{place}");
            let command = command(place, event, script, *optional);
            found.push(InstallScript { folder, command });
        }
    }
    Ok(found)
}

/// The command for `sh -c`. Plain `node …` needs nothing; others may name programs of the packages they depend on, which npm
/// finds through the `.bin` folders above. npm forgives an optional package whose script fails.
fn command(place: &str, event: &str, script: &str, optional: bool) -> String {
    let script = script.trim();
    let plain = script.starts_with("node ") && !script.contains(['&', '|', ';']);
    let script = if plain {
        script.to_owned()
    } else {
        let ends = std::iter::successors(Some(place), |at| at.rsplit_once("/node_modules/").map(|(above, _)| above));
        let folders: Vec<String> = ends
            .map(|at| format!("{TARGET_ROOT}/{at}/node_modules/.bin"))
            .chain([format!("{TARGET_ROOT}/node_modules/.bin")])
            .collect();
        format!("export PATH={}:\"$PATH\" npm_lifecycle_event={event}; {script}", folders.join(":"))
    };
    if optional { format!("( {script} ) || true") } else { script }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(lock: &serde_json::Value, installed: &[(&str, &str)]) -> Result<Tree, String> {
        let folder = tempfile::tempdir().unwrap();
        for (place, description) in installed {
            std::fs::create_dir_all(folder.path().join(place)).unwrap();
            std::fs::write(folder.path().join(place).join("package.json"), description).unwrap();
        }
        PackageLock::parse(&serde_json::json!({ "packages": lock }).to_string())?.tree(folder.path(), "x64")
    }

    #[test]
    fn every_installed_archive_has_its_integrity_listed() {
        let lock = serde_json::json!({
            "": {},
            "node_modules/@s/a": { "version": "1.0.0", "integrity": "sha512-AA==" },
            "node_modules/@s/a/node_modules/b": { "version": "2.0.0", "integrity": "sha1-BB=" },
            "node_modules/@s/a/node_modules/c": { "version": "3.0.0", "inBundle": true },
            "node_modules/alias": { "name": "d", "version": "4.0.0", "integrity": "sha512-DD==" },
            "node_modules/mac": { "version": "1.0.0", "integrity": "sha512-EE==", "optional": true, "os": ["darwin"] },
            "node_modules/arm": { "version": "1.0.0", "integrity": "sha512-EE==", "optional": true, "cpu": "arm64" },
            "node_modules/picky": { "version": "1.0.0", "integrity": "sha512-EE==", "optional": true, "os": ["!win32"] },
        });
        let installed =
            ["@s/a", "@s/a/node_modules/b", "@s/a/node_modules/c", "alias"].map(|n| format!("node_modules/{n}"));
        let installed: Vec<(&str, &str)> = installed.iter().map(|place| (place.as_str(), "{}")).collect();
        let tree = tree(&lock, &installed).unwrap();
        assert_eq!(tree.integrity.keys().collect::<Vec<_>>(), ["@s/a@1.0.0", "b@2.0.0", "d@4.0.0"]);
        assert_eq!(tree.weak, ["b@2.0.0"]);
        assert_eq!(tree.left_out, ["picky@1.0.0"]);
        assert_eq!(tree.places.len(), 4);
    }

    #[test]
    fn a_package_without_integrity_or_not_installed_is_refused() {
        let lock = serde_json::json!({ "node_modules/a": { "version": "1.0.0" } });
        let message = tree(&lock, &[("node_modules/a", "{}")]).unwrap_err();
        assert!(message.starts_with("a@1.0.0 has no integrity"), "{message}");
        let message = tree(&lock, &[]).unwrap_err();
        assert_eq!(message, "npm did not install a@1.0.0 at node_modules/a");
        assert!(PackageLock::parse("[").is_err());
    }

    #[test]
    fn scripts_come_in_npms_order_and_development_scripts_not_at_all() {
        let version = serde_json::json!({ "version": "1.0.0", "integrity": "sha512-A" });
        let optional = serde_json::json!({ "version": "1.0.0", "integrity": "sha512-A", "optional": true });
        let lock = serde_json::json!({
            "node_modules/a": version, "node_modules/a/node_modules/deep": version, "node_modules/b": optional,
        });
        let tree = tree(
            &lock,
            &[
                ("node_modules/a", r#"{"scripts": {"postinstall": "node install.cjs", "prepare": "node never.js"}}"#),
                ("node_modules/a/node_modules/deep", r#"{"scripts": {"preinstall": "check x", "install": " "}}"#),
                ("node_modules/b", "\u{feff}{\"scripts\": {\"postinstall\": \"node b.js\"}}"),
            ],
        )
        .unwrap();
        let found: Vec<(&str, &str)> = tree.scripts.iter().map(|s| (s.folder.as_str(), s.command.as_str())).collect();
        let deep = "export PATH=/opt/target/node_modules/a/node_modules/deep/node_modules/.bin:\
                    /opt/target/node_modules/a/node_modules/.bin:/opt/target/node_modules/.bin:\"$PATH\" \
                    npm_lifecycle_event=preinstall; check x";
        assert_eq!(
            found,
            [
                ("/opt/target/node_modules/a/node_modules/deep", deep),
                ("/opt/target/node_modules/a", "node install.cjs"),
                ("/opt/target/node_modules/b", "( node b.js ) || true"),
            ]
        );
    }

    #[test]
    fn platform_lists_read_as_npm_reads_them() {
        let many = |items: &[&str]| OneOrMany::Many(items.iter().map(|&item| item.to_owned()).collect());
        assert!(many(&["!win32"]).allows("linux") && !many(&["!linux"]).allows("linux"));
        assert!(many(&["darwin", "linux"]).allows("linux") && !many(&["darwin"]).allows("linux"));
        assert!(OneOrMany::Absent.allows("linux") && !OneOrMany::One(String::from("win32")).allows("linux"));
    }
}
