//! Questions that are none, and answers that stay small: nobody can be flooded by way of a resolver that says little more
//! than it was asked.

use std::time::Duration;

use parallax::capture::ConnectionKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use crate::hostile::still_serves;
use crate::lab::Lab;

/// Bytes of one record: a pointer to the name that was asked for, type, class, time to live, length, an IPv6 address.
const RECORD: usize = 2 + 2 + 2 + 4 + 2 + 16;

/// A message's head, with so many questions and additional records.
fn head(questions: u8, additional: u8) -> Vec<u8> {
    vec![0x12, 0x34, 1, 0, 0, questions, 0, 0, 0, 0, 0, additional]
}

/// `name` for this type of record.
fn question(name: &str, kind: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.bytes());
    }
    bytes.extend([0, 0, kind, 0, 1]);
    bytes
}

/// EDNS that says that answers of any size are welcome, signatures too.
const EDNS: [u8; 11] = [0, 0, 41, 0xff, 0xff, 0, 0, 0x80, 0, 0, 0];

async fn answer(socket: &UdpSocket) -> Vec<u8> {
    let mut answer = vec![0; 65_535];
    let received = tokio::time::timeout(Duration::from_secs(10), socket.recv(&mut answer)).await.expect("silent");
    answer.truncate(received.unwrap());
    answer
}

#[tokio::test]
async fn questions_that_are_none_are_recorded_as_what_they_are() {
    let mut lab = Lab::simple().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(lab.dns).await.unwrap();
    // A name that points at itself, two that point at each other, labels too long, a name too long, a missing end, a count
    // that lies, an answer where a question should be, a head cut short, one byte, noise.
    let mut told = head(1, 0);
    told[2] = 0x81;
    let odd = [
        [head(1, 0), b"\xc0\x0c\x00\x01\x00\x01".to_vec()].concat(),
        [head(1, 0), b"\xc0\x0e\xc0\x0c\x00\x01\x00\x01".to_vec()].concat(),
        [head(1, 0), vec![0x7f; 200]].concat(),
        [head(1, 0), [&[63][..], &[b'a'; 63]].concat().repeat(20), vec![0, 0, 1, 0, 1]].concat(),
        [head(1, 0), b"\x05ab".to_vec()].concat(),
        [head(255, 0), question("a.example", 1)].concat(),
        [told, question("a.example", 1)].concat(),
        head(1, 0)[..11].to_vec(),
        vec![0],
        (0..3000_u16).map(|n| n.wrapping_mul(40_503).to_be_bytes()[0]).collect(),
    ];
    for query in &odd {
        socket.send(query).await.unwrap();
    }
    // The same behind its length, and behind a length that lies.
    for query in &odd {
        for length in [u16::try_from(query.len()).unwrap(), u16::MAX] {
            let mut stream = TcpStream::connect(lab.dns_stream).await.unwrap();
            stream.write_u16(length).await.unwrap();
            stream.write_all(query).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.expect("open");
            assert!(answer.is_empty(), "{}", answer.escape_ascii());
        }
    }
    // A name of odd bytes is a name, and a question that is good is answered after all that.
    let strange = [head(1, 0), b"\x04a\x00\xff\"\x00\x00\x01\x00\x01".to_vec()].concat();
    socket.send(&strange).await.unwrap();
    assert!(answer(&socket).await.starts_with(&[0x12, 0x34, 0x81]));
    socket.send(&[head(1, 0), question("last.example", 255)].concat()).await.unwrap();
    assert!(answer(&socket).await.windows(4).any(|four| four == b"last"));

    let traffic = still_serves(&mut lab).await;
    let names: Vec<_> = traffic.dns.iter().map(|q| (q.name.as_str(), q.kind.as_str())).collect();
    assert_eq!(names[1..], [("last.example", "ANY")]);
    assert!(names[0].0.starts_with("a\\000"), "{names:?}");
    let of = |kind: ConnectionKind| {
        let all = traffic.connections.iter().filter(move |connection| connection.kind == kind);
        all.map(|connection| connection.first_bytes.clone()).collect::<Vec<_>>()
    };
    let first = |bytes: &[u8]| bytes[..bytes.len().min(256)].to_vec();
    assert_eq!(of(ConnectionKind::Datagram), odd.iter().map(|query| first(query)).collect::<Vec<_>>());
    let framed = odd.iter().flat_map(|query| {
        let length = u16::try_from(query.len()).unwrap();
        [length, u16::MAX].map(|length| first(&[&length.to_be_bytes()[..], query].concat()))
    });
    assert_eq!(of(ConnectionKind::Accepted), framed.collect::<Vec<_>>());
}

#[tokio::test]
async fn no_answer_is_larger_than_its_question_and_a_record() {
    let lab = Lab::simple().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(lab.dns).await.unwrap();
    let longest = [&["a"; 60][..], &["b".repeat(63).as_str(), &"c".repeat(63)]].concat().join(".");
    assert!(longest.len() > 240);
    // A, NS, CNAME, SOA, PTR, HINFO, MX, TXT, AAAA, SRV, DS, RRSIG, DNSKEY, HTTPS, IXFR, AXFR, ANY; one that nobody knows.
    for kind in [1, 2, 5, 6, 12, 13, 15, 16, 28, 33, 43, 46, 48, 65, 251, 252, 255, 199] {
        for name in ["a", "api.example.com", longest.as_str()] {
            for edns in [&[][..], &EDNS] {
                let additional = u8::from(!edns.is_empty());
                let query = [&head(1, additional)[..], &question(name, kind), edns].concat();
                socket.send(&query).await.unwrap();
                let (asked, answered) = (query.len(), answer(&socket).await.len());
                assert!(answered <= asked + RECORD, "{answered} bytes to {asked}: {kind} of {name}");
            }
        }
    }
    // Four questions are a record each, more are refused without a word of them.
    for questions in [4_u8, 5, 100, 255] {
        let query = [head(questions, 1), question("a.example", 255).repeat(questions.into()), EDNS.to_vec()].concat();
        socket.send(&query).await.unwrap();
        let answered = answer(&socket).await.len();
        let most = if questions == 4 { query.len() + 4 * RECORD } else { 12 + EDNS.len() };
        assert!(answered <= most, "{answered} bytes to {questions} questions");
    }
    // The longest that can be said is the name of an address, and that name was said by the same client before.
    socket.send(&[head(1, 0), question(&longest, 1)].concat()).await.unwrap();
    let told = answer(&socket).await;
    let octets: Vec<_> = told[told.len() - 4..].iter().rev().map(ToString::to_string).collect();
    let query = [head(1, 0), question(&format!("{}.in-addr.arpa", octets.join(".")), 12)].concat();
    socket.send(&query).await.unwrap();
    let answered = answer(&socket).await.len();
    assert!(answered > longest.len() && answered <= query.len() + 12 + longest.len() + 2, "{answered} bytes");
}
