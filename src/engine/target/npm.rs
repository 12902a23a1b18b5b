//! Targets from the **npm** registry.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::cache::{self, Entry, Record};
use super::client::{self, Said, shorten};
use super::node::{self, Runtime};
use super::package_lock::{PackageLock, Tree};
use super::{Installed, TargetFacts, blocking, failed, tree, version};
use crate::engine::EngineError;

const STEP: &str = "installing the target with npm";

/// Installs an npm package with the Node.js that runs it.
pub(super) async fn install(
    package: &str,
    spec: &str,
    node: &str,
    cache: &Path,
    notice: &(dyn Fn(String) + Sync),
) -> Result<Installed, EngineError> {
    check_name(package)?;
    check_spec(package, spec)?;
    let platform = node::platform()?;
    let suffix = format!("-node{node}-{platform}");
    let exact = match version::exact_npm(spec) {
        Some(exact) => exact.to_owned(),
        None => resolve(package, spec, &suffix, cache, notice).await?,
    };
    let entry = Entry::new(cache, "npm", package, &format!("{exact}{suffix}"));
    if let Some(record) = load(&entry).await? {
        return Ok(entry.installed(record, cache::search(), false));
    }
    let npm = client(&format!("{package} {exact}"))?;
    let _lock = entry.lock(notice).await?;
    if let Some(record) = load(&entry).await? {
        return Ok(entry.installed(record, cache::search(), false));
    }
    notice(format!("installing {package} {exact} with npm"));
    let staged = entry.stage()?;
    let (runtime, lock) =
        tokio::try_join!(node::bring(node, cache, notice), download(&npm, package, &exact, staged.path()))?;
    let cpu = platform.rsplit('-').next().unwrap_or_default();
    let tree = lock.tree(staged.path(), cpu).map_err(|message| EngineError::Failed { step: STEP, message })?;
    tell_what_is_odd(&tree, notice);
    let facts = TargetFacts {
        package: format!("pkg:npm/{}@{exact}", package.replace('@', "%40")),
        version: Some(exact.clone()),
        integrity: tree.integrity.clone(),
        runtime: Some(format!("Node.js {}", runtime.version)),
        ..TargetFacts::default()
    };
    let (package, cell) = (package.to_owned(), entry.clone());
    let record = blocking(move || {
        let bins = assemble(staged.path(), &package, &lock, &runtime)?;
        let mut record = Record::new(facts, digest(&package, &exact, &runtime, &tree, &bins));
        record.scripts = tree.scripts;
        cell.commit(staged, record)
    })
    .await?;
    Ok(entry.installed(record, cache::search(), true))
}

async fn load(entry: &Entry) -> Result<Option<Record>, EngineError> {
    let entry = entry.clone();
    blocking(move || entry.load()).await
}

fn tell_what_is_odd(tree: &Tree, notice: &(dyn Fn(String) + Sync)) {
    if !tree.weak.is_empty() {
        notice(format!("the registry gives no sha512 of {}", shorten(&tree.weak.join(", "), 120)));
    }
    if !tree.left_out.is_empty() {
        let names = shorten(&tree.left_out.join(", "), 120);
        notice(format!(
            "npm left out {names}, optional packages of this platform: they may want another Node.js than npm's own"
        ));
    }
}

/// What a tag or range means now; without the network, what the cache has for it.
async fn resolve(
    package: &str,
    spec: &str,
    suffix: &str,
    cache: &Path,
    notice: &(dyn Fn(String) + Sync),
) -> Result<String, EngineError> {
    let found = match client(&format!("{package} {spec}")) {
        Ok(npm) => view(&npm, package, spec).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(exact) => {
            cache::remember(cache, "npm", package, spec, &exact);
            Ok(exact)
        }
        Err(error) => match cache::stand_in(cache, "npm", package, spec, suffix) {
            Some(exact) => {
                notice(format!(
                    "could not look up {package} {spec}, using {exact} from the cache ({})",
                    shorten(&error.to_string(), 160)
                ));
                Ok(exact)
            }
            None => Err(error),
        },
    }
}

/// Asks the registry which version a tag or range means.
pub(super) async fn view(npm: &Path, package: &str, spec: &str) -> Result<String, EngineError> {
    let asked = format!("{package}@{spec}");
    let mut arguments = words(&["view", &asked, "version", "dist-tags.latest", "--json"]);
    arguments.extend(words(&QUIET));
    // Somebody waits, and the cache can stand in: give up sooner than npm's own minute.
    arguments.extend(words(&["--fetch-retries=1", "--fetch-retry-mintimeout=1000"]));
    let said = client::run(npm, &arguments, &std::env::temp_dir(), &[]).await.map_err(failed(STEP))?;
    if !said.success {
        return Err(explain(&asked, &said));
    }
    chosen(&said.stdout).ok_or_else(|| {
        EngineError::Missing(format!("no version of {package} matches `{spec}`: see `npm view {package} versions`"))
    })
}

/// Every version that the registry has, in no order.
pub(super) async fn versions(package: &str) -> Result<Vec<String>, EngineError> {
    check_name(package)?;
    let npm = client(&format!("the versions of {package}"))?;
    let mut arguments = words(&["view", package, "versions", "--json"]);
    arguments.extend(words(&QUIET));
    let said = client::run(&npm, &arguments, &std::env::temp_dir(), &[]).await.map_err(failed(STEP))?;
    if !said.success {
        return Err(explain(package, &said));
    }
    match serde_json::from_str(&said.stdout) {
        Ok(serde_json::Value::String(only)) => Ok(vec![only]),
        Ok(value) => serde_json::from_value(value).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
    .map_err(|error| EngineError::Failed { step: STEP, message: format!("npm's list of versions: {error}") })
}

/// The version that npm would choose of those that `npm view` lists: the one tagged `latest` if it is among them, else the newest.
fn chosen(json: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let rows = match value {
        serde_json::Value::Array(rows) => rows,
        one => vec![one],
    };
    let text = |row: &serde_json::Value, key: &str| row.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
    let versions: Vec<String> =
        rows.iter().filter_map(|row| row.as_str().map(str::to_owned).or_else(|| text(row, "version"))).collect();
    let latest = rows.iter().find_map(|row| text(row, "dist-tags.latest")).filter(|latest| versions.contains(latest));
    latest.or_else(|| version::newest(versions.iter().map(String::as_str)).map(str::to_owned))
}

const QUIET: [&str; 6] =
    ["--no-audit", "--no-fund", "--no-update-notifier", "--no-progress", "--loglevel=error", "--no-global"];

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|&word| word.to_owned()).collect()
}

/// Lets npm install one exact version into `folder`, scripts left alone, and reads the lock that it writes. npm checks
/// every archive against the registry's integrity while it unpacks.
pub(super) async fn download(
    npm: &Path,
    package: &str,
    exact: &str,
    folder: &Path,
) -> Result<PackageLock, EngineError> {
    fs::write(folder.join("package.json"), "{\"name\":\"target\",\"private\":true}\n").map_err(failed(STEP))?;
    let asked = format!("{package}@{exact}");
    let cpu = node::platform()?;
    let cpu = format!("--cpu={}", cpu.rsplit('-').next().unwrap_or_default());
    let mut arguments = words(&["install", &asked, "--ignore-scripts", "--os=linux", &cpu, "--libc=glibc"]);
    arguments.extend(words(&[
        "--save-exact",
        "--omit=dev",
        "--include=optional",
        "--include=peer",
        "--package-lock=true",
    ]));
    arguments.extend(words(&[
        "--package-lock-only=false",
        "--dry-run=false",
        "--install-strategy=hoisted",
        "--bin-links=true",
    ]));
    arguments.extend(words(&["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]));
    arguments.extend(words(&QUIET));
    let said = client::run(npm, &arguments, folder, &[("NODE_ENV", "")]).await.map_err(failed(STEP))?;
    if !said.success {
        return Err(explain(&asked, &said));
    }
    let text = fs::read_to_string(folder.join("package-lock.json")).map_err(failed(STEP))?;
    PackageLock::parse(&text).map_err(|message| EngineError::Failed { step: STEP, message })
}

/// The machine's npm.
pub(super) fn client(wanted: &str) -> Result<PathBuf, EngineError> {
    client::find_program("npm").ok_or_else(|| {
        EngineError::Missing(format!(
            "npm is needed once to fetch {wanted}, and it is not in PATH. Install Node.js with npm (on Debian or Ubuntu: \
             `apt install npm`) and run again; what is in the cache needs no npm"
        ))
    })
}

/// npm's own reason, shortened, with what to do about it.
fn explain(asked: &str, said: &Said) -> EngineError {
    let lines: Vec<&str> = said
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("npm error ").or_else(|| line.strip_prefix("npm ERR! ")))
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("A complete log of this run"))
        .collect();
    let code = lines.iter().find_map(|line| line.strip_prefix("code ")).unwrap_or_default();
    // npm puts a word of its own (`404`, `notarget`, `network`) before each line; what matters comes first.
    let word = code.trim_start_matches('E');
    let reason: Vec<&str> = lines
        .iter()
        .filter(|line| !["code ", "syscall ", "errno "].iter().any(|start| line.starts_with(start)))
        .map(|line| {
            [word, code, "notarget", "network"].iter().find_map(|w| line.strip_prefix(*w)).unwrap_or(line).trim()
        })
        .filter(|line| !line.is_empty())
        .take(2)
        .collect();
    let reason = if reason.is_empty() { shorten(&said.stderr, 240) } else { shorten(&reason.join(" "), 240) };
    // npm says a range that nothing matches in many words, all but the first about something else.
    let unmatched = lines.iter().find_map(|line| line.find("No match found for version").map(|at| &line[at..]));
    let reason = unmatched.unwrap_or(&reason).trim_end_matches('.');
    let kind = if unmatched.is_some() { "ETARGET" } else { code };
    let remedy = match kind {
        "E404" => "Is the name in the scenario's [target] right, and does the registry in npm's configuration have it?",
        "ETARGET" | "ENOVERSIONS" => {
            "Is the version in the scenario's [target] right? `npm view PACKAGE versions` lists them"
        }
        "EINTEGRITY" => {
            "What was downloaded is not what the registry says it is, so it was thrown away. `npm cache verify` mends a broken \
             download; if it stays, do not trust the registry or the proxy in between"
        }
        "EBADPLATFORM" => "The package does not run on Linux of this machine's kind",
        "E401" | "E403" | "ENEEDAUTH" => {
            "The registry wants a login or forbids it: see `npm config get registry` and `npm login`"
        }
        "ENOSPC" => "The disk is full: free some space, or set PARALLAX_CACHE to a folder on another one",
        code if code.contains("CERT") || code.contains("SIGNATURE") => {
            "npm does not trust the certificate that it was shown: behind an inspecting proxy, `npm config set cafile FILE`"
        }
        "ENOTFOUND" | "EAI_AGAIN" | "ECONNREFUSED" | "ECONNRESET" | "ETIMEDOUT" | "ENETUNREACH" | "EHOSTUNREACH"
        | "ENETDOWN" | "ERR_SOCKET_TIMEOUT" | "FETCH_ERROR" | "ENOTCACHED" | "EPIPE" => {
            "The registry could not be reached: check the network, and `npm config get registry`, `npm config get proxy`. Once it is \
             in the cache no network is needed"
        }
        _ => "`npm install` of the same package in an empty folder shows the whole story",
    };
    let code = if code.is_empty() { String::new() } else { format!("{code}: ") };
    let message = format!("npm could not fetch {asked}: {code}{reason}. {remedy}");
    match kind {
        "E404" => EngineError::NoTarget { key: "npm", message },
        "ETARGET" | "ENOVERSIONS" => EngineError::NoTarget { key: "version", message },
        _ => EngineError::Missing(message),
    }
}

/// Builds `root/` from what npm left in the staging folder; gives the names of the package's programs with what they are.
fn assemble(staged: &Path, package: &str, lock: &PackageLock, runtime: &Runtime) -> Result<Vec<String>, EngineError> {
    let root = staged.join("root");
    let bin = root.join("bin");
    fs::create_dir_all(&bin).map_err(failed(STEP))?;
    let modules = root.join("node_modules");
    fs::rename(staged.join("node_modules"), &modules).map_err(failed(STEP))?;
    let _ = fs::remove_file(modules.join(".package-lock.json"));
    tree::link_or_copy(&runtime.program, &bin.join("node")).map_err(failed(STEP))?;
    let place = format!("node_modules/{package}");
    let mut names = Vec::new();
    for (name, path) in lock.package(&place).map(|package| &package.bin).into_iter().flatten() {
        // A scoped package's program is named without its scope.
        let name = name.rsplit('/').next().unwrap_or(name);
        let path = path.trim_start_matches("./");
        let safe = !path.is_empty() && !path.starts_with('/') && !path.split('/').any(|part| part == "..");
        if name.is_empty() || name == "node" || name == "." || name == ".." || !safe {
            continue;
        }
        symlink(format!("../{place}/{path}"), bin.join(name)).map_err(failed(STEP))?;
        make_executable(&root.join(&place).join(path)).map_err(failed(STEP))?;
        names.push(format!("{name} {path}"));
    }
    Ok(names)
}

/// npm does so itself, but for a program that stands outside of the package's listed files.
fn make_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 == 0 => {
            fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        }
        _ => Ok(()),
    }
}

/// Equal on every machine where the same archives stand at the same places under the same Node.js.
fn digest(package: &str, exact: &str, runtime: &Runtime, tree: &Tree, bins: &[String]) -> String {
    let scripts = tree.scripts.iter().flat_map(|script| [script.folder.as_str(), script.command.as_str()]);
    let head = ["npm", package, exact, runtime.package.as_str(), runtime.version.as_str(), runtime.integrity.as_str()];
    tree::digest(
        head.into_iter()
            .chain(["places"])
            .chain(tree.places.iter().map(String::as_str))
            .chain(["scripts"])
            .chain(scripts)
            .chain(["bins"])
            .chain(bins.iter().map(String::as_str)),
    )
}

/// A registry name: never a folder, an address or an option of npm's.
fn check_name(package: &str) -> Result<(), EngineError> {
    let plain = |part: &str| {
        !part.is_empty()
            && part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '~')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~!'()*".contains(&b))
    };
    let good = match package.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| plain(scope) && plain(name)),
        None => plain(package),
    };
    if good { Ok(()) } else { Err(EngineError::Missing(format!("`{package}` is no name of an npm package"))) }
}

/// A version, range or tag: never a folder, an address or an alias.
fn check_spec(package: &str, spec: &str) -> Result<(), EngineError> {
    let good =
        !spec.trim().is_empty() && spec.bytes().all(|b| b.is_ascii_alphanumeric() || b" .^~<>=|*+-_".contains(&b));
    if good {
        return Ok(());
    }
    Err(EngineError::Missing(format!("`{spec}` is no version, range or tag of the npm package {package}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(stderr: &str) -> String {
        explain("x@1.0.0", &Said { success: false, stdout: String::new(), stderr: stderr.to_owned() }).to_string()
    }

    #[test]
    fn npms_reason_is_kept_short_and_gets_its_remedy() {
        let lost = "npm error code ENOTFOUND\nnpm error syscall getaddrinfo\nnpm error errno ENOTFOUND\nnpm error network request to \
                    http://r/x failed, reason: getaddrinfo ENOTFOUND r\nnpm error A complete log of this run can be found in: /h/.npm\n";
        let message = explained(lost);
        assert!(
            message.starts_with("npm could not fetch x@1.0.0: ENOTFOUND: request to http://r/x failed"),
            "{message}"
        );
        assert!(message.contains("check the network") && !message.contains("complete log"), "{message}");
        let old = "npm ERR! code ETARGET\nnpm ERR! notarget No matching version found for x@9.\n";
        let message = explained(old);
        assert!(
            message.contains("ETARGET: No matching version found for x@9. Is the version")
                && message.contains("npm view"),
            "{message}"
        );
        let none = explained("npm error code E404\nnpm error 404 No match found for version >9\nnpm error 404\n");
        assert!(none.contains("E404: No match found for version >9. Is the version"), "{none}");
        assert!(explained("env: node: not found\n").contains("env: node: not found"));
        assert!(explained("npm error code SELF_SIGNED_CERT_IN_CHAIN\nnpm error x").contains("cafile"));
        assert!(
            explained("npm error code EINTEGRITY\nnpm error sha512-a wanted, got sha512-b")
                .contains("sha512-a wanted, got sha512-b")
        );
    }

    #[test]
    fn the_tagged_version_is_chosen_before_a_newer_one() {
        let rows = r#"[{"version":"1.0.0","dist-tags.latest":"1.1.0"},{"version":"1.1.0","dist-tags.latest":"1.1.0"},
                       {"version":"1.2.0","dist-tags.latest":"1.1.0"}]"#;
        assert_eq!(chosen(rows).as_deref(), Some("1.1.0"));
        assert_eq!(
            chosen(
                r#"[{"version":"1.9.0","dist-tags.latest":"3.0.0"},{"version":"1.10.0","dist-tags.latest":"3.0.0"}]"#
            )
            .as_deref(),
            Some("1.10.0")
        );
        assert_eq!(chosen(r#"{"version":"1.0.0","dist-tags.latest":"2.0.0"}"#).as_deref(), Some("1.0.0"));
        assert_eq!(chosen(r#""1.0.0""#).as_deref(), Some("1.0.0"));
        assert_eq!(chosen(""), None);
    }

    #[test]
    fn only_names_and_versions_of_a_registry_are_passed_on() {
        for name in ["is-number", "@scope/name", "JSONStream", "a.b_c"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "-g", "./folder", "../x", "@scope", "a/b", "git+ssh://h/x", "file:x", "a b", "@s/../x"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        for spec in ["latest", "^1.2.0", ">=1 <2 || 3", "1.x"] {
            assert!(check_spec("x", spec).is_ok(), "{spec}");
        }
        for spec in ["", " ", "file:../x", "npm:y@1", "http://h/x.tgz", "user/repo", "$(x)"] {
            assert!(check_spec("x", spec).is_err(), "{spec}");
        }
    }
}
