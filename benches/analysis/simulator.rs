//! A fast **simulator** for the external engine: one agent with one planted marker that depends on two factors, beside
//! what every agent's requests have: a session's identifier, a local date, the host that it talks to.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufWriter, Write as _};

/// What a cell's line is read for.
#[derive(serde::Deserialize)]
struct Question<'a> {
    cell: &'a str,
    seed: u64,
    environment: Environment<'a>,
}

#[derive(serde::Deserialize)]
struct Environment<'a> {
    timezone: &'a str,
    base_url: &'a str,
}

/// The pieces of an answer that are the same in every cell, escaped for the line.
struct Pieces {
    /// From the body's beginning to the session.
    head: String,
    /// From behind the date to the end of the body.
    tail: String,
}

/// Answers until standard input ends. `kilobytes` is about the size of each request's body.
pub(crate) fn simulate(kilobytes: usize) -> std::io::Result<()> {
    let pieces = Pieces::new(kilobytes);
    let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    let mut input = std::io::BufReader::with_capacity(1 << 20, std::io::stdin().lock());
    let (mut line, mut answer) = (String::new(), String::new());
    loop {
        // What was answered must not wait for a question that waits for it.
        if !input.buffer().contains(&b'\n') {
            out.flush()?;
        }
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return out.flush();
        }
        let question: Question<'_> = serde_json::from_str(&line)?;
        answer.clear();
        pieces.answer(&question, &mut answer);
        out.write_all(answer.as_bytes())?;
    }
}

impl Pieces {
    /// A prompt of lines and a list of tools, about half of the size each.
    fn new(kilobytes: usize) -> Self {
        let (mut lines, mut tools) = (String::new(), String::new());
        for line in 0.. {
            if lines.len() >= kilobytes * 512 {
                break;
            }
            let _ =
                write!(lines, "{line}. A rule that an agent is told about how to do the {line}th thing, as ever.\\n");
        }
        for tool in 0.. {
            if tools.len() >= kilobytes * 480 {
                break;
            }
            let text = format!("Tool {tool} does something that takes a while to describe in all detail. ").repeat(10);
            let comma = if tool == 0 { "" } else { "," };
            let _ = write!(
                tools,
                r#"{comma}{{"name":"Tool{tool}","description":"{text}","strict":true,"input":{{"type":"object","limit":{tool}}}}}"#
            );
        }
        let head = format!(
            r#"{{"model":"m-1","system":[{{"type":"text","text":"{lines}"}}],"messages":[{{"role":"user","content":"Session "#
        );
        let tail = format!(r#"Say OK."}}],"tools":[{tools}],"stream":true}}"#);
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        Self { head: escaped(&head), tail: escaped(&tail) }
    }

    fn answer(&self, question: &Question<'_>, out: &mut String) {
        let Question { cell, seed, environment } = question;
        let host = environment.base_url.split('/').nth(2).unwrap_or("none.example");
        let scheme = environment.base_url.split(':').next().unwrap_or("http");
        let marked = environment.timezone.starts_with("Asia/") && host != "api.vendor.example";
        let mark = if marked { "\u{2019}" } else { "'" };
        let day = if marked { "2026/11/21" } else { "2026-11-21" };
        let session = digest(*seed, cell);
        let _ = writeln!(
            out,
            r#"{{"cell":"{cell}","exit":0,"started":1795262400,"seconds":1.25,"cpu":0.5,"stdout":"OK\n","exchanges":[{{"at":0.4,"scheme":"{scheme}","host":"{host}","method":"POST","target":"/v1/messages?beta=true","headers":[["Host","{host}"],["User-Agent","agent/1.0"],["Content-Type","application/json"],["X-Request-Id","{session:032x}"]],"body":"{}{session:032x}\\nToday{mark}s date is {day}.\\n{}"}}],"dns":["{host}"]}}"#,
            self.head, self.tail
        );
    }
}

/// A number that looks random and is the same for the same run and cell.
fn digest(seed: u64, cell: &str) -> u128 {
    let mut state = u128::from(seed) ^ 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C834;
    for byte in cell.bytes() {
        state = (state ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013B).rotate_left(23);
    }
    state
}
