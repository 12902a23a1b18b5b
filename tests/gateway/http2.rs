//! HTTP/2 where it is a level: the same prompt as by HTTP/1.1, with streams beside each other and tunnels in them.

use h2::client::SendRequest;
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, Version};
use parallax::capture::{Exchange, HopForm, Via};
use rustls::pki_types::ServerName;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::lab::{Lab, exchange};

const URL: &str = "https://api.example.com/v1/messages?beta=true";

/// A connection, with the protocol that was agreed on, and the task that drives it.
pub(crate) async fn connect(lab: &Lab) -> (SendRequest<Bytes>, JoinHandle<()>) {
    let name = ServerName::try_from("api.example.com").unwrap();
    let stream = lab.tls(true).connect(name, lab.connect().await).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    (sender, tokio::spawn(async move { drop(connection.await) }))
}

async fn read(mut body: h2::RecvStream) -> String {
    let mut all = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        all.extend_from_slice(&data);
    }
    String::from_utf8(all).unwrap()
}

/// Posts a body and reads what is answered.
async fn post(sender: &SendRequest<Bytes>, body: String) -> (StatusCode, String) {
    let request = Request::post(URL).version(Version::HTTP_2).header("user-agent", "agent/1").body(()).unwrap();
    let (answer, mut stream) = sender.clone().ready().await.unwrap().send_request(request, false).unwrap();
    stream.send_data(Bytes::from(body), true).unwrap();
    let answer = answer.await.unwrap();
    (answer.status(), read(answer.into_body()).await)
}

/// What of a request does not depend on the version.
fn content(exchange: &Exchange) -> (&str, &str, u16, &str, &str, String, u16) {
    let Exchange { scheme, host, port, method, target, body, status, .. } = exchange;
    (scheme, host, *port, method, target, body.text().into_owned(), *status)
}

#[tokio::test]
async fn a_cell_with_http2_sees_the_same_prompt() {
    let mut lab = Lab::simple().await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "the same prompt"}]}).to_string();
    let one = format!(
        "POST /v1/messages?beta=true HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let name = || ServerName::try_from("api.example.com").unwrap();
    let mut stream = lab.tls(true).connect(name(), lab.connect().await).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]), "unless it is a level");
    tokio::io::AsyncWriteExt::write_all(&mut stream, one.as_bytes()).await.unwrap();
    crate::lab::read_until(&mut stream, "OK").await;
    drop(stream);
    lab.offer_http2(true);
    let first = lab.end().await;

    let (sender, connection) = connect(&lab).await;
    let (status, said) = post(&sender, body).await;
    assert!(status == 200 && said.contains("OK"), "{status} {said}");
    // Several at once, larger than a window, and one that streams its answer.
    let large = |n: usize| json!({"model": n.to_string(), "stream": true, "system": "x".repeat(300_000)}).to_string();
    let all = futures_util::future::join_all((0..20).map(|n| post(&sender, large(n)))).await;
    assert!(all.iter().all(|(status, said)| *status == 200 && said.contains("message_stop")));
    drop(sender);
    connection.await.unwrap();
    lab.offer_http2(false);
    let second = lab.end().await;
    assert_eq!(content(&first.exchanges[0]), content(&second.exchanges[0]));
    assert_eq!((first.exchanges[0].version.as_str(), second.exchanges[0].version.as_str()), ("1.1", "2"));
    assert_eq!(second.exchanges[0].headers, [(String::from("user-agent"), String::from("agent/1"))]);
    let mut models: Vec<_> = second.exchanges[1..].iter().map(|exchange| exchange.body.bytes.len()).collect();
    models.sort_unstable();
    assert_eq!(models, (0..20).map(|n| large(n).len()).collect::<Vec<_>>());
    assert!(second.connections.is_empty() && second.dropped.is_empty());
    assert_eq!((second.tls.len(), second.tls[0].completed), (1, true));

    // The level is the cell's, not the gateway's.
    let mut stream = lab.tls(true).connect(name(), lab.connect().await).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    exchange(&mut stream, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n").await;
}

#[tokio::test]
async fn a_tunnel_inside_http2_is_peeled_like_any_other() {
    let mut lab = Lab::simple().await;
    lab.offer_http2(true);
    lab.end().await;
    let (sender, connection) = connect(&lab).await;
    let open = async |toward: &str| {
        let request =
            Request::builder().method(Method::CONNECT).uri(toward).header("proxy-authorization", "Basic dTpw");
        let request = request.version(Version::HTTP_2).body(()).unwrap();
        let (answer, stream) = sender.clone().ready().await.unwrap().send_request(request, false).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        (answer.into_body(), stream)
    };
    let (body, mut stream) = open("inside.example.com:8080").await;
    let inner = "GET /inside HTTP/1.1\r\nHost: inside.example.com:8080\r\nConnection: close\r\n\r\n";
    stream.send_data(Bytes::from_static(inner.as_bytes()), false).unwrap();
    assert!(read(body).await.starts_with("HTTP/1.1 404 "));
    // One that carries something else, and one that carries nothing.
    let (body, mut stream) = open("git.example.com:22").await;
    stream.send_data(Bytes::from_static(b"SSH-2.0-x\r\n"), true).unwrap();
    read(body).await;
    let (body, mut stream) = open("silent.example.com:443").await;
    stream.send_data(Bytes::new(), true).unwrap();
    read(body).await;
    let (status, _) = post(&sender, String::from("{}")).await;
    assert_eq!(status, 200, "beside them the connection goes on");
    connection.abort();
    let _ = connection.await;

    let traffic = lab.end().await;
    let seen: Vec<_> = traffic.exchanges.iter().map(|e| (e.host.as_str(), e.port, e.target.as_str(), e.via)).collect();
    let expected = [
        ("inside.example.com", 8080, "/inside", Via::Connect),
        ("api.example.com", 443, "/v1/messages?beta=true", Via::Direct),
    ];
    assert_eq!(seen, expected);
    let hop = &traffic.exchanges[0].hops[0];
    assert_eq!((hop.form, hop.secure, hop.toward.as_str()), (HopForm::Connect, true, "inside.example.com:8080"));
    assert_eq!(hop.headers, [(String::from("proxy-authorization"), String::from("Basic dTpw"))]);
    let others: Vec<_> = traffic.connections.iter().map(|c| (c.toward.as_deref(), c.first_bytes.as_slice())).collect();
    assert_eq!(others, [(Some("git.example.com:22"), &b"SSH-2.0-x\r\n"[..]), (Some("silent.example.com:443"), b"")]);
}

#[tokio::test]
async fn a_stream_without_end_is_cut_with_a_note_and_the_others_go_on() {
    let mut lab = Lab::simple().await;
    lab.offer_http2(true);
    lab.end().await;
    let (sender, _) = connect(&lab).await;
    let (status, _) = post(&sender, "x".repeat((64 << 20) + 5)).await;
    assert_eq!(status, 413);
    let (status, said) = post(&sender, String::from("{}")).await;
    assert!(status == 200 && said.contains("OK"));
    // Names and values beyond all bounds end their stream, or the connection, and nothing else.
    let request = Request::get(URL).version(Version::HTTP_2).header("x-long", "y".repeat(300_000)).body(()).unwrap();
    let (answer, _) = sender.clone().ready().await.unwrap().send_request(request, true).unwrap();
    assert!(
        answer.await.is_err_and(|error| !error.is_io()) || lab.post("/v1/messages", &json!({})).await.contains("OK")
    );
    let (sender, _) = connect(&lab).await;
    assert_eq!(post(&sender, String::from("{}")).await.0, 200);
    let traffic = lab.end().await;
    let large = &traffic.exchanges[0];
    assert_eq!((large.body.bytes.len(), large.status), (64 << 20, 413));
    assert!(large.note.as_deref().is_some_and(|note| note.starts_with("cut")), "{:?}", large.note);
    assert_eq!(traffic.dropped.len(), 1);
}
