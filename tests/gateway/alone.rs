//! The gateway alone with clients that send too much: how much memory it takes, and how many connections it bears. See
//! `pod.rs` for why each test has two halves.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use parallax::gateway::Traffic;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::lab::{pour, read_to_end};
use crate::pod::{PLACE, Pod, dial, inside};
use crate::unfolding::{UNFOLDED, bombs};

/// MB that the gateway's process may ever take, whatever it is sent: the 256 MiB of bodies that one cell keeps, as much
/// again while they are on their way to the program, and what a body unfolds into.
const MOST_MEMORY: u64 = 640;

/// MB more that bombs may take: 64 MiB of one are unfolded at a time, into room that is moved as it doubles, and what was
/// given back stays with the process for a while.
const MOST_UNFOLDING: u64 = 384;

/// Bytes of one body, and of all bodies of a cell, that README says are kept.
const KEPT_OF_ONE: usize = 64 << 20;
const KEPT_OF_ALL: usize = 256 << 20;

/// Connections one after another: as many requests as README says are kept of a cell.
const IN_A_ROW: usize = 100_000;
const AT_ONCE: usize = 1000;

/// Connections to one address: each keeps a port for a minute after its end.
const TO_ONE_ADDRESS: usize = 20_000;

const GIGABYTE: usize = 1 << 30;

#[test]
fn gigabytes_are_cut_with_a_note_and_take_little_memory() {
    inside("alone::gigabytes");
}

#[test]
fn bombs_take_little_memory() {
    inside("alone::explosions");
}

#[test]
fn a_hundred_thousand_connections_lose_no_record() {
    inside("alone::crowds");
}

/// Sends a body of a gigabyte as far as it is taken; gives what is answered.
async fn gigabyte(framing: &str) -> String {
    let mut socket = dial(PLACE, 80).await;
    socket.write_all(format!("POST /large HTTP/1.1\r\nHost: h\r\n{framing}").as_bytes()).await.unwrap();
    let poured = pour(&mut socket, &vec![b'x'; 1 << 20], GIGABYTE).await;
    assert!(poured < KEPT_OF_ALL, "it took {poured} bytes");
    read_to_end(&mut socket).await
}

fn dropped(traffic: &Traffic) -> Vec<(&str, u64)> {
    traffic.dropped.iter().map(|dropped| (dropped.what.as_str(), dropped.count)).collect()
}

#[tokio::test]
#[ignore = "run by another test, in a namespace"]
async fn gigabytes() {
    const FRAMINGS: [&str; 2] =
        ["Content-Length: 1073741824\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n40000000\r\n"];
    let mut pod = Pod::open().await;
    // One at a time, then eight at once, which all want the room of four.
    for framing in FRAMINGS {
        gigabyte(framing).await;
    }
    let one_at_a_time = pod.end().await;
    assert_eq!(dropped(&one_at_a_time), [("bytes of bodies", 2 * (GIGABYTE - KEPT_OF_ONE) as u64)]);
    join_all((0..8).map(|n| gigabyte(FRAMINGS[n % 2]))).await;
    let at_once = pod.end().await;
    assert_eq!(dropped(&at_once), [("bytes of bodies", (8 * GIGABYTE - KEPT_OF_ALL) as u64)]);
    for (traffic, count, kept) in [(&one_at_a_time, 2, 2 * KEPT_OF_ONE), (&at_once, 8, KEPT_OF_ALL)] {
        assert_eq!(traffic.exchanges.len(), count);
        assert_eq!(traffic.exchanges.iter().map(|exchange| exchange.body.bytes.len()).sum::<usize>(), kept);
        for exchange in &traffic.exchanges {
            assert_eq!((exchange.target.as_str(), exchange.status), ("/large", 413));
            assert!(exchange.body.bytes.len() <= KEPT_OF_ONE);
            assert!(exchange.note.as_deref().is_some_and(|note| note.starts_with("cut")), "{:?}", exchange.note);
        }
    }
    let peak = pod.peak_memory();
    println!("peak: {peak} MB");
    assert!(peak < MOST_MEMORY, "{peak} MB");
}

#[tokio::test]
#[ignore = "run by another test, in a namespace"]
async fn explosions() {
    let bombs = bombs();
    let mut pod = Pod::open().await;
    let before = pod.peak_memory();
    for (name, bomb) in &bombs {
        assert!(bomb.len() < UNFOLDED / 100, "{name} is no bomb: {} bytes", bomb.len());
        for encodings in [(*name).to_owned(), vec![*name; 5000].join(", ")] {
            // A path where the stub has to look inside to answer.
            let length = bomb.len();
            let head = format!(
                "POST /v1/messages HTTP/1.1\r\nHost: h\r\nContent-Encoding: {encodings}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            let mut socket = dial(PLACE, 80).await;
            socket.write_all(&[head.as_bytes(), bomb].concat()).await.unwrap();
            let answer = read_to_end(&mut socket).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{name}: {answer}");
        }
    }
    let traffic = pod.end().await;
    assert_eq!(traffic.exchanges.len(), 2 * bombs.len());
    for (pair, (name, bomb)) in traffic.exchanges.chunks(2).zip(&bombs) {
        for exchange in pair {
            assert!(*exchange.body.bytes == **bomb, "{name} is kept as it came");
        }
    }
    let grown = pod.peak_memory() - before;
    println!("peak: {before} MB and {grown} MB");
    assert!(grown < MOST_UNFOLDING, "{grown} MB");
}

/// Asks, and waits for the whole answer.
async fn ask(mut socket: TcpStream, target: &str) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 404 "), "{}", answer.escape_ascii());
}

fn another(n: usize) -> IpAddr {
    Ipv4Addr::new(203, 0, 113, u8::try_from(n / TO_ONE_ADDRESS).unwrap() + 1).into()
}

/// That each of `count` requests to `START/N` was recorded, once.
fn whole(traffic: &Traffic, start: &str, count: usize) {
    let mut seen = vec![0_u8; count];
    for exchange in &traffic.exchanges {
        let n: usize = exchange.target.strip_prefix(start).unwrap().parse().unwrap();
        seen[n] += 1;
    }
    let lost: Vec<_> = (0..count).filter(|n| seen[*n] != 1).take(10).collect();
    assert!(lost.is_empty(), "lost, or there twice: {lost:?}");
    assert!(traffic.connections.is_empty());
}

#[tokio::test]
#[ignore = "run by another test, in a namespace"]
async fn crowds() {
    let mut pod = Pod::open().await;
    let began = Instant::now();
    for n in 0..IN_A_ROW {
        ask(dial(another(n), 80).await, &format!("/row/{n}")).await;
    }
    println!("{IN_A_ROW} in a row: {:.1?}", began.elapsed());
    // More than that are answered too, and counted.
    for n in 0..5 {
        ask(dial(another(IN_A_ROW), 80).await, &format!("/more/{n}")).await;
    }
    let traffic = pod.end().await;
    whole(&traffic, "/row/", IN_A_ROW);
    assert_eq!(dropped(&traffic), [("requests", 5)]);

    // All of them are there before the first says a word.
    let began = Instant::now();
    let mut crowd = Vec::new();
    for _ in 0..AT_ONCE {
        crowd.push(dial(PLACE, 80).await);
    }
    let asked =
        crowd.into_iter().enumerate().map(|(n, socket)| async move { ask(socket, &format!("/crowd/{n}")).await });
    tokio::time::timeout(Duration::from_mins(1), join_all(asked)).await.expect("somebody waits in vain");
    println!("{AT_ONCE} at once: {:.1?}", began.elapsed());
    let traffic = pod.end().await;
    whole(&traffic, "/crowd/", AT_ONCE);
    assert_eq!((dropped(&traffic), traffic.left_open), (Vec::new(), 0));
    let peak = pod.peak_memory();
    println!("peak: {peak} MB");
    assert!(peak < MOST_MEMORY, "{peak} MB");
}
