//! What is **pinned** in every cell, for the manifest: the baseline's environment as it is made real.

use crate::cell::Assignment;
use crate::engine::environment::{Context, Environment, Node, PodFile, realise};
use crate::scenario::Scenario;
use crate::store::Pinned;

/// The baseline of a scenario whose secrets have been taken out.
pub(super) fn pinned(scenario: &Scenario, context: &Context) -> Pinned {
    let levels = Assignment::baseline(scenario.factors.len());
    let Environment { variables, files, hostname, dns_search, user, workdir, command, cpus, interface, http2 } =
        realise(scenario, &levels, context);
    Pinned {
        variables,
        files: files.iter().map(|file| (file.path.clone(), told(file))).collect(),
        hostname,
        dns_search,
        user: user.name,
        ids: [user.uid, user.gid],
        home: user.home,
        shell: user.shell,
        workdir,
        command,
        cpus,
        interface,
        http2,
    }
}

/// What stands at a path, in a few words.
fn told(file: &PodFile) -> String {
    use sha2::Digest as _;
    match &file.node {
        Node::Folder => String::from("folder"),
        Node::File(bytes) => {
            format!("file of {} bytes, sha256 {}", bytes.len(), hex::encode(sha2::Sha256::digest(bytes)))
        }
        Node::Link(to) => format!("link to {to}"),
        Node::Zone(name) => format!("time zone {name}"),
        Node::Clock(setting) => setting.told(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_baseline_is_told_whole() {
        let text = "name = 'x'\n[target]\nnpm = 'x'\ncommand = ['x', '{prompt}']\nenv = { API_KEY = 'dummy' }\n\
                    [factors.hostname]\nlevels = ['one', 'two']\n[factors.clock]\nlevels = ['now', '+1d']";
        let scenario = crate::scenario::parse(text, "x.toml", Path::new("."), &[]).unwrap();
        let context = Context { ca_certificate_pem: String::from("PEM"), ..Context::default() };
        let pinned = pinned(&scenario, &context);
        let variable = |name: &str| pinned.variables.get(name).map(String::as_str);
        assert_eq!((variable("TZ"), variable("API_KEY")), (Some("UTC"), Some("dummy")));
        let certificate = variable("NODE_EXTRA_CA_CERTS").unwrap();
        assert!(pinned.files[certificate].starts_with("file of 3 bytes, sha256 "), "{:?}", pinned.files);
        assert_eq!(pinned.files["/etc/localtime"], "link to /usr/share/zoneinfo/UTC");
        assert_eq!(pinned.files["/usr/share/zoneinfo/UTC"], "time zone UTC");
        assert_eq!(pinned.files["/usr/local/lib/libtime.so"], "clock +0s");
        assert_eq!((pinned.hostname.as_str(), pinned.user.as_str(), pinned.ids), ("one", "dev", [1000, 1000]));
        assert_eq!(pinned.command, ["x", "Reply with OK."]);
    }
}
