//! Opens engines, makes jobs, runs cells.

use std::collections::BTreeMap;
use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::FutureExt as _;
use parallax::capture::Capture;
use parallax::cell::CellId;
use parallax::engine::docker::{self, Docker};
use parallax::engine::embedded::Embedded;
use parallax::engine::environment::{Environment, Node, PodFile, User};
use parallax::engine::pod::PodOptions;
use parallax::engine::target::{InstallScript, Installed, TargetFacts};
use parallax::engine::{Engine, EngineError, Job};
use parallax::gateway::Authority;
use parallax::scenario::{Limits, Stub, Turn};

/// A check, run against an open engine with two slots.
pub(crate) type Check = for<'a> fn(&'a dyn Engine) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// The user as whom root runs the rootless suite.
const NOBODY: u32 = 65534;

/// Where the program under test is.
fn program() -> PathBuf {
    std::env::var_os("PARALLAX_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_parallax").into(), PathBuf::from)
}

/// Says why an engine, or what the kernel lacks, is skipped; panics where it is required.
pub(crate) fn skip(what: &str, reason: &str) {
    let required = std::env::var("PARALLAX_REQUIRE").unwrap_or_default();
    assert!(!required.split([',', ' ']).any(|name| name == what), "{what} is required: {reason}");
    println!("skipped, no {what}: {reason}");
}

/// A target of one file, and what else an engine needs.
pub(crate) fn options(folder: &Path) -> PodOptions {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let root = folder.join("root");
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(root.join("greeting"), "hello from the target\n").unwrap();
    PodOptions {
        run: format!("test{:08x}", rand::random::<u32>()),
        slots: 2,
        authority: Authority::mint("conformance").unwrap(),
        ports: vec![8080],
        stub: Stub { script: vec![Turn::Text("OK".to_owned())], ..Stub::default() },
        program: program(),
        target: Installed {
            root: Some(root),
            image: None,
            search: Vec::new(),
            variables: BTreeMap::new(),
            scripts: Vec::new(),
            packages: Vec::new(),
            python: None,
            digest: "c0f0".repeat(16),
            facts: TargetFacts::default(),
        },
        limits: limits(),
        cache: folder.join("cache"),
    }
}

fn limits() -> Limits {
    Limits { memory_bytes: 512 << 20, processes: 128 }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Runs a check against the embedded engine.
pub(crate) fn embedded(check: Check) {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        match Embedded::open(options(folder.path())).await {
            Ok(engine) => {
                check(&engine).await;
                engine.close().await;
            }
            Err(EngineError::Missing(reason)) => skip("embedded", &reason),
            Err(error) => panic!("{error}"),
        }
    });
}

/// Runs all checks against the docker engine and says which failed.
pub(crate) fn docker(checks: &[(&str, Check)]) {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        if let Err(reason) = docker::probe().await {
            return skip("docker", &reason);
        }
        let engine = Docker::open(options(folder.path())).await.unwrap();
        let mut failed = Vec::new();
        for (name, check) in checks {
            let started = std::time::Instant::now();
            let end = AssertUnwindSafe(check(&engine)).catch_unwind().await;
            println!("docker::{name}: {} in {:.1?}", if end.is_ok() { "ok" } else { "FAILED" }, started.elapsed());
            if end.is_err() {
                failed.push(*name);
            }
        }
        engine.close().await;
        assert!(failed.is_empty(), "failed: {failed:?}");
    });
}

/// Copies of the tests and of the program that everybody can read and run.
fn copies() -> (&'static Path, &'static Path) {
    static COPIES: OnceLock<(tempfile::TempDir, PathBuf, PathBuf)> = OnceLock::new();
    let (_, test, program) = COPIES.get_or_init(|| {
        let folder = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o755)).tempdir().unwrap();
        let copy = |from: PathBuf, name: &str| {
            let to = folder.path().join(name);
            std::fs::copy(from, &to).unwrap();
            to
        };
        let test = copy(std::env::current_exe().unwrap(), "conformance");
        let program = copy(program(), "parallax");
        (folder, test, program)
    });
    (test, program)
}

/// Runs the test `name` of the embedded engine again as an unprivileged user, if we are root.
pub(crate) fn rootless(name: &str) {
    if !nix::unistd::geteuid().is_root() {
        return; // The embedded suite is rootless already.
    }
    let (test, program) = copies();
    let output = Command::new(test)
        .args(["--exact", name, "--nocapture"])
        .env("PARALLAX_PROGRAM", program)
        .env("HOME", "/nonexistent")
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let said = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "as user {NOBODY}:\n{said}");
    if let Some(line) = said.lines().find(|line| line.contains("skipped, no embedded")) {
        skip("rootless", line);
    }
}

/// A cell's environment as the scenario would make it, with `script` for bash.
pub(crate) fn environment(script: &str) -> Environment {
    let variables = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("HOME", "/home/alice"),
        ("USER", "alice"),
        ("TZ", "Asia/Tokyo"),
        ("LANG", "de_DE.UTF-8"),
        ("HTTPS_PROXY", "http://proxy.corp.example:3128"),
    ];
    let file = |path: &str, node: Node, owned_by_user: bool| PodFile {
        path: path.to_owned(),
        node,
        mode: 0o644,
        owned_by_user,
    };
    let folder = |path: &str| PodFile { path: path.to_owned(), node: Node::Folder, mode: 0o755, owned_by_user: true };
    let text = |text: &str| Node::File(text.as_bytes().to_vec());
    Environment {
        variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        files: vec![
            file("/etc/localtime", Node::Zone("Asia/Tokyo".to_owned()), false),
            file("/etc/timezone", text("Asia/Tokyo\n"), false),
            file("/etc/machine-id", text("0123456789abcdef0123456789abcdef\n"), false),
            file(
                "/etc/passwd",
                text("root:x:0:0:root:/root:/bin/bash\nalice:x:1234:1235:Alice:/home/alice:/bin/bash\n"),
                false,
            ),
            file("/etc/group", text("root:x:0:\nstaff:x:1235:\n"), false),
            folder("/home/alice"),
            folder("/home/alice/.config"),
            folder("/home/alice/.config/agent"),
            folder("/workspace"),
            file("/workspace/README.md", text("# A project\n"), true),
            file("/home/alice/.config/agent/settings.json", text("{}\n"), true),
        ],
        hostname: "build-7".to_owned(),
        dns_search: Some("corp.example".to_owned()),
        user: User {
            name: "alice".to_owned(),
            uid: 1234,
            gid: 1235,
            home: "/home/alice".to_owned(),
            shell: "/bin/bash".to_owned(),
        },
        workdir: "/workspace".to_owned(),
        command: ["bash", "-c", script].map(str::to_owned).to_vec(),
        cpus: None,
        interface: false,
        http2: false,
    }
}

/// A job around an environment.
pub(crate) fn job(cell: &str, environment: Environment) -> Job {
    let levels = parallax::cell::Assignment::baseline(0);
    Job { cell: CellId(cell.to_owned()), levels, environment, limits: limits(), timeout: Duration::from_secs(30) }
}

/// Runs a script as a cell in slot 0.
pub(crate) async fn run(engine: &dyn Engine, script: &str) -> Capture {
    engine.run(0, &job("c0001", environment(script))).await.unwrap()
}

/// A script's standard output, once it ended well.
pub(crate) async fn output(engine: &dyn Engine, script: &str) -> String {
    let capture = run(engine, script).await;
    let (stdout, stderr) = (capture.stdout.text().into_owned(), capture.stderr.text().into_owned());
    assert_eq!(capture.outcome, parallax::capture::Outcome::Exited { code: 0 }, "stdout: {stdout}\nstderr: {stderr}");
    stdout
}

/// Shell functions for scripts: `fetch HOST PORT PATH` prints the status line.
pub(crate) const FETCH: &str = r#"
fetch() {
    exec 3<>"/dev/tcp/$1/$2" || return 1
    printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$3" "$1" >&3
    head -n 1 <&3
    exec 3>&-
}
"#;

/// Install scripts run in a pod, their result is kept, and they run only once.
pub(crate) fn install_scripts() {
    let folder = tempfile::tempdir().unwrap();
    let script = "test $(id -u) = 1000 && date +%N > built && cat greeting >> built && ! echo x > /usr/x 2> /dev/null";
    let open = || async {
        let mut options = options(folder.path());
        options.target.scripts = vec![InstallScript { folder: "/opt/target".to_owned(), command: script.to_owned() }];
        Embedded::open(options).await
    };
    runtime().block_on(async {
        let mut seen = Vec::new();
        for _ in 0..2 {
            let engine = match open().await {
                Ok(engine) => engine,
                Err(EngineError::Missing(reason)) if !reason.contains("install script") => {
                    return skip("embedded", &reason);
                }
                Err(error) => panic!("{error}"),
            };
            seen.push(output(&engine, "cat /opt/target/built; ! echo x 2>/dev/null > /opt/target/built").await);
            engine.close().await;
        }
        assert!(seen[0].ends_with("hello from the target\n"), "{seen:?}");
        assert_eq!(seen[0], seen[1], "the second run must not build again");
        assert!(!folder.path().join("root/built").exists(), "the installed folder itself stays as it was");

        let mut failing = options(folder.path());
        let root = folder.path().join("other");
        std::fs::create_dir(&root).unwrap();
        failing.target.root = Some(root);
        failing.target.scripts =
            vec![InstallScript { folder: "/opt/target".to_owned(), command: "echo no network; exit 3".to_owned() }];
        let error = Embedded::open(failing).await.unwrap_err().to_string();
        assert!(error.contains("no network") && error.contains("exit 3"), "{error}");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert!(left.iter().all(|name| !name.to_string_lossy().contains("building")), "{left:?}");
    });
}
