//! What an agent must not reach: the gateway, other cells, the host.

use parallax::capture::Outcome;
use parallax::engine::{Engine, canary};

use crate::harness::{FETCH, output, run};

pub(crate) async fn the_canary_flies(engine: &dyn Engine) {
    for slot in 0..2 {
        canary::run(engine, slot).await.unwrap();
    }
}

pub(crate) async fn the_agent_has_no_power(engine: &dyn Engine) {
    let script = r#"
        grep -E '^(Cap|NoNewPrivs|Groups)' /proc/self/status
        if unshare -U true 2> /dev/null; then echo "made a user namespace"; fi
        word=gate
        for pid in /proc/[0-9]*; do
            pid=${pid#/proc/}
            case $(tr '\0' ' ' < "/proc/$pid/cmdline") in *${word}way*) echo "sees it as $pid" ;; esac
        done
        # A container engine's own init has nothing that the agent was not given itself.
        if [ $$ != 1 ] && [ "$(cat /proc/1/comm)" != docker-init ]; then
            for file in environ mem maps; do
                if head -c 1 "/proc/1/$file" 2> /dev/null | grep -q .; then echo "read /proc/1/$file"; fi
            done
            ls /proc/1/fd /proc/1/root > /dev/null 2>&1 && echo "looked into /proc/1"
        fi
        (: > /dev/mem) 2> /dev/null && echo "opened memory"
        echo done
    "#;
    let text = output(engine, script).await;
    let (status, rest) = text.split_at(text.rfind("NoNewPrivs").unwrap());
    assert_eq!(status.lines().filter(|line| line.starts_with("Cap")).count(), 5, "{text}");
    for line in status.lines().filter(|line| line.starts_with("Cap")) {
        assert!(line.ends_with("\t0000000000000000"), "{text}");
    }
    assert_eq!(rest, "NoNewPrivs:\t1\ndone\n", "{text}");
}

pub(crate) async fn the_gateway_survives_an_agent_that_kills_everything(engine: &dyn Engine) {
    let capture = run(engine, "kill -KILL -1; kill -KILL 1; sleep 0.1; echo still here; kill -KILL $$").await;
    // As process 1 of its namespace an agent cannot even kill itself.
    let ends = [Outcome::Signalled { signal: 9 }, Outcome::Exited { code: 0 }, Outcome::Exited { code: 1 }];
    assert!(ends.contains(&capture.outcome), "{:?}", capture.outcome);
    let capture = run(engine, &format!("{FETCH} fetch after.example 80 /after")).await;
    assert_eq!(capture.exchanges.len(), 1);
    assert_eq!(capture.exchanges[0].target, "/after");
}

pub(crate) async fn the_host_is_invisible(engine: &dyn Engine) {
    let secret = tempfile::Builder::new().prefix("host-secret").tempdir().unwrap();
    std::fs::write(secret.path().join("key"), "secret").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(secret.path().join("socket")).unwrap();
    let home = std::env::var("HOME").unwrap_or_default();
    let here = std::env::current_dir().unwrap();
    let script = format!(
        r#"
        ls -A /home /root /run /var/run /mnt /media /srv /var/lib /tmp 2> /dev/null
        for place in {secret} {here}/Cargo.toml {home}/.bashrc {home}/.cargo {home}/.ssh /etc/ssh \
            /run/docker.sock /var/run/docker.sock /run/user /var/lib/docker /.old /.stage /host; do
            [ -e "$place" ] && [ "$place" != // ] && echo "sees $place"
        done
        [ -r /etc/shadow ] && echo "reads /etc/shadow"
        find / -xdev -maxdepth 1 -name '.*' -not -name .dockerenv
        find / -type s 2> /dev/null
        echo done
        "#,
        secret = secret.path().display(),
        here = here.display(),
    );
    let text = output(engine, &script).await;
    let rest: Vec<&str> = text
        .lines()
        // Of an image or of every machine, and empty.
        .filter(|line| !(line.is_empty() || line.ends_with(':') || ["alice", "lock", "done"].contains(line)))
        .filter(|line| !["apt", "dpkg", "misc", "pam", "systemd", "shells.state", "mount"].contains(line))
        .collect();
    assert!(rest.is_empty(), "{rest:?}\n{text}");
}

pub(crate) async fn cells_do_not_see_each_others_files(engine: &dyn Engine) {
    let places = "~ . /tmp /var/tmp /dev/shm";
    let write = format!("for place in {places}; do echo trace > $place/left-behind || exit 1; done; echo written");
    assert_eq!(output(engine, &write).await, "written\n");
    let look = format!(
        "for place in {places}; do [ -e $place/left-behind ] && echo $place; done; ipcs -m 2>/dev/null | grep -c 0x; true"
    );
    for _ in 0..2 {
        assert_eq!(output(engine, &look).await.trim_end_matches("0\n"), "");
    }
}
