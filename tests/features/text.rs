//! Marks in **text**: code points, signs, white space, numbers, dates, escapes; bare and beside what is random.

use std::fmt::Write as _;

use parallax::finding::Class::{Covert, Overt};
use rand::RngExt as _;

use crate::check::{mark, quiet, say, send};
use crate::lab::*;

const WORDS: [&str; 10] = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven", "inlet", "jetty"];

fn word(run: &mut Run) -> &'static str {
    WORDS[run.rng.random_range(0..WORDS.len())]
}

/// Some random words; how many of them is random too.
fn words(run: &mut Run) -> String {
    let mut text = word(run).to_owned();
    for _ in 0..run.rng.random_range(2..6) {
        let _ = write!(text, " {}{}", word(run), run.rng.random_range(1..99));
    }
    text
}

#[test]
fn characters_that_nobody_sees_are_found_in_a_constant_text() {
    for odd in [
        "\u{200b}",
        "\u{200d}",
        "\u{2060}",
        "\u{feff}",
        "\u{ad}",
        "\u{202e}",
        "\u{2066}",
        "\u{200f}",
        "\u{e0068}\u{e0069}",
        "\u{fe0f}",
        "\u{e0100}",
        "\u{1}",
    ] {
        mark(&format!("{odd:?}"), Covert, "content", |run, marked| {
            let odd = if marked { odd } else { "" };
            say(run, &format!("head\nThe agent is{odd} here to help.\ntail"))
        });
    }
}

#[test]
fn characters_that_nobody_sees_are_found_beside_and_inside_what_is_random() {
    for odd in ["\u{200b}", "\u{2066}", "\u{e0068}\u{e0069}", "\u{fe0f}"] {
        let odd = |marked: bool| if marked { odd } else { "" };
        mark("beside a uuid", Covert, "content", |run, marked| {
            let id = run.uuid();
            say(run, &format!("head\nRun {id}{} goes on.\ntail", odd(marked)))
        });
        mark("inside a uuid", Covert, "content", |run, marked| {
            let (a, b) = {
                let id = run.uuid();
                (id[..20].to_owned(), id[20..].to_owned())
            };
            say(run, &format!("head\nRun {a}{}{b} goes on.\ntail", odd(marked)))
        });
        mark("inside a random word", Covert, "content", |run, marked| {
            let (a, b) = (word(run), run.rng.random_range(100..99_999));
            say(run, &format!("head\nsession {a}{}{b}\ntail", odd(marked)))
        });
        mark("in a line of random words", Covert, "content", |run, marked| {
            let (a, b) = (words(run), words(run));
            say(run, &format!("head\n{a}{} {b}\ntail", odd(marked)))
        });
        mark("in a member that is random", Covert, "note", |run, marked| {
            let body = serde_json::json!({"note": format!("{}{}", words(run), odd(marked)), "id": run.uuid()});
            send(run, &json(&body))
        });
    }
}

#[test]
fn white_space_is_found() {
    for (what, plain, odd) in [
        ("two blanks", "to help", "to  help"),
        ("a trailing blank", "me.", "me. "),
        ("a tab", "to help", "to\thelp"),
        ("a hard blank", "to help", "to\u{a0}help"),
        ("a thin blank", "to help", "to\u{2009}help"),
        ("a final line feed", "tail", "tail\n"),
        ("line ends", "\n", "\r\n"),
        ("an indented line", "\ntail", "\n tail"),
        ("a blank line", "\ntail", "\n\ntail"),
    ] {
        mark(what, Covert, "content", |run, marked| {
            let text = "head\nThe agent is here to help me.\nMore of it follows here.\ntail";
            say(run, &if marked { text.replace(plain, odd) } else { text.to_owned() })
        });
    }
}

#[test]
fn white_space_is_found_beside_what_is_random() {
    for odd in ["\u{a0}", "\t", "  ", "\u{2003}"] {
        mark("between random words", Covert, "content", |run, marked| {
            let (a, b) = (words(run), words(run));
            say(run, &format!("head\n{a}{}{b}\ntail", if marked { odd } else { " " }))
        });
    }
}

#[test]
fn signs_of_one_use_are_found() {
    for (plain, odd) in [
        ("'", "\u{2019}"),
        ("'", "\u{2bc}"),
        ("\"", "\u{201d}"),
        ("-", "\u{2010}"),
        ("-", "\u{2013}"),
        ("-", "\u{2212}"),
        ("...", "\u{2026}"),
        ("/", "\u{2215}"),
        (":", "\u{a789}"),
        ("e", "\u{435}"),
        ("caf\u{e9}", "cafe\u{301}"),
        ("a", "\u{ff41}"),
    ] {
        mark(&format!("{odd:?} for {plain:?}"), Covert, "content", |run, marked| {
            let text = "head\nIt's a \"good\" well-known caf\u{e9}: eat and/or drink...\ntail";
            say(run, &if marked { text.replacen(plain, odd, 1) } else { text.to_owned() })
        });
    }
    for odd in ["\u{2019}", "\u{2013}", "\u{2026}"] {
        mark("a sign among random words", Covert, "content", |run, marked| {
            let (a, b) = (words(run), words(run));
            say(run, &format!("head\n{a} {} {b}\ntail", if marked { odd } else { "-" }))
        });
    }
    mark("a letter in a random word", Covert, "content", |run, marked| {
        let id = run.rng.random_range(1000..99_999);
        say(run, &format!("head\nsession d{}lta{id} here\ntail", if marked { "\u{435}" } else { "e" }))
    });
}

#[test]
fn another_word_is_overt() {
    mark("a word", Overt, "content", |run, marked| {
        say(run, &format!("head\nThe agent is here to {} you.\ntail", if marked { "watch" } else { "help" }))
    });
    mark("a word beside a uuid", Overt, "content", |run, marked| {
        let id = run.uuid();
        say(run, &format!("head\nRun {id} {}.\ntail", if marked { "stops" } else { "goes on" }))
    });
}

#[test]
fn numbers_written_otherwise_are_found() {
    for (plain, odd) in
        [("1000", "1,000"), ("1000", "1_000"), ("1000", "1\u{202f}000"), ("2.5", "2.50"), ("2.5", "2,5"), ("07", "7")]
    {
        mark(odd, Covert, "content", |run, marked| {
            say(run, &"head\nof 1000 at 2.5 in 07 more\ntail".replace(plain, if marked { odd } else { plain }))
        });
    }
    for (plain, odd) in [("1", "1.0"), ("1", "1e0"), ("100", "1E2"), ("0.5", "5e-1")] {
        mark(odd, Covert, "limit", |run, marked| {
            send(run, &format!("{{\"limit\":{},\"x\":2}}", if marked { odd } else { plain }))
        });
    }
    mark("a measured number with a leading plus", Covert, "took", |run, marked| {
        let n = run.rng.random_range(1000..99_999);
        send(run, &format!("{{\"took\":\"{}{n}\",\"x\":2}}", if marked { "+" } else { "" }))
    });
    mark("a measured number in other digits", Covert, "took", |run, marked| {
        let n = run.rng.random_range(1000..99_999).to_string();
        let odd = |c: char| char::from_u32(u32::from(c) - 0x30 + 0xff10).unwrap();
        let n = if marked { n.chars().map(odd).collect() } else { n };
        send(run, &format!("{{\"took\":\"{n}\",\"x\":2}}"))
    });
}

#[test]
fn a_date_is_a_date_in_every_notation_and_language() {
    let day = |run: &Run| chrono::DateTime::from_timestamp_millis(run.started).unwrap();
    let formats = [
        "%Y-%m-%d",
        "%Y/%m/%d",
        "%d.%m.%Y",
        "%B %d, %Y",
        "%a, %d %b %Y",
        "%A",
        "%Y%m%d",
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%dT%H_%M_%SZ",
        "%Y%m%d_%H%M%S",
        "%Y%m%d%H%M%S",
        "%Y\u{5e74}%m\u{6708}%d\u{65e5}",
        "%d de noviembre de %Y",
        "%d. listopadu %Y",
        "%d ноября %Y",
        "%d novembre %Y",
        "%s",
        "%A, %B %-d",
        "%d de noviembre",
        "%m\u{6708}%d\u{65e5}",
        "%a %b %e %H:%M:%S UTC %Y",
        "%-m/%-d/%Y, %-I:%M:%S %p",
        "%-H:%M",
    ];
    for format in formats {
        quiet(format, |run| {
            let date = day(run).format(format);
            say(run, &format!("head\nToday is {date}, they say.\ntail"))
        });
        quiet(format, |run| {
            let date = run.local().format(format);
            say(run, &format!("head\nToday is {date}, they say.\ntail"))
        });
    }
    // In words, as the 21st and the 22nd are.
    for (of_21, of_22) in [
        ("the twenty-first of November", "the twenty-second of November"),
        ("November twenty-first, two thousand twenty-six", "November twenty-second, two thousand twenty-six"),
        ("November 21st", "November 22nd"),
        ("der einundzwanzigste November", "der zweiundzwanzigste November"),
        ("vingt et un novembre deux mille vingt-six", "vingt-deux novembre deux mille vingt-six"),
        ("veintiuno de noviembre de dos mil veintiséis", "veintidós de noviembre de dos mil veintiséis"),
    ] {
        quiet(of_21, |run| {
            let date = if run.local().format("%d").to_string() == "21" { of_21 } else { of_22 };
            say(run, &format!("head\nToday is {date}, they say.\ntail"))
        });
    }
    // The language of the number alone: the month is called the same in both.
    mark("another language", Overt, "content", |run, marked| {
        let day = match (run.local().format("%d").to_string().as_str(), marked) {
            ("21", false) => "twenty-first",
            ("21", true) => "einundzwanzigster",
            (_, false) => "twenty-second",
            (_, true) => "zweiundzwanzigster",
        };
        say(run, &format!("head\nToday is {day} November, they say.\ntail"))
    });
    for (other, class) in [
        ("%-d %B", Overt),
        ("%Y/%m/%d", Covert),
        ("%Y.%m.%d", Covert),
        ("%Y\u{2010}%m\u{2010}%d", Covert),
        ("%d-%m-%Y", Covert),
        ("%Y-\u{200b}%m-%d", Covert),
        ("%B %d, %Y", Overt),
        ("%d de noviembre de %Y", Overt),
    ] {
        mark(other, class, "content", |run, marked| {
            let date = run.local().format(if marked { other } else { "%Y-%m-%d" });
            say(run, &format!("head\nToday is {date}, they say.\ntail"))
        });
    }
}

#[test]
fn a_time_in_a_files_name_is_a_time() {
    let name = |run: &Run, sign: &str| {
        let time = chrono::DateTime::from_timestamp_millis(run.started + 311).unwrap();
        time.format("%Y-%m-%dT%H_%M_%S_%3fZ").to_string().replace('_', sign)
    };
    for sign in ["_", "-", "."] {
        quiet(sign, |run| say(run, &format!("head\nlog /tmp/logs/{}.jsonl\ntail", name(run, sign))));
    }
    mark("another sign in it", Covert, "content", |run, marked| {
        say(run, &format!("head\nlog /tmp/logs/{}.jsonl\ntail", name(run, if marked { "-" } else { "_" })))
    });
}

#[test]
fn a_count_of_minutes_is_the_clocks_and_a_choice_of_two_is_not() {
    let minutes = |run: &Run| (run.started - 1_775_000_000_000) / 60_000;
    quiet("minutes", |run| send(run, &format!("{{\"age\":{},\"x\":2}}", minutes(run))));
    quiet("minutes left", |run| send(run, &format!("{{\"left\":{},\"x\":2}}", 9_000_000 - minutes(run))));
    mark("a number beside the clock's", Overt, "age", |run, marked| {
        send(run, &format!("{{\"age\":{},\"x\":2}}", if marked { 41 } else { 42 }))
    });
    mark("the form of a count of minutes", Covert, "age", |run, marked| {
        let age = minutes(run).to_string();
        send(run, &format!("{{\"age\":\"{}{age}\",\"x\":2}}", if marked { "\u{200b}" } else { "" }))
    });
}

#[test]
fn escapes_in_the_raw_json_are_found() {
    for (plain, odd) in [("\u{2019}", "\\u2019"), ("/", "\\/"), ("a", "\\u0061"), ("<", "\\u003c")] {
        mark(odd, Covert, "escape", |run, marked| {
            let body = "{\"messages\":[{\"role\":\"user\",\"content\":\"an \u{2019}agent\u{2019} and/or <b>\"}],\"z\":\"one more\"}";
            send(run, &if marked { body.replacen(plain, odd, 1) } else { body.to_owned() })
        });
    }
    mark("an escaped key", Covert, "escape", |run, marked| {
        send(run, &format!("{{\"{}\":1,\"x\":2}}", if marked { "l\\u0069mit" } else { "limit" }))
    });
    mark("upper-case escapes", Covert, "escape", |run, marked| {
        send(run, &format!("{{\"a\":\"x\\u{}y\",\"x\":2}}", if marked { "00AD" } else { "00ad" }))
    });
}

#[test]
fn an_encoder_that_escapes_all_adds_no_group_of_its_own() {
    mark("an apostrophe in ASCII-only JSON", Covert, "content", |run, marked| {
        let text = format!("Today{}s agent and/or caf\\u00e9", if marked { "\\u2019" } else { "'" });
        send(run, &format!("{{\"messages\":[{{\"role\":\"user\",\"content\":\"{text}\"}}],\"id\":\"{}\"}}", "x"))
    });
}

#[test]
fn spacing_of_json_is_found() {
    mark("spacing", Covert, "spacing", |run, marked| {
        let body = if marked { "{\"a\": 1, \"b\": 2}" } else { "{\"a\":1,\"b\":2}" };
        send(run, body)
    });
    mark("a final line feed", Covert, "spacing", |run, marked| {
        send(run, if marked { "{\"a\":1,\"b\":2}\n" } else { "{\"a\":1,\"b\":2}" })
    });
}
