//! Reads what **strace** writes (`-f -y`): lines of system calls, taken apart as far as it matters what was asked for.
//!
//! What is in them comes from a hostile program: nothing here fails, a line that is none is passed over.

use std::collections::HashMap;

/// One system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// The process or thread that made it.
    pub(super) process: String,
    /// Its name.
    pub(super) name: String,
    /// Its first text, a path or an address, as it was given; bytes that are not UTF-8 are replaced.
    pub(super) text: Option<String>,
    /// The folder that the path starts from, where the call names one.
    pub(super) folder: Option<String>,
    /// All that stands between the parentheses.
    pub(super) arguments: String,
    /// Whether it succeeded.
    pub(super) succeeded: bool,
    /// The path of the file that it opened.
    pub(super) opened: Option<String>,
    /// What it gave, as far as that is one word.
    pub(super) result: String,
}

/// The calls of a trace, those that were interrupted by another process's put together again.
pub(super) fn calls(trace: &str) -> Vec<Call> {
    let mut unfinished: HashMap<&str, &str> = HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((process, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            unfinished.insert(process, begun);
        } else if let Some(end) = rest.strip_prefix("<... ") {
            let Some((_, end)) = end.split_once(" resumed>") else { continue };
            let begun = unfinished.remove(process).unwrap_or_default();
            calls.extend(call(process, &format!("{begun}{end}")));
        } else {
            calls.extend(call(process, rest));
        }
    }
    calls
}

/// One whole call: `openat(AT_FDCWD</workspace>, "a", O_RDONLY) = 3</workspace/a>`.
fn call(process: &str, line: &str) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return None;
    }
    // The last one: a path may hold anything.
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    let start = arguments.find('"');
    let folder = start.and_then(|start| decorated(&arguments[..start]));
    let text = start.map(|start| unescape(&arguments[start + 1..]));
    Some(Call {
        process: process.to_owned(),
        name: name.to_owned(),
        text,
        folder,
        arguments: arguments.to_owned(),
        succeeded: !result.starts_with(['-', '?']),
        opened: decorated(result),
        result: result.split_whitespace().next().unwrap_or_default().to_owned(),
    })
}

/// The path behind a descriptor: `3</etc/passwd>`. None for sockets and the like.
fn decorated(text: &str) -> Option<String> {
    let (_, path) = text.split_once('<')?;
    let (path, _) = path.rsplit_once('>')?;
    path.starts_with('/').then(|| unescape(path))
}

/// The text up to its closing quotation mark, its escapes taken back.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => break,
            b'\\' => match rest.next() {
                Some(b'n') => bytes.push(b'\n'),
                Some(b't') => bytes.push(b'\t'),
                Some(b'r') => bytes.push(b'\r'),
                Some(b'v') => bytes.push(0x0b),
                Some(b'f') => bytes.push(0x0c),
                Some(digit @ b'0'..=b'7') => {
                    let mut value = u32::from(digit - b'0');
                    for _ in 0..2 {
                        let Some(next) = rest.next_if(|next| (b'0'..=b'7').contains(next)) else { break };
                        value = value * 8 + u32::from(next - b'0');
                    }
                    bytes.push(u8::try_from(value & 0xff).unwrap_or_default());
                }
                Some(other) => bytes.push(other),
                None => {}
            },
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_taken_apart() {
        let trace = r#"7 openat(AT_FDCWD</workspace>, "a\"b\303\244\n", O_RDONLY|O_CLOEXEC) = 3</workspace/a"b>
7 access("\1getenv HOME", F_OK)     = -1 ENOENT (No such file or directory)
7 newfstatat(4</etc>, "x", {st_mode=S_IFREG|0644}, 0) = 0
7 connect(5<socket:[77]>, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("203.0.113.9")}, 16) = 0
"#;
        let calls = calls(trace);
        let told: Vec<_> = calls.iter().map(|c| (c.name.as_str(), c.text.as_deref().unwrap(), c.succeeded)).collect();
        let expected = [
            ("openat", "a\"bä\n", true),
            ("access", "\u{1}getenv HOME", false),
            ("newfstatat", "x", true),
            ("connect", "203.0.113.9", true),
        ];
        assert_eq!(told, expected);
        let folders: Vec<_> = calls.iter().map(|call| call.folder.as_deref()).collect();
        assert_eq!(folders, [Some("/workspace"), None, Some("/etc"), None]);
        assert_eq!((calls[0].opened.is_some(), calls[3].opened.as_deref()), (true, None));
    }

    #[test]
    fn a_call_that_another_process_interrupted_is_whole_again() {
        let trace = "1 openat(AT_FDCWD</w>, \"a\", O_RDONLY <unfinished ...>\n2 uname({sysname=\"Linux\"}) = 0\n\
                     1 <... openat resumed>) = -1 ENOENT (No such file or directory)\n";
        let calls = calls(trace);
        assert_eq!(calls[0].name, "uname");
        assert_eq!((calls[1].text.as_deref(), calls[1].succeeded), (Some("a"), false));
    }

    #[test]
    fn what_is_no_trace_is_passed_over() {
        for text in
            ["", "x", "1 ", "1 <... x", "1 <... x resumed>", "1 f(", "1 f(\"", "1 f(\"\\", "1 f(\"\\7) = 1", "+++"]
        {
            assert!(calls(text).len() <= 1, "{text}");
        }
        assert_eq!(calls("1 (\"x\") = 0\n1 +++ exited with 0 +++\n1 --- SIGCHLD {} ---"), []);
    }
}
