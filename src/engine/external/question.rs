//! A **question**: the line that tells the program of a cell. What is the same in every cell is written once.

use std::path::Path;

use serde::Serialize;

use crate::cell::{Assignment, CellId};
use crate::scenario::{Scenario, Source, Target, Turn};

/// Writes questions.
#[derive(Clone, Debug)]
pub(super) struct Questions {
    /// `,"seed":7,"environment":{`
    before: String,
    /// Of each factor, of each level: `"timezone":"UTC"`.
    members: Vec<Vec<String>>,
    /// `},"target":{…},"script":[…]}` and the end of the line.
    behind: String,
}

/// The target as the program is told of it.
#[derive(Serialize)]
struct ToldTarget<'a> {
    source: ToldSource<'a>,
    command: &'a [String],
    prompt: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    python: Option<&'a str>,
    env: &'a std::collections::BTreeMap<String, String>,
    files: &'a [crate::scenario::PinnedFile],
    folder: &'a Path,
    timeout: f64,
    memory_bytes: u64,
    processes: u32,
}

/// Where it comes from.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum ToldSource<'a> {
    Npm { package: &'a str, version: &'a str, node: &'a str },
    Pypi { package: &'a str, version: &'a str },
    Image(&'a str),
    Local { include: &'a [std::path::PathBuf] },
}

impl Questions {
    /// For the cells of this scenario.
    pub(super) fn new(scenario: &Scenario, seed: u64) -> Self {
        let members = scenario
            .factors
            .iter()
            .map(|factor| {
                let name = json(&factor.name);
                factor.levels.iter().map(|level| format!("{name}:{}", json(&level.value()))).collect()
            })
            .collect();
        let script: &[Turn] = &scenario.stub.script;
        Self {
            before: format!(",\"seed\":{seed},\"environment\":{{"),
            members,
            behind: format!("}},\"target\":{},\"script\":{}}}\n", json(&told(&scenario.target)), json(&script)),
        }
    }

    /// The line for one cell, its end included.
    pub(super) fn line(&self, cell: &CellId, levels: &Assignment) -> Vec<u8> {
        let mut line = format!("{{\"cell\":{}{}", json(&cell.0), self.before);
        let chosen = self.members.iter().zip(&levels.0).filter_map(|(levels, level)| levels.get(usize::from(*level)));
        for (n, member) in chosen.enumerate() {
            if n > 0 {
                line.push(',');
            }
            line.push_str(member);
        }
        line.push_str(&self.behind);
        line.into_bytes()
    }
}

fn told(target: &Target) -> ToldTarget<'_> {
    let source = match &target.source {
        Source::Npm { package, version } => ToldSource::Npm { package, version, node: &target.node },
        Source::Pypi { package, version } => ToldSource::Pypi { package, version },
        Source::Image { reference } => ToldSource::Image(reference),
        Source::Local { include } => ToldSource::Local { include },
    };
    ToldTarget {
        source,
        command: &target.command,
        prompt: &target.prompt,
        python: target.python.as_deref(),
        env: &target.env,
        files: &target.files,
        folder: &target.folder,
        timeout: target.timeout.as_secs_f64(),
        memory_bytes: target.limits.memory_bytes,
        processes: target.limits.processes,
    }
}

/// Compact JSON. What is written here has no map whose keys are not strings: it cannot fail but for a path that is not
/// UTF-8, which is then left out.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| String::from("null"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;

    #[test]
    fn a_line_has_what_the_contract_says() {
        let text = r#"
            name = "x"
            [target]
            npm = "@scope/agent"
            version = "1.2.3"
            command = ["agent", "-p", "{prompt}"]
            prompt = "Say \"hi\"."
            env = { AGENT_KEY = "dummy-key" }
            timeout = "90s"
            [stub]
            script = [{ text = "OK" }]
            [factors.timezone]
            levels = ["UTC", "Asia/Tokyo"]
            [factors.proxy]
            levels = ["none", "http://proxy.example:3128"]
            [factors.region]
            kind = "env"
            variable = "REGION"
            levels = ["a\nb", { unset = true }]
        "#;
        let scenario = parse(text, "x.toml", Path::new("."), &[]).unwrap();
        let questions = Questions::new(&scenario, 7);
        let line = questions.line(&CellId::nth(3), &Assignment(vec![1, 0, 1]));
        assert_eq!(line.split(|byte| *byte == b'\n').count(), 2, "one line, and its end");
        let told: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(told["cell"], "c0003");
        assert_eq!(told["seed"], 7);
        let level = scenario.factors[1].levels[0].value();
        assert_eq!(told["environment"], serde_json::json!({"timezone": "Asia/Tokyo", "proxy": level, "region": null}));
        assert_eq!(told["target"]["source"]["npm"]["package"], "@scope/agent");
        assert_eq!(told["target"]["prompt"], "Say \"hi\".");
        assert_eq!(told["target"]["env"]["AGENT_KEY"], "dummy-key");
        assert_eq!(told["target"]["timeout"], 90.0);
        assert_eq!(told["script"], serde_json::json!([{"text": "OK"}]));
        // A level that the assignment does not name is left out, not invented.
        assert!(
            serde_json::from_slice::<serde_json::Value>(&questions.line(&CellId::nth(0), &Assignment(vec![9]))).is_ok()
        );
    }
}
