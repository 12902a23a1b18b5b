//! Published clients against the stub: what they make of its answers is what agents would.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use parallax::scenario::Turn;
use serde_json::{Value, json};

use crate::lab::{Lab, skip};

/// The clients, and what Bedrock's needs.
const PACKAGES: [&str; 5] = ["openai", "anthropic", "google-genai", "ollama", "boto3"];

/// A folder with the clients in it, or why there is none.
fn clients() -> Result<PathBuf, String> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("clients");
    if folder.join("complete").exists() {
        return Ok(folder);
    }
    let _ = std::fs::remove_dir_all(&folder);
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "--target"]);
    let Output { status, stderr, .. } =
        pip.arg(&folder).args(PACKAGES).output().map_err(|error| format!("python3: {error}"))?;
    if !status.success() {
        let said = String::from_utf8_lossy(&stderr);
        return Err(format!("pip: {}", said.lines().last().unwrap_or("failed")));
    }
    std::fs::write(folder.join("complete"), "").map_err(|error| error.to_string())?;
    Ok(folder)
}

/// What the clients make of a gateway, by client.
async fn run(lab: &Lab, what: &str) -> Option<Value> {
    let folder = match clients() {
        Ok(folder) => folder,
        Err(reason) => {
            skip("pypi", &reason);
            return None;
        }
    };
    let mut python = tokio::process::Command::new("python3");
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gateway/clients.py"));
    python.arg(format!("http://{}", lab.stream)).arg(what).env("PYTHONPATH", folder);
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        python.env_remove(proxy);
    }
    let output = python.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn published_clients_are_led_through_a_tool_call() {
    let script = vec![
        Turn::Tool { name: String::from("run_shell"), input: json!({"command": "ls -l"}) },
        Turn::Text(String::from("All done, in several pieces of text.")),
    ];
    let lab = Lab::open(script, Vec::new()).await;
    let Some(seen) = run(&lab, "turns").await else { return };
    let called = json!(["run_shell", {"command": "ls -l"}]);
    let expected = json!({"called": called, "said": "All done, in several pieces of text."});
    for client in
        ["anthropic", "anthropic_vertex", "anthropic_bedrock", "openai_chat", "openai_responses", "genai", "ollama"]
    {
        assert_eq!(seen[client], expected, "{client}");
    }
    assert_eq!(seen["genai_schema"], json!({"title": "All done, in several pieces of text.", "count": 0}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn published_clients_try_again_after_a_failure() {
    let lab = Lab::open(vec![Turn::Error { status: 503 }, Turn::Text(String::from("at last"))], Vec::new()).await;
    let Some(seen) = run(&lab, "failure").await else { return };
    assert_eq!(seen, json!({"anthropic": "at last", "openai_chat": "at last", "genai": 503, "ollama": 503}));
}
