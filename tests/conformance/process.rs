//! How a process ended, what it printed, and what it left.

use parallax::capture::{Change, Outcome};
use parallax::engine::{Engine, EngineError};

use crate::harness::{environment, job, output, run};

pub(crate) async fn ends_are_reported_as_they_are(engine: &dyn Engine) {
    let capture = run(engine, "exit 0").await;
    assert_eq!(capture.outcome, Outcome::Exited { code: 0 });
    assert!(capture.started_unix_ms > 1_700_000_000_000);
    assert!(capture.exchanges.is_empty() && capture.dns.is_empty() && capture.connections.is_empty());
    assert_eq!(run(engine, "exit 42").await.outcome, Outcome::Exited { code: 42 });
    let capture = run(engine, "trap - SEGV; (kill -SEGV $BASHPID); echo $?; sh -c 'kill -USR1 $$'; echo $?").await;
    assert_eq!(capture.stdout.text(), "139\n138\n");
}

pub(crate) async fn output_is_kept_and_cut(engine: &dyn Engine) {
    let capture = run(engine, "echo out; echo err >&2; printf '\\377\\0x'").await;
    assert_eq!(&*capture.stdout.bytes, b"out\n\xff\0x");
    assert_eq!(&*capture.stderr.bytes, b"err\n");
    let capture = run(engine, "head -c 5000000 /dev/zero | tr '\\0' x; echo end >&2").await;
    assert_eq!(capture.outcome, Outcome::Exited { code: 0 });
    assert_eq!(capture.stdout.bytes.len(), 1 << 20);
    assert_eq!(capture.stderr.text(), "end\n");
}

pub(crate) async fn changed_files_are_reported(engine: &dyn Engine) {
    let script = r#"
        mkdir -p ~/.cache/agent && echo x > ~/.cache/agent/log
        echo more >> README.md
        rm ~/.config/agent/settings.json
        touch /tmp/made "new file"
        mkdir empty
        echo gone > /tmp/gone && rm /tmp/gone
    "#;
    let capture = run(engine, script).await;
    let of = |wanted: Change| -> Vec<&str> {
        capture.files.iter().filter(|file| file.change == wanted).map(|file| file.path.as_str()).collect()
    };
    let added = ["/home/alice/.cache/agent/log", "/tmp/made", "/workspace/empty", "/workspace/new file"];
    assert_eq!(of(Change::Added), added);
    assert_eq!(of(Change::Modified), ["/workspace/README.md"]);
    assert_eq!(of(Change::Deleted), ["/home/alice/.config/agent/settings.json"]);
    assert!(run(engine, "cat README.md; ls -R ~").await.files.is_empty());
}

pub(crate) async fn a_command_that_is_not_there_is_said_to_be(engine: &dyn Engine) {
    let mut cell = environment("");
    cell.command = vec!["no-such-program".to_owned()];
    match engine.run(0, &job("c0001", cell)).await {
        Err(EngineError::Failed { message, .. } | EngineError::Missing(message)) => {
            assert!(message.contains("no-such-program"), "{message}");
        }
        // Where a container engine's init starts the program, that is who fails, as a shell would.
        Ok(capture) => {
            assert_eq!(capture.outcome, Outcome::Exited { code: 127 });
            assert!(capture.stderr.text().contains("no-such-program"), "{}", capture.stderr.text());
        }
        Err(error) => panic!("{error}"),
    }
    assert_eq!(output(engine, "echo next").await, "next\n");
}

pub(crate) async fn the_agent_starts_clean(engine: &dyn Engine) {
    let script = r#"
        umask
        ulimit -c
        read -r line; echo "read $?"
        for fd in 3 4 5 6 7 8 9; do [ -e "/proc/$$/fd/$fd" ] && echo "inherited $fd"; done
        tty
    "#;
    let text = run(engine, script).await.stdout.text().into_owned();
    assert!(text.starts_with("0022\n") && text.ends_with("read 1\nnot a tty\n"), "{text}");
    assert!(!text.contains("inherited"), "{text}");
    let mut cell = environment("");
    cell.command = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"].map(str::to_owned).to_vec();
    let capture = engine.run(0, &job("c0001", cell)).await.unwrap();
    assert_eq!(capture.stdout.text(), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

pub(crate) async fn what_is_left_running_is_ended(engine: &dyn Engine) {
    let started = std::time::Instant::now();
    let script = "(trap '' TERM HUP INT; setsid sleep 300; setsid sleep 300) & sleep 0.1; echo gone";
    assert_eq!(output(engine, script).await, "gone\n");
    assert!(started.elapsed() < std::time::Duration::from_secs(10));
}
