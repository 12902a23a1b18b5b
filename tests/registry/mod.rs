//! A small npm registry on this machine, so that installing can be tested without the network and with packages that
//! lie.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

/// One version of a package.
pub(crate) struct Release {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// Tags that point to it.
    pub(crate) tags: &'static [&'static str],
    /// Its `package.json` beside name and version.
    pub(crate) description: Value,
    /// Files, with whether they are executable.
    pub(crate) files: &'static [(&'static str, &'static str, bool)],
    /// Whether the registry gives another integrity than the archive has.
    pub(crate) forged: bool,
}

/// A registry that answers until the process ends, and counts what it was asked.
pub(crate) struct Registry {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    pub(crate) fn serve(releases: &[Release]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut answers: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut documents: BTreeMap<&str, Value> = BTreeMap::new();
        for release in releases {
            let mut description = release.description.clone();
            description["name"] = release.name.into();
            description["version"] = release.version.into();
            let archive = archive(&description, release.files);
            let path = format!("/{}/-/{}.tgz", release.name, release.version);
            let mut hash = Sha512::digest(&archive).to_vec();
            if release.forged {
                hash[0] ^= 1;
            }
            let mut listed = description.clone();
            let integrity = format!("sha512-{}", base64::engine::general_purpose::STANDARD.encode(hash));
            listed["dist"] = json!({ "tarball": format!("{url}{path}"), "integrity": integrity });
            if description["scripts"]["postinstall"].is_string() {
                listed["hasInstallScript"] = true.into();
            }
            let document = documents.entry(release.name).or_insert_with(|| json!({ "name": release.name }));
            document["versions"][release.version] = listed;
            for tag in release.tags {
                document["dist-tags"][tag] = release.version.into();
            }
            answers.insert(path, archive);
        }
        for (name, document) in documents {
            answers.insert(format!("/{name}"), document.to_string().into_bytes());
        }
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
                let first = lines.next().and_then(Result::ok).unwrap_or_default();
                while lines.next().and_then(Result::ok).is_some_and(|line| !line.is_empty()) {}
                let path = first.split(' ').nth(1).unwrap_or_default().replace("%2f", "/").replace("%2F", "/");
                let (status, body) = match answers.get(&path) {
                    Some(body) => ("200 OK", body.as_slice()),
                    None => ("404 Not Found", &b"{}"[..]),
                };
                heard.lock().unwrap().push(path);
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let mut connection = connection;
                let _ = connection.write_all(head.as_bytes()).and_then(|()| connection.write_all(body));
            }
        });
        Self { url, asked }
    }

    /// How often a path with `part` in it was asked for.
    pub(crate) fn asked(&self, part: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|path| path.contains(part)).count()
    }
}

fn archive(description: &Value, files: &[(&str, &str, bool)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let description = description.to_string();
    for (name, text, executable) in files.iter().copied().chain([("package.json", description.as_str(), false)]) {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(if executable { 0o700 } else { 0o600 });
        header.set_cksum();
        tar.append_data(&mut header, format!("package/{name}"), text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}
