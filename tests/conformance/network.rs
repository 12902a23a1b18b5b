//! Everything that an agent dials ends at its slot's gateway, and only there.

use std::time::Duration;

use parallax::capture::{ConnectionKind, Exchange, Outcome};
use parallax::engine::Engine;

use crate::harness::{FETCH, environment, job, run, skip};

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
        for place in 203.0.113.77/81 8.8.8.8/22 172.17.0.1/{port} 10.0.0.1/{port}; do
            (exec 3<>"/dev/tcp/$place") 2> /dev/null
        done
        (exec 3<>/dev/tcp/127.0.0.1/{port}) 2> /dev/null && echo reached
        grep -v -E 'lo:|Inter|face' /proc/net/dev
        echo done
        "#
    );
    let capture = run(engine, &script).await;
    assert_eq!(capture.stdout.text(), "done\n");
    assert!(listener.accept().is_err(), "the pod reached a listener of this machine");
    // Whether they were refused or ended at the gateway, they are known.
    let tried: Vec<&str> = capture.connections.iter().map(|connection| connection.dialled.as_str()).collect();
    for place in [String::from("203.0.113.77:81"), String::from("8.8.8.8:22"), format!("10.0.0.1:{port}")] {
        assert!(tried.contains(&place.as_str()), "{place}: {tried:?}");
    }
}

/// An agent that dials bare addresses, asks a resolver of its own and ignores the proxy that its variables name.
pub(crate) async fn an_agent_that_goes_its_own_ways_is_seen(engine: &dyn Engine) {
    // A question for the address of own.example, as datagram and behind its length.
    let question = r"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03own\x07example\x00\x00\x01\x00\x01";
    let script = format!(
        r#"{FETCH}
        # Bare addresses, on ports that nobody named: other protocols, and HTTP that says who it is for.
        exec 4<>/dev/tcp/203.0.113.5/6667 && printf 'NICK agent\r\n' >&4
        exec 5<>/dev/tcp/203.0.113.6/4317 && printf 'POST /v1/traces HTTP/1.1\r\nHost: otel.example\r\nContent-Length: 2\r\n\r\nhi' >&5
        head -n 1 <&5 > /dev/null
        printf 'metric:1|c' > /dev/udp/203.0.113.7/8125
        # A resolver of its own.
        exec 6<>/dev/udp/8.8.8.8/53 && printf '{question}' >&6 && head -c 12 <&6 > /dev/null
        exec 7<>/dev/tcp/9.9.9.9/53 && printf '\x00\x1d{question}' >&7 && head -c 12 <&7 > /dev/null
        # No word to the proxy of HTTPS_PROXY.
        fetch api.vendor.example 80 /direct > /dev/null
        # Nobody at home on this machine.
        (exec 8<>/dev/tcp/127.0.0.1/7890) 2> /dev/null
        exec 4>&- 5>&- 6>&- 7>&-
        echo "proxy $HTTPS_PROXY"
        "#
    );
    let capture = run(engine, &script).await;
    assert_eq!(capture.stdout.text(), "proxy http://proxy.corp.example:3128\n", "{}", capture.stderr.text());
    let connection = |place: &str| {
        let found = capture.connections.iter().find(|connection| connection.dialled == place);
        found.unwrap_or_else(|| panic!("{place} is not among {:?}", capture.connections))
    };
    let metric = connection("203.0.113.7:8125");
    assert_eq!((metric.kind, metric.first_bytes.as_slice()), (ConnectionKind::Datagram, &b"metric:1|c"[..]));
    assert_eq!(connection("127.0.0.1:7890").kind, ConnectionKind::Refused);
    // What is said on a port that nobody named is known where the kernel can redirect; else that it was dialled.
    let chat = connection("203.0.113.5:6667");
    if chat.kind == ConnectionKind::Accepted {
        assert_eq!(chat.first_bytes, b"NICK agent\r\n");
        let traces = capture.exchanges.iter().find(|exchange| exchange.target == "/v1/traces").unwrap();
        assert_eq!((traces.host.as_str(), traces.dialled.as_str()), ("otel.example", "203.0.113.6:4317"));
        assert_eq!(traces.body.text(), "hi");
    } else {
        skip("nftables", "what is said on a port that nobody named was not heard");
        assert_eq!(chat.kind, ConnectionKind::Refused);
        assert_eq!(connection("203.0.113.6:4317").kind, ConnectionKind::Refused);
    }
    let asked: Vec<_> =
        capture.dns.iter().filter(|q| q.name == "own.example").filter_map(|q| q.resolver.as_deref()).collect();
    assert_eq!(asked, ["8.8.8.8", "9.9.9.9"]);
    let direct = capture.exchanges.iter().find(|exchange| exchange.target == "/direct").unwrap();
    assert!(direct.hops.is_empty() && direct.host == "api.vendor.example", "{direct:?}");
}

/// The same by IPv6, where the kernel has it: a bare address, a port that nobody named, a datagram, a resolver of one's own.
pub(crate) async fn an_agent_that_goes_its_own_ways_by_ipv6_is_seen(engine: &dyn Engine) {
    let question = r"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03six\x07example\x00\x00\x01\x00\x01";
    let script = format!(
        r"{FETCH}
        grep -q . /proc/net/if_inet6 && (exec 3<>/dev/tcp/2001:db8::4/80) 2> /dev/null || {{ echo none; exit; }}
        fetch 2001:db8::5 443 /six > /dev/null
        exec 4<>/dev/tcp/2001:db8::6/6667 && printf 'NICK agent\r\n' >&4
        printf 'metric:1|c' > /dev/udp/2001:db8::7/8125
        exec 6<>/dev/udp/2001:4860:4860::8888/53 && printf '{question}' >&6 && head -c 12 <&6 > /dev/null
        exec 4>&-
        echo done
        "
    );
    let capture = run(engine, &script).await;
    if capture.stdout.text() == "none\n" {
        return skip("ipv6", "not in this kernel, or switched off");
    }
    assert_eq!(capture.stdout.text(), "done\n", "{}", capture.stderr.text());
    let request = capture.exchanges.iter().find(|exchange| exchange.target == "/six").unwrap();
    assert_eq!(request.dialled, "[2001:db8::5]:443");
    let connection = |place: &str| {
        let found = capture.connections.iter().find(|connection| connection.dialled == place);
        found.unwrap_or_else(|| panic!("{place} is not among {:?}", capture.connections))
    };
    let chat = connection("[2001:db8::6]:6667");
    if chat.kind == ConnectionKind::Refused {
        skip("nftables", "what is said by IPv6 on a port that nobody named was not heard");
    } else {
        assert_eq!((chat.kind, chat.first_bytes.as_slice()), (ConnectionKind::Accepted, &b"NICK agent\r\n"[..]));
    }
    let metric = connection("[2001:db8::7]:8125");
    assert_eq!((metric.kind, metric.first_bytes.as_slice()), (ConnectionKind::Datagram, &b"metric:1|c"[..]));
    let asked: Vec<_> =
        capture.dns.iter().filter(|q| q.name == "six.example").filter_map(|q| q.resolver.as_deref()).collect();
    assert_eq!(asked, ["2001:4860:4860::8888"]);
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
