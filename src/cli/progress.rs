//! **Progress** for other programs: one line of JSON an event (`docs/progress.md` has them), and what every display of a
//! run's progress counts.

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::campaign::Hypothesis;
use crate::cell::Phase;
use crate::report::escape;
use crate::run::event::Event;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// Lines of text
    Plain,
    /// A bar
    Bar,
    /// Lines of JSON for other programs; see docs/progress.md
    Json,
}

/// How far a run is.
#[derive(Clone, Debug, Default)]
pub(super) struct Far {
    pub(super) phase: &'static str,
    /// Cells that ended, those on disk included.
    pub(super) done: usize,
    /// Cells that ended since this program was started.
    here: usize,
    /// Cells that the engine could not run.
    pub(super) failed: usize,
    /// Cells of the whole run, as far as can be told.
    expected: usize,
    seconds: f64,
    hypotheses: Vec<Hypothesis>,
}

impl Far {
    /// Takes an event, so many seconds after the first round was planned.
    pub(super) fn hear(&mut self, event: &Event, seconds: f64) {
        self.seconds = seconds;
        match event {
            Event::Planned { phase: now, expected_total, .. } => {
                self.phase = phase(*now);
                self.expected = *expected_total;
            }
            Event::Resumed(cells) => self.done = *cells,
            Event::Finished { observed, .. } => {
                self.done += 1;
                self.here += 1;
                self.failed += usize::from(!observed);
            }
            Event::Hypotheses(hypotheses) => self.hypotheses.clone_from(hypotheses),
            Event::Preparing(_) | Event::Started(_) | Event::Noticed(_) | Event::Warning(_) => {}
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "a number of cells")]
    fn rate(&self) -> f64 {
        self.here as f64 / self.seconds.max(0.001)
    }

    #[allow(clippy::cast_precision_loss, reason = "a number of cells")]
    fn left(&self) -> f64 {
        self.expected.saturating_sub(self.done) as f64 / self.rate().max(0.001)
    }

    /// `120 of about 214 cells · 3.4 cells/s · about 28 s left · confirm`.
    pub(super) fn plain(&self) -> String {
        format!(
            "{} of about {} cells · {:.1} cells/s · about {:.0} s left · {}{}",
            self.done,
            self.expected,
            self.rate(),
            self.left(),
            self.phase,
            self.evidence()
        )
    }

    /// ` · 2 of 5 hypotheses confirmed, the others at E 1 to 45`, once coins were flipped for any.
    pub(super) fn evidence(&self) -> String {
        let known = self.hypotheses.iter().filter_map(|one| Some((one.e, one.e_needed?)));
        let (sure, open): (Vec<_>, Vec<_>) = known.partition(|(e, needed)| e >= needed);
        let all = sure.len() + open.len();
        if all == 0 {
            return String::new();
        }
        let least = open.iter().map(|(e, _)| *e).fold(f64::INFINITY, f64::min);
        let most = open.iter().map(|(e, _)| *e).fold(0.0, f64::max);
        let others = if open.is_empty() { String::new() } else { format!(", the others at E {least:.2} to {most:.0}") };
        format!(" · {} of {all} hypotheses confirmed{others}", sure.len())
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Cover => "cover",
        Phase::Explain => "explain",
        Phase::Confirm => "confirm",
    }
}

/// An event as one line of JSON, in printable ASCII, when the run is as far as this.
pub(super) fn line(event: &Event, far: &Far) -> String {
    let round = |value: f64| (value * 100.0).round() / 100.0;
    let value = match event {
        Event::Preparing(what) => json!({ "event": "preparing", "what": what }),
        Event::Planned { round, cells, .. } => json!({
            "event": "round", "round": round, "phase": far.phase, "cells": cells, "expected": far.expected,
        }),
        Event::Resumed(cells) => json!({ "event": "resumed", "cells": cells }),
        Event::Started(cell) => json!({ "event": "started", "cell": cell }),
        Event::Finished { cell, observed } => json!({
            "event": "finished", "cell": cell, "observed": observed, "phase": far.phase, "done": far.done,
            "failed": far.failed, "expected": far.expected, "cells_per_second": round(far.rate()),
            "seconds_left": round(far.left()),
        }),
        Event::Noticed(text) => json!({ "event": "noticed", "text": text }),
        Event::Hypotheses(hypotheses) => json!({ "event": "hypotheses", "hypotheses": hypotheses }),
        Event::Warning(text) => warning(text),
    };
    escape::json(&value)
}

/// What a person should know.
pub(super) fn warning(text: &str) -> Value {
    json!({ "event": "warning", "text": text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::CellId;

    fn far() -> Far {
        let mut far = Far::default();
        far.hear(&Event::Planned { round: 3, phase: Phase::Confirm, cells: 9, expected_total: 160 }, 0.0);
        far.hear(&Event::Resumed(10), 0.0);
        for n in 0..50 {
            far.hear(&Event::Finished { cell: CellId::nth(n), observed: n != 7 }, 10.0);
        }
        far
    }

    #[test]
    fn the_plain_line_says_rate_time_left_and_evidence() {
        let mut far = far();
        assert_eq!(far.plain(), "60 of about 160 cells · 5.0 cells/s · about 20 s left · confirm");
        let one = |e: f64, e_needed: Option<f64>| Hypothesis { factors: vec!["zone".into()], places: 1, e, e_needed };
        far.hear(&Event::Hypotheses(vec![one(1.0, None), one(80.0, Some(60.0)), one(7.5, Some(60.0))]), 10.0);
        assert!(far.plain().ends_with(" · 1 of 2 hypotheses confirmed, the others at E 7.50 to 8"), "{}", far.plain());
    }

    #[test]
    fn lines_are_json_and_nothing_in_them_acts() {
        let far = far();
        let parsed = |event: &Event| -> Value { serde_json::from_str(&line(event, &far)).unwrap() };
        let hostile = "\u{1b}[2J\n{\"event\":\"ended\"}\u{202e}";
        let told = line(&Event::Warning(hostile.into()), &far);
        assert!(told.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{told}");
        assert_eq!(parsed(&Event::Warning(hostile.into()))["text"], hostile);
        let finished = parsed(&Event::Finished { cell: CellId::nth(4), observed: true });
        assert_eq!(
            (&finished["done"], &finished["failed"], &finished["cell"]),
            (&json!(60), &json!(1), &json!("c0004"))
        );
        assert_eq!((&finished["cells_per_second"], &finished["seconds_left"]), (&json!(5.0), &json!(20.0)));
        assert_eq!(parsed(&Event::Started(CellId::nth(1)))["event"], "started");
    }
}
