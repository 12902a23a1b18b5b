//! Limits end what they must end, and say which it was.

use std::time::{Duration, Instant};

use parallax::capture::Outcome;
use parallax::engine::Engine;

use crate::harness::{environment, job, output};

pub(crate) async fn a_hang_ends_at_its_deadline(engine: &dyn Engine) {
    let mut hang = job("c0001", environment("trap '' TERM INT HUP; echo waiting; while :; do sleep 100; done"));
    hang.timeout = Duration::from_secs(1);
    let started = Instant::now();
    let capture = engine.run(0, &hang).await.unwrap();
    assert_eq!(capture.outcome, Outcome::TimedOut);
    assert_eq!(capture.stdout.text(), "waiting\n");
    assert!((0.9..4.0).contains(&capture.wall.as_f64()), "{:?}", capture.wall);
    assert!(started.elapsed() < Duration::from_secs(15));
    assert_eq!(output(engine, "echo next").await, "next\n");
}

pub(crate) async fn a_memory_hog_ends_at_its_limit(engine: &dyn Engine) {
    // `tail` keeps the last line, which never ends.
    let mut hog = job("c0001", environment("exec tail /dev/zero"));
    hog.limits.memory_bytes = 100 << 20;
    let capture = engine.run(0, &hog).await.unwrap();
    assert_eq!(capture.outcome, Outcome::MemoryLimit);
    assert!(capture.wall.as_f64() < 20.0, "{:?}", capture.wall);
    assert_eq!(output(engine, "echo next").await, "next\n");
}

pub(crate) async fn a_fork_bomb_ends_at_its_limit(engine: &dyn Engine) {
    let mut bomb = job("c0001", environment("bomb() { bomb | bomb & wait; }; while :; do bomb; done"));
    bomb.limits.processes = 64;
    bomb.timeout = Duration::from_secs(3);
    let started = Instant::now();
    let capture = engine.run(0, &bomb).await.unwrap();
    assert_eq!(capture.outcome, Outcome::ProcessLimit, "{}", capture.stderr.text());
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(output(engine, "echo next").await, "next\n");
}

/// What a cell costs beside its agent. Printed; the bound is generous, since other tests run at the same time.
pub(crate) async fn cells_cost_milliseconds(engine: &dyn Engine) {
    let mut cell = environment("");
    cell.command = vec!["/bin/true".to_owned()];
    let mut walls = Vec::new();
    for _ in 0..30 {
        let started = Instant::now();
        engine.run(0, &job("c0001", cell.clone())).await.unwrap();
        walls.push(started.elapsed());
    }
    walls.sort();
    println!("/bin/true: median {:?}, fastest {:?}, slowest {:?}", walls[15], walls[0], walls[29]);
    assert!(walls[15] < Duration::from_millis(500), "{walls:?}");
}
