//! **Doctor**: what this machine can do, a row a thing, and how to mend what it can't. Looks only; changes nothing.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use fs_err as fs;

use crate::capture::Sight;
use crate::engine::target::{cached, find_program, pythons};
use crate::engine::{docker, embedded};

/// How well something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is there and works.
    Ok,
    /// Something is slower, or some targets cannot be run.
    Degraded,
    /// It is not there, or does not work.
    Missing,
}

impl State {
    /// The word in the table.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Missing => "missing",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What.
    pub what: &'static str,
    /// How well it stands.
    pub state: State,
    /// What was found.
    pub detail: String,
    /// How to mend it.
    pub remedy: Option<String>,
}

impl Row {
    fn ok(what: &'static str, detail: impl Into<String>) -> Self {
        Self { what, state: State::Ok, detail: detail.into(), remedy: None }
    }

    fn bad(what: &'static str, state: State, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, state, detail: detail.into(), remedy: Some(remedy.into()) }
    }
}

/// Looks at everything that a run may need. `cache` is the cache folder.
pub async fn examine(cache: &Path) -> Vec<Row> {
    let (docker, npm, node, python, tracer) = tokio::join!(
        docker_engine(),
        npm(),
        version_of("node", &["--version"]),
        python(),
        version_of("strace", &["--version"])
    );
    let embedded = embedded_engine().await;
    let traffic = if embedded.state == State::Missing { None } else { Some(traffic().await) };
    let mut rows = vec![docker, embedded];
    rows.extend(traffic);
    rows.extend([kernel(Path::new("/proc")), namespaces(Path::new("/proc"))]);
    rows.extend([user_namespaces(Path::new("/proc")), control_groups(Path::new("/sys/fs/cgroup")), npm]);
    rows.push(match node {
        Some(version) => Row::ok("Node.js", format!("{version}; pods bring their own")),
        None => Row::bad(
            "Node.js",
            State::Degraded,
            "not in PATH",
            "npm needs it to fetch packages: on Debian or Ubuntu, `apt install npm`. Pods bring their own",
        ),
    });
    rows.extend([python, debootstrap(), strace(tracer.as_deref(), Path::new("/proc"))]);
    rows.push(time_zones(Path::new("/usr/share/zoneinfo")));
    rows.push(disk("disk of the cache", cache, &format!("{} targets", cached(cache).len()), "PARALLAX_CACHE"));
    let docker_root = Path::new("/var/lib/docker");
    if docker_root.exists() {
        rows.push(disk("disk of Docker", docker_root, "", "Docker's `data-root`"));
    }
    rows.extend([cores(), memory(Path::new("/proc/meminfo"))]);
    rows
}

/// Whether some engine can run cells.
#[must_use]
pub fn can_run(rows: &[Row]) -> bool {
    rows.iter().any(|row| (row.what == DOCKER || row.what == EMBEDDED) && row.state != State::Missing)
}

const DOCKER: &str = "Docker engine";
const EMBEDDED: &str = "embedded engine";
const TRAFFIC: &str = "traffic in pods";

async fn docker_engine() -> Row {
    match docker::probe().await {
        Ok(facts) => Row::ok(
            DOCKER,
            format!(
                "{} (API {}), {}, control groups v{} by {}{}",
                facts.version,
                facts.api,
                facts.storage_driver,
                facts.cgroup_version,
                facts.cgroup_driver,
                if facts.rootless { ", rootless" } else { "" }
            ),
        ),
        Err(message) => broken(DOCKER, &message),
    }
}

async fn embedded_engine() -> Row {
    match tokio::task::spawn_blocking(embedded::probe).await {
        Ok(Ok(facts)) => Row::ok(EMBEDDED, if facts.root { "as root" } else { "as an ordinary user" }),
        Ok(Err(message)) => broken(EMBEDDED, &message),
        Err(error) => Row::bad(EMBEDDED, State::Missing, error.to_string(), "report this: it is a bug"),
    }
}

/// What of an agent's traffic can be seen here: a gateway is started for a moment.
async fn traffic() -> Row {
    let seen = match std::env::current_exe() {
        Ok(program) => embedded::sight(&program).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match seen {
        Ok(sight) => sight_row(sight),
        Err(message) => {
            Row::bad(TRAFFIC, State::Degraded, message, "no gateway starts: the embedded engine cannot run cells")
        }
    }
}

fn sight_row(sight: Sight) -> Row {
    let ipv6 = if sight.ipv6 { "IPv6 as IPv4" } else { "no IPv6 in pods" };
    let mut lacks = Vec::new();
    if !sight.every_port {
        lacks.push("what is said on ports that no URL names");
    }
    if !sight.watched {
        lacks.push("refused connections and datagrams");
    }
    if lacks.is_empty() {
        return Row::ok(TRAFFIC, format!("every port is read, what is refused is seen, {ipv6}"));
    }
    Row::bad(
        TRAFFIC,
        State::Degraded,
        format!("not seen: {}; {ipv6}", lacks.join(", ")),
        "the kernel needs the packet filter's redirection (iptable_nat or nft_redir) and packet sockets (af_packet) for it: load \
         or build these modules",
    )
}

/// A probe's one line says what and how: its first sentence is the detail, the rest the remedy.
fn broken(what: &'static str, message: &str) -> Row {
    let (detail, remedy) = message.split_once(". ").unwrap_or((message, ""));
    Row {
        what,
        state: State::Missing,
        detail: detail.to_owned(),
        remedy: (!remedy.is_empty()).then(|| remedy.to_owned()),
    }
}

fn read(path: PathBuf) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn kernel(proc: &Path) -> Row {
    let Some(release) = read(proc.join("sys/kernel/osrelease")) else {
        return Row::bad(
            "kernel",
            State::Missing,
            "this is not Linux",
            "run parallax on Linux, or in a virtual machine",
        );
    };
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) < (5, 11) => Row::bad(
            "kernel",
            State::Degraded,
            format!("Linux {release}"),
            "the embedded engine is made for Linux 5.11 and newer: use Docker, or a newer kernel",
        ),
        _ => Row::ok("kernel", format!("Linux {release}")),
    }
}

fn namespaces(proc: &Path) -> Row {
    let wanted = ["user", "net", "mnt", "pid", "uts", "ipc", "cgroup"];
    let missing: Vec<&str> = wanted.into_iter().filter(|name| !proc.join("self/ns").join(name).exists()).collect();
    if missing.is_empty() {
        return Row::ok("namespaces", wanted.join(" "));
    }
    let remedy = "the kernel was built without them: containers cannot work on it";
    Row::bad("namespaces", State::Missing, format!("no {}", missing.join(", ")), remedy)
}

fn user_namespaces(proc: &Path) -> Row {
    let what = "user namespaces";
    let sysctl = |name: &str| read(proc.join("sys").join(name));
    let is = |name: &str, value: &str| sysctl(name).as_deref() == Some(value);
    if is("user/max_user_namespaces", "0") {
        return Row::bad(what, State::Missing, "switched off", "sudo sysctl -w user.max_user_namespaces=15000");
    }
    if is("kernel/unprivileged_userns_clone", "0") {
        let remedy = "sudo sysctl -w kernel.unprivileged_userns_clone=1, or run the embedded engine as root";
        return Row::bad(what, State::Degraded, "for root only", remedy);
    }
    if is("kernel/apparmor_restrict_unprivileged_userns", "1") {
        let remedy =
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or run the embedded engine as root";
        return Row::bad(what, State::Degraded, "AppArmor keeps them from ordinary users", remedy);
    }
    match sysctl("user/max_user_namespaces") {
        Some(most) => Row::ok(what, format!("up to {most}")),
        None => {
            Row::bad(what, State::Missing, "the kernel has none", "use Docker, or a kernel built with CONFIG_USER_NS")
        }
    }
}

fn control_groups(root: &Path) -> Row {
    let what = "control groups";
    if let Some(controllers) = read(root.join("cgroup.controllers")) {
        let missing: Vec<&str> = ["cpu", "memory", "pids"]
            .into_iter()
            .filter(|name| !controllers.split(' ').any(|one| one == *name))
            .collect();
        return if missing.is_empty() {
            Row::ok(what, format!("version 2: {controllers}"))
        } else {
            let detail = format!("version 2, without {}", missing.join(", "));
            Row::bad(
                what,
                State::Degraded,
                detail,
                "limits of that kind cannot be set: let the machine delegate the controllers",
            )
        };
    }
    let legacy: Vec<&str> = ["cpu", "memory", "pids"].into_iter().filter(|name| root.join(name).is_dir()).collect();
    match legacy.len() {
        3 => Row::ok(what, "version 1: cpu memory pids"),
        0 => Row::bad(
            what,
            State::Degraded,
            "not mounted",
            "Docker needs them: mount /sys/fs/cgroup (most init systems do)",
        ),
        _ => Row::bad(
            what,
            State::Degraded,
            format!("version 1: only {}", legacy.join(", ")),
            "switch the others on at boot",
        ),
    }
}

/// What a program says of its version; `None` where it is not in PATH or fails.
async fn version_of(program: &str, arguments: &[&str]) -> Option<String> {
    let path = find_program(program)?;
    let mut command = tokio::process::Command::new(path);
    command.args(arguments).current_dir("/").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(std::time::Duration::from_secs(10), command.output()).await.ok()?.ok()?;
    let said = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_owned();
    (output.status.success() && !said.is_empty()).then_some(said)
}

async fn npm() -> Row {
    match (version_of("npm", &["--version"]).await, find_program("npm")) {
        (Some(version), _) => Row::ok("npm", version),
        (None, Some(path)) => Row::bad(
            "npm",
            State::Degraded,
            format!("{} does not run", path.display()),
            "it needs Node.js in PATH: reinstall both. Targets in the cache need no npm",
        ),
        (None, None) => Row::bad(
            "npm",
            State::Degraded,
            "not in PATH",
            "only needed to fetch npm targets: on Debian or Ubuntu, `apt install npm`. Targets in the cache need no npm",
        ),
    }
}

async fn python() -> Row {
    let ask = "import sys, pip; print('Python %d.%d.%d' % sys.version_info[:3], 'with pip', pip.__version__)";
    match (version_of("python3", &["-c", ask]).await, find_program("python3")) {
        (Some(version), _) => {
            let others = pythons().join(", ");
            Row::ok("Python", format!("{version}; `python` in a scenario, embedded engine: {others}"))
        }
        (None, found) => Row::bad(
            "Python",
            State::Degraded,
            if found.is_some() { "python3 has no pip" } else { "no python3 in PATH" },
            "only needed to fetch Python targets: on Debian or Ubuntu, `apt install python3-pip`",
        ),
    }
}

fn debootstrap() -> Row {
    let found = find_program("debootstrap")
        .or_else(|| Some(PathBuf::from("/usr/sbin/debootstrap")).filter(|path| path.is_file()));
    match found {
        Some(path) => Row::ok("debootstrap", path.display().to_string()),
        None => Row::bad(
            "debootstrap",
            State::Degraded,
            "not in PATH",
            "only needed where Docker can reach no image registry: on Debian or Ubuntu, `apt install debootstrap`",
        ),
    }
}

/// `said`: what strace says of its version, where it is.
fn strace(said: Option<&str>, proc: &Path) -> Row {
    let bad = |detail: String, remedy: &str| Row::bad("strace", State::Degraded, detail, remedy);
    let Some(said) = said else {
        let remedy = "only `parallax probe` needs it: on Debian or Ubuntu, `apt install strace`";
        return bad(String::from("not in PATH"), remedy);
    };
    let version = said.rsplit(' ').next().unwrap_or_default();
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    if let (Some(Some(major)), Some(Some(minor))) = (numbers.next(), numbers.next())
        && (major, minor) < (5, 3)
    {
        return bad(version.to_owned(), "`parallax probe` needs 5.3 or newer: install a newer one");
    }
    match read(proc.join("sys/kernel/yama/ptrace_scope")).as_deref() {
        Some("2") => bad(
            format!("{version}, but the kernel lets only administrators trace"),
            "only `parallax probe` traces: sudo sysctl -w kernel.yama.ptrace_scope=1",
        ),
        Some("3") => bad(
            format!("{version}, but the kernel lets nobody trace"),
            "only `parallax probe` traces: set kernel.yama.ptrace_scope to 1 in /etc/sysctl.d, and start the machine anew",
        ),
        _ => Row::ok("strace", version),
    }
}

fn time_zones(folder: &Path) -> Row {
    let what = "time zones";
    if !folder.join("UTC").exists() {
        let remedy = "time-zone levels need them: on Debian or Ubuntu, `apt install tzdata`";
        return Row::bad(what, State::Missing, format!("no {}", folder.display()), remedy);
    }
    // Each distribution says which edition it has in another place.
    let named = |text: String| text.lines().next().map(|line| line.trim_start_matches("# version ").to_owned());
    let edition = ["tzdata.zi", "+VERSION", "version"].iter().find_map(|name| read(folder.join(name)).and_then(named));
    Row::ok(
        what,
        edition.map_or_else(|| folder.display().to_string(), |edition| format!("{edition} in {}", folder.display())),
    )
}

const GIB: u64 = 1 << 30;

#[allow(clippy::cast_precision_loss, reason = "shown with one digit")]
fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / GIB as f64)
}

fn disk(what: &'static str, folder: &Path, more: &str, elsewhere: &str) -> Row {
    // The folder may not be there yet: the nearest one above it is on the same disk.
    let there = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let Ok(found) = nix::sys::statvfs::statvfs(there) else {
        return Row::bad(
            what,
            State::Degraded,
            format!("{} cannot be looked at", there.display()),
            "look at its permissions",
        );
    };
    let free = found.blocks_available().saturating_mul(found.fragment_size());
    let more = if more.is_empty() { String::new() } else { format!(", {more}") };
    let detail = format!("{} free in {}{more}", gib(free), folder.display());
    match free {
        free if free >= 3 * GIB => Row::ok(what, detail),
        free => {
            let state = if free < GIB / 2 { State::Missing } else { State::Degraded };
            Row::bad(
                what,
                state,
                detail,
                format!("a target takes up to 1 GiB: free some space (`parallax clean`), or set {elsewhere}"),
            )
        }
    }
}

fn cores() -> Row {
    match std::thread::available_parallelism() {
        Ok(cores) => Row::ok("cores", format!("{cores}: as many cells at once by default")),
        Err(error) => Row::bad("cores", State::Degraded, error.to_string(), "say how many cells at once: `--jobs N`"),
    }
}

fn memory(meminfo: &Path) -> Row {
    let text = fs::read_to_string(meminfo).unwrap_or_default();
    let field = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    match (field("MemTotal:"), field("MemAvailable:")) {
        (Some(total), Some(free)) => {
            let detail = format!("{} free of {}", gib(free), gib(total));
            if free >= 2 * GIB {
                Row::ok("memory", detail)
            } else {
                Row::bad(
                    "memory",
                    State::Degraded,
                    detail,
                    "an agent takes up to 1 GiB: run fewer cells at once (`--jobs 1`)",
                )
            }
        }
        _ => Row::bad("memory", State::Degraded, "unknown", "mount /proc"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn sysctls_that_forbid_user_namespaces_are_named() {
        let says = |files: &[(&str, &str)]| {
            let row = user_namespaces(folder(files).path());
            (row.state, row.remedy.unwrap_or_default())
        };
        let most = ("sys/user/max_user_namespaces", "100\n");
        assert_eq!(says(&[most]).0, State::Ok);
        assert_eq!(says(&[]).0, State::Missing);
        assert!(says(&[("sys/user/max_user_namespaces", "0\n")]).1.contains("user.max_user_namespaces"));
        let (state, remedy) = says(&[most, ("sys/kernel/unprivileged_userns_clone", "0\n")]);
        assert!(state == State::Degraded && remedy.contains("kernel.unprivileged_userns_clone=1"));
        let (state, remedy) = says(&[most, ("sys/kernel/apparmor_restrict_unprivileged_userns", "1\n")]);
        assert!(state == State::Degraded && remedy.contains("apparmor"));
    }

    #[test]
    fn old_kernels_and_none_are_told_apart() {
        let state = |release: &str| kernel(folder(&[("sys/kernel/osrelease", release)]).path()).state;
        assert_eq!((state("6.1.0-18-amd64"), state("5.4.0-1")), (State::Ok, State::Degraded));
        assert_eq!(kernel(Path::new("/nowhere")).state, State::Missing);
    }

    #[test]
    fn control_groups_of_both_versions_are_known() {
        let two = folder(&[("cgroup.controllers", "cpuset cpu io memory pids\n")]);
        assert_eq!(control_groups(two.path()).state, State::Ok);
        let poor = control_groups(folder(&[("cgroup.controllers", "cpu pids\n")]).path());
        assert_eq!((poor.state, poor.detail.as_str()), (State::Degraded, "version 2, without memory"));
        let one = folder(&[("cpu/tasks", ""), ("memory/tasks", ""), ("pids/tasks", "")]);
        assert_eq!(control_groups(one.path()).detail, "version 1: cpu memory pids");
        assert_eq!(control_groups(Path::new("/nowhere")).state, State::Degraded);
    }

    #[test]
    fn what_keeps_the_probe_from_tracing_is_named() {
        let says = |said: Option<&str>, files: &[(&str, &str)]| {
            let row = strace(said, folder(files).path());
            (row.state, row.detail, row.remedy.unwrap_or_default())
        };
        let (state, _, remedy) = says(None, &[]);
        assert!(state == State::Degraded && remedy.contains("apt install strace"), "{remedy}");
        let ok = (State::Ok, String::from("6.1"), String::new());
        assert_eq!(says(Some("strace -- version 6.1"), &[]), ok);
        assert_eq!(says(Some("strace -- version 6.1"), &[("sys/kernel/yama/ptrace_scope", "1\n")]), ok);
        assert!(says(Some("strace -- version 5.2"), &[]).2.contains("5.3"));
        for (scope, remedy) in [("2\n", "ptrace_scope=1"), ("3\n", "anew")] {
            let said = says(Some("strace -- version 6.1"), &[("sys/kernel/yama/ptrace_scope", scope)]);
            assert!(said.0 == State::Degraded && said.2.contains(remedy), "{said:?}");
        }
    }

    #[test]
    fn zones_memory_and_disk_are_measured() {
        let zones = folder(&[("UTC", ""), ("tzdata.zi", "# version 2025b\n# more")]);
        assert!(time_zones(zones.path()).detail.starts_with("2025b in "));
        assert_eq!(time_zones(Path::new("/nowhere")).state, State::Missing);
        let meminfo = folder(&[("m", "MemTotal:  4194304 kB\nMemAvailable:  1048576 kB\n")]);
        let row = memory(&meminfo.path().join("m"));
        assert_eq!((row.state, row.detail.as_str()), (State::Degraded, "1.0 GiB free of 4.0 GiB"));
        assert!(
            disk("d", Path::new("/no/such/folder"), "2 targets", "X")
                .detail
                .ends_with("free in /no/such/folder, 2 targets")
        );
    }

    #[test]
    fn a_probes_line_is_split_into_what_and_how() {
        let row = broken(DOCKER, "Docker is not here: x.sock does not exist. Install it. Then start it");
        assert_eq!(row.detail, "Docker is not here: x.sock does not exist");
        assert_eq!(row.remedy.as_deref(), Some("Install it. Then start it"));
        assert!(!can_run(std::slice::from_ref(&row)));
        assert!(can_run(&[row, Row::ok(EMBEDDED, "")]));
    }

    #[test]
    fn what_of_the_traffic_is_not_seen_is_named() {
        let row = |every_port, watched| sight_row(Sight { every_port, watched, ipv6: false });
        assert_eq!(row(true, true).state, State::Ok);
        assert!(row(true, true).detail.contains("no IPv6"));
        for (row, said) in [(row(false, true), "ports that no URL names"), (row(true, false), "datagrams")] {
            assert!(row.state == State::Degraded && row.detail.contains(said) && row.remedy.is_some(), "{row:?}");
        }
    }
}
