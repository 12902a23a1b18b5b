//! The engine against small shell programs that do what they should not.

use super::*;
use crate::capture::Outcome;
use crate::cell::{Assignment, CellId};
use crate::engine::environment::Environment;
use crate::scenario::{Limits, parse};

const SCENARIO: &str = r#"
name = "x"
[target]
npm = "@nobody/agent"
version = "1.0.0"
command = ["agent"]
prompt = "hi"
[stub]
script = [{ text = "OK" }]
[factors.region]
kind = "env"
variable = "REGION"
levels = ["a", "b"]
"#;

/// Reads a line, and cuts the cell's name out of it.
const ASK: &str = r#"read line; cell=$(printf '%s' "$line" | cut -d'"' -f4)"#;

/// An engine whose program is this shell script, and what a timeout leaves time for.
fn engine(script: &str) -> (tempfile::TempDir, External) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("program.sh");
    std::fs::write(&path, script).unwrap();
    let program = Program::find(&format!("sh {}", path.display())).unwrap();
    let scenario = parse(SCENARIO, "x.toml", std::path::Path::new("."), &[]).unwrap();
    let mut engine = External::new(program, &scenario, 7);
    engine.slack = Duration::from_millis(600);
    (place, engine)
}

fn job(n: usize, timeout: Duration) -> Job {
    Job {
        cell: CellId::nth(n),
        levels: Assignment(vec![1]),
        environment: Environment::default(),
        limits: Limits { memory_bytes: 1, processes: 1 },
        timeout,
    }
}

async fn failure(engine: &External, n: usize) -> String {
    engine.run(0, &job(n, Duration::from_secs(20))).await.unwrap_err().to_string()
}

#[tokio::test]
async fn answers_come_in_any_order_and_are_of_their_cell() {
    let script = format!(
        "{ASK}; first=$cell\n{ASK}\nfor c in $cell $first; do echo \"{{\\\"cell\\\":\\\"$c\\\",\\\"stdout\\\":\\\"$c\\\",\\\"exit\\\":3}}\"; done; cat"
    );
    let (_place, engine) = engine(&script);
    let (one, two) = (job(1, Duration::from_secs(20)), job(2, Duration::from_secs(20)));
    let (one, two) = tokio::join!(engine.run(0, &one), engine.run(1, &two));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((one.stdout.text(), two.stdout.text()), ("c0001".into(), "c0002".into()));
    assert_eq!(one.outcome, Outcome::Exited { code: 3 });
    assert!(one.started_unix_ms > 1_700_000_000_000, "the time of asking where nothing is said");
    engine.close().await;
    engine.close().await;
}

#[tokio::test]
async fn a_program_that_dies_is_quoted_and_started_again() {
    // The first life ends at its first cell; the file tells the lives apart.
    let script = format!(
        "mark=\"$0.lived\"\n{ASK}\nif [ ! -e \"$mark\" ]; then touch \"$mark\"; echo 'no room left' >&2; exit 7; fi\necho \"{{\\\"cell\\\":\\\"$cell\\\"}}\"; cat"
    );
    let (_place, engine) = engine(&script);
    let error = failure(&engine, 1).await;
    assert!(error.contains("exit status: 7") && error.contains("no room left"), "{error}");
    engine.run(0, &job(1, Duration::from_secs(20))).await.unwrap();
    engine.close().await;
}

#[tokio::test]
async fn garbage_is_named_by_its_line() {
    let (_place, engine) = engine(&format!("echo warning >&2; echo; echo 'starting up'; {ASK}; sleep 20"));
    let error = failure(&engine, 1).await;
    assert!(error.contains("line 2 of its standard output is no answer"), "{error}");
    assert!(error.contains("`starting up`") && error.contains("warning"), "{error}");
    engine.close().await;
}

#[tokio::test]
async fn a_bad_line_that_names_its_cell_fails_that_cell_alone() {
    let script = format!(
        "{ASK}; echo \"{{\\\"cell\\\":\\\"$cell\\\",\\\"exit\\\":\\\"zero\\\"}}\"\n{ASK}; echo \"{{\\\"cell\\\":\\\"$cell\\\",\\\"error\\\":\\\"no machine was free\\\"}}\"\n{ASK}; echo \"{{\\\"cell\\\":\\\"$cell\\\"}}\"; cat"
    );
    let (_place, engine) = engine(&script);
    let error = failure(&engine, 1).await;
    assert!(error.contains("line 1") && error.contains("zero"), "{error}");
    let error = failure(&engine, 2).await;
    assert!(error.contains("could not run c0002: no machine was free"), "{error}");
    engine.run(0, &job(3, Duration::from_secs(20))).await.unwrap();
    engine.close().await;
}

#[tokio::test]
async fn a_second_answer_and_a_stranger_are_failures() {
    let twice =
        format!("{ASK}; echo \"{{\\\"cell\\\":\\\"$cell\\\"}}\"; echo \"{{\\\"cell\\\":\\\"$cell\\\"}}\"; sleep 20");
    let (_place, engine) = engine(&twice);
    engine.run(0, &job(1, Duration::from_secs(20))).await.unwrap();
    let error = failure(&engine, 2).await;
    assert!(error.contains("line 2 of its standard output answers cell c0001 a second time"), "{error}");
    engine.close().await;

    let (_place, engine) = self::engine(&format!("{ASK}; echo '{{\"cell\":\"c0099\"}}'; sleep 20"));
    let error = failure(&engine, 1).await;
    assert!(error.contains("answers cell \"c0099\", which it was not asked for"), "{error}");
    engine.close().await;
}

#[tokio::test]
async fn an_answer_that_never_comes_is_given_up_and_may_come_late() {
    let script = format!(
        "{ASK}; late=$cell\n{ASK}; echo \"{{\\\"cell\\\":\\\"$late\\\"}}\"; echo \"{{\\\"cell\\\":\\\"$cell\\\"}}\"; cat"
    );
    let (_place, engine) = engine(&script);
    let error = engine.run(0, &job(1, Duration::from_millis(200))).await.unwrap_err().to_string();
    assert!(error.contains("did not answer c0001 within 0.8 s"), "{error}");
    engine.run(0, &job(2, Duration::from_secs(20))).await.unwrap();
    engine.close().await;
}
