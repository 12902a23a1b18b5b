//! Checks what is run: source, command, variables, files and limits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::document::{FileDocument, TargetDocument};
use super::super::error::{Refusal, Refusals};
use super::super::path::{is_below, normalise};
use super::super::placed::{Placed, Text};
use super::super::{Limits, PinnedFile, Source, Target, quantity};
use super::{is_variable, whole, without_nul};

/// Folders that belong to the pod or the engine: nothing of a scenario may be put there.
const CLOSED: [&str; 8] =
    ["/proc", "/sys", "/dev", "/run", "/opt/target", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname"];

/// Files that every pod is given, and folders that it has: none of them can become the other.
const PINNED: [&str; 8] = [
    "/etc/group",
    "/etc/localtime",
    "/etc/machine-id",
    "/etc/passwd",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/timezone",
    "/usr/lib/ssl/cert.pem",
    "/usr/local/share/ca-certificates/local.crt",
];
const FOLDERS: [&str; 22] = [
    "/bin",
    "/boot",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/sbin",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/sbin",
    "/usr/share",
    "/var",
    "/workspace",
];

/// Checks the section `[target]`.
pub(super) fn check(document: &Placed<TargetDocument>, folder: &Path, refusals: &mut Refusals) -> Option<Target> {
    let command = refusals.take(command(document));
    let source = command.as_ref().and_then(|_| refusals.take(source(document, folder)));
    let env = env(document, refusals);
    let files = files(&document.files.0, refusals);
    let timeout = timeout(document.timeout.as_ref(), refusals);
    let memory_bytes = memory(document.memory.as_ref(), refusals);
    let processes = match &document.processes {
        None => Some(512),
        Some(processes) => refusals.take(whole(processes, "processes", 8, 1_000_000)),
    };
    let node = refusals.take(node(document));
    let python = refusals.take(python(document));
    if let Some(prompt) = &document.prompt {
        refusals.take(without_nul(prompt, &prompt.span));
    }
    Some(Target {
        source: source?,
        command: command?,
        prompt: document.prompt.as_ref().map_or_else(|| String::from("Reply with OK."), |prompt| prompt.value.clone()),
        env,
        files,
        node: node?,
        python: python?,
        timeout: timeout?,
        limits: Limits { memory_bytes: memory_bytes?, processes: processes? },
        folder: folder.to_path_buf(),
    })
}

fn command(document: &Placed<TargetDocument>) -> Result<Vec<String>, Refusal> {
    let help = "write the argument vector, such as command = [\"claude\", \"-p\", \"{prompt}\"]";
    let Some(command) = &document.command else {
        return Err(Refusal::at(document.span.clone(), "the key `command` is missing", "from here").help(help));
    };
    let Some(program) = command.first() else {
        return Err(Refusal::at(command.span.clone(), "the command is empty", "nothing to run").help(help));
    };
    if program.value.trim().is_empty() {
        return Err(Refusal::at(program.span.clone(), "the command is empty", "nothing to run").help(help));
    }
    for word in &command.value {
        without_nul(&word.value, &word.span)?;
    }
    Ok(command.iter().map(|word| word.value.0.clone()).collect())
}

fn source(document: &Placed<TargetDocument>, folder: &Path) -> Result<Source, Refusal> {
    let named: Vec<(&str, &Placed<String>)> =
        [("npm", &document.npm), ("pypi", &document.pypi), ("image", &document.image)]
            .into_iter()
            .filter_map(|(key, value)| value.as_ref().map(|value| (key, value)))
            .collect();
    if let [(first, a), (second, b), ..] = named[..] {
        return Err(Refusal::at(
            b.span.clone(),
            format!("the target has both `{first}` and `{second}`"),
            "a second source",
        )
        .and(a.span.clone(), "the first source")
        .help("keep one: an agent comes from one place"));
    }
    let source = match named.first() {
        None => return local(document, folder),
        Some(&(key, value)) => {
            if let Some(include) = document.include.as_ref().and_then(|include| include.first()) {
                return Err(Refusal::at(include.span.clone(), "`include` goes with a local program only", "not used")
                    .help("use `files` to put files beside an installed agent"));
            }
            let version = version(document, key)?;
            match key {
                "npm" => Source::Npm { package: checked(value, "npm", is_npm_name)?, version },
                "pypi" => Source::Pypi { package: checked(value, "PyPI", is_pypi_name)?, version },
                _ => Source::Image { reference: image(value)? },
            }
        }
    };
    Ok(source)
}

fn version(document: &TargetDocument, key: &str) -> Result<String, Refusal> {
    let Some(version) = &document.version else { return Ok(String::from("latest")) };
    if key == "image" {
        return Err(Refusal::at(version.span.clone(), "`version` goes with npm and pypi only", "not used")
            .help("an image's version is the tag or digest in its reference"));
    }
    let good = |c: char| c.is_ascii_alphanumeric() || ".+-_~^<>=*| !,".contains(c);
    if version.trim().is_empty() || !version.chars().all(good) {
        return Err(Refusal::at(
            version.span.clone(),
            format!("`{}` is not a version", version.as_str()),
            "not a version",
        )
        .help("write an exact version such as 2.1.91, a range, or `latest`"));
    }
    Ok(version.trim().to_owned())
}

fn checked(name: &Placed<String>, registry: &str, good: impl Fn(&str) -> bool) -> Result<String, Refusal> {
    if good(name) {
        return Ok(name.value.clone());
    }
    let refusal =
        Refusal::at(name.span.clone(), format!("`{}` is not a name of {registry}", name.value), "not a package");
    let last_at = name.rfind('@').filter(|at| *at > 0);
    Err(refusal.help(match last_at {
        Some(at) => format!("write the version apart: version = \"{}\"", &name[at + 1..]),
        None => String::from("write the package's name alone, such as @scope/name"),
    }))
}

fn is_npm_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~'))
    };
    match name.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| part(scope) && part(name)),
        None => part(name),
    }
}

fn is_pypi_name(name: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    ends(name.chars().next())
        && ends(name.chars().next_back())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
}

fn image(reference: &Placed<String>) -> Result<String, Refusal> {
    let bad = |c: char| c.is_whitespace() || c.is_control();
    if reference.is_empty() || reference.starts_with('-') || reference.contains(bad) {
        return Err(Refusal::at(reference.span.clone(), "the image is missing", "not an image reference")
            .help("write an image reference such as registry.example/agent:1.2"));
    }
    Ok(reference.value.clone())
}

fn local(document: &Placed<TargetDocument>, folder: &Path) -> Result<Source, Refusal> {
    let Some(program) = document.command.as_ref().and_then(|command| command.first()) else {
        return Err(Refusal::at(document.span.clone(), "the command is empty", "nothing to run"));
    };
    if let Some(version) = &document.version {
        return Err(Refusal::at(version.span.clone(), "`version` goes with npm and pypi only", "of what?")
            .help("name the package: npm = \"…\" or pypi = \"…\""));
    }
    if program.contains('/') {
        local_program(program, folder)?;
    } else if document.include.is_none() {
        let beside = if folder.join(program.as_str()).is_file() {
            format!("a file of that name stands beside the scenario: write ./{}", program.as_str())
        } else {
            String::from(
                "add npm = \"…\", pypi = \"…\" or image = \"…\", or write the path of a local program (./agent); \
                 for a program that every pod has, add include = []",
            )
        };
        return Err(Refusal::at(
            program.span.clone(),
            format!("nothing says where `{}` comes from", program.as_str()),
            "not the path of a local program",
        )
        .help(beside));
    }
    let mut include = Vec::new();
    for path in document.include.iter().flatten() {
        if path.is_empty() || !folder.join(&**path).exists() {
            return Err(Refusal::at(
                path.span.clone(),
                format!("there is no `{}` to include", path.value),
                "no such file",
            )
            .help("paths are resolved against the folder of the scenario"));
        }
        include.push(PathBuf::from(&path.value));
    }
    Ok(Source::Local { include })
}

fn local_program(program: &Placed<Text>, folder: &Path) -> Result<(), Refusal> {
    use std::os::unix::fs::PermissionsExt as _;

    let refusal = |message: String, label: &str| Refusal::at(program.span.clone(), message, label);
    match std::fs::metadata(folder.join(program.as_str())) {
        Ok(facts) if facts.is_file() && facts.permissions().mode() & 0o111 != 0 => Ok(()),
        Ok(facts) if facts.is_file() => {
            Err(refusal(format!("`{}` is not executable", program.as_str()), "no permission to run it")
                .help(format!("chmod +x {}", program.as_str())))
        }
        _ => Err(refusal(format!("there is no program `{}`", program.as_str()), "no such file")
            .help("a path with a slash is a local program, resolved against the folder of the scenario")),
    }
}

fn env(document: &TargetDocument, refusals: &mut Refusals) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for (name, value) in &document.env.0 {
        if !is_variable(name) {
            refusals.push(
                Refusal::at(name.span.clone(), format!("`{}` is no name of a variable", name.value), "not a name")
                    .help("use letters, digits and underscores, and no digit first"),
            );
        }
        refusals.take(without_nul(value, &value.span));
        env.insert(name.value.clone(), value.value.0.clone());
    }
    env
}

fn files(documents: &[FileDocument], refusals: &mut Refusals) -> Vec<PinnedFile> {
    let mut files: Vec<(PinnedFile, &Placed<String>)> = Vec::new();
    for document in documents {
        let Some(path) = refusals.take(file_path(&document.path)) else { continue };
        if let Some((other, place)) =
            files.iter().find(|(other, _)| is_below(&path, &other.path) || is_below(&other.path, &path))
        {
            let message = if other.path == path {
                format!("the file `{path}` is given twice")
            } else {
                format!("`{}` and `{path}` cannot both be files", other.path)
            };
            refusals.push(Refusal::at(document.path.span.clone(), message, "again").and(place.span.clone(), "first"));
            continue;
        }
        files.push((PinnedFile { path, contents: document.contents.value.clone() }, &document.path));
    }
    files.into_iter().map(|(file, _)| file).collect()
}

/// A path for a file of the scenario, normalised.
pub(super) fn file_path(path: &Placed<String>) -> Result<String, Refusal> {
    let Some(clean) = normalise(path) else {
        return Err(Refusal::at(path.span.clone(), format!("`{}` is no path for a file", path.value), "not a path")
            .help("write an absolute path or one below HOME, without `..`"));
    };
    if let Some(closed) = CLOSED.iter().find(|closed| is_below(&clean, closed)) {
        return Err(Refusal::at(path.span.clone(), format!("`{clean}` belongs to the pod"), "cannot be set")
            .help(format!("a scenario's files may not stand at or below {closed}")));
    }
    if let Some(pinned) = PINNED.iter().find(|pinned| clean != **pinned && is_below(&clean, pinned)) {
        return Err(Refusal::at(
            path.span.clone(),
            format!("`{clean}` cannot be a file"),
            format!("{pinned} is a file"),
        ));
    }
    if FOLDERS.contains(&clean.as_str()) || PINNED.iter().any(|pinned| clean != *pinned && is_below(pinned, &clean)) {
        return Err(Refusal::at(path.span.clone(), format!("`{clean}` cannot be a file"), "a folder of every pod"));
    }
    Ok(clean)
}

fn timeout(written: Option<&Placed<Text>>, refusals: &mut Refusals) -> Option<Duration> {
    let Some(written) = written else { return Some(Duration::from_mins(1)) };
    let help = "write a number and a unit: 500ms, 60s, 1m30s; at least 100ms and at most 24h";
    match quantity::duration(written) {
        Some(span) if (Duration::from_millis(100)..=Duration::from_hours(24)).contains(&span) => Some(span),
        Some(_) => {
            let message = format!("the timeout `{}` is out of bounds", written.as_str());
            refusals.push(Refusal::at(written.span.clone(), message, "too short or too long").help(help));
            None
        }
        None => {
            let message = format!("`{}` is not a span of time", written.as_str());
            refusals.push(Refusal::at(written.span.clone(), message, "not a span of time").help(help));
            None
        }
    }
}

fn memory(written: Option<&Placed<Text>>, refusals: &mut Refusals) -> Option<u64> {
    let Some(written) = written else { return Some(2 << 30) };
    let help = "write a number and a unit: 512MiB, 2GiB; at least 16MiB";
    match quantity::bytes(written) {
        Some(size) if size >= 16 << 20 && i64::try_from(size).is_ok() => Some(size),
        Some(_) => {
            let message = format!("the memory `{}` is out of bounds", written.as_str());
            refusals.push(Refusal::at(written.span.clone(), message, "too little or too much").help(help));
            None
        }
        None => {
            let message = format!("`{}` is not a size", written.as_str());
            refusals.push(Refusal::at(written.span.clone(), message, "not a size").help(help));
            None
        }
    }
}

fn node(document: &TargetDocument) -> Result<String, Refusal> {
    let Some(node) = &document.node else { return Ok(String::from("22")) };
    if document.npm.is_none() {
        return Err(Refusal::at(node.span.clone(), "`node` goes with npm packages only", "not used")
            .help("remove it, or name the package: npm = \"…\""));
    }
    if node.is_empty() || node.len() > 3 || !node.chars().all(|c| c.is_ascii_digit()) {
        return Err(Refusal::at(
            node.span.clone(),
            format!("`{}` is no major version of Node.js", node.as_str()),
            "not a number",
        )
        .help("write the major version alone, such as node = \"22\""));
    }
    Ok(node.value.0.clone())
}

fn python(document: &TargetDocument) -> Result<Option<String>, Refusal> {
    let Some(python) = &document.python else { return Ok(None) };
    if document.npm.is_some() || document.image.is_some() {
        return Err(Refusal::at(python.span.clone(), "`python` goes with pypi and local programs only", "not used")
            .help("remove it: an npm package runs on Node.js (`node`), an image on whatever it has"));
    }
    let digits = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let minor =
        python.strip_prefix("3.").filter(|minor| digits(minor) && !(minor.len() == 2 && minor.starts_with('0')));
    if minor.is_none() {
        return Err(Refusal::at(
            python.span.clone(),
            format!("`{}` is no minor version of Python 3", python.as_str()),
            "not of the form 3.N",
        )
        .help("write the minor version alone, such as python = \"3.13\""));
    }
    Ok(Some(python.value.0.clone()))
}
