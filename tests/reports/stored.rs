//! A **stored run** made by hand: twelve cells of a hostile agent, one of them lost, and what was found in them.

use std::path::Path;
use std::sync::Arc;

use parallax::capture::{Body, Capture, EngineFailure, Exchange, Outcome, Record, Seconds, Via};
use parallax::cell::{Assignment, Cell, CellId, Phase};
use parallax::store::{Folder, Recorded};
use serde_json::{Value, json};

/// What a hostile agent would send.
pub(crate) const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;x\u{7}<img src=x onerror=window.hacked=1></script><script>window.hacked=1</script>\
     <!--]]>&lt;\u{0}\u{8}\u{b}\u{fffe}\u{202e}gnp.exe\u{2028}\u{85}\"'`,;\t\r\n=cmd|' /C calc'!A0\u{feff}⟨U+202E⟩\u{e0041}";

/// Writes the run into a folder that is not there yet.
pub(crate) fn run(folder: &Path) {
    std::fs::create_dir_all(folder.join("raw")).unwrap();
    write(folder, "manifest.json", &manifest(folder));
    write(folder, "findings.json", &findings());
    let folder = Folder::open(folder).unwrap();
    let mut writer = folder.append_after(&Recorded::default(), 0).unwrap();
    for n in 0..12 {
        writer.append(&record(n)).unwrap();
    }
}

fn write(folder: &Path, name: &str, value: &Value) {
    std::fs::write(folder.join(name), serde_json::to_vec_pretty(value).unwrap()).unwrap();
}

fn manifest(folder: &Path) -> Value {
    let scenario = folder.join("scenario.toml");
    let text = "name = \"hostile\"\n[target]\ncommand = [\"sh\"]\ninclude = []\n[factors.zone]\nkind = \"env\"\nvariable = \"ZONE\"\n\
                levels = [\"UTC\", \"Asia/Tokyo\"]\n[factors.host]\nkind = \"env\"\nvariable = \"NAME\"\nlevels = [\"=1+1\", \"b\"]\n";
    std::fs::write(&scenario, text).unwrap();
    let checked = parallax::scenario::load(&scenario, &[]).unwrap();
    json!({
        "schema_version": 1, "parallax": "0.1.0", "run": "0123", "started": "2026-01-02T03:04:05Z",
        "scenario_path": "scenarios/a b<c>.toml", "scenario_text": text, "scenario_sha256": "00", "overrides": [],
        "scenario": checked, "seed": 7, "engine": "none", "jobs": 2,
        "target": { "package": HOSTILE, "version": "1.2.3", "integrity": {} , "executable": null, "executable_sha256": null, "runtime": null },
        "tzdb": "2026a", "kernel": "6", "architecture": "x86_64", "cores": 2,
    })
}

fn findings() -> Value {
    let finding = |id: &str, factor: &str, level: &str, places: Value, value: &str, explained: Value| {
        json!({
            "id": id, "channel": "body", "places": places, "factors": [factor], "order": 1,
            "rule": [{ "when": { factor: [level] }, "value": value }],
            "class": if value.contains('\u{200b}') { "covert" } else { "overt" }, "explained_by": explained,
            "excerpt": { "baseline": "plain", "variant": value, "codepoints": if value.contains('\u{200b}') {
                json!([{ "side": "variant", "codepoint": "U+200B", "name": "ZERO WIDTH SPACE" }]) } else { json!([]) } },
            "effect": { "bits": 1.0, "cramers_v": 1.0 }, "p_value": 0.001, "q_value": 0.002, "evidence_curve": [2.5, 31.0, 1000.0],
            "support": { "agree": 11, "disagree": 0, "coins": 10 }, "disclosed": null,
            "reproduce": { "baseline_cell": "c0000", "variant_cell": "c0001", "command": HOSTILE },
        })
    };
    let messages = "POST /v1/messages";
    json!({
        "schema_version": 1, "scenario": HOSTILE, "verdict": "conditioned", "notes": [HOSTILE],
        "cells": { "planned": 12, "observed": 11, "failed": 1, "rounds": 1 }, "not_varied": ["clock", HOSTILE],
        "power": { "strength": 2, "tuples_covered": 4, "tuples_total": 4, "alpha": 0.05, "smallest_rate": 0.2,
                   "unexplained": [HOSTILE, "A".repeat(1 << 20)] },
        "findings": [
            finding("f000000001", "zone", "Asia/Tokyo", json!([format!("{messages} · header x-mark")]), "plan\u{200b}in", json!(null)),
            finding("f000000002", "zone", "Asia/Tokyo", json!([HOSTILE, format!("{messages} · header x-formula"), "A".repeat(1 << 20)]), "=1+1", json!(null)),
            finding("f000000003", "host", "b", json!([format!("{messages} · header x-host"), format!("{messages} · header x-name")]), HOSTILE, json!(HOSTILE)),
        ],
    })
}

fn record(n: usize) -> Record {
    let (zone, host) = (u16::from(n % 2 == 1), u16::from(n % 4 >= 2));
    let cell =
        Cell { id: CellId::nth(n), round: 0, phase: Phase::Cover, levels: Assignment(vec![zone, host]), replicate: 0 };
    if n == 5 {
        let outcome = Err(EngineFailure { message: HOSTILE.into() });
        return Record { cell, attempts: 3, outcome };
    }
    let mark = if zone == 1 { "plan\u{200b}in" } else { "plain" };
    let name = if host == 1 { "second" } else { "first" };
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let text =
        json!({ "text": format!("{mark}\n{HOSTILE}{}", "A".repeat(if n == 1 { 1 << 20 } else { 0 })) }).to_string();
    let text = text.replacen(&json!(mark).to_string()[1..], mark, 1);
    let exchange = Exchange {
        at: Seconds(1000),
        scheme: "http".into(),
        host: "api.example".into(),
        port: 80,
        dialled: "198.18.0.1:80".into(),
        via: Via::Direct,
        version: "1.1".into(),
        method: "POST".into(),
        target: "/v1/messages".into(),
        headers: vec![
            header("Host", "api.example"),
            header("X-Mark", mark),
            header("X-Formula", if zone == 1 { "=1+1" } else { "0" }),
            header("X-Host", name),
            header("X-Name", name),
        ],
        body: Body::new(text.into_bytes()),
        status: 200,
        ..Exchange::default()
    };
    let capture = Capture {
        started_unix_ms: 1_700_000_000_000 + i64::try_from(n / 2).unwrap() * 1000,
        wall: Seconds(900_000),
        cpu: None,
        outcome: Outcome::Exited { code: 0 },
        stdout: Body::new(HOSTILE.as_bytes().to_vec()),
        stderr: Body::default(),
        exchanges: vec![exchange],
        dns: Vec::new(),
        tls: Vec::new(),
        connections: Vec::new(),
        files: Vec::new(),
        left_open: 0,
        ..Capture::default()
    };
    Record { cell, attempts: 1, outcome: Ok(Arc::new(capture)) }
}
