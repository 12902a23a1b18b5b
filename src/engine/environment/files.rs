//! The files of one cell: zone, names, accounts, trust, workspace, and the scenario's own.

use std::collections::BTreeMap;

use super::clock;
use super::surroundings::Surroundings;
use super::{Context, Node, PodFile, UID};
use crate::cell::Assignment;
use crate::scenario::{FactorKind, Scenario};

/// The run's certificate, where the variables point.
pub(super) const CA_FILE: &str = "/usr/local/share/ca-certificates/local.crt";

/// The system's bundle. The run's certificate is all of it: there is no other host to be reached.
const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Where Debian's OpenSSL looks for it. The link belongs to the package `openssl`, which small images have not, though they
/// have the library.
const OPENSSL_BUNDLE: &str = "/usr/lib/ssl/cert.pem";

const README: &str = "# Widgets\n\nA small library for widgets.\n";

/// Folders that every system has, often as links (`/bin`) or with a mode of their own (`/tmp`): not ours to lay.
const STANDING: [&str; 31] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/media",
    "/mnt",
    "/opt",
    "/opt/target",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/local/lib",
    "/usr/local/share",
    "/usr/sbin",
    "/usr/share",
    "/var",
    "/var/tmp",
];

/// All files of one cell, sorted by path.
pub(super) fn files(
    scenario: &Scenario,
    levels: &Assignment,
    around: &Surroundings<'_>,
    context: &Context,
) -> Vec<PodFile> {
    let mut tree = Tree { files: BTreeMap::new(), own: [around.home.clone(), around.workspace.clone()] };
    let zone = format!("/usr/share/zoneinfo/{}", around.timezone);
    tree.put(&zone, Node::Zone(around.timezone.to_owned()));
    tree.put("/etc/localtime", Node::Link(zone));
    tree.text("/etc/timezone", &format!("{}\n", around.timezone));
    if let Some(id) = around.machine_id {
        tree.text("/etc/machine-id", &format!("{id}\n"));
    }
    if let Some(resolver) = &context.resolver {
        let search = around.dns_search.map(|domain| format!("search {domain}\n")).unwrap_or_default();
        tree.text("/etc/resolv.conf", &format!("{search}nameserver {resolver}\n"));
    }
    accounts(&mut tree, around);
    if let Some(setting) = around.clock {
        tree.text(clock::LIST, &format!("{}\n", clock::PLACE));
        tree.put(clock::PLACE, Node::Clock(setting));
    }
    if around.trust.variables {
        tree.text(CA_FILE, &context.ca_certificate_pem);
    }
    if around.trust.system {
        tree.text(CA_BUNDLE, &context.ca_certificate_pem);
        tree.put(OPENSSL_BUNDLE, Node::Link(String::from(CA_BUNDLE)));
    }
    tree.put(&around.home, Node::Folder);
    tree.put(&around.workspace, Node::Folder);
    tree.text(&format!("{}/README.md", around.workspace), README);
    if around.git {
        repository(&mut tree, &around.workspace);
    }
    for file in &scenario.target.files {
        tree.text(&below_home(&file.path, around), &around.fill(&file.contents));
    }
    for (index, factor) in scenario.factors.iter().enumerate() {
        let FactorKind::File { path } = &factor.kind else { continue };
        let path = below_home(path, around);
        match scenario.level(index, levels).value() {
            Some(contents) => tree.text(&path, contents),
            None => {
                tree.files.remove(&path);
            }
        }
    }
    tree.with_parents()
}

fn below_home(path: &str, around: &Surroundings<'_>) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", around.home) }
}

fn accounts(tree: &mut Tree, around: &Surroundings<'_>) {
    let (user, home, shell) = (around.user, &around.home, around.shell.unwrap_or(super::SHELL));
    tree.text(
        "/etc/passwd",
        &format!(
            "root:x:0:0:root:/root:/bin/bash\n\
             nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
             {user}:x:{UID}:{UID}::{home}:{shell}\n"
        ),
    );
    tree.text("/etc/group", &format!("root:x:0:\nnogroup:x:65534:\n{user}:x:{UID}:\n"));
}

/// The least that git takes for a repository: no commit yet, on the branch `main`.
fn repository(tree: &mut Tree, workspace: &str) {
    for folder in ["hooks", "info", "objects/info", "objects/pack", "refs/heads", "refs/tags"] {
        tree.put(&format!("{workspace}/.git/{folder}"), Node::Folder);
    }
    tree.text(&format!("{workspace}/.git/HEAD"), "ref: refs/heads/main\n");
    tree.text(
        &format!("{workspace}/.git/config"),
        "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n",
    );
    tree.text(
        &format!("{workspace}/.git/description"),
        "Unnamed repository; edit this file 'description' to name the repository.\n",
    );
}

/// Files by path. What is in home or workspace belongs to the agent's account.
struct Tree {
    files: BTreeMap<String, Node>,
    own: [String; 2],
}

impl Tree {
    fn put(&mut self, path: &str, node: Node) {
        self.files.insert(path.to_owned(), node);
    }

    fn text(&mut self, path: &str, text: &str) {
        self.put(path, Node::File(text.as_bytes().to_vec()));
    }

    /// Adds every folder that leads to a file, gives each its owner and mode. A path is longer than its parents', and
    /// begins with them: sorted, it stands behind them.
    fn with_parents(mut self) -> Vec<PodFile> {
        let paths: Vec<String> = self.files.keys().cloned().collect();
        for path in &paths {
            let mut rest = path.as_str();
            while let Some((parent, _)) = rest.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
                if !STANDING.contains(&parent) {
                    self.files.entry(parent.to_owned()).or_insert(Node::Folder);
                }
                rest = parent;
            }
        }
        let own = self.own;
        let file = |(path, node): (String, Node)| {
            // A workspace in a folder that is open to all leaves it open to all.
            let open = matches!(path.as_str(), "/tmp" | "/var/tmp");
            let mode = match &node {
                Node::Folder if open => 0o1777,
                Node::Folder => 0o755,
                Node::File(_) | Node::Zone(_) | Node::Clock(_) => 0o644,
                Node::Link(_) => 0o777,
            };
            let owned_by_user = !open && own.iter().any(|own| crate::scenario::path::is_below(&path, own));
            PodFile { path, node, mode, owned_by_user }
        };
        self.files.into_iter().map(file).collect()
    }
}
