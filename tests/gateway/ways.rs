//! The ways on which one and the same request may come: straight, and through every form of proxy.

use futures_util::{SinkExt as _, StreamExt as _};
use parallax::capture::{Exchange, HopForm, Via};
use parallax::scenario::{Stub, Turn};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;

use crate::lab::{Lab, read_to_end, read_until, skip};

const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"the same prompt"}]}"#;

/// Sends the request of all these tests and reads its answer.
async fn ask(socket: &mut (impl AsyncRead + AsyncWrite + Unpin), target: &str, more: &str) {
    let length = BODY.len();
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: agent/1\r\n{more}Content-Length: {length}\r\n\r\n{BODY}"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    assert!(read_until(socket, "OK").await.starts_with("HTTP/1.1 200 "));
}

async fn secure<S: AsyncRead + AsyncWrite + Unpin>(
    lab: &Lab,
    name: &str,
    socket: S,
) -> tokio_rustls::client::TlsStream<S> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    lab.tls(true).connect(name, socket).await.unwrap()
}

async fn say(socket: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: &[u8], answer: &[u8]) {
    socket.write_all(bytes).await.unwrap();
    let mut back = vec![0; answer.len()];
    socket.read_exact(&mut back).await.unwrap();
    assert_eq!(back, answer);
}

/// What of a request does not depend on its way.
fn content(exchange: &Exchange) -> (String, String, String, String, Vec<String>) {
    let own = exchange.headers.iter().filter(|(name, _)| !name.to_lowercase().starts_with("proxy-"));
    (
        exchange.host.clone(),
        exchange.method.clone(),
        exchange.target.clone(),
        exchange.body.text().into_owned(),
        own.map(|(name, value)| format!("{name}: {value}")).collect(),
    )
}

#[tokio::test]
async fn the_same_request_by_every_way_is_the_same() {
    let mut lab = Lab::simple().await;
    let path = "/v1/messages?beta=true";
    let connected = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

    ask(&mut lab.connect().await, path, "").await;
    ask(&mut secure(&lab, "api.example.com", lab.connect().await).await, path, "").await;

    // To a proxy in absolute form, with credentials.
    ask(&mut lab.connect().await, &format!("http://api.example.com{path}"), "Proxy-Authorization: Basic dTpw\r\n")
        .await;

    // CONNECT, plain and TLS inside, and to a proxy that itself speaks TLS.
    let connect =
        "CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\nProxy-Authorization: Basic dTpw\r\n\r\n";
    for inside_tls in [false, true] {
        let mut socket = lab.connect().await;
        socket.write_all(connect.as_bytes()).await.unwrap();
        read_until(&mut socket, "\r\n\r\n").await;
        if inside_tls {
            ask(&mut secure(&lab, "api.example.com", socket).await, path, "").await;
        } else {
            ask(&mut socket, path, "").await;
        }
    }
    let mut socket = secure(&lab, "proxy.corp.example", lab.connect().await).await;
    socket.write_all(connect.as_bytes()).await.unwrap();
    read_until(&mut socket, "\r\n\r\n").await;
    ask(&mut secure(&lab, "api.example.com", socket).await, path, "").await;

    // SOCKS 5 by name with credentials and TLS inside, then by address and plain; SOCKS 4a.
    let name = b"\x05\x01\x00\x03\x0fAPI.example.com\x01\xbb";
    let mut socket = lab.connect().await;
    say(&mut socket, &[5, 2, 0, 2], &[5, 2]).await;
    say(&mut socket, b"\x01\x03bob\x06secret", &[1, 0]).await;
    say(&mut socket, name, &connected).await;
    ask(&mut secure(&lab, "api.example.com", socket).await, path, "").await;
    let mut socket = lab.connect().await;
    say(&mut socket, &[5, 1, 0], &[5, 0]).await;
    say(&mut socket, &[5, 1, 0, 1, 198, 51, 100, 7, 0, 80], &connected).await;
    ask(&mut socket, path, "").await;
    let mut socket = lab.connect().await;
    say(&mut socket, b"\x04\x01\x00\x50\x00\x00\x00\x01me\x00api.example.com\x00", &[0, 90, 0, 0, 0, 0, 0, 0]).await;
    ask(&mut socket, path, "").await;
    drop(socket);

    let traffic = lab.end().await;
    assert!(traffic.connections.is_empty(), "{:?}", traffic.connections);
    let first = content(&traffic.exchanges[0]);
    for exchange in &traffic.exchanges {
        assert_eq!(content(exchange), first);
        assert_eq!(exchange.note, None);
    }
    let ways: Vec<String> = traffic
        .exchanges
        .iter()
        .map(|exchange| {
            let hops = exchange.hops.iter().map(|hop| {
                let credentials = hop.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
                let credentials = credentials.map_or("", |(_, value)| value.as_str());
                format!(" {:?}{} {} [{credentials}]", hop.form, if hop.secure { "s" } else { "" }, hop.toward)
            });
            format!("{} {:?}{}", exchange.scheme, exchange.via, hops.collect::<String>())
        })
        .collect();
    let expected = [
        "http Direct",
        "https Direct",
        "http Absolute Absolute api.example.com:80 [Basic dTpw]",
        "http Connect Connect api.example.com:443 [Basic dTpw]",
        "https Connect Connect api.example.com:443 [Basic dTpw]",
        "https Connect Connects api.example.com:443 [Basic dTpw]",
        "https Socks Socks5 API.example.com:443 [Socks5 bob:secret]",
        "http Socks Socks5 198.51.100.7:80 []",
        "http Socks Socks4 api.example.com:80 [Socks4 me]",
    ];
    assert_eq!(ways, expected);
    assert_eq!((traffic.exchanges[6].via, traffic.exchanges[6].hops[0].form), (Via::Socks, HopForm::Socks5));
}

/// An address of the sixth version by every way that names one: it stands for itself, in brackets where a port follows.
#[tokio::test]
async fn an_ipv6_address_is_one_by_every_way() {
    let mut lab = Lab::simple().await;
    let request = |target: &str, host: &str| {
        format!("POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
    };
    let address = [&[5, 1, 0, 4][..], &"2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets()].concat();
    let connected = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

    // In `Host`, with and without a port, and with a letter in upper case.
    for host in ["[2001:db8::1]", "[2001:DB8::1]:8080"] {
        lab.talk(request("/host", host).as_bytes()).await;
    }
    lab.talk(request("http://[2001:db8::1]/absolute", "other.example").as_bytes()).await;
    lab.talk(request("http://[2001:db8::1]:8080/absolute", "other.example").as_bytes()).await;
    // In a tunnel nobody says where it goes but the proxy's own word.
    let silent = "GET /tunnel HTTP/1.0\r\n\r\n";
    let mut socket = lab.connect().await;
    socket.write_all(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n").await.unwrap();
    read_until(&mut socket, "\r\n\r\n").await;
    socket.write_all(silent.as_bytes()).await.unwrap();
    assert!(read_to_end(&mut socket).await.starts_with("HTTP/1.1 404 "));
    let mut socket = lab.connect().await;
    say(&mut socket, &[5, 1, 0], &[5, 0]).await;
    say(&mut socket, &[&address[..], &[0x01, 0xbb]].concat(), &connected).await;
    socket.write_all(silent.as_bytes()).await.unwrap();
    assert!(read_to_end(&mut socket).await.starts_with("HTTP/1.1 404 "));
    // The text of an address where SOCKS wants a name, and an address of the fourth version written as one of the sixth.
    for place in [&b"\x05\x01\x00\x03\x0b2001:db8::1\x01\xbb"[..], &{
        let mapped = "::ffff:198.51.100.7".parse::<std::net::Ipv6Addr>().unwrap().octets();
        [&[5, 1, 0, 4][..], &mapped, &[0x01, 0xbb]].concat()
    }] {
        let mut socket = lab.connect().await;
        say(&mut socket, &[5, 1, 0], &[5, 0]).await;
        say(&mut socket, place, &connected).await;
        socket.write_all(silent.as_bytes()).await.unwrap();
        assert!(read_to_end(&mut socket).await.starts_with("HTTP/1.1 404 "));
    }
    // TLS inside a tunnel to an address, without a name: the certificate is the address's.
    let mut socket = lab.connect().await;
    socket.write_all(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\n\r\n").await.unwrap();
    read_until(&mut socket, "\r\n\r\n").await;
    let mut socket = secure(&lab, "2001:db8::1", socket).await;
    socket.write_all(silent.as_bytes()).await.unwrap();
    assert!(read_until(&mut socket, "\r\n\r\n").await.starts_with("HTTP/1.1 404 "));
    drop(socket);

    let traffic = lab.end().await;
    assert!(traffic.connections.is_empty(), "{:?}", traffic.connections);
    let seen: Vec<_> = traffic
        .exchanges
        .iter()
        .map(|e| {
            let hops = e.hops.iter().map(|hop| format!(" {:?} {}", hop.form, hop.toward));
            format!("{} {} {} {}{}", e.target, e.scheme, e.host, e.port, hops.collect::<String>())
        })
        .collect();
    let expected = [
        "/host http 2001:db8::1 80",
        "/host http 2001:db8::1 8080",
        "/absolute http 2001:db8::1 80 Absolute [2001:db8::1]:80",
        "/absolute http 2001:db8::1 8080 Absolute [2001:db8::1]:8080",
        "/tunnel http 2001:db8::1 443 Connect [2001:db8::1]:443",
        "/tunnel http 2001:db8::1 443 Socks5 [2001:db8::1]:443",
        "/tunnel http 2001:db8::1 443 Socks5 [2001:db8::1]:443",
        "/tunnel http 198.51.100.7 443 Socks5 198.51.100.7:443",
        "/tunnel https 2001:db8::1 443 Connect [2001:db8::1]:443",
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_tunnel_without_a_request_says_where_it_was_to_lead_and_no_secret() {
    let mut lab = Lab::simple().await;
    let mut socket = lab.connect().await;
    say(&mut socket, &[5, 1, 2], &[5, 2]).await;
    say(&mut socket, b"\x01\x03bob\x06secret", &[1, 0]).await;
    say(&mut socket, b"\x05\x01\x00\x03\x0fgit.example.com\x00\x16", &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await;
    socket.write_all(b"SSH-2.0-x\r\n").await.unwrap();
    drop(socket);
    // One that is given up in the middle of its credentials, and one that wants to listen.
    let mut socket = lab.connect().await;
    say(&mut socket, &[5, 1, 2], &[5, 2]).await;
    socket.write_all(b"\x01\x03bob\x06sec").await.unwrap();
    drop(socket);
    let mut socket = lab.connect().await;
    say(&mut socket, &[5, 1, 0], &[5, 0]).await;
    say(&mut socket, &[5, 2, 0, 1, 1, 2, 3, 4, 0, 80], &[5, 7, 0, 1, 0, 0, 0, 0, 0, 0]).await;
    drop(socket);
    let traffic = lab.end().await;
    let mut seen: Vec<_> =
        traffic.connections.iter().map(|c| (c.toward.as_deref(), c.first_bytes.as_slice())).collect();
    seen.sort();
    assert_eq!(seen, [(None, &[5][..]), (None, &[5][..]), (Some("git.example.com:22"), &b"SSH-2.0-x\r\n"[..])]);
}

#[tokio::test]
async fn a_websocket_is_refused_or_its_messages_are_recorded_and_answered() {
    let url = "ws://api.example.com/v1/responses";
    let mut lab = Lab::simple().await;
    let refused = tokio_tungstenite::client_async(url, lab.connect().await).await.unwrap_err();
    assert!(refused.to_string().contains("426"), "{refused}");
    assert_eq!(lab.end().await.exchanges[0].status, 426);

    let script = vec![Turn::Text(String::from("said over a socket"))];
    let mut lab = Lab::with(Stub { script, websocket: true, ..Stub::default() }).await;
    let (mut socket, answer) = tokio_tungstenite::client_async(url, lab.connect().await).await.unwrap();
    assert_eq!(answer.status(), 101);
    let create = json!({"type": "response.create", "model": "m", "input": []});
    socket.send(Message::text(create.to_string())).await.unwrap();
    let mut said = String::new();
    while let Some(Ok(message)) = socket.next().await {
        let event: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        said.push_str(event["delta"].as_str().unwrap_or_default());
        if event["type"] == "response.completed" {
            break;
        }
    }
    assert_eq!(said, "said over a socket");
    socket.send(Message::binary(vec![0, 255])).await.unwrap();
    socket.close(None).await.unwrap();
    let _ = socket.next().await;
    drop(socket);
    let traffic = lab.end().await;
    let seen: Vec<_> = traffic.exchanges.iter().map(|e| (e.method.as_str(), e.target.as_str(), e.status)).collect();
    assert_eq!(
        seen,
        [("GET", "/v1/responses", 101), ("MESSAGE", "/v1/responses", 200), ("MESSAGE", "/v1/responses", 200)]
    );
    assert_eq!(traffic.exchanges[1].body.text(), create.to_string());
    assert_eq!(*traffic.exchanges[2].body.bytes, [0, 255]);
    assert!(traffic.connections.is_empty());
}

type Socket = tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>;

/// Asks over a socket, and reads until the answer or the socket has ended.
async fn converse(socket: &mut Socket, message: &Value) -> Vec<Value> {
    socket.send(Message::text(message.to_string())).await.unwrap();
    let mut events: Vec<Value> = Vec::new();
    while !events.last().is_some_and(|last| last["type"] == "response.completed" || last["type"] == "error") {
        let next = tokio::time::timeout(std::time::Duration::from_secs(10), socket.next()).await.expect("silence");
        let Some(Ok(message)) = next else { break };
        events.push(serde_json::from_str(message.to_text().unwrap()).unwrap());
    }
    events
}

#[tokio::test]
async fn a_websocket_is_told_of_failures_and_breaks_where_the_script_cuts() {
    let text = Turn::Text(String::from("a text that takes several events, and then some more"));
    let script = vec![Turn::Error { status: 429 }, Turn::Error { status: 500 }, Turn::Cut, text];
    let mut lab = Lab::with(Stub { script, websocket: true, ..Stub::default() }).await;
    let url = "ws://api.example.com/v1/responses";
    let open = async || tokio_tungstenite::client_async(url, lab.connect().await).await.unwrap().0;
    let create = json!({"type": "response.create", "model": "m", "input": []});
    let mut socket = open().await;
    let limit = json!({"message": "Rate limit exceeded", "type": "rate_limit_error", "param": null, "code": "rate_limit_exceeded"});
    assert_eq!(converse(&mut socket, &create).await, [json!({"type": "error", "status": 429, "error": limit})]);
    // The socket is as good as before.
    let failed = converse(&mut socket, &create).await;
    assert_eq!((&failed[0]["status"], &failed[0]["error"]["type"]), (&json!(500), &json!("server_error")));
    let cut = converse(&mut socket, &create).await;
    assert!(socket.next().await.is_none_or(|end| end.is_err()), "it ends without a farewell");
    let whole = converse(&mut open().await, &create).await;
    let kinds = |events: &[Value]| events.iter().map(|event| event["type"].clone()).collect::<Vec<_>>();
    assert_eq!((cut.len(), kinds(&cut)), (whole.len() / 2, kinds(&whole[..whole.len() / 2])));
    assert_eq!(whole.last().unwrap()["type"], "response.completed");
    let statuses: Vec<_> = lab.end().await.exchanges.iter().map(|e| (e.method.clone(), e.status)).collect();
    let expected = [("GET", 101), ("MESSAGE", 429), ("MESSAGE", 500), ("MESSAGE", 200), ("GET", 101), ("MESSAGE", 200)];
    assert_eq!(statuses, expected.map(|(method, status)| (method.to_owned(), status)));
}

/// A message is no request of the same kind, so that features do not set the two beside each other: it has a type of its
/// own, no `stream`, and no headers but its upgrade's. A factor that decides between them shows as one request that is gone
/// and another that came. What can be the same is: where it goes, the prompt, and what is said in return.
#[tokio::test]
async fn a_prompt_over_a_websocket_is_the_one_of_a_request() {
    let script = vec![Turn::Text(String::from("a text that takes several events"))];
    let mut lab = Lab::with(Stub { script, websocket: true, ..Stub::default() }).await;
    let prompt =
        json!({"model": "m", "instructions": "be brief", "input": [{"role": "user", "content": "the same prompt"}]});
    let with = |key: &str, value: Value| {
        let mut prompt = prompt.clone();
        prompt[key] = value;
        prompt
    };
    let posted = crate::lab::events(&lab.post("/v1/responses", &with("stream", json!(true))).await);
    let url = "ws://api.example.com/v1/responses";
    let mut socket = tokio_tungstenite::client_async(url, lab.connect().await).await.unwrap().0;
    let said = converse(&mut socket, &with("type", json!("response.create"))).await;
    let timeless = |events: &[Value]| -> Vec<Value> {
        let mut events = events.to_vec();
        for event in &mut events {
            event["response"]["created_at"] = Value::Null;
        }
        events
    };
    assert_eq!(timeless(&said), timeless(&posted));
    drop(socket);
    let traffic = lab.end().await;
    let [post, upgrade, message] = &traffic.exchanges[..] else { panic!("{:?}", traffic.exchanges) };
    assert_eq!((post.method.as_str(), upgrade.method.as_str(), message.method.as_str()), ("POST", "GET", "MESSAGE"));
    let place = |e: &Exchange| (e.scheme.clone(), e.host.clone(), e.port, e.target.clone(), e.via, e.status);
    assert_eq!(place(post), place(message));
    let bare = |e: &Exchange| {
        let mut body: Value = serde_json::from_slice(&e.body.bytes).unwrap();
        let members = body.as_object_mut().unwrap();
        (members.remove("stream"), members.remove("type"), body)
    };
    assert_eq!(bare(post), (Some(json!(true)), None, prompt.clone()));
    assert_eq!(bare(message), (None, Some(json!("response.create")), prompt));
}

#[tokio::test]
async fn a_hello_is_known_by_more_than_its_name() {
    let mut lab = Lab::simple().await;
    ask(&mut secure(&lab, "api.example.com", lab.connect().await).await, "/v1/messages", "").await;
    ask(&mut secure(&lab, "127.0.0.1", lab.connect().await).await, "/v1/messages", "").await;
    let traffic = lab.end().await;
    let detail = traffic.tls[0].detail.as_ref().unwrap();
    // TLS 1.3, a name, h2 first; by address there is no name and one extension less.
    assert!(detail.ja4.starts_with("t13d") && detail.ja4[8..].starts_with("h2_"), "{}", detail.ja4);
    assert!(detail.extensions.contains(&String::from("0000")) && detail.groups.contains(&String::from("001d")));
    let other = traffic.tls[1].detail.as_ref().unwrap();
    assert!(other.ja4.starts_with("t13i"), "{}", other.ja4);
    assert_eq!(other.ja4[10..], detail.ja4[10..], "what is permuted, or named, does not move the digests");
}

#[tokio::test]
async fn a_resolver_of_ones_own_under_tls_is_seen() {
    let Ok(listener) = tokio::net::TcpListener::bind("127.0.0.1:853").await else {
        return skip("853", "it is not ours to listen on");
    };
    let mut lab =
        Lab::listening(listener, Stub { script: vec![Turn::Text(String::from("OK"))], ..Stub::default() }).await;
    let mut socket = secure(&lab, "dns.resolver.example", lab.connect().await).await;
    let question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03own\x07example\x00\x00\x01\x00\x01";
    socket.write_u16(question.len().try_into().unwrap()).await.unwrap();
    socket.write_all(question).await.unwrap();
    let mut answer = vec![0; socket.read_u16().await.unwrap().into()];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!((&answer[..2], answer[7]), (&b"\x12\x34"[..], 1), "one answer to the question");
    // And a client that asks for something else there.
    ask(&mut secure(&lab, "dns.resolver.example", lab.connect().await).await, "/v1/messages", "").await;
    drop(socket);
    let traffic = lab.end().await;
    let asked: Vec<_> = traffic.dns.iter().map(|q| (q.name.as_str(), q.kind.as_str(), q.resolver.as_deref())).collect();
    assert_eq!(asked, [("own.example", "A", Some("127.0.0.1"))]);
    assert_eq!(traffic.tls[0].sni.as_deref(), Some("dns.resolver.example"));
    assert_eq!(traffic.exchanges.len(), 1);
    assert!(traffic.connections.is_empty(), "{:?}", traffic.connections);
}
