//! **Reports**: views of a stored run. Take findings and a manifest, give bytes; refuse to know engines, captures and
//! terminals. Whatever an agent wrote is escaped: a report must be safe to print and to paste.
//!
//! Reports speak of dependence and of the evidence for it, never of intent.

pub mod compare;
mod detail;
mod difference;
pub mod escape;
mod har;
mod html;
mod json;
mod junit;
mod markdown;
mod matrix;
pub mod observed;
mod sarif;
pub mod stored;
mod summary;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod text;
mod trail;

pub use difference::Difference;
pub use har::archive;
pub use html::Html;
pub use json::Json;
pub use junit::Junit;
pub use markdown::Markdown;
pub use matrix::{Column as MatrixColumn, Matrix};
pub use observed::Observed;
pub use sarif::Sarif;
pub use table::{Form, Table};
pub use text::Text;
pub(crate) use text::wrap;
pub use trail::Trail;

use crate::finding::Findings;
use crate::store::Manifest;

/// A format.
pub trait Report {
    /// Renders the whole report. The same arguments always give the same bytes.
    fn render(&self, findings: &Findings, manifest: &Manifest) -> Vec<u8>;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader must be told of power and of effects, in words.
    const WORDS: [&str; 11] = [
        "0.81 bits",
        "timezone alone 0.20",
        "base_url alone 0.05",
        "interaction information 0.56 bits",
        "Cramér's V 1.00",
        "80 of 80 combinations of 2 factors were run",
        "family-wise error rate 0.05",
        "all 23 levels were run, the rarest 14 times (seen if it shows at a rate of 0.19); once suspected, confirmed from a rate of 0.25",
        "all 80 combinations of levels were run, the rarest 2 times (seen if it shows at a rate of 0.78)",
        "61 of 120 combinations of levels were run (50 %), and what needs one of the others was not seen",
        "a dependence without chance needs 7 at least (E ≥ 75.0); 96 cells were left for them",
    ];

    /// All strings of a JSON value.
    fn strings(value: &serde_json::Value) -> String {
        match value {
            serde_json::Value::String(text) => format!("{text} "),
            serde_json::Value::Array(all) => all.iter().map(strings).collect(),
            serde_json::Value::Object(all) => all.values().map(strings).collect(),
            _ => String::new(),
        }
    }

    fn json(text: &str) -> serde_json::Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn every_format_says_what_the_design_could_have_missed_and_how_strong_a_dependence_is() {
        let (findings, manifest) = (testing::findings(), testing::manifest());
        let formats: [(&str, &dyn Report); 5] = [
            ("text", &Text::default()),
            ("markdown", &Markdown),
            ("html", &Html::default()),
            ("sarif", &Sarif),
            ("junit", &Junit),
        ];
        for (name, format) in formats {
            let text = String::from_utf8(format.render(&findings, &manifest)).unwrap();
            let told = match name {
                "sarif" => strings(&json(&text)),
                "html" => {
                    let (_, data) = text.split_once("id=\"data\">").unwrap();
                    strings(&json(data.split_once("</script>").unwrap().0))
                }
                _ => text.replace("&#39;", "'").replace('`', ""),
            };
            // Line ends, indentation and the ends of a message's brackets are the format's own.
            let told = told.split(|c: char| c.is_whitespace() || c == '│').filter(|word| !word.is_empty());
            let told = told.collect::<Vec<_>>().join(" ");
            for words in WORDS {
                assert!(told.contains(words), "{words:?} is missing in {name}:\n{told}");
            }
        }
        let all = json(&String::from_utf8(Json.render(&findings, &manifest)).unwrap());
        let reach = &all["power"]["reach"][1];
        assert_eq!((&reach["covered"], &reach["total"], &reach["runs"]), (&80.into(), &80.into(), &2.into()));
        assert_eq!((&reach["seen_rate"], &reach["confirmed_rate"]), (&0.7764.into(), &0.25.into()));
        assert_eq!(all["power"]["coins"]["needed"], 7);
        let sarif = json(&String::from_utf8(Sarif.render(&findings, &manifest)).unwrap());
        for effect in [&all["findings"][0]["effect"], &sarif["runs"][0]["results"][0]["properties"]["effect"]] {
            assert_eq!((&effect["bits"], &effect["interaction_bits"]), (&0.81.into(), &0.56.into()));
            assert_eq!((&effect["shares"]["timezone"], &effect["cramers_v"]), (&0.2.into(), &1.0.into()));
        }
        // What is explained and so passes says how much it tells all the same.
        let junit = String::from_utf8(Junit.render(&findings, &manifest)).unwrap();
        assert!(junit.lines().any(|line| line.contains("explained: echo of") && line.contains("0.81 bits")), "{junit}");
    }

    #[test]
    fn formats_that_leave_power_and_effects_out_are_said_to() {
        let docs = include_str!("../../docs/reports.md");
        let (_, long) = docs.split_once("## The long form").unwrap();
        let line = long.split("\n\n").find(|part| part.contains("power")).unwrap_or_default();
        for word in ["`csv`", "`jsonl`", "HAR", "effect", "`findings.json`"] {
            assert!(line.contains(word), "{word} is missing in {line:?}");
        }
    }
}
