//! The docker engine against a real Docker: what a cell asks for arrives, what it does is reported, and nothing is left.
//! Where Docker is missing the tests say so and pass, unless `PARALLAX_REQUIRE` names `docker`.
#![allow(clippy::print_stdout, reason = "a skipped test says why")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use parallax::capture::{Capture, Change, Outcome};
use parallax::cell::CellId;
use parallax::engine::docker::Docker;
use parallax::engine::environment::{Environment, Node, PodFile, User};
use parallax::engine::pod::{LABEL, PodOptions};
use parallax::engine::target::{InstallScript, Installed, TargetFacts};
use parallax::engine::{Engine, EngineError, Job, canary};
use parallax::gateway::Authority;
use parallax::scenario::{Limits, Stub, Turn};

const LIMITS: Limits = Limits { memory_bytes: 128 << 20, processes: 48 };

/// Images are built once, not by every test at the same time.
static OPENING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn bare() -> Installed {
    Installed {
        root: None,
        image: None,
        search: Vec::new(),
        variables: BTreeMap::new(),
        scripts: Vec::new(),
        packages: Vec::new(),
        python: None,
        digest: String::new(),
        facts: TargetFacts::default(),
    }
}

fn options(target: Installed, cache: &Path) -> PodOptions {
    PodOptions {
        run: format!("test{:08x}", rand::random::<u32>()),
        slots: 1,
        authority: Authority::mint("Test CA").expect("an authority"),
        ports: Vec::new(),
        stub: Stub { script: vec![Turn::Text(String::from("OK"))], ..Stub::default() },
        program: PathBuf::from(env!("CARGO_BIN_EXE_parallax")),
        target,
        limits: LIMITS,
        cache: cache.to_owned(),
    }
}

/// An open engine, or `None` with the reason printed.
/// Whether Docker is here. A skip says why, and fails where Docker is required.
async fn answers() -> bool {
    let Err(reason) = parallax::engine::docker::probe().await else { return true };
    let required = std::env::var("PARALLAX_REQUIRE").unwrap_or_default();
    assert!(!required.contains("docker"), "Docker is required here: {reason}");
    println!("skipped: {reason}");
    false
}

async fn open(target: Installed) -> Option<(Docker, PodOptions)> {
    let _guard = OPENING.lock().await;
    if !answers().await {
        return None;
    }
    let options = options(target, &std::env::temp_dir().join("parallax-test-cache"));
    let engine = Docker::open(options.clone()).await.expect("the engine opens");
    Some((engine, options))
}

fn folder(path: &str) -> PodFile {
    PodFile { path: path.to_owned(), node: Node::Folder, mode: 0o755, owned_by_user: true }
}

fn file(path: &str, text: &str) -> PodFile {
    PodFile { path: path.to_owned(), node: Node::File(text.into()), mode: 0o644, owned_by_user: true }
}

fn job(command: &[&str]) -> Job {
    let passwd = "root:x:0:0:root:/root:/bin/sh\nada:x:1234:1235::/home/ada:/bin/bash\n";
    let environment = Environment {
        variables: BTreeMap::from(
            [
                ("PATH", "/usr/local/bin:/usr/bin:/bin"),
                ("HOME", "/home/ada"),
                ("TZ", "Asia/Tokyo"),
                ("LANG", "C.UTF-8"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        ),
        files: vec![
            PodFile { owned_by_user: false, ..file("/etc/passwd", passwd) },
            PodFile {
                path: String::from("/usr/share/zoneinfo/Asia/Tokyo"),
                node: Node::Zone(String::from("Asia/Tokyo")),
                mode: 0o644,
                owned_by_user: false,
            },
            PodFile {
                path: String::from("/etc/localtime"),
                node: Node::Link(String::from("/usr/share/zoneinfo/Asia/Tokyo")),
                mode: 0o777,
                owned_by_user: false,
            },
            folder("/home/ada"),
            file("/home/ada/.settings", "{}"),
            file("/home/ada/.kept", "kept"),
            folder("/workspace"),
        ],
        hostname: String::from("workstation-7"),
        dns_search: Some(String::from("corp.example")),
        user: User {
            name: String::from("ada"),
            uid: 1234,
            gid: 1235,
            home: String::from("/home/ada"),
            shell: String::from("/bin/bash"),
        },
        workdir: String::from("/workspace"),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        cpus: Some(1),
        interface: false,
        http2: false,
    };
    let levels = parallax::cell::Assignment::baseline(0);
    Job { cell: CellId::nth(1), levels, environment, limits: LIMITS, timeout: Duration::from_secs(20) }
}

async fn shell(engine: &Docker, script: &str) -> Capture {
    engine.run(0, &job(&["sh", "-c", script])).await.expect("the cell runs")
}

/// Containers of a run, as the `docker` command sees them.
fn containers(run: &str) -> Vec<String> {
    let filter = format!("label={LABEL}={run}");
    let listed = Command::new("docker").args(["ps", "-aq", "--filter", &filter]).output().expect("the docker command");
    String::from_utf8_lossy(&listed.stdout).split_whitespace().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_arrives_as_the_cell_says() {
    let Some((engine, options)) = open(bare()).await else { return };
    let mut exact = job(&["/usr/bin/env"]);
    exact.environment.variables.insert(String::from("EMPTY"), String::new());
    let capture = engine.run(0, &exact).await.unwrap();
    let said = capture.stdout.text().into_owned();
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    let expected: Vec<String> =
        exact.environment.variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(lines, expected, "exactly the variables of the cell");

    let script = "hostname; id -un; id -u; id -g; pwd; date +%Z; readlink /etc/localtime; nproc; cat .././home/ada/.settings; echo; \
                  stat -c '%U %a %Y' /home/ada/.kept; grep -v '^#' /etc/resolv.conf; grep workstation-7 /etc/hosts; \
                  test $$ != 1 && echo 'not the first'; read line || echo 'no input'";
    let capture = shell(&engine, script).await;
    assert_eq!(capture.outcome, Outcome::Exited { code: 0 }, "{}", capture.stderr.text());
    let said = capture.stdout.text().into_owned();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines[..10],
        [
            "workstation-7",
            "ada",
            "1234",
            "1235",
            "/workspace",
            "JST",
            "/usr/share/zoneinfo/Asia/Tokyo",
            "1",
            "{}",
            "ada 644 1735689600"
        ]
    );
    assert!(lines.contains(&"search corp.example"), "{said}");
    assert!(said.contains("127.0.1.1") && said.contains("not the first") && said.contains("no input"), "{said}");
    assert!(capture.started_unix_ms > 1_600_000_000_000 && capture.wall.as_f64() > 0.0);
    engine.close().await;
    assert_eq!(containers(&options.run), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_changed_are_reported_and_only_those() {
    let Some((engine, _)) = open(bare()).await else { return };
    let script = "echo new > /workspace/new; mkdir -p ~/.cache/deep; echo x > ~/.cache/deep/x; echo '{\"a\":1}' > ~/.settings; \
                  echo t > /tmp/t; rm /tmp/t; mkdir /tmp/empty; touch /var/tmp/elsewhere";
    let capture = shell(&engine, script).await;
    let found: Vec<(&str, Change)> = capture.files.iter().map(|file| (file.path.as_str(), file.change)).collect();
    assert_eq!(
        found,
        [
            ("/home/ada/.cache/deep/x", Change::Added),
            ("/home/ada/.settings", Change::Modified),
            ("/tmp/empty", Change::Added),
            ("/workspace/new", Change::Added),
        ],
        "{}",
        capture.stderr.text()
    );
    let capture = shell(&engine, "rm ~/.kept; test ! -e ~/.cache && test ! -e /workspace/new && echo fresh").await;
    assert_eq!(capture.stdout.text(), "fresh\n", "nothing of the cell before is left");
    let found: Vec<(&str, Change)> = capture.files.iter().map(|file| (file.path.as_str(), file.change)).collect();
    assert_eq!(found, [("/home/ada/.kept", Change::Deleted)]);
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_is_reported_as_what_it_is() {
    let Some((engine, _)) = open(bare()).await else { return };
    assert_eq!(shell(&engine, "exit 3").await.outcome, Outcome::Exited { code: 3 });
    assert_eq!(shell(&engine, "kill -9 $$").await.outcome, Outcome::Signalled { signal: 9 });
    assert_eq!(shell(&engine, "kill -TERM $$").await.outcome, Outcome::Signalled { signal: 15 });

    let mut hang = job(&["sleep", "1000"]);
    hang.timeout = Duration::from_secs(1);
    let began = Instant::now();
    assert_eq!(engine.run(0, &hang).await.unwrap().outcome, Outcome::TimedOut);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());

    let hog = "perl -e '$x = \"x\" x (1 << 20); push @keep, $x . $_ for 1..4096'";
    assert_eq!(shell(&engine, hog).await.outcome, Outcome::MemoryLimit);

    let mut bomb = job(&["bash", "-c", "bomb() { bomb | bomb & }; bomb; sleep 1000"]);
    bomb.timeout = Duration::from_secs(3);
    assert_eq!(engine.run(0, &bomb).await.unwrap().outcome, Outcome::ProcessLimit);
    // The shell gives up as soon as it cannot fork.
    let gives_up = "while true; do sleep 1000 & done";
    assert_eq!(shell(&engine, gives_up).await.outcome, Outcome::ProcessLimit);
    assert_eq!(shell(&engine, "true").await.outcome, Outcome::Exited { code: 0 }, "the next cell is not blamed");

    let flood = shell(&engine, "head -c 3000000 /dev/zero; echo end >&2").await;
    assert_eq!(flood.outcome, Outcome::Exited { code: 0 });
    assert_eq!((flood.stdout.bytes.len(), flood.stderr.text().as_ref()), (1 << 20, "end\n"));

    let missing = engine.run(0, &job(&["no-such-program"])).await.unwrap_err();
    assert!(missing.to_string().contains("no-such-program"), "{missing}");
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cpu_time_is_the_agents_own() {
    let Some((engine, _)) = open(bare()).await else { return };
    let busy = shell(&engine, "perl -e 'until ((times)[0] > 0.7) { $n++ for 1..100000 }'").await;
    let idle = shell(&engine, "sleep 0.7").await;
    if let (Some(busy), Some(idle)) = (busy.cpu, idle.cpu) {
        assert!((0.6..1.5).contains(&busy.as_f64()), "busy: {busy:?}");
        assert!(idle.as_f64() < 0.3, "idle: {idle:?}");
        assert!(engine.facts().cgroup_version == "1" || engine.facts().cgroup_version == "2");
    }
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_end_at_the_gateway_and_the_canary_finds_no_way_out() {
    let Some((engine, _)) = open(bare()).await else { return };
    canary::run(&engine, 0).await.expect("the pod is closed");
    let script = "exec 3<>/dev/tcp/api.vendor.example/80; \
                  printf 'GET /path?q=1 HTTP/1.1\\r\\nHost: api.vendor.example\\r\\nX-Odd-Case: 1\\r\\nConnection: close\\r\\n\\r\\n' >&3; \
                  head -1 <&3; exec 4<>/dev/tcp/203.0.113.9/80; printf 'GET /direct HTTP/1.0\\r\\n\\r\\n' >&4; head -1 <&4";
    for _ in 0..2 {
        let capture = engine.run(0, &job(&["bash", "-c", script])).await.unwrap();
        let targets: Vec<&str> = capture.exchanges.iter().map(|exchange| exchange.target.as_str()).collect();
        assert_eq!(targets, ["/path?q=1", "/direct"], "{:?} {}", capture.outcome, capture.stderr.text());
        assert_eq!(capture.exchanges[0].host, "api.vendor.example");
        assert!(capture.exchanges[0].headers.iter().any(|(name, _)| name == "X-Odd-Case"));
        assert!(capture.exchanges[1].dialled.starts_with("203.0.113.9:80"), "{:?}", capture.exchanges[1].dialled);
        assert!(capture.dns.iter().any(|question| question.name == "api.vendor.example"), "{:?}", capture.dns);
    }
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_built_once_with_its_scripts_run_in_a_closed_build() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("bin")).unwrap();
    std::fs::create_dir_all(root.path().join("lib")).unwrap();
    std::fs::write(root.path().join("lib/agent"), "#!/bin/sh\ncat \"$(dirname \"$0\")/../made\"\n").unwrap();
    Command::new("chmod").arg("755").arg(root.path().join("lib/agent")).status().unwrap();
    std::os::unix::fs::symlink("../lib/agent", root.path().join("bin/agent")).unwrap();
    let target = Installed {
        root: Some(root.path().to_owned()),
        search: vec![String::from("/opt/target/bin")],
        variables: BTreeMap::from([(String::from("FLAVOUR"), String::from("of the script"))]),
        scripts: vec![InstallScript {
            folder: String::from("/opt/target"),
            command: String::from(
                "echo \"$FLAVOUR $(ls /sys/class/net)\" > made; echo changed >> lib/agent; command -v agent >> made",
            ),
        }],
        digest: format!("test-{:08x}", rand::random::<u32>()),
        facts: TargetFacts { executable: Some(String::from("/opt/target/bin/agent")), ..TargetFacts::default() },
        ..bare()
    };
    let Some((engine, first)) = open(target.clone()).await else { return };
    let facts = engine.target();
    assert_eq!(facts.executable.as_deref(), Some("/opt/target/lib/agent"), "links are followed");
    let body = "#!/bin/sh\ncat \"$(dirname \"$0\")/../made\"\nchanged\n";
    assert_eq!(
        facts.executable_sha256,
        Some(parallax::capture::Body::new(body.as_bytes().to_vec()).sha256().to_owned())
    );
    let mut asks = job(&["sh", "-c", "sh /opt/target/lib/agent; touch /opt/target/x || echo closed"]);
    asks.environment.variables.insert(String::from("PATH"), String::from("/opt/target/bin:/usr/bin:/bin"));
    let capture = engine.run(0, &asks).await.unwrap();
    assert_eq!(capture.stdout.text(), "of the script lo\n/opt/target/bin/agent\nclosed\n");
    engine.close().await;

    let began = Instant::now();
    let (again, second) = open(target).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(again.target(), facts);
    again.close().await;
    let filter = format!("label={LABEL}={}", first.run);
    let images = Command::new("docker").args(["images", "-q", "--filter", &filter]).output().unwrap();
    let built = String::from_utf8_lossy(&images.stdout).into_owned();
    assert!(!built.trim().is_empty(), "the first run's label is on what it built");
    let filter = format!("label={LABEL}={}", second.run);
    let images = Command::new("docker").args(["images", "-q", "--filter", &filter]).output().unwrap();
    assert!(images.stdout.is_empty(), "the second run built nothing");
    for image in built.split_whitespace() {
        Command::new("docker").args(["rmi", image]).output().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_had_is_named() {
    let image = Some(String::from("no-such-image-of-parallax:1"));
    let _guard = OPENING.lock().await;
    if !answers().await {
        return;
    }
    let cache = std::env::temp_dir().join("parallax-test-cache");
    let refused = Docker::open(options(Installed { image, ..bare() }, &cache)).await.unwrap_err();
    assert!(matches!(refused, EngineError::NoTarget { key: "image", .. }), "{refused:?}");
    assert!(refused.to_string().contains("no-such-image-of-parallax:1"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_a_cell_under_way_and_leaves_nothing() {
    let Some((engine, options)) = open(bare()).await else { return };
    let hang = job(&["sleep", "1000"]);
    let (ended, ()) = tokio::join!(engine.run(0, &hang), async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(containers(&options.run).len() >= 2, "a gateway and an agent");
        engine.close().await;
    });
    assert!(matches!(ended, Err(EngineError::Cancelled)), "{ended:?}");
    assert_eq!(containers(&options.run), Vec::<String>::new());
    engine.close().await;
    assert!(matches!(engine.run(0, &hang).await, Err(EngineError::Cancelled)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_dies_is_replaced() {
    let Some((engine, options)) = open(bare()).await else { return };
    shell(&engine, "true").await;
    for container in containers(&options.run) {
        Command::new("docker").args(["kill", &container]).output().unwrap();
    }
    let lost = engine.run(0, &job(&["true"])).await;
    assert!(matches!(lost, Err(EngineError::Failed { .. })), "{lost:?}");
    assert_eq!(shell(&engine, "true").await.outcome, Outcome::Exited { code: 0 });
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_run_left_is_swept_and_what_lives_is_not() {
    let Some((engine, options)) = open(bare()).await else { return };
    shell(&engine, "true").await;
    // The agent's container may go at any moment; the gateway's stays.
    let told = containers(&options.run).into_iter().find_map(|container| {
        let format = "{{index .Config.Labels \"dev.parallax.owner\"}} {{.Config.Image}}";
        let inspected = Command::new("docker").args(["inspect", "--format", format, &container]).output().unwrap();
        let text = String::from_utf8_lossy(&inspected.stdout).trim().to_owned();
        text.split_once(' ').map(|(owner, image)| (owner.to_owned(), image.to_owned()))
    });
    let (owner, image) = told.expect("a live run has a gateway");
    // A process that was started in another tick than ours.
    let dead = format!("{}/1", owner.rsplit_once('/').unwrap().0);
    for (run, owner) in [("deadrun1", dead.as_str()), ("elsewhere", "0000/0000/0/1/1")] {
        let labels = [format!("{LABEL}={run}"), format!("dev.parallax.owner={owner}")];
        let made = Command::new("docker")
            .args(["create", "--network", "none", "--label", &labels[0], "--label", &labels[1], &image, "true"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let (other, _) = open(bare()).await.unwrap();
    assert_eq!(containers("deadrun1"), Vec::<String>::new());
    let elsewhere = containers("elsewhere");
    assert!(!elsewhere.is_empty(), "of another machine: not ours to judge");
    for container in elsewhere {
        Command::new("docker").args(["rm", "-f", &container]).output().unwrap();
    }
    assert_eq!(shell(&engine, "true").await.outcome, Outcome::Exited { code: 0 }, "the live run was not hurt");
    other.close().await;
    engine.close().await;
}

/// A whole run of an agent that is an image: what it does with a variable is found, and the image is the target.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_run_from_scenario_to_findings() {
    // Once an engine is open, the base image is here under one of its names.
    let Some((engine, _)) = open(bare()).await else { return };
    engine.close().await;
    let there = |name: &&&str| {
        Command::new("docker").args(["image", "inspect", name]).output().is_ok_and(|o| o.status.success())
    };
    let named = std::env::var(parallax::engine::docker::BASE_VARIABLE).unwrap_or_default();
    let candidates = [named.as_str(), "debian:bookworm-slim", "parallax-base:bookworm"];
    let base = *candidates.iter().filter(|name| !name.is_empty()).find(there).expect("a base image");
    let place = tempfile::tempdir().expect("a folder");
    let scenario = place.path().join("image.toml");
    let script = r#"exec 3<>/dev/tcp/api.vendor.example/80; body="{\"q\":\"$([ "$MODE" = fast ] && echo quick || echo slow)\"}"
printf 'POST /v1/ask HTTP/1.1\r\nHost: api.vendor.example\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' "${#body}" "$body" >&3
cat <&3 > /dev/null"#;
    let text = format!(
        "name = 'image'\n[target]\nimage = '{base}'\ncommand = ['bash', '-c', {}]\ntimeout = '30s'\n\
         [factors.mode]\nkind = 'env'\nvariable = 'MODE'\nlevels = ['plain', 'fast']\n\
         [factors.timezone]\nlevels = ['UTC', 'Asia/Tokyo']\n[design]\nbudget = 60\n",
        serde_json::Value::from(script)
    );
    std::fs::write(&scenario, text).expect("written");
    let out = place.path().join("run");
    let output = Command::new(env!("CARGO_BIN_EXE_parallax"))
        .args(["run", "--engine", "docker", "--quick", "--seed", "3", "-q", "--out"])
        .args([&out, &scenario])
        .output()
        .expect("it runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said}");
    let json = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(out.join(name)).expect("there")).expect("JSON")
    };
    let findings = json("findings.json");
    let findings = findings["findings"].as_array().expect("findings").clone();
    assert!(
        !findings.is_empty() && findings.iter().all(|found| found["factors"] == serde_json::json!(["mode"])),
        "{said}"
    );
    let manifest = json("manifest.json");
    assert_eq!(manifest["target"]["package"], base, "{manifest:#}");
    assert!(manifest["engine"].as_str().is_some_and(|engine| engine.starts_with("docker")), "{manifest:#}");
}

/// Not a check: prints what one cell costs. `cargo test --test docker -- --ignored --nocapture cost`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn cost_of_a_cell() {
    let Some((engine, _)) = open(bare()).await else { return };
    shell(&engine, "true").await;
    let cpu = || {
        let text = std::fs::read_to_string("/proc/stat").unwrap();
        let ticks: Vec<u64> =
            text.lines().next().unwrap().split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect();
        (ticks[0] + ticks[1] + ticks[2]) * 10
    };
    let (mut walls, mut agents) = (Vec::new(), Vec::new());
    let (began, before) = (Instant::now(), cpu());
    for _ in 0..21 {
        let began = Instant::now();
        let capture = engine.run(0, &job(&["/bin/true"])).await.unwrap();
        walls.push(began.elapsed().as_millis());
        agents.push(capture.cpu.map_or(0.0, parallax::capture::Seconds::as_f64) * 1e3);
    }
    let spent = cpu() - before;
    walls.sort_unstable();
    agents.sort_by(f64::total_cmp);
    println!(
        "median {} ms wall, {} ms CPU of the whole machine a cell, {:.1} ms of it the agent's; {:.1} s in all",
        walls[10],
        spent / 21,
        agents[10],
        began.elapsed().as_secs_f64()
    );
    engine.close().await;
}

/// Runs the first scenario's real agent, downloaded from its registry: `PARALLAX_VERSION=2.1.198 cargo test --test docker --
/// --ignored --nocapture published`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "downloads a published agent"]
async fn a_published_agent_reaches_the_stub() {
    let version = std::env::var("PARALLAX_VERSION").unwrap_or_else(|_| String::from("2.1.91"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/claude-code.toml");
    let scenario = parallax::scenario::load(&path, &[format!("target.version={version}")]).expect("the scenario");
    let cache = parallax::engine::target::cache_folder();
    let notice = |line: String| println!("{line}");
    let target = parallax::engine::target::install(&scenario.target, &cache, &notice).await.expect("installed");
    let mut options = options(target.clone(), &cache);
    options.slots = 2;
    options.limits = scenario.target.limits;
    options.ports = scenario.urls_ports();
    let context = parallax::engine::environment::Context {
        ca_certificate_pem: options.authority.certificate_pem.clone(),
        search: target.search.clone(),
        variables: target.variables.clone(),
        resolver: None,
    };
    let began = Instant::now();
    let engine = Docker::open(options).await.expect("the engine opens");
    println!("open: {:.1?}; {:?}", began.elapsed(), engine.target());
    canary::run(&engine, 0).await.expect("the pod is closed");
    let factors = scenario.factors.len();
    let mut captures = Vec::new();
    let began = Instant::now();
    for pair in 0..6_u16 {
        let jobs = [0, 1].map(|slot| {
            let mut levels = parallax::cell::Assignment::baseline(factors);
            for (factor, known) in scenario.factors.iter().enumerate() {
                levels = levels.with(factor, (pair + slot) % u16::try_from(known.levels.len()).unwrap());
            }
            Job {
                cell: CellId::nth(usize::from(2 * pair + slot)),
                levels: levels.clone(),
                environment: parallax::engine::environment::realise(&scenario, &levels, &context),
                limits: scenario.target.limits,
                timeout: scenario.target.timeout,
            }
        });
        let (left, right) = tokio::join!(engine.run(0, &jobs[0]), engine.run(1, &jobs[1]));
        for capture in [left.unwrap(), right.unwrap()] {
            println!(
                "{:?} {:.2} s wall {:.2} s CPU, {:?}, {} files, said {:?}",
                capture.outcome,
                capture.wall.as_f64(),
                capture.cpu.unwrap_or_default().as_f64(),
                capture.exchanges.iter().map(|e| format!("{} {}{}", e.method, e.host, e.target)).collect::<Vec<_>>(),
                capture.files.len(),
                capture.stdout.text().trim()
            );
            captures.push(capture);
        }
    }
    println!("{} cells in {:.1?}", captures.len(), began.elapsed());
    engine.close().await;
    for capture in captures {
        assert_eq!(capture.outcome, Outcome::Exited { code: 0 }, "{}", capture.stderr.text());
        assert!(capture.exchanges.iter().any(|exchange| exchange.target.starts_with("/v1/messages")));
    }
}
