//! The **base image** that target images are built from: the one that is asked for, one that is here, the published Debian
//! image, or one that is made on the spot by debootstrap.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bollard::Docker as Client;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio_util::io::ReaderStream;

use super::build::{Recipe, build, find, pull};
use super::connection::explain;
use super::context::{Context, Source};
use super::owner::ROLE_LABEL;
use crate::engine::EngineError;
use crate::engine::pod::LABEL;

/// Names a base image to be used instead.
pub const BASE_VARIABLE: &str = "PARALLAX_BASE";

/// The published image.
const PUBLISHED: &str = "debian:bookworm-slim";

/// What we call the image that we made.
const OWN: &str = "parallax-base:bookworm";

/// The Debian release of both.
const RELEASE: &str = "bookworm";

/// Where a machine keeps the certificates that it trusts.
const CERTIFICATES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// What a base image need not have: nothing that runs reads it.
const SUPERFLUOUS: [&str; 7] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
];

/// Finds or makes the base image with these packages. Says what it is called.
pub(super) async fn provide(
    client: &Client,
    run: &str,
    packages: &[String],
    cache: &Path,
) -> Result<String, EngineError> {
    let plain = provide_plain(client, run, cache).await?;
    if packages.is_empty() {
        return Ok(plain);
    }
    if let Some(bad) = packages.iter().find(|package| !is_package(package)) {
        return Err(EngineError::Missing(format!("`{bad}` is no name of a Debian package")));
    }
    let image = find(client, &plain).await?.and_then(|image| image.id).unwrap_or_default();
    let packages = packages.join(" ");
    let digest = hex::encode(Sha256::digest(format!("{image} {packages}")));
    let tag = format!("parallax-base-{}:{RELEASE}", &digest[..12]);
    if find(client, &tag).await?.is_some() {
        return Ok(tag);
    }
    let mut context = Context::new(include_str!("../../../images/base.Dockerfile"));
    add_package_sources(&mut context, Path::new("/etc"));
    let arguments = HashMap::from([(String::from("BASE"), plain), (String::from("PACKAGES"), packages)]);
    build(client, Recipe { tag: &tag, role: "base", run, network: "host", arguments, context }).await?;
    Ok(tag)
}

async fn provide_plain(client: &Client, run: &str, cache: &Path) -> Result<String, EngineError> {
    if let Some(named) = std::env::var(BASE_VARIABLE).ok().filter(|named| !named.is_empty()) {
        if find(client, &named).await?.is_none() {
            pull(client, &named).await.map_err(|problem| {
                EngineError::Missing(format!(
                    "the base image `{named}` that {BASE_VARIABLE} names is not here and could not be pulled \
                     ({problem}): pull or import it, or unset {BASE_VARIABLE}"
                ))
            })?;
        }
        return Ok(named);
    }
    for known in [PUBLISHED, OWN] {
        if find(client, known).await?.is_some() {
            return Ok(known.to_owned());
        }
    }
    let Err(unpulled) = pull(client, PUBLISHED).await else { return Ok(PUBLISHED.to_owned()) };
    let Some(tool) = debootstrap().filter(|_| nix::unistd::geteuid().is_root()) else {
        return Err(EngineError::Missing(format!(
            "no base image: {PUBLISHED} could not be pulled ({unpulled}). Load one (`docker load`, `docker import`) under \
             that name or name it in {BASE_VARIABLE}; or install debootstrap and run once as root, and it is made here"
        )));
    };
    bootstrap(client, run, &tool, cache).await.map_err(|problem| {
        EngineError::Missing(format!(
            "no base image: {PUBLISHED} could not be pulled ({unpulled}), and debootstrap failed: {problem}"
        ))
    })?;
    Ok(OWN.to_owned())
}

fn debootstrap() -> Option<PathBuf> {
    ["/usr/sbin/debootstrap", "/usr/bin/debootstrap"].iter().map(PathBuf::from).find(|path| path.exists())
}

/// Makes the base image from Debian's packages.
async fn bootstrap(client: &Client, run: &str, tool: &Path, cache: &Path) -> Result<(), String> {
    tracing::info!("making a base image with debootstrap (about a minute, once)");
    fs_err::create_dir_all(cache).map_err(|error| error.to_string())?;
    // A folder of its own each time: another run may be doing the same.
    let folder = tempfile::Builder::new().prefix("base-").tempdir_in(cache).map_err(|error| error.to_string())?;
    let root = folder.path().join(RELEASE);
    let mut command = tokio::process::Command::new(tool);
    command.args(["--variant=minbase", RELEASE]).arg(&root);
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
    import(client, run, &root).await
}

/// Imports a root folder as an image. The archiver is the system's own: it keeps owners, devices and hard links.
async fn import(client: &Client, run: &str, root: &Path) -> Result<(), String> {
    let mut archiver = tokio::process::Command::new("tar")
        .arg("-C")
        .arg(root)
        .args(["--numeric-owner", "-c", "."])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("tar: {error}"))?;
    let archive = archiver.stdout.take().ok_or("tar has no output")?;
    let (name, tag) = OWN.split_once(':').unwrap_or((OWN, RELEASE));
    let labels = vec![format!("LABEL {LABEL}={run}"), format!("LABEL {ROLE_LABEL}=base")];
    let options = CreateImageOptionsBuilder::new().from_src("-").repo(name).tag(tag).changes(labels).build();
    let patient = client.clone().with_timeout(std::time::Duration::from_mins(10));
    let body = bollard::body_try_stream(ReaderStream::with_capacity(archive, 256 << 10));
    let mut progress = std::pin::pin!(patient.create_image(Some(options), Some(body), None));
    while let Some(step) = progress.next().await {
        step.map_err(|error| explain(&error))?;
    }
    let ended = archiver.wait().await.map_err(|error| format!("tar: {error}"))?;
    if ended.success() { Ok(()) } else { Err(format!("tar: {ended}")) }
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
fn mirrors(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines
        .filter(|line| line.starts_with("URIs:") || line.starts_with("deb "))
        .flat_map(str::split_whitespace)
        .filter(|word| word.starts_with("http://") || word.starts_with("https://"))
        .map(str::to_owned)
        .collect()
}

/// Adds what this machine needs to reach its package mirror: its sources if it is of the same release, its proxy and
/// transport settings, and the certificates that it trusts (a proxy in between may have its own).
fn add_package_sources(context: &mut Context, etc: &Path) {
    // The folder must be there for COPY, whatever is in it.
    context.add("apt/README", Source::Text(String::from("Package sources of the machine that built this image.\n")));
    let certificates = CERTIFICATES.iter().map(Path::new).find(|path| path.is_file());
    if let Some(path) = certificates {
        context.add("apt/certificates.crt", Source::File(path.to_owned()));
    }
    let same = std::fs::read_to_string(etc.join("os-release"))
        .is_ok_and(|text| text.contains("ID=debian") && text.contains(&format!("VERSION_CODENAME={RELEASE}")));
    if !same {
        return;
    }
    let apt = etc.join("apt");
    let below = |folder: &str| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(apt.join(folder)).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
    };
    let mut chosen: Vec<PathBuf> = vec![apt.join("sources.list")];
    let usable = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // A third party's source would need its key, which the image does not have.
        path.extension().is_some_and(|extension| extension == "sources" || extension == "list")
            && mirrors(&text).iter().all(|url| url.contains("/debian"))
    };
    chosen.extend(below("sources.list.d").into_iter().filter(usable));
    chosen.extend(below("apt.conf.d").into_iter().filter(|path| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.contains("Acquire::") && !text.contains("::Post-Invoke") && !text.contains("CaInfo")
    }));
    for path in chosen.iter().filter(|path| path.is_file()) {
        if let Some(inside) = path.strip_prefix(&apt).ok().and_then(Path::to_str) {
            context.add(format!("apt/etc/{inside}"), Source::File(path.clone()));
        }
    }
}

/// Whether this is a name of a Debian package, perhaps with a version, and nothing that a shell would read otherwise.
fn is_package(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.:=~".contains(letter))
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
    fn a_package_name_cannot_carry_a_command() {
        for good in ["python3", "libstdc++6", "python3-minimal", "g++-12", "tzdata=2024a-0+deb12u1"] {
            assert!(is_package(good), "{good}");
        }
        for bad in ["", "-o", "a b", "a;b", "$(x)", "a/b", "A"] {
            assert!(!is_package(bad), "{bad}");
        }
    }
}
