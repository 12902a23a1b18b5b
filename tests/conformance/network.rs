//! Everything that an agent dials ends at its slot's gateway, and only there.

use std::time::Duration;

use parallax::capture::{Exchange, Outcome};
use parallax::engine::Engine;

use crate::harness::{FETCH, environment, job, output, run};

fn seen(exchanges: &[Exchange]) -> Vec<(String, u16, String)> {
    let mut seen: Vec<_> = exchanges.iter().map(|e| (e.host.clone(), e.port, e.target.clone())).collect();
    seen.sort();
    seen
}

pub(crate) async fn every_name_and_address_ends_at_the_gateway(engine: &dyn Engine) {
    let script = format!(
        r"{FETCH}
        fetch api.vendor.example 80 /by-name
        fetch telemetry.somewhere.example 443 /by-name-443
        fetch 203.0.113.77 80 /by-address
        fetch 8.8.8.8 443 /by-address-443
        fetch 10.0.0.1 8080 /by-port
        getent ahosts only.asked.example
        "
    );
    let capture = run(engine, &script).await;
    let text = capture.stdout.text().into_owned();
    assert_eq!(
        text.lines().filter(|line| line.starts_with("HTTP/1.1 ")).count(),
        5,
        "{text}\n{}",
        capture.stderr.text()
    );
    assert!(text.contains("STREAM only.asked.example"), "{text}");
    let expected = [
        ("10.0.0.1", 8080, "/by-port"),
        ("203.0.113.77", 80, "/by-address"),
        ("8.8.8.8", 443, "/by-address-443"),
        ("api.vendor.example", 80, "/by-name"),
        ("telemetry.somewhere.example", 443, "/by-name-443"),
    ];
    let ports: Vec<(String, String)> =
        seen(&capture.exchanges).into_iter().map(|(host, _, target)| (host, target)).collect();
    assert_eq!(ports, expected.map(|(host, _, target)| (host.to_owned(), target.to_owned())));
    for exchange in &capture.exchanges {
        let port = expected.iter().find(|(.., target)| *target == exchange.target).unwrap().1;
        assert!(exchange.dialled.ends_with(&format!(":{port}")), "{exchange:?}");
    }
    for name in ["api.vendor.example", "telemetry.somewhere.example", "only.asked.example"] {
        assert!(capture.dns.iter().any(|question| question.name == name), "{name}: {:?}", capture.dns);
    }
}

pub(crate) async fn nothing_else_answers(engine: &dyn Engine) {
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        r#"
        for place in 203.0.113.77/81 8.8.8.8/22 127.0.0.1/{port} 172.17.0.1/{port} 10.0.0.1/{port}; do
            (exec 3<>"/dev/tcp/$place") 2> /dev/null && echo "reached $place"
        done
        grep -v -E 'lo:|Inter|face' /proc/net/dev
        echo done
        "#
    );
    assert_eq!(output(engine, &script).await, "done\n");
    assert!(listener.accept().is_err(), "the pod reached a listener of this machine");
}

pub(crate) async fn parallel_slots_do_not_mix(engine: &dyn Engine) {
    let script = |token: &str| {
        let script = format!("{FETCH} for i in 1 2 3 4 5; do fetch same.host.example 80 /{token}/$i; done");
        job(token, environment(&script))
    };
    for round in 0..3 {
        let jobs = [script(&format!("left{round}")), script(&format!("right{round}"))];
        let (left, right) = futures_util::future::join(engine.run(0, &jobs[0]), engine.run(1, &jobs[1])).await;
        for (job, capture) in jobs.iter().zip([left.unwrap(), right.unwrap()]) {
            let targets: Vec<&str> = capture.exchanges.iter().map(|exchange| exchange.target.as_str()).collect();
            let expected: Vec<String> = (1..=5).map(|i| format!("/{}/{i}", job.cell)).collect();
            assert_eq!(targets, expected);
        }
    }
}

pub(crate) async fn late_traffic_is_not_the_next_cells(engine: &dyn Engine) {
    // Ended in the middle of a storm of requests, with connections open.
    let storm = format!(
        "{FETCH} exec 9<>/dev/tcp/203.0.113.9/443
        while :; do fetch storm.example 80 /storm > /dev/null; done & while :; do fetch storm.example 80 /storm; done"
    );
    let mut storm = job("c0001", environment(&storm));
    storm.timeout = Duration::from_millis(700);
    for _ in 0..2 {
        let capture = engine.run(0, &storm).await.unwrap();
        assert_eq!(capture.outcome, Outcome::TimedOut);
        assert!(capture.exchanges.iter().any(|exchange| exchange.target == "/storm"));
        let capture = run(engine, &format!("{FETCH} fetch calm.example 80 /calm")).await;
        assert_eq!(seen(&capture.exchanges), [("calm.example".to_owned(), 80, "/calm".to_owned())]);
        assert!(capture.dns.iter().all(|question| question.name.starts_with("calm.example")), "{:?}", capture.dns);
        assert_eq!(capture.left_open, 0);
    }
}
