//! The **base image** that target images are built from: the one that is asked for, one that is here, the published image of
//! Debian or of the Python that is asked for, or one that is made on the spot by debootstrap.

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
use crate::engine::debian::{self, BOOKWORM, Release, mirrors};
use crate::engine::pod::LABEL;

/// Names a base image to be used instead.
pub const BASE_VARIABLE: &str = "PARALLAX_BASE";

/// What we call the images that we made; the tag is the release.
const OWN: &str = "parallax-base";

/// Debian's package of its Python.
const PYTHON: &str = "python3";

/// Where a machine keeps the certificates that it trusts.
const CERTIFICATES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// A base image.
struct Base {
    name: String,
    /// What the tags of images that are made of it end with.
    label: String,
    /// Whether it has the Python that was asked for before any package is added.
    has_python: bool,
}

impl Base {
    fn debian(name: impl Into<String>, release: Release) -> Self {
        Self { name: name.into(), label: release.name.to_owned(), has_python: false }
    }
}

/// Finds or makes the base image with these packages, in which `python3` is of the minor version `python`. Says what it is
/// called.
pub(super) async fn provide(
    client: &Client,
    run: &str,
    packages: &[String],
    python: Option<&str>,
    cache: &Path,
) -> Result<String, EngineError> {
    let plain = provide_plain(client, run, python, cache).await?;
    let packages: Vec<&str> =
        packages.iter().map(String::as_str).filter(|package| !(plain.has_python && *package == PYTHON)).collect();
    if packages.is_empty() {
        return Ok(plain.name);
    }
    if let Some(bad) = packages.iter().find(|package| !is_package(package)) {
        return Err(EngineError::Missing(format!("`{bad}` is no name of a Debian package")));
    }
    let image = find(client, &plain.name).await?.and_then(|image| image.id).unwrap_or_default();
    let packages = packages.join(" ");
    let digest = hex::encode(Sha256::digest(format!("{image} {packages}")));
    let tag = format!("parallax-base-{}:{}", &digest[..12], plain.label);
    if find(client, &tag).await?.is_some() {
        return Ok(tag);
    }
    let mut context = Context::new(include_str!("../../../images/base.Dockerfile"));
    let machine = add_package_sources(&mut context, Path::new("/etc"));
    let arguments = [("BASE", plain.name), ("PACKAGES", packages), ("MACHINE", machine)];
    let arguments = arguments.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    build(client, Recipe { tag: &tag, role: "base", run, network: "host", arguments, context }).await?;
    Ok(tag)
}

/// The base image that the user has named.
pub(super) fn named() -> Option<String> {
    std::env::var(BASE_VARIABLE).ok().filter(|named| !named.is_empty())
}

async fn provide_plain(client: &Client, run: &str, python: Option<&str>, cache: &Path) -> Result<Base, EngineError> {
    if let Some(named) = named() {
        if find(client, &named).await?.is_none() {
            pull(client, &named).await.map_err(|problem| {
                EngineError::Missing(format!(
                    "the base image `{named}` that {BASE_VARIABLE} names is not here and could not be pulled \
                     ({problem}): pull or import it, or unset {BASE_VARIABLE}"
                ))
            })?;
        }
        // Which Python it has is seen when it is asked, with whatever it brings itself going first.
        return Ok(Base::debian(named, BOOKWORM));
    }
    match python.filter(|python| *python != BOOKWORM.python) {
        Some(python) => with_python(client, run, python, cache).await,
        None => with_release(client, run, BOOKWORM, cache).await.map_err(|why| {
            let published = published(BOOKWORM);
            EngineError::Missing(match why {
                Unavailable::NoTool { unpulled } => format!(
                    "no base image: {published} could not be pulled ({unpulled}). Load one (`docker load`, `docker import`) \
                     under that name or name it in {BASE_VARIABLE}; or install debootstrap and run once as root, and it is \
                     made here"
                ),
                Unavailable::Failed { unpulled, problem } => format!(
                    "no base image: {published} could not be pulled ({unpulled}), and debootstrap failed: {problem}"
                ),
                Unavailable::Engine(error) => return error,
            })
        }),
    }
}

/// The base image for another Python than the usual one: the published image of that Python, else the Debian release that
/// has it. What is here already goes first.
async fn with_python(client: &Client, run: &str, python: &str, cache: &Path) -> Result<Base, EngineError> {
    let image = format!("python:{python}-slim-bookworm");
    let published = || Base { name: image.clone(), label: BOOKWORM.name.to_owned(), has_python: true };
    if find(client, &image).await?.is_some() {
        return Ok(published());
    }
    let release = debian::with_python(python);
    if let Some(release) = release
        && let Some(known) = known(client, release).await?
    {
        return Ok(known);
    }
    let Err(unpulled) = pull(client, &image).await else { return Ok(published()) };
    let why = match release {
        None => format!(
            "no Debian release that debootstrap could make here has it; those have {}, on a machine with debootstrap and as \
             root",
            debian::pythons()
        ),
        Some(release) => match with_release(client, run, release, cache).await {
            Ok(base) => return Ok(base),
            Err(Unavailable::Engine(error)) => return Err(error),
            Err(Unavailable::NoTool { .. }) => format!(
                "Debian {} has it: install debootstrap and run once as root, and a base image is made here",
                release.name
            ),
            Err(Unavailable::Failed { problem, .. }) => {
                format!("debootstrap of Debian {} failed: {problem}", release.name)
            }
        },
    };
    Err(EngineError::NoTarget {
        key: "python",
        message: format!(
            "no base image with Python {python}: {image} could not be pulled ({unpulled}), and {why}. Load that image \
             (`docker load`) or name one that has it in {BASE_VARIABLE}; or make the target an image of its own (`image`)"
        ),
    })
}

/// Why there is no base image of a release.
enum Unavailable {
    /// It could not be pulled, and there is no debootstrap that we may run.
    NoTool { unpulled: String },
    /// It could not be pulled, and debootstrap failed.
    Failed { unpulled: String, problem: String },
    /// The Docker engine could not be asked.
    Engine(EngineError),
}

async fn with_release(client: &Client, run: &str, release: Release, cache: &Path) -> Result<Base, Unavailable> {
    if let Some(known) = known(client, release).await.map_err(Unavailable::Engine)? {
        return Ok(known);
    }
    let published = published(release);
    let Err(unpulled) = pull(client, &published).await else { return Ok(Base::debian(published, release)) };
    let Some(tool) = debian::debootstrap() else { return Err(Unavailable::NoTool { unpulled }) };
    match bootstrap(client, run, &tool, release, cache).await {
        Ok(()) => Ok(Base::debian(own(release), release)),
        Err(problem) => Err(Unavailable::Failed { unpulled, problem }),
    }
}

/// The base image of a release that is here.
async fn known(client: &Client, release: Release) -> Result<Option<Base>, EngineError> {
    for known in [published(release), own(release)] {
        if find(client, &known).await?.is_some() {
            return Ok(Some(Base::debian(known, release)));
        }
    }
    Ok(None)
}

/// The published image of a release.
fn published(release: Release) -> String {
    format!("debian:{}-slim", release.name)
}

/// What we call the image of a release that we made.
fn own(release: Release) -> String {
    format!("{OWN}:{}", release.name)
}

/// Makes the base image of a release from Debian's packages.
async fn bootstrap(client: &Client, run: &str, tool: &Path, release: Release, cache: &Path) -> Result<(), String> {
    tracing::info!(release = release.name, "making a base image with debootstrap (about a minute, once)");
    fs_err::create_dir_all(cache).map_err(|error| error.to_string())?;
    // A folder of its own each time: another run may be doing the same.
    let folder = tempfile::Builder::new().prefix("base-").tempdir_in(cache).map_err(|error| error.to_string())?;
    let root = folder.path().join(release.name);
    debian::bootstrap(tool, release, &root).await?;
    import(client, run, release, &root).await
}

/// Imports a root folder as an image. The archiver is the system's own: it keeps owners, devices and hard links.
async fn import(client: &Client, run: &str, release: Release, root: &Path) -> Result<(), String> {
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
    let labels = vec![format!("LABEL {LABEL}={run}"), format!("LABEL {ROLE_LABEL}=base")];
    let options = CreateImageOptionsBuilder::new().from_src("-").repo(OWN).tag(release.name).changes(labels).build();
    let patient = client.clone().with_timeout(std::time::Duration::from_mins(10));
    let body = bollard::body_try_stream(ReaderStream::with_capacity(archive, 256 << 10));
    let mut progress = std::pin::pin!(patient.create_image(Some(options), Some(body), None));
    while let Some(step) = progress.next().await {
        step.map_err(|error| explain(&error))?;
    }
    let ended = archiver.wait().await.map_err(|error| format!("tar: {error}"))?;
    if ended.success() { Ok(()) } else { Err(format!("tar: {ended}")) }
}

/// Adds what this machine needs to reach its package mirror: its proxy and transport settings, its sources, and the
/// certificates that it trusts (a proxy in between may have its own). Gives its release, as [`release_of`] does: an image of
/// another one has no use for its sources.
fn add_package_sources(context: &mut Context, etc: &Path) -> String {
    // The folder must be there for COPY, whatever is in it.
    context.add("apt/README", Source::Text(String::from("Package sources of the machine that built this image.\n")));
    let certificates = CERTIFICATES.iter().map(Path::new).find(|path| path.is_file());
    if let Some(path) = certificates {
        context.add("apt/certificates.crt", Source::File(path.to_owned()));
    }
    let apt = etc.join("apt");
    for path in package_sources(&apt) {
        if let Some(inside) = path.strip_prefix(&apt).ok().and_then(Path::to_str) {
            context.add(format!("apt/etc/{inside}"), Source::File(path.clone()));
        }
    }
    release_of(&std::fs::read_to_string(etc.join("os-release")).unwrap_or_default())
}

/// Distribution and release by their `os-release`: `debian bookworm`.
fn release_of(text: &str) -> String {
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    format!("{} {}", value("ID"), value("VERSION_CODENAME"))
}

/// Files of `apt`, a folder such as `/etc/apt`, that lead to Debian's packages.
fn package_sources(apt: &Path) -> Vec<PathBuf> {
    let below = |folder: &str| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(apt.join(folder)).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect()
    };
    let text = |path: &PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    let mut chosen = below("sources.list.d");
    chosen.retain(|path| {
        // A third party's source would need its key, which the image does not have.
        path.extension().is_some_and(|extension| extension == "sources" || extension == "list")
            && mirrors(&text(path)).iter().all(|url| url.contains("/debian"))
    });
    chosen.extend([apt.join("sources.list")].into_iter().filter(|path| path.is_file()));
    chosen.extend(below("apt.conf.d").into_iter().filter(|path| {
        let text = text(path);
        text.contains("Acquire::") && !text.contains("::Post-Invoke") && !text.contains("CaInfo")
    }));
    chosen.sort();
    chosen
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
    fn sources_of_debian_and_the_transport_are_taken_along() {
        let apt = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = apt.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("apt.conf.d/proxy", "Acquire::http::Proxy \"http://proxy.example:3128\";\n");
        write("apt.conf.d/clean", "DPkg::Post-Invoke { \"true\"; };\n");
        write("sources.list.d/debian.sources", "URIs: http://mirror.example/debian\n");
        write("sources.list.d/other.list", "deb https://vendor.example/apt stable main\n");
        let found = package_sources(apt.path());
        let names: Vec<&str> =
            found.iter().map(|path| path.strip_prefix(apt.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["apt.conf.d/proxy", "sources.list.d/debian.sources"]);
    }

    #[test]
    fn a_release_is_known_by_its_own_words() {
        assert_eq!(release_of("ID=debian\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n"), "debian trixie");
        assert_eq!(release_of("VERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n"), "ubuntu noble");
        assert_eq!(release_of("ID=\"arch\"\n"), "arch ");
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
