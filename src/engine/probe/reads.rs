//! What an agent **reads**: variables, files, what it asks of the machine, programs that it starts, addresses that it
//! dials; gathered from a trace.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::strace::{Call, calls};
use crate::engine::pod::TARGET_ROOT;

/// How the shim marks the names that a program asks its C library for.
const MARK: &str = "\u{1}getenv ";

/// Folders of programs: what is read there is counted, not told.
const PROGRAMS: [&str; 12] =
    ["/opt/target", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/gnu", "/run", "/dev"];

/// Files of programs among those that are told, and the other way round.
const LOADER: [&str; 2] = ["/etc/ld.so", "/etc/alternatives"];
const TOLD: [&str; 2] = ["/usr/share/zoneinfo", "/usr/local/share/ca-certificates"];

/// What was read, by one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reads {
    /// Variables that a program asked its C library for, by name.
    pub variables: BTreeMap<String, VariableRead>,
    /// Files and folders outside of the programs' own.
    pub files: BTreeMap<String, FileRead>,
    /// What was asked of the machine: `host name`, `processors`, `memory`, `working folder`.
    pub machine: BTreeSet<&'static str>,
    /// Programs that were started.
    pub programs: BTreeSet<String>,
    /// Addresses that were dialled, with their ports; paths of local sockets.
    pub addresses: BTreeSet<String>,
    /// Files of the programs themselves that were opened.
    pub program_files: usize,
    /// The same, for whoever wants to look into them.
    #[serde(skip)]
    pub(super) opened_programs: BTreeSet<String>,
    /// Which program each process runs.
    #[serde(skip)]
    running: HashMap<String, String>,
    /// The first program: the agent, wherever it stands.
    #[serde(skip)]
    first: Option<String>,
}

/// How a variable was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VariableRead {
    /// Whether it was set.
    pub set: bool,
    /// Whether the target's own programs asked for it, and not only others that they started.
    pub own: bool,
    /// The programs that asked for it.
    pub programs: BTreeSet<String>,
}

/// How a file was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileRead {
    /// Whether it was there before the agent made it.
    pub found: bool,
    /// Whether it was opened, and not only looked for.
    pub opened: bool,
    /// Whether the agent wrote, made, moved or removed it.
    pub written: bool,
}

impl Reads {
    /// Reads a trace of an agent that began in `workdir`, with these variables set.
    pub(super) fn of(trace: &str, workdir: &str, set: &BTreeMap<String, String>) -> Self {
        let mut reads = Self::default();
        for call in calls(trace) {
            reads.add(&call, workdir, set);
        }
        reads.program_files = reads.opened_programs.len();
        reads
    }

    fn add(&mut self, call: &Call, workdir: &str, set: &BTreeMap<String, String>) {
        match call.name.as_str() {
            "uname" => drop(self.machine.insert("host name")),
            "sched_getaffinity" => drop(self.machine.insert("processors")),
            "sysinfo" => drop(self.machine.insert("memory")),
            "getcwd" => drop(self.machine.insert("working folder")),
            "connect" => self.addresses.extend(address(call)),
            "clone" | "clone3" | "fork" | "vfork" => {
                if let (true, Some(program)) = (call.succeeded, self.running.get(&call.process)) {
                    let program = program.clone();
                    // A child that was quick has told by itself what it runs.
                    self.running.entry(call.result.clone()).or_insert(program);
                }
            }
            _ => self.add_path(call, workdir, set),
        }
    }

    fn add_path(&mut self, call: &Call, workdir: &str, set: &BTreeMap<String, String>) {
        let Some(text) = call.text.as_deref().filter(|text| !text.is_empty()) else { return };
        if let Some(name) = text.strip_prefix(MARK) {
            let program = self.running.get(&call.process).cloned();
            let known = self.variables.entry(name.to_owned()).or_default();
            known.set = set.contains_key(name);
            known.own |= program.is_none() || program == self.first;
            known.own |= program.as_deref().is_some_and(|program| is_below(program, TARGET_ROOT));
            known.programs.extend(program);
            return;
        }
        let path = absolute(text, call.folder.as_deref().unwrap_or(workdir));
        if call.name.starts_with("exec") {
            if call.succeeded {
                self.opened_programs.insert(path.clone());
                self.first.get_or_insert_with(|| path.clone());
                self.running.insert(call.process.clone(), path.clone());
                self.programs.insert(path);
            }
            return;
        }
        let path = without_process(path);
        let opens = call.name.starts_with("open");
        if is_program(&path) {
            if opens && call.succeeded {
                self.opened_programs.insert(call.opened.clone().unwrap_or(path));
            }
            return;
        }
        let writes = match call.name.as_str() {
            "open" | "openat" | "openat2" => {
                ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| call.arguments.contains(flag))
            }
            "creat" => true,
            name => [
                "mkdir", "mknod", "unlink", "rename", "rmdir", "link", "symlink", "chmod", "fchmod", "chown", "utime",
                "truncate",
            ]
            .iter()
            .any(|prefix| name.starts_with(prefix)),
        };
        let known = self.files.entry(path).or_default();
        if writes {
            known.written = true;
        } else {
            known.found |= call.succeeded && !known.written;
            known.opened |= opens && call.succeeded;
        }
    }
}

/// Whether a path is below a folder, or is it.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The path with the number of a process as `PID`: it is another one each time.
fn without_process(path: String) -> String {
    let Some(rest) = path.strip_prefix("/proc/") else { return path };
    let (number, rest) = rest.split_once('/').map_or((rest, ""), |(number, _)| (number, &rest[number.len()..]));
    if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) { format!("/proc/PID{rest}") } else { path }
}

fn is_program(path: &str) -> bool {
    let told = TOLD.iter().any(|folder| is_below(path, folder));
    !told
        && (PROGRAMS.iter().any(|folder| is_below(path, folder)) || LOADER.iter().any(|start| path.starts_with(start)))
}

/// The path, absolute and without `.` and `..`.
fn absolute(path: &str, folder: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{folder}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Where a connection led: `203.0.113.9:443`, `[2001:db8::1]:443`, the path of a local socket.
fn address(call: &Call) -> Option<String> {
    let address = call.text.as_deref()?;
    let port = call.arguments.split_once("htons(").and_then(|(_, rest)| rest.split_once(')')).map(|(port, _)| port);
    match port {
        // Port 0 is how programs ask the kernel for their own address.
        Some("0") => None,
        Some(port) if address.contains(':') => Some(format!("[{address}]:{port}")),
        Some(port) => Some(format!("{address}:{port}")),
        None => call.arguments.contains("AF_UNIX").then(|| address.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_gathered() {
        let trace = r#"1 execve("/opt/target/agent", ["agent"], 0x1 /* 9 vars */) = 0
1 access("\1getenv REGION", F_OK) = -1 ENOENT (No such file or directory)
1 access("\1getenv HOME", F_OK) = -1 ENOENT (No such file or directory)
1 openat(AT_FDCWD</workspace>, "/usr/lib/libc.so", O_RDONLY) = 3</usr/lib/libc-2.so>
1 openat(AT_FDCWD</workspace>, "NOTES.md", O_RDONLY) = -1 ENOENT (No such file or directory)
1 openat(AT_FDCWD</workspace>, "../workspace/./README.md", O_RDONLY) = 3</workspace/README.md>
1 openat(AT_FDCWD</workspace>, "/tmp/log", O_WRONLY|O_CREAT, 0644) = 3</tmp/log>
1 stat("/tmp/log", {st_mode=S_IFREG}) = 0
1 readlink("/etc/localtime", "/usr/share/zoneinfo/UTC", 4095) = 23
1 uname({sysname="Linux", nodename="x"}) = 0
1 vfork() = 2
2 access("\1getenv BOTH", F_OK) = -1 ENOENT (No such file or directory)
2 execve("/usr/bin/git", ["git"], 0x1 /* 9 vars */) = 0
2 access("\1getenv GIT_TRACE", F_OK) = -1 ENOENT (No such file or directory)
2 access("\1getenv BOTH", F_OK) = -1 ENOENT (No such file or directory)
2 openat(AT_FDCWD</workspace>, "/proc/17/stat", O_RDONLY) = 3</proc/17/stat>
1 connect(3<socket:[9]>, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.53")}, 16) = 0
1 connect(3<socket:[9]>, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = 0
1 connect(3<socket:[9]>, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT (No such file)
"#;
        let set = BTreeMap::from([(String::from("HOME"), String::new())]);
        let reads = Reads::of(trace, "/workspace", &set);
        let variables: Vec<_> = reads
            .variables
            .iter()
            .map(|(name, read)| (name.as_str(), read.set, read.own, read.programs.len()))
            .collect();
        let expected = [
            ("BOTH", false, true, 2),
            ("GIT_TRACE", false, false, 1),
            ("HOME", true, true, 1),
            ("REGION", false, true, 1),
        ];
        assert_eq!(variables, expected);
        let files: Vec<_> = reads.files.iter().map(|(path, read)| (path.as_str(), read.found, read.written)).collect();
        let expected = [
            ("/etc/localtime", true, false),
            ("/proc/PID/stat", true, false),
            ("/tmp/log", false, true),
            ("/workspace/NOTES.md", false, false),
            ("/workspace/README.md", true, false),
        ];
        assert_eq!(files, expected);
        assert_eq!(reads.machine, BTreeSet::from(["host name"]));
        assert_eq!(reads.programs, BTreeSet::from(["/opt/target/agent", "/usr/bin/git"].map(String::from)));
        let addresses: Vec<&str> = reads.addresses.iter().map(String::as_str).collect();
        assert_eq!(addresses, ["/var/run/nscd/socket", "127.0.0.53:53", "[2001:db8::1]:80"]);
        assert_eq!(reads.program_files, 3);
    }
}
