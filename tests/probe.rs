//! `parallax probe`, through the whole program: a script that reads variables and files in several ways, and a compiled
//! program that asks the C library.
//!
//! Where namespaces or strace are missing these tests say so and pass, unless `PARALLAX_REQUIRE` names them.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

mod program;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use program::{available, code, missing, parallax, shown, text};
use serde_json::Value;

const AGENT: &str = r#"#!/usr/bin/env bash
# OWN is the script's own; REGION, and HOSTNAME by another name, are not.
OWN=1
echo "$OWN ${REGION:-nowhere}" > /tmp/written
cat NOTES.md ~/.agent/settings.json /etc/machine-id 2> /dev/null
uname -n > /dev/null
env date +%Z > /dev/null
exec 3<>/dev/tcp/api.vendor.example/80
printf 'POST /v1/messages HTTP/1.1\r\nHost: api.vendor.example\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi' >&3
cat <&3 > /dev/null
exec 4<>/dev/tcp/203.0.113.7/4000
"#;

fn strace() -> bool {
    let there = Command::new("strace").arg("--version").output().is_ok();
    there || missing("strace", "the program strace is not installed")
}

/// Writes a scenario beside its agent.
fn scenario(folder: &Path, more: &str) -> PathBuf {
    let agent = folder.join("agent.sh");
    std::fs::write(&agent, AGENT).unwrap();
    std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.join("x.toml");
    let text = format!(
        "name = 'x'\n[target]\ncommand = ['./agent.sh']\nenv = {{ PINNED = '1' }}\n[stub]\nscript = [{{ text = 'OK' }}]\n\
         [factors.timezone]\nlevels = ['UTC', 'Asia/Tokyo']\n{more}"
    );
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn what_a_script_reads_is_told_and_suggested() {
    if !available("embedded") || !strace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = scenario(folder.path(), "");
    let output = parallax(&["probe", &path.display().to_string(), "--json", "-q"]);
    assert_eq!(code(&output), 0, "{}", shown(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let discovery = &told["discovery"];
    let reads = &discovery["reads"];
    assert_eq!(told["schema_version"], 1);
    assert_eq!(discovery["outcome"], serde_json::json!({"how": "exited", "code": 0}), "{discovery:#}");
    // `date` asks the C library for the zone; the shell asks nobody for REGION.
    assert_eq!(reads["variables"]["TZ"]["set"], true, "{reads:#}");
    assert_eq!(reads["variables"]["TZ"]["own"], false, "{reads:#}");
    assert!(discovery["mentioned"]["REGION"].as_str().unwrap().ends_with("agent.sh"), "{discovery:#}");
    assert!(discovery["mentioned"]["OWN"].is_null(), "{discovery:#}");
    let file = |path: &str| &reads["files"][path];
    assert_eq!(
        (&file("/workspace/NOTES.md")["found"], &file("/workspace/NOTES.md")["opened"]),
        (&false.into(), &false.into())
    );
    assert_eq!(file("/home/dev/.agent/settings.json")["found"], false);
    assert_eq!(file("/etc/machine-id")["opened"], true);
    assert_eq!(file("/tmp/written")["written"], true);
    assert!(reads["machine"].as_array().unwrap().contains(&"host name".into()), "{reads:#}");
    assert!(
        reads["programs"].as_array().unwrap().iter().any(|p| p.as_str().unwrap().ends_with("/agent.sh")),
        "{reads:#}"
    );
    assert_eq!(discovery["hosts"]["http://api.vendor.example"], 1, "{discovery:#}");
    assert!(discovery["names"].as_array().unwrap().contains(&"api.vendor.example".into()), "{discovery:#}");
    assert!(reads["addresses"].as_array().unwrap().contains(&"203.0.113.7:4000".into()), "{reads:#}");

    // What is suggested is neither varied nor pinned already, and the scenario with all of it is one.
    let suggestions = told["suggestions"].as_array().unwrap();
    let names: Vec<&str> = suggestions.iter().map(|suggestion| suggestion["factor"].as_str().unwrap()).collect();
    for wanted in ["hostname", "machine_id", "region", "file_notes_md", "file_settings_json"] {
        assert!(names.contains(&wanted), "{wanted}: {names:?}");
    }
    assert!(!names.contains(&"timezone") && !names.contains(&"pinned") && !names.contains(&"own"), "{names:?}");
    let sections: String = suggestions.iter().map(|suggestion| suggestion["toml"].as_str().unwrap()).collect();
    let path = scenario(folder.path(), &sections);
    let output = parallax(&["plan", &path.display().to_string(), "--quick", "--seed", "1", "--json"]);
    assert_eq!(code(&output), 0, "{sections}\n{}", shown(&output));
}

#[test]
fn for_people_it_is_text_that_can_be_pasted() {
    if !available("embedded") || !strace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = scenario(folder.path(), "");
    let output = parallax(&["probe", &path.display().to_string(), "--most", "2"]);
    assert_eq!(code(&output), 0, "{}", shown(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    for wanted in ["not seen", "REGION", "/workspace/NOTES.md", "http://api.vendor.example (1)", "more: --most"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert_eq!(text.matches("\n[factors.").count(), 2, "{text}");
    let sections = &text[text.find("# Factors that").unwrap()..];
    let path = scenario(folder.path(), sections);
    let output = parallax(&["plan", &path.display().to_string(), "--quick", "--seed", "1", "--json"]);
    assert_eq!(code(&output), 0, "{sections}\n{}", shown(&output));
}

#[test]
fn an_image_cannot_be_traced_and_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    let text =
        "name = 'x'\n[target]\nimage = 'x'\ncommand = ['x']\n[factors.timezone]\nlevels = ['UTC', 'Asia/Tokyo']\n";
    std::fs::write(&path, text).unwrap();
    let output = parallax(&["probe", &path.display().to_string()]);
    assert_eq!(code(&output), 4, "{}", shown(&output));
    assert!(shown(&output).contains("container image cannot be traced"), "{}", shown(&output));
}

/// A program that asks the C library, and one that is linked statically and asks nobody.
#[test]
fn a_compiled_program_names_its_variables_unless_it_is_static() {
    if !available("embedded") || !strace() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = "#include <stdio.h>\n#include <stdlib.h>\nint main(void)\n{\n    const char *url = getenv(\"AGENT_BASE_URL\");\n    \
                  puts(url ? url : \"unset\");\n    return secure_getenv(\"AGENT_REGION\") != NULL;\n}\n";
    std::fs::write(folder.path().join("agent.c"), format!("#define _GNU_SOURCE\n{source}")).unwrap();
    let path = scenario(folder.path(), "");
    for (flags, seen) in [(&[][..], true), (&["-static"], false)] {
        let compiled =
            Command::new("cc").args(["-o", "agent.sh", "agent.c"]).args(flags).current_dir(folder.path()).output();
        match compiled {
            Ok(output) if output.status.success() => {}
            other => {
                missing("cc", &format!("no compiler that makes such a program: {other:?}"));
                continue;
            }
        }
        let output = parallax(&["probe", &text(&path), "--json", "-q"]);
        assert_eq!(code(&output), 0, "{}", shown(&output));
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let discovery = &told["discovery"];
        let variables = &discovery["reads"]["variables"];
        let blind = discovery["blind"].to_string();
        for name in ["AGENT_BASE_URL", "AGENT_REGION"] {
            if seen {
                assert_eq!(
                    (&variables[name]["own"], &variables[name]["set"]),
                    (&true.into(), &false.into()),
                    "{told:#}"
                );
            } else {
                assert!(variables[name].is_null(), "{told:#}");
                assert!(blind.contains("nothing in it asked the C library"), "{blind}");
            }
        }
    }
}

/// A published agent, which is told its base URL by a file.
#[test]
fn a_published_agent_is_probed() {
    if !available("embedded") || !strace() {
        return;
    }
    let npm = Command::new("npm").arg("ping").output();
    if !npm.is_ok_and(|output| output.status.success()) {
        missing("npm", "no npm, or no registry");
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/pi.toml");
    let output = parallax(&["probe", &text(&path), "--json", "-q"]);
    assert_eq!(code(&output), 0, "{}", shown(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let discovery = &told["discovery"];
    assert_eq!(discovery["outcome"], serde_json::json!({"how": "exited", "code": 0}), "{discovery:#}");
    assert!(discovery["hosts"]["https://api.openai.com"].as_u64() > Some(0), "{:#}", discovery["hosts"]);
    assert_eq!(discovery["reads"]["files"]["/home/dev/.pi/agent/models.json"]["opened"], true, "the file that has it");
    // Node.js asks for hundreds of names, the agent's own among them; and what cannot be seen is said.
    let variables = discovery["reads"]["variables"].as_object().unwrap();
    let asked: Vec<&String> = variables.iter().filter(|(_, read)| read["own"] == true).map(|(name, _)| name).collect();
    let base_url = asked.iter().any(|name| name.ends_with("BASE_URL"));
    assert!(base_url || discovery["blind"].to_string().contains("copy the whole environment"), "{asked:?}");
    assert!(asked.len() > 10, "{asked:?}");
}
