//! **Structure**: keys, tools, messages, headers, requests, names, connections, the process and its files.

use parallax::capture::{
    Body, Capture, Change, Connection, DnsQuestion, FileChange, HelloDetail, Hop, HopForm, Outcome, Seconds, TlsHello,
    Via,
};
use parallax::finding::Class::{Behavioural, Covert, Overt, Structural};
use rand::RngExt as _;
use rand::seq::SliceRandom as _;

use crate::check::{mark, quiet, say, send};
use crate::lab::*;

#[test]
fn order_and_doubles_of_keys_are_found() {
    mark("order of keys", Covert, "order of keys", |run, marked| {
        let (a, b) = ("\"alpha\":1", format!("\"beta\":\"{}\"", run.uuid()));
        send(run, &if marked { format!("{{{b},{a},\"c\":3}}") } else { format!("{{{a},{b},\"c\":3}}") })
    });
    mark("a key twice", Structural, "alpha 2", |run, marked| {
        send(run, &format!("{{\"alpha\":1,\"beta\":2{}}}", if marked { ",\"alpha\":1" } else { "" }))
    });
    mark("a further key", Structural, "gamma", |run, marked| {
        send(run, &format!("{{\"alpha\":1,\"beta\":2{}}}", if marked { ",\"gamma\":null" } else { "" }))
    });
    quiet("a random order of keys", |run| {
        let mut members = ["\"a\":1", "\"b\":2", "\"c\":3", "\"d\":4", "\"e\":5", "\"f\":6", "\"g\":7"];
        members.shuffle(&mut run.rng);
        send(run, &format!("{{{}}}", members.join(",")))
    });
}

#[test]
fn json_in_a_string_is_opened() {
    mark("inside a string", Covert, "JSON", |run, marked| {
        let inner = json(&serde_json::json!({"id": run.uuid(), "note": if marked { "it\u{2019}s" } else { "it's" }}));
        send(run, &json(&serde_json::json!({"meta": inner, "x": 1})))
    });
    mark("inside two strings", Overt, "depth", |run, marked| {
        let inner = json(&serde_json::json!({"id": run.uuid(), "depth": if marked { 2 } else { 3 }}));
        let outer = json(&serde_json::json!({"inner": inner, "id": run.uuid()}));
        send(run, &json(&serde_json::json!({"meta": outer, "x": 1})))
    });
}

#[test]
fn tools_and_messages_are_found_by_what_they_are() {
    let tool =
        |name: &str| serde_json::json!({"name": name, "description": format!("what {name} does"), "input_schema": {}});
    mark("a further tool", Structural, "Grep", |run, marked| {
        let mut tools = vec![tool("Bash"), tool("Edit"), tool("Read")];
        if marked {
            tools.insert(1, tool("Grep"));
        }
        let body = serde_json::json!({"tools": tools, "id": run.uuid()});
        send(run, &json(&body))
    });
    mark("tools in another order", Structural, "order", |run, marked| {
        let mut tools = vec![tool("Bash"), tool("Edit"), tool("Read")];
        if marked {
            tools.reverse();
        }
        let body = serde_json::json!({"tools": tools, "id": run.uuid()});
        send(run, &json(&body))
    });
    mark("a further message", Structural, "system", |run, marked| {
        let mut messages = vec![
            serde_json::json!({"role": "user", "content": "list the files of this folder"}),
            serde_json::json!({"role": "assistant", "content": format!("done as {}", run.uuid())}),
        ];
        if marked {
            messages.insert(0, serde_json::json!({"role": "system", "content": "be brief and kind"}));
        }
        send(run, &json(&serde_json::json!({"messages": messages, "x": 1})))
    });
}

#[test]
fn one_inserted_line_flags_one_slot_beside_noise() {
    let lines = |run: &mut Run| -> Vec<String> {
        (0..80)
            .map(|n| match n {
                10 => format!("session {}", run.uuid()),
                40 => format!("started at {}", run.started),
                _ => format!("- rule number {n} says something of its own kind"),
            })
            .collect()
    };
    mark("a line", Structural, "line", |run, marked| {
        let mut lines = lines(run);
        if marked {
            lines.insert(25, String::from("You are on a build machine."));
        }
        say(run, &lines.join("\n"))
    });
    let extracted = extract(&runs(3, 8, 40, |run| {
        let mut lines = lines(run);
        if run.levels.level(HOSTNAME) == 1 {
            lines.insert(25, String::from("You are on a build machine."));
        }
        say(run, &lines.join("\n"))
    }));
    assert_eq!(extracted.unexplained().len(), 1, "{:#?}", extracted.unexplained());
}

/// A prompt of two hundred lines of which four vary: a token index would flag thousands of features, a line index hundreds.
#[test]
fn four_of_two_hundred_lines_are_no_more_than_six_features() {
    // Of one length: how long a word is stands in a feature of its own, so that each line would have two.
    let words = ["amber", "beige", "coral", "ivory", "lilac", "ochre", "umber"];
    let lines = |run: &mut Run| -> Vec<String> {
        let mut word = || words[run.rng.random_range(0..words.len())];
        let (first, second, third, fourth) = (word(), word(), word(), word());
        (0..200)
            .map(|n| match n {
                20 => format!("The mood of this session is {first}."),
                70 => format!("Working folder: /srv/{second}/src"),
                71 => format!("Recent commits: {third} is merged"),
                150 => format!("Prefer {fourth} over others where both would do."),
                _ => format!("- rule number {n} says something of its own kind, {} words or so", n % 7),
            })
            .collect()
    };
    let extracted = extract(&runs(5, 8, 60, |run| {
        let lines = lines(run);
        say(run, &lines.join("\n"))
    }));
    let found = extracted.unexplained();
    assert!((4..=6).contains(&found.len()), "{}: {found:#?}", found.len());
    // A line more where the host has its second name, above all of them: one slot more, and no other feature.
    let inserted = extract(&runs(5, 8, 60, |run| {
        let mut lines = lines(run);
        if run.levels.level(HOSTNAME) == 1 {
            lines.insert(10, String::from("You are on a build machine."));
        }
        say(run, &lines.join("\n"))
    }));
    let slots: Vec<_> =
        inserted.unexplained().into_iter().filter(|(feature, _)| inserted.follows(*feature, &[HOSTNAME])).collect();
    assert_eq!(slots.len(), 1, "{slots:#?}");
    assert_eq!(inserted.unexplained().len(), found.len() + 1, "{:#?}", inserted.unexplained());
}

/// What a request says of itself.
type Headers = Vec<(&'static str, String)>;

#[test]
fn names_case_order_and_doubles_of_headers_are_found() {
    let sent = |run: &mut Run, change: &dyn Fn(&mut Headers)| {
        let mut headers = vec![
            ("Accept", String::from("*/*")),
            ("X-App", String::from("cli")),
            ("X-Request-Id", run.uuid()),
            ("User-Agent", String::from("agent/1.0 (it's me)")),
        ];
        change(&mut headers);
        run.capture(vec![run.post("/v1/messages", headers, "{}")])
    };
    mark("a further header", Structural, "header x-more", |run, marked| {
        sent(run, &|headers| {
            if marked {
                headers.insert(1, ("X-More", "1".into()));
            }
        })
    });
    mark("a header twice", Structural, "x-app 2", |run, marked| {
        sent(run, &|headers| {
            if marked {
                headers.insert(2, ("X-App", "cli".into()));
            }
        })
    });
    mark("case of a name", Covert, "case", |run, marked| {
        sent(run, &|headers| {
            if marked {
                headers[1].0 = "x-app";
            }
        })
    });
    mark("order", Covert, "order of headers", |run, marked| {
        sent(run, &|headers| {
            if marked {
                headers.swap(0, 1);
            }
        })
    });
    mark("a sign in a value", Covert, "user-agent", |run, marked| {
        sent(run, &|headers| {
            if marked {
                headers[3].1 = headers[3].1.replace('\'', "\u{2019}");
            }
        })
    });
    mark("white space in a value", Covert, "accept", |run, marked| {
        sent(run, &|headers| {
            if marked {
                headers[0].1.push(' ');
            }
        })
    });
    quiet("a random order", |run| {
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        let mut headers: Vec<(&str, String)> = names.iter().map(|name| (*name, String::from("1"))).collect();
        headers.shuffle(&mut run.rng);
        run.capture(vec![run.post("/v1/messages", headers, "{}")])
    });
}

/// A request whose head came as these bytes.
fn spelt(run: &mut Run, raw: &str) -> Capture {
    let (id, user) = (run.uuid(), run.level(USER, &USERS).to_owned());
    let mut exchange = run.post("/v1/messages", vec![("X-Request-Id", id.clone()), ("X-User", user.clone())], "{}");
    let raw = raw.replace("ID", &id).replace("USER", &user);
    exchange.head = Some(Body::new(raw.into_bytes())).filter(|raw| !raw.bytes.is_empty());
    run.capture(vec![exchange])
}

#[test]
fn white_space_and_line_ends_of_a_head_are_found() {
    let usual = "POST /v1/messages HTTP/1.1\r\nHost: h\r\nX-Request-Id: ID\r\nX-User: USER\r\n\r\n";
    for (what, place, odd) in [
        ("a space more", "spaces around host", usual.replace("Host: h", "Host:  h")),
        ("a space less", "spaces around x-user", usual.replace("X-User: ", "X-User:")),
        ("a tab for a space", "spaces around host", usual.replace("Host: ", "Host:\t")),
        ("a space behind", "spaces around x-request-id", usual.replace("ID\r", "ID \r")),
        ("one bare line feed", "spaces around host", usual.replace("h\r\n", "h\n")),
        ("bare line feeds", "ends of lines", usual.replace('\r', "")),
        ("a bare line feed at the end", "end of the head", usual.replace("\r\n\r\n", "\r\n\n")),
        ("an empty line before", "before it", format!("\r\n{usual}")),
        ("an extension of a chunk", "chunks", format!("{usual}1f;a=b\r\n2;a=b\r\n")),
        ("a trailer's space", "spaces around x-sum", format!("{usual}X-Sum:1\r\n")),
    ] {
        // From a head that is not kept, and from one that is, for whatever reason.
        for plain in ["", usual, &usual.replace("POST /v1", "POST http://me@h/v1")] {
            mark(what, Covert, place, |run, marked| spelt(run, if marked { odd.as_str() } else { plain }));
        }
    }
    mark("another space than there was", Covert, "spaces around host", |run, marked| {
        spelt(run, &usual.replace("Host: ", if marked { "Host:\t" } else { "Host:" }))
    });
    quiet("a client that never writes a space", |run| spelt(run, &usual.replace(": ", ":")));
    quiet("chunks of any size", |run| {
        let size = run.rng.random_range(1..9999);
        spelt(run, &format!("{usual}{size:x};a=b\r\n"))
    });
}

#[test]
fn what_is_said_to_a_proxy_is_no_spelling_of_the_request() {
    quiet("a proxy's own lines", |run| {
        let proxied = run.levels.level(HOSTNAME) == 1;
        let mut capture =
            spelt(run, if proxied { "POST / HTTP/1.1\r\nHost: h\r\nProxy-Connection:x\r\n\r\n" } else { "" });
        let hop = Hop { form: HopForm::Absolute, secure: false, toward: String::from("h:80"), headers: Vec::new() };
        // The way is the same for all here: only what is said on it differs.
        capture.exchanges[0].hops = vec![hop];
        capture
    });
}

/// The second request of a conversation: the tool's result, and what the agent says beside it.
fn conversation(run: &mut Run, beside: &str) -> Capture {
    let (tools, id) = (serde_json::json!([{"name": "Bash", "input_schema": {}}]), run.uuid());
    let mut messages = vec![serde_json::json!({"role": "user", "content": "list the files of this folder"})];
    let body = |messages: &Vec<serde_json::Value>| {
        json(&serde_json::json!({"model": "m", "messages": messages, "tools": tools, "metadata": {"session": id}}))
    };
    let first = run.post("/v1/messages", Vec::new(), &body(&messages));
    messages.extend([
        serde_json::json!({"role": "assistant", "content": [
            {"type": "tool_use", "id": "toolu_01", "name": "Bash", "input": {"command": "ls"}}]}),
        serde_json::json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_01", "content": "a.txt\nb.txt"},
            {"type": "text", "text": beside}]}),
    ]);
    let second = run.post("/v1/messages", Vec::new(), &body(&messages));
    run.capture(vec![first, second])
}

#[test]
fn a_tell_in_a_later_turn_alone_is_found_there() {
    let place = "POST /v1/messages #1 \u{b7} messages[user#1].content[text#0].text";
    mark("a sign beside the tool's result", Covert, place, |run, marked| {
        conversation(run, if marked { "Don\u{2019}t stop yet." } else { "Don't stop yet." })
    });
    mark("a word beside the tool's result", Overt, place, |run, marked| {
        conversation(run, if marked { "Go on, politely." } else { "Go on, briefly." })
    });
    let extracted = extract(&runs(9, 8, 40, |run| {
        let marked = run.levels.level(HOSTNAME) == 1;
        conversation(run, if marked { "Don\u{2019}t stop yet." } else { "Don't stop yet." })
    }));
    let places: Vec<_> = extracted.unexplained().into_iter().map(|(_, known)| known.place.clone()).collect();
    assert!(places.iter().all(|place| place.contains("#1")), "the first request is the same: {places:?}");
}

#[test]
fn requests_that_appear_and_disappear_are_found() {
    let call = |run: &mut Run, path: &str| {
        let body = json(&serde_json::json!({"event": path, "id": run.uuid()}));
        run.post(path, Vec::new(), &body)
    };
    mark("a request more", Structural, "POST /telemetry", |run, marked| {
        let mut exchanges = vec![call(run, "/v1/messages")];
        if marked {
            exchanges.push(call(run, "/telemetry"));
        }
        run.capture(exchanges)
    });
    mark("a request less", Structural, "POST /telemetry", |run, marked| {
        let mut exchanges = vec![call(run, "/v1/messages"), call(run, "/telemetry")];
        if marked {
            exchanges.pop();
        }
        run.capture(exchanges)
    });
    mark("another order", Structural, "order of requests", |run, marked| {
        let mut exchanges = vec![call(run, "/v1/messages"), call(run, "/telemetry"), call(run, "/usage")];
        if marked {
            exchanges.swap(1, 2);
        }
        run.capture(exchanges)
    });
    mark("one of a kind more", Structural, "POST /events", |run, marked| {
        let mut exchanges: Vec<_> = (0..2 + usize::from(marked)).map(|_| call(run, "/events")).collect();
        exchanges.insert(0, call(run, "/v1/messages"));
        run.capture(exchanges)
    });
    quiet("requests that race", |run| {
        let mut exchanges: Vec<_> =
            ["/v1/messages", "/telemetry", "/usage", "/flags", "/settings", "/news"].map(|path| call(run, path)).into();
        exchanges.shuffle(&mut run.rng);
        run.capture(exchanges)
    });
}

/// A capture of one request, changed.
fn changed(run: &mut Run, change: impl FnOnce(&mut Capture)) -> Capture {
    let body = json(&serde_json::json!({"id": run.uuid()}));
    let mut capture = send(run, &body);
    change(&mut capture);
    capture
}

/// What of a hello is changed, where that is to be found, and how.
type Departure = (&'static str, &'static str, fn(&mut HelloDetail));

#[test]
fn hosts_names_and_connections_are_found() {
    let ask =
        |name: &str| DnsQuestion { at: Seconds(0), name: name.to_owned(), kind: "A".into(), ..DnsQuestion::default() };
    mark("a name asked for", Behavioural, "DNS question for beacon.example", |run, marked| {
        changed(run, |capture| {
            capture.dns = vec![ask("static.example")];
            if marked {
                capture.dns.push(ask("beacon.example"));
            }
        })
    });
    mark("another host", Overt, "host", |run, marked| {
        changed(run, |capture| {
            let mut other = capture.exchanges[0].clone();
            other.target = String::from("/telemetry");
            other.host = String::from(if marked { "b.example.net" } else { "a.example.net" });
            other.headers.clear();
            capture.exchanges.push(other);
        })
    });
    let hello = |sni: &str, alpn: &[&str], ciphers: &[&str]| TlsHello {
        at: Seconds(0),
        sni: Some(sni.to_owned()),
        alpn: alpn.iter().map(|name| (*name).to_owned()).collect(),
        cipher_suites: ciphers.iter().map(|name| (*name).to_owned()).collect(),
        completed: true,
        detail: None,
    };
    for (what, place, plain, odd) in [
        ("a server name", "TLS hello for b.example", ("a.example", "h2", "1301"), ("b.example", "h2", "1301")),
        ("ALPN", "ALPN", ("a.example", "h2", "1301"), ("a.example", "http/1.1", "1301")),
        ("cipher suites", "cipher suites", ("a.example", "h2", "1301"), ("a.example", "h2", "1302")),
    ] {
        mark(what, Behavioural, place, |run, marked| {
            let (sni, alpn, cipher) = if marked { odd } else { plain };
            let grease = ["0a0a", "1a1a", "2a2a"][run.rng.random_range(0..3)];
            changed(run, |capture| capture.tls = vec![hello(sni, &[alpn], &[grease, cipher])])
        });
    }
    let usual = || HelloDetail {
        extensions: ["0000", "0010", "000a", "000d"].map(str::to_owned).to_vec(),
        groups: ["001d", "0017"].map(str::to_owned).to_vec(),
        signatures: ["0403", "0804"].map(str::to_owned).to_vec(),
        ja4: String::from("t13d0204h2_0123456789ab_0123456789ab"),
    };
    let changes: [Departure; 6] = [
        ("groups", "\u{b7} groups", |detail| detail.groups.insert(0, String::from("11ec"))),
        ("the order of groups", "\u{b7} groups", |detail| detail.groups.reverse()),
        ("signature algorithms", "\u{b7} signature algorithms", |detail| drop(detail.signatures.pop())),
        ("an extension more", "\u{b7} extensions", |detail| detail.extensions.push(String::from("002b"))),
        ("the order of extensions", "\u{b7} order of extensions", |detail| detail.extensions.swap(1, 2)),
        ("the digest", "\u{b7} JA4", |detail| detail.ja4.replace_range(..3, "t12")),
    ];
    for (what, place, change) in changes {
        mark(what, Behavioural, place, |run, marked| {
            let mut detail = usual();
            if marked {
                change(&mut detail);
            }
            changed(run, |capture| {
                capture.tls = vec![TlsHello { detail: Some(detail), ..hello("a.example", &["h2"], &["1301"]) }];
            })
        });
    }
    quiet("extensions in another order each time", |run| {
        let mut hellos = [usual(), usual()];
        for detail in &mut hellos {
            detail.extensions.shuffle(&mut run.rng);
        }
        // Two hellos of one client that are the same show nothing of its habit.
        if hellos[0].extensions == hellos[1].extensions {
            hellos[1].extensions.reverse();
        }
        changed(run, |capture| {
            let of = |detail| TlsHello { detail: Some(detail), ..hello("a.example", &["h2"], &["1301"]) };
            capture.tls = hellos.map(of).to_vec();
        })
    });
    mark("a bare address", Behavioural, "connection to 203.0.113.9:443", |run, marked| {
        changed(run, |capture| {
            if marked {
                let dialled = String::from("203.0.113.9:443");
                let first_bytes = vec![0x16, 3, 1];
                let bare = Connection { dialled, first_bytes, ..Connection::default() };
                capture.connections.push(bare);
            }
        })
    });
    mark("a request through CONNECT", Behavioural, "form", |run, marked| {
        changed(run, |capture| capture.exchanges[0].via = if marked { Via::Connect } else { Via::Direct })
    });
}

#[test]
fn the_process_and_its_files_are_found() {
    mark("exit status", Behavioural, "outcome", |run, marked| {
        changed(run, |capture| capture.outcome = Outcome::Exited { code: i32::from(marked) })
    });
    mark("a line of output", Behavioural, "standard output", |run, marked| {
        let id = run.uuid();
        changed(run, |capture| {
            let more = if marked { "a warning\n" } else { "" };
            capture.stdout = Body::new(format!("session {id}\n{more}OK\n").as_bytes());
        })
    });
    mark("a line of errors", Behavioural, "standard error", |run, marked| {
        changed(run, |capture| {
            capture.stderr = Body::new(format!("one\n{}", if marked { "two\n" } else { "" }).as_bytes());
        })
    });
    mark("a file", Behavioural, "files", |run, marked| {
        let session = run.uuid();
        changed(run, |capture| {
            let mut paths = vec![format!("/home/dev/.agent/{session}.jsonl"), String::from("/workspace/.cache")];
            if marked {
                paths.push(String::from("/workspace/.marker"));
            }
            capture.files = paths.into_iter().map(|path| FileChange { path, change: Change::Added }).collect();
        })
    });
}
