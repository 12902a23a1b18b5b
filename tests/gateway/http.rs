//! Requests, connections and names as they are recorded; cells' beginnings and ends.

use std::time::Duration;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use parallax::capture::Via;
use parallax::gateway::{Authority, GatewayClient, GatewayError, Sockets, Validity, serve};
use parallax::scenario::{Answer, Stub};
use rand::{RngExt as _, SeedableRng as _};
use rustls::pki_types::ServerName;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use crate::lab::{Lab, configuration, exchange, lines, read_to_end, read_until};

#[tokio::test]
async fn headers_keep_their_order_case_and_duplicates() {
    let mut lab = Lab::simple().await;
    let request = "GET /x?y=1 HTTP/1.1\r\nhOST: Example.COM:8080\r\nx-b: 1\r\nX-A: 2\r\nX-B:  3 \r\nx-b: 1\r\n\r\n";
    lab.talk(request.as_bytes()).await;
    let traffic = lab.end().await;
    let seen = &traffic.exchanges[0];
    assert_eq!(lines(seen), ["hOST: Example.COM:8080", "x-b: 1", "X-A: 2", "X-B: 3", "x-b: 1"]);
    assert_eq!((seen.scheme.as_str(), seen.host.as_str(), seen.port), ("http", "example.com", 8080));
    assert_eq!((seen.via, seen.version.as_str(), seen.method.as_str()), (Via::Direct, "1.1", "GET"));
    assert_eq!((seen.dialled.as_str(), seen.status), (lab.stream.to_string().as_str(), 404));
    assert!(traffic.connections.is_empty());
}

#[tokio::test]
async fn tls_for_any_name_and_for_addresses() {
    let mut lab = Lab::simple().await;
    for name in ["api.example.com", "127.0.0.1"] {
        let server = ServerName::try_from(name.to_owned()).unwrap();
        let mut stream = lab.tls(true).connect(server, lab.connect().await).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        exchange(&mut stream, "GET /a HTTP/1.1\r\nHost: api.example.com\r\n\r\n").await;
        exchange(&mut stream, "GET /b HTTP/1.1\r\n\r\n").await;
    }
    let traffic = lab.end().await;
    let places: Vec<_> =
        traffic.exchanges.iter().map(|e| format!("{}://{}:{}{}", e.scheme, e.host, e.port, e.target)).collect();
    let bare = format!("https://127.0.0.1:{}/b", lab.stream.port());
    assert_eq!(places, ["https://api.example.com:443/a", &bare, "https://api.example.com:443/a", &bare]);
    let hello = &traffic.tls[0];
    assert_eq!((hello.sni.as_deref(), hello.completed), (Some("api.example.com"), true));
    assert_eq!(hello.alpn, ["h2", "http/1.1"]);
    assert!(hello.cipher_suites.contains(&String::from("1301")));
    assert_eq!(traffic.tls[1].sni, None);
    assert!(traffic.connections.is_empty());
}

#[tokio::test]
async fn a_client_that_does_not_trust_us_is_seen() {
    let mut lab = Lab::simple().await;
    let server = ServerName::try_from("api.example.com").unwrap();
    lab.tls(false).connect(server, lab.connect().await).await.unwrap_err();
    let traffic = lab.end().await;
    assert_eq!(traffic.tls.len(), 1);
    assert!(!traffic.tls[0].completed);
    assert_eq!(traffic.connections.len(), 1);
    assert!(traffic.connections[0].first_bytes.is_empty(), "a hello's random bytes are noise");
}

#[tokio::test]
async fn proxied_requests_are_brought_to_origin_form() {
    let mut lab = Lab::simple().await;
    let connect = "CONNECT api.example.com:8443 HTTP/1.1\r\nHost: api.example.com:8443\r\n\r\n";
    let mut tunnel = lab.connect().await;
    tunnel.write_all(connect.as_bytes()).await.unwrap();
    assert!(read_until(&mut tunnel, "\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
    let server = ServerName::try_from("api.example.com").unwrap();
    let mut tunnel = lab.tls(true).connect(server, tunnel).await.unwrap();
    exchange(&mut tunnel, "GET /tls HTTP/1.1\r\n\r\n").await;

    // Without waiting for the tunnel to be there.
    let mut plain = lab.connect().await;
    plain.write_all(format!("{connect}GET /plain HTTP/1.1\r\nHost: other.example\r\n\r\n").as_bytes()).await.unwrap();
    read_until(&mut plain, "{}").await;

    let mut absolute = lab.connect().await;
    exchange(&mut absolute, "GET http://API.example.com/abs?q HTTP/1.1\r\nHost: x\r\n\r\n").await;

    let mut empty = lab.connect().await;
    empty.write_all(connect.as_bytes()).await.unwrap();
    read_until(&mut empty, "\r\n\r\n").await;
    drop((tunnel, plain, absolute, empty));

    let traffic = lab.end().await;
    let places: Vec<_> = traffic
        .exchanges
        .iter()
        .map(|e| (e.via, format!("{}://{}:{}{}", e.scheme, e.host, e.port, e.target)))
        .collect();
    let expected = [
        (Via::Connect, String::from("https://api.example.com:8443/tls")),
        (Via::Connect, String::from("http://other.example:80/plain")),
        (Via::Absolute, String::from("http://api.example.com:80/abs?q")),
    ];
    assert_eq!(places, expected);
    assert_eq!(traffic.connections.len(), 1, "the empty tunnel");
    assert_eq!(traffic.connections[0].toward.as_deref(), Some("api.example.com:8443"));
}

#[tokio::test]
async fn bodies_however_framed() {
    let mut lab = Lab::simple().await;
    let mut socket = lab.connect().await;
    // Pipelined, with an empty line between them.
    let two = "POST /1 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\r\nPOST /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1;x\r\nf\r\n0\r\n\r\n";
    socket.write_all(two.as_bytes()).await.unwrap();
    read_until(&mut socket, "{}").await;
    read_until(&mut socket, "{}").await;
    socket.write_all(b"POST /3 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").await.unwrap();
    assert_eq!(read_until(&mut socket, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    exchange(&mut socket, "gh").await;
    // One byte at a time.
    for byte in b"POST /4 HTTP/1.0\r\nContent-Length: 1\r\n\r\ni" {
        socket.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let last = read_to_end(&mut socket).await;
    assert!(last.contains("Connection: close"), "{last}");
    let traffic = lab.end().await;
    let bodies: Vec<_> = traffic.exchanges.iter().map(|e| format!("{} {}", e.target, e.body.text())).collect();
    assert_eq!(bodies, ["/1 abc", "/2 def", "/3 gh", "/4 i"]);
    assert_eq!(traffic.exchanges[3].version, "1.0");
}

#[tokio::test]
async fn what_is_cut_short_is_recorded_as_far_as_it_came() {
    let mut lab = Lab::simple().await;
    assert_eq!(lab.talk(b"POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc").await, "");
    lab.talk(b"GET /head HTTP/1.1\r\nHost: h\r\nUser-Ag").await;
    lab.talk(b"GET /li").await;
    lab.talk(b"SSH-2.0-x\r\n").await;
    lab.talk(b"").await;
    lab.talk(b"GET /good HTTP/1.1\r\n\r\n\x00\x01 no request\r\n\r\n").await;
    let malformed = lab.talk(b"POST /bad HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").await;
    assert!(malformed.starts_with("HTTP/1.1 400 "));
    let traffic = lab.end().await;
    let seen: Vec<_> = traffic.exchanges.iter().map(|e| (e.target.as_str(), e.body.text(), e.status)).collect();
    let expected =
        [("/body", "abc".into(), 0), ("/head", "".into(), 0), ("/good", "".into(), 404), ("/bad", "".into(), 400)];
    assert_eq!(seen, expected);
    let bare: Vec<_> = traffic.connections.iter().map(|c| c.first_bytes.as_slice()).collect();
    assert_eq!(bare, [&b"GET /li"[..], b"SSH-2.0-x\r\n", b"", b"\x00\x01 no request\r\n\r\n"]);
}

#[tokio::test]
async fn canned_answers_and_404() {
    let canned = Answer {
        method: Some(String::from("POST")),
        host: Some(String::from("auth.example.com")),
        path: String::from("/token/*"),
        status: 201,
        json: json!({"token": "t"}),
    };
    let mut lab = Lab::open(Vec::new(), vec![canned]).await;
    let response = lab.talk(b"POST /token/new?x HTTP/1.1\r\nHost: auth.example.com\r\n\r\n").await;
    assert!(response.starts_with("HTTP/1.1 201 Created\r\n") && response.ends_with(r#"{"token":"t"}"#), "{response}");
    let other = lab.talk(b"POST /token/new HTTP/1.1\r\nHost: else.example.com\r\n\r\n").await;
    assert!(other.starts_with("HTTP/1.1 404 Not Found\r\n") && other.ends_with("\r\n\r\n{}"), "{other}");
    let head = lab.talk(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(head.contains("Content-Length: 2\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!(lab.end().await.exchanges.iter().map(|e| e.status).collect::<Vec<_>>(), [201, 404, 404]);
}

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    let mut query = Message::query();
    query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    query.to_vec().unwrap()
}

#[tokio::test]
async fn dns_answers_every_name_and_records_each_question_once() {
    let mut lab = Lab::simple().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let ask = async |name: &str, kind| {
        socket.send_to(&question(name, kind), lab.dns).await.unwrap();
        let mut answer = [0; 1500];
        let (length, from) = socket.recv_from(&mut answer).await.unwrap();
        assert_eq!(from, lab.dns);
        Message::from_vec(&answer[..length]).unwrap().answers.iter().map(|r| r.data.to_string()).collect::<Vec<_>>()
    };
    let address = ask("Api.Example.com.", RecordType::A).await;
    assert!(address[0].starts_with("198.1"), "{address:?}");
    assert_eq!(ask("api.example.com.", RecordType::A).await, address);
    assert!(ask("api.example.com.", RecordType::AAAA).await[0].starts_with("fd"));
    assert!(ask("api.example.com.", RecordType::HTTPS).await.is_empty());
    let reversed = address[0].split('.').rev().collect::<Vec<_>>().join(".") + ".in-addr.arpa.";
    assert_eq!(ask(&reversed, RecordType::PTR).await, ["api.example.com."]);

    let mut stream = TcpStream::connect(lab.dns_stream).await.unwrap();
    let query = question("tcp.example.", RecordType::A);
    stream.write_u16(query.len().try_into().unwrap()).await.unwrap();
    stream.write_all(&query).await.unwrap();
    let mut answer = vec![0; stream.read_u16().await.unwrap().into()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(Message::from_vec(&answer).unwrap().answers.len(), 1);
    drop(stream);
    socket.send_to(b"not dns", lab.dns).await.unwrap();

    let traffic = lab.end().await;
    let asked: Vec<_> = traffic.dns.iter().map(|q| format!("{} {}", q.kind, q.name)).collect();
    let reversed = format!("PTR {}", reversed.trim_end_matches('.'));
    let expected = ["A api.example.com", "AAAA api.example.com", "HTTPS api.example.com", &reversed, "A tcp.example"];
    assert_eq!(asked, expected);
    assert_eq!(traffic.connections.len(), 1);
    assert_eq!(
        (traffic.connections[0].first_bytes.as_slice(), traffic.connections[0].dialled.as_str()),
        (&b"not dns"[..], lab.dns.to_string().as_str())
    );
}

#[tokio::test]
async fn the_end_of_a_cell_closes_what_is_open_and_nothing_comes_late() {
    let mut lab = Lab::simple().await;
    let mut idle = lab.connect().await;
    exchange(&mut idle, "GET /kept-alive HTTP/1.1\r\n\r\n").await;
    let mut half = lab.connect().await;
    half.write_all(b"POST /half HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc").await.unwrap();
    let mut silent = lab.connect().await;
    let first = lab.end().await;
    assert_eq!(first.left_open, 3);
    let seen: Vec<_> = first.exchanges.iter().map(|e| (e.target.as_str(), e.body.text())).collect();
    assert_eq!(seen, [("/kept-alive", "".into()), ("/half", "abc".into())]);
    assert_eq!(first.connections.len(), 1);

    // Whatever comes on them now belongs to nobody.
    for socket in [&mut idle, &mut half, &mut silent] {
        let _ = socket.write_all(b"GET /late HTTP/1.1\r\n\r\n").await;
        assert_eq!(read_to_end(socket).await, "");
    }
    lab.talk(b"GET /second HTTP/1.1\r\n\r\n").await;
    let second = lab.end().await;
    assert_eq!(second.exchanges.iter().map(|e| e.target.as_str()).collect::<Vec<_>>(), ["/second"]);
    assert_eq!((second.connections.len(), second.left_open), (0, 0));
}

#[tokio::test]
async fn what_was_sent_before_the_end_belongs_to_the_cell() {
    let mut lab = Lab::simple().await;
    // Blocking sockets, so that the gateway has had no chance to accept: the requests wait in the listener's queue.
    for n in 0..20 {
        use std::io::Write as _;
        let mut socket = std::net::TcpStream::connect(lab.stream).unwrap();
        write!(socket, "POST /{n} HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi").unwrap();
    }
    let traffic = lab.end().await;
    assert_eq!(traffic.exchanges.len(), 20);
    assert!(traffic.exchanges.iter().all(|e| e.body.text() == "hi"));
    assert!(lab.end().await.exchanges.is_empty());
}

#[tokio::test]
async fn a_large_body_and_a_compressed_one_arrive_as_they_were_sent() {
    let mut lab = Lab::simple().await;
    let large = "x".repeat(3_000_000);
    lab.post("/v1/messages", &json!({"model": large})).await;
    let packed = zstd::encode_all(&br#"{"stream": true}"#[..], 1).unwrap();
    let mut request =
        format!("POST /v1/messages HTTP/1.1\r\nContent-Encoding: zstd\r\nContent-Length: {}\r\n\r\n", packed.len())
            .into_bytes();
    request.extend_from_slice(&packed);
    assert!(lab.talk(&request).await.contains("message_stop"), "the encoding is taken off to read it");
    let traffic = lab.end().await;
    assert_eq!(traffic.exchanges[0].body.bytes.len(), large.len() + 12);
    assert_eq!(*traffic.exchanges[1].body.bytes, *packed);
}

#[tokio::test]
async fn random_bytes_harm_nobody() {
    let mut lab = Lab::simple().await;
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let beginnings: [&[u8]; 10] = [
        b"\x05\x01\x02",
        b"\x05\x02\x00\x02\x01\x03abc\x03abc\x05\x01\x00",
        b"\x04\x01\x00\x50\x00\x00\x00\x01",
        b"",
        b"\x16\x03\x01\x00\x40\x01\x00",
        b"GET / HTTP/1.1\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nContent-Length: 40\r\n\r\n{\"messages\": [",
        b"CONNECT h:443 HTTP/1.1\r\n\r\n\x16\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    for round in 0..140 {
        let mut bytes = beginnings[round % beginnings.len()].to_vec();
        let length = random.random_range(0..600);
        bytes.extend((0..length).map(|_| random.random::<u8>()));
        for address in [lab.stream, lab.dns_stream] {
            let mut socket = TcpStream::connect(address).await.unwrap();
            let _ = socket.write_all(&bytes).await;
            let _ = socket.shutdown().await;
            let mut sink = Vec::new();
            let _ = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut sink)).await.expect("stuck");
        }
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(&bytes, lab.dns).await.unwrap();
    }
    lab.end().await;
    assert!(lab.post("/v1/messages", &json!({})).await.contains("OK"));
}

#[tokio::test]
async fn a_gateway_that_cannot_serve_says_why() {
    let none = || String::from("none");
    let authority = Authority { certificate_pem: none(), key_pem: none(), validity: Validity::default() };
    let (ours, theirs) = tokio::io::duplex(1024);
    let (commands, reports) = tokio::io::split(theirs);
    let sockets = Sockets::default();
    let gateway = tokio::spawn(serve::serve_on(commands, reports, sockets));
    let (reader, writer) = tokio::io::split(ours);
    let error = GatewayClient::start(reader, writer, configuration(&authority, Stub::default())).await.unwrap_err();
    assert!(matches!(&error, GatewayError::Fault(message) if message.contains("authority")), "{error}");
    assert!(gateway.await.unwrap().is_err());
}

#[tokio::test]
async fn a_gateway_that_is_gone_is_noticed() {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    drop(theirs);
    let authority = Authority::mint("Corporate Root CA").unwrap();
    let (reader, writer) = tokio::io::split(ours);
    let error = GatewayClient::start(reader, writer, configuration(&authority, Stub::default())).await.unwrap_err();
    assert!(matches!(error, GatewayError::Gone | GatewayError::Io(_)), "{error}");
}
