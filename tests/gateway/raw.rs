//! What parsing takes away: the bytes of heads and of chunks' framing are kept where a record does not give them back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use hyper::body::Bytes;
use hyper::{Request, Version};
use parallax::capture::{DnsTransport, Exchange, HopForm, Via};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::http2::connect;
use crate::lab::Lab;

fn head(exchange: &Exchange) -> Option<String> {
    exchange.head.as_ref().map(|head| head.bytes.escape_ascii().to_string())
}

#[tokio::test]
async fn heads_are_kept_byte_for_byte_where_they_are_not_spelt_as_usual() {
    let mut lab = Lab::simple().await;
    let plain = "POST /plain HTTP/1.1\r\nhOST: h\r\nX-B: 1\r\nContent-Length: 2\r\n\r\nhi";
    lab.talk(plain.as_bytes()).await;
    let odd = [
        "GET /space HTTP/1.1\r\nHost:  h\r\nX-A: b\t\r\nX-C:d\r\n\r\n",
        "GET /feed HTTP/1.1\nHost: h\n\n",
        "GET /one-feed HTTP/1.1\r\nHost: h\nX-A: b\r\n\r\n",
        "\r\nGET /before HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET http://me:secret@H:80/absolute HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /cut HTTP/1.1\r\nHost: h\r\nUser-Ag",
    ];
    for request in odd {
        lab.talk(request.as_bytes()).await;
    }
    lab.talk(b"GET http://h:8080/absolute-plain HTTP/1.1\r\nHost: h:8080\r\n\r\n").await;
    lab.talk(b"GET /latin HTTP/1.1\r\nX-L: \xe9\r\n\r\n").await;
    let traffic = lab.end().await;
    let kept: Vec<_> = traffic.exchanges.iter().map(head).collect();
    let mut expected = vec![None];
    expected.extend(odd.map(|request| Some(request.as_bytes().escape_ascii().to_string())));
    expected.extend([None, Some(b"GET /latin HTTP/1.1\r\nX-L: \xe9\r\n\r\n".escape_ascii().to_string())]);
    assert_eq!(kept, expected);
    assert_eq!(traffic.exchanges[5].target, "/absolute");
    assert!(traffic.connections.is_empty() && traffic.dropped.is_empty());
}

#[tokio::test]
async fn the_framing_of_chunks_and_trailers_is_kept_where_it_says_more_than_lengths() {
    let mut lab = Lab::simple().await;
    let head = "POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    for framing in [
        "2\r\nde\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n",
        "2;mark=\"1\"\r\nde\r\n0\r\n\r\n",
        "02\r\nde\r\n0\r\n\r\n",
        "2\r\nde\n0\r\nX-Sum:1\r\n\r\n",
    ] {
        lab.talk(format!("{head}{framing}").as_bytes()).await;
    }
    let traffic = lab.end().await;
    let kept: Vec<_> = traffic.exchanges.iter().map(|e| e.head.as_ref().map(|raw| raw.text().into_owned())).collect();
    let with = |framing: &str| Some(format!("{head}{framing}"));
    assert_eq!(kept, [None, with("2;mark=\"1\"\r\n"), with("02\r\n"), with("\nX-Sum:1\r\n")]);
    let bodies: Vec<_> = traffic.exchanges.iter().map(|e| e.body.text().into_owned()).collect();
    assert_eq!(bodies, ["de0123456789", "de", "de", "de"]);
}

/// White space that no server takes is refused, and seen all the same.
#[tokio::test]
async fn folded_lines_are_refused_and_their_bytes_kept() {
    let mut lab = Lab::simple().await;
    let folded = "GET /folded HTTP/1.1\r\nHost: h\r\nX-A: b\r\n c\r\n\r\n";
    for request in [folded, "GET /colon HTTP/1.1\r\nHost : h\r\n\r\n"] {
        let answer = lab.talk(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
    let traffic = lab.end().await;
    assert!(traffic.exchanges.is_empty());
    assert_eq!(traffic.connections.len(), 2);
    assert_eq!(traffic.connections[0].first_bytes, folded.as_bytes());
}

#[tokio::test]
async fn a_request_to_a_proxy_by_http2_is_one_in_absolute_form() {
    let mut lab = Lab::simple().await;
    lab.offer_http2(true);
    lab.end().await;
    let (sender, driver) = connect(&lab).await;
    let get = async |url: &str| {
        let request = Request::get(url).version(Version::HTTP_2).header("proxy-authorization", "Basic dTpw");
        let (answer, _) = sender.clone().ready().await.unwrap().send_request(request.body(()).unwrap(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 404);
    };
    // The connection's own name is api.example.com.
    get("http://plain.example.com/by-proxy").await;
    get("http://plain.example.com:8080/by-proxy").await;
    get("https://api.example.com/direct").await;
    get("http://api.example.com/own-name").await;
    driver.abort();
    let _ = driver.await;
    // What HTTP/1.1 makes of the same.
    let name = rustls::pki_types::ServerName::try_from("proxy.example.com").unwrap();
    lab.offer_http2(false);
    let traffic = lab.end().await;
    let mut socket = lab.tls(true).connect(name, lab.connect().await).await.unwrap();
    let request = "GET http://plain.example.com/by-proxy HTTP/1.1\r\nproxy-authorization: Basic dTpw\r\n\r\n";
    crate::lab::exchange(&mut socket, request).await;
    drop(socket);
    let old = lab.end().await;

    let place = |e: &Exchange| (e.scheme.clone(), e.host.clone(), e.port, e.target.clone(), e.via);
    let places: Vec<_> = traffic.exchanges.iter().map(place).collect();
    let expected = [
        ("http", "plain.example.com", 80, "/by-proxy", Via::Absolute),
        ("http", "plain.example.com", 8080, "/by-proxy", Via::Absolute),
        ("https", "api.example.com", 443, "/direct", Via::Direct),
        ("https", "api.example.com", 443, "/own-name", Via::Direct),
    ];
    assert_eq!(places, expected.map(|(s, h, p, t, v)| (s.to_owned(), h.to_owned(), p, t.to_owned(), v)));
    assert_eq!((place(&old.exchanges[0]), &old.exchanges[0].hops), (places[0].clone(), &traffic.exchanges[0].hops));
    let hop = &traffic.exchanges[0].hops[0];
    assert_eq!((hop.form, hop.secure, hop.toward.as_str()), (HopForm::Absolute, true, "plain.example.com:80"));
    assert_eq!(hop.headers, [(String::from("proxy-authorization"), String::from("Basic dTpw"))]);
    assert!(traffic.exchanges[2].hops.is_empty() && traffic.exchanges[3].hops.is_empty());
}

fn question(name: &str) -> Vec<u8> {
    let mut query = Message::query();
    query.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    query.to_vec().unwrap()
}

fn address(answer: &[u8]) -> String {
    Message::from_vec(answer).unwrap().answers[0].data.to_string()
}

#[tokio::test]
async fn a_resolver_under_https_answers_and_its_questions_are_recorded_as_such() {
    let mut lab = Lab::simple().await;
    lab.offer_http2(true);
    lab.end().await;
    let post = |body: &[u8]| {
        let head = format!(
            "POST /dns-query HTTP/1.1\r\nHost: resolver.example\r\nContent-Type: application/dns-message\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let talk = async |request: Vec<u8>| {
        let mut socket = lab.connect().await;
        socket.write_all(&request).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end..].to_vec())
    };
    let asked = question("one.example.");
    let (head, answer) = talk(post(&asked)).await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("Content-Type: application/dns-message\r\n"), "{head}");
    assert_eq!(answer[..2], asked[..2], "an answer to this question");
    assert!(address(&answer).starts_with("198.1"));

    // By GET and HTTP/2, as most do; with a path before and the padding that is forbidden.
    let (sender, driver) = connect(&lab).await;
    let query = URL_SAFE.encode(question("two.example."));
    let url = format!("https://api.example.com/team/dns-query?x=y&dns={query}");
    let request = Request::get(url).version(Version::HTTP_2).body(()).unwrap();
    let (answer, _) = sender.ready().await.unwrap().send_request(request, true).unwrap();
    let mut answer = answer.await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/dns-message");
    let data: Bytes = answer.body_mut().data().await.unwrap().unwrap();
    assert!(address(&data).starts_with("198.1"));
    drop(answer);
    driver.abort();
    let _ = driver.await;

    // What is no question gets no answer; what is no DNS is a request like any other.
    assert!(talk(post(b"not dns")).await.0.starts_with("HTTP/1.1 400 "));
    let form = b"POST /dns-query HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}".to_vec();
    assert!(talk(form).await.0.starts_with("HTTP/1.1 404 "));

    let traffic = lab.end().await;
    let asked: Vec<_> = traffic.dns.iter().map(|q| (q.name.as_str(), q.kind.as_str(), q.transport)).collect();
    assert_eq!(asked, [("one.example", "A", DnsTransport::Https), ("two.example", "A", DnsTransport::Https)]);
    assert_eq!(traffic.dns[0].resolver.as_deref(), Some("127.0.0.1"));
    let statuses: Vec<_> = traffic.exchanges.iter().map(|e| e.status).collect();
    assert_eq!(statuses, [200, 200, 400, 404], "and each is a request");
    assert_eq!(serde_json::to_value(&traffic.dns[0]).unwrap()["transport"], "doh");
}
