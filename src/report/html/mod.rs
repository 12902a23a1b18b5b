//! The report as **one page**: `report.html`, a single file that loads nothing. Its policy forbids every resource but the
//! style and the script that stand in it, known by their digests; what agents wrote stands in a JSON block in which no
//! character can end it, and the script only ever makes text of it.

mod data;

use base64::Engine as _;
use sha2::Digest as _;

use super::observed::Observed;
use super::{Report, escape, summary};
use crate::finding::{Finding, Findings};
use crate::store::Manifest;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page. With nothing observed it shows the rules alone.
#[derive(Clone, Debug, Default)]
pub struct Html {
    /// What was seen, cell by cell.
    pub observed: Observed,
}

impl Report for Html {
    fn render(&self, findings: &Findings, manifest: &Manifest) -> Vec<u8> {
        let data = data::data(findings, manifest, &self.observed);
        let name = escape::html(&short(&findings.scenario));
        let policy = format!(
            "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
            digest(STYLE),
            digest(SCRIPT)
        );
        let sorted = summary::Sorted::new(findings);
        let plain: String =
            sorted.open.iter().chain(&sorted.disclosed).chain(&sorted.explained).map(|one| line(one)).collect();
        let page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <title>{name} · parallax</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <a class=\"skip\" href=\"#findings\">To the findings</a>\n\
             <header class=\"top\"><p class=\"eyebrow\">parallax · {subject}</p><h1>{name}</h1>\
             <p class=\"verdict {class}\" role=\"status\">{verdict}</p></header>\n\
             <main id=\"main\"><noscript><ul>{plain}</ul><p>Tables and filters need JavaScript; nothing is loaded \
             from anywhere. report.md has the same in words.</p></noscript></main>\n\
             <footer><p>This page says that something depends on the environment, and with what evidence. It does not say \
             why, and it does not say that anyone meant it. Nothing found is not nothing there.</p></footer>\n\
             <script type=\"application/json\" id=\"data\">{data}</script>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
            subject = escape::html(&short(&summary::subject(manifest))),
            class = data["verdict"].as_str().unwrap_or_default(),
            verdict = escape::html(&summary::verdict(findings)),
            data = escape::json(&data),
        );
        page.into_bytes()
    }
}

fn line(finding: &Finding) -> String {
    let evidence = format!("{}. {}", summary::effect(finding), summary::evidence(finding));
    format!("<li>{}<br>{}</li>", escape::html(&summary::sentence(finding)), escape::html(&evidence))
}

fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

/// `sha256-…`, as a content security policy names an inline element.
fn digest(text: &str) -> String {
    format!("sha256-{}", base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing;

    fn page(findings: &Findings, observed: Observed) -> String {
        String::from_utf8(Html { observed }.render(findings, &testing::manifest())).unwrap()
    }

    fn given(page: &str) -> serde_json::Value {
        let (_, rest) = page.split_once("id=\"data\">").unwrap();
        serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
    }

    #[test]
    fn the_page_says_everything_that_a_reader_needs() {
        let findings = testing::found();
        let observed = Observed::of(&testing::records(), &testing::manifest().scenario, &findings);
        let page = page(&findings, observed);
        assert!(page.contains("<p class=\"verdict conditioned\" role=\"status\">conditioned: 1 dependence"), "{page}");
        let given = given(&page);
        let one = &given["findings"][0];
        assert_eq!(one["status"], "open");
        assert_eq!(one["e"], "1.0e4");
        assert_eq!(one["matching"], serde_json::json!([[{"0": [1]}, "variant"]]));
        let place = &one["places"][0];
        assert_eq!(place["values"], serde_json::json!(["baseline", "variant"]));
        assert_eq!(place["pattern"], 0);
        assert_eq!(given["patterns"][0], "01010!010101");
        assert_eq!(given["runs"]["lost"], ".....!......");
        assert_eq!(given["runs"]["start"][2], 1000);
        assert_eq!(given["names"]["8217"], serde_json::json!(["RIGHT SINGLE QUOTATION MARK", 0]));
        assert_eq!(given["names"]["27"][1], 1, "what cannot be seen is drawn");
    }

    #[test]
    fn nothing_is_loaded_and_only_our_script_runs() {
        let page = page(&testing::findings(), Observed::default());
        let policy = page.split_once("Content-Security-Policy\" content=\"").unwrap().1.split_once('"').unwrap().0;
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
        let script = page.rsplit_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
        assert!(policy.contains(&format!("script-src '{}'", digest(script))));
        let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        assert!(policy.contains(&format!("style-src '{}'", digest(style))));
        for forbidden in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "fetch("]
        {
            assert!(!SCRIPT.contains(forbidden), "{forbidden}");
        }
        for loads in ["src=", "url(", "@import", "<link"] {
            assert!(!STYLE.contains(loads) && !page.contains(&format!("<img {loads}")), "{loads}");
        }
        assert!(!page.contains("<link") && !page.contains(" style="));
    }

    #[test]
    fn a_hostile_agent_changes_nothing_of_the_structure() {
        let (plain, hostile) = (testing::findings(), testing::hostile());
        let tags = |findings: &Findings| {
            let page = page(findings, Observed::default());
            let page = page.split_once("<noscript>").unwrap().0.to_owned() + page.split_once("</noscript>").unwrap().1;
            (page.matches('<').count(), page.matches('>').count(), page.matches("</script>").count())
        };
        assert_eq!(tags(&plain), tags(&hostile));
        let page = page(&hostile, Observed::default());
        let items = hostile.findings.len();
        let list = page.split_once("<noscript>").unwrap().1.split_once("</noscript>").unwrap().0;
        assert_eq!(list.matches('<').count(), items * 3 + 4, "{list}");
        // Nothing acts, hides or turns around, in the source either.
        assert!(page.chars().all(|c| c == '\n' || !escape::is_hidden(c)));
        assert!(page.len() < 300_000, "{} bytes: long lines are cut", page.len());
        assert_eq!(given(&page)["findings"].as_array().unwrap().len(), items);
    }

    #[test]
    fn a_run_of_5000_cells_with_many_places_stays_small() {
        let (mut findings, records) = (testing::found(), testing::records());
        let mut observed = Observed::of(&records, &testing::manifest().scenario, &findings);
        let run = observed.runs[0].clone();
        observed.runs = (0..5000).map(|_| run.clone()).collect();
        let one = findings.findings[0].clone();
        findings.findings = (0..40).map(|_| one.clone()).collect();
        for finding in &mut findings.findings {
            finding.places =
                (0..200).map(|n| format!("POST /v1/messages · messages[{n}].content[text#1].text")).collect();
        }
        // Every place is noisy in its own way: nothing can be shared.
        let column = |n: usize| super::super::observed::Column {
            values: vec!["a".into(), "b".into()],
            seen: (0..5000).map(|at| super::super::observed::Seen::Value((at * (n + 3) / 7) % 2)).collect(),
        };
        observed.findings = (0..40).map(|f| (0..200).map(|p| Some(column(f * 200 + p))).collect()).collect();
        let page = page(&findings, observed);
        assert!(page.len() < 5_000_000, "{} bytes", page.len());
    }
}
