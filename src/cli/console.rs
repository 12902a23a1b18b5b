//! The **console**: the only place that knows what a terminal can show. Results go to standard output; progress, notices
//! and errors to standard error. A reader that goes away is no error.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tabled::builder::Builder;
use tabled::settings::peaker::PriorityMax;
use tabled::settings::{Style, Width};

use super::progress::{self, Far, Mode};
use crate::report::{Text, escape, wrap};
use crate::run::event::Event;

/// Columns where the terminal does not say.
const COLUMNS: usize = 100;
/// How often progress is told where there is no terminal.
const PLAIN: Duration = Duration::from_secs(10);
/// The bar while something slow goes on that has no length.
const PREPARING: &str = "{spinner} {wide_msg} {elapsed}";
/// The bar while cells run.
const RUNNING: &str = "{prefix:>8} {bar:28} {pos}/{len} cells · {rate} · {eta} left\n         {wide_msg}";

/// Writes to standard output.
pub(super) fn print(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    // Whoever reads may have seen enough (`| head`): that is no error, and there is nobody to tell.
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// Writes a line to standard output.
pub(super) fn say(line: &str) {
    print(format!("{line}\n").as_bytes());
}

/// Writes a line beside the result.
pub(super) fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Writes what went wrong.
pub(super) fn error(message: &str) {
    let label = if colour_on_stderr() { "\u{1b}[31;1merror:\u{1b}[0m" } else { "error:" };
    note(&format!("{label} {message}"));
}

/// Columns of the terminal.
pub(super) fn width() -> usize {
    let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    set.or_else(asked).filter(|width| *width > 0).unwrap_or(COLUMNS)
}

/// Whether colours are wanted on standard error. See <https://no-color.org>.
pub(super) fn colour_on_stderr() -> bool {
    std::io::stderr().is_terminal() && colours_wanted()
}

fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The report for this terminal.
pub(super) fn text_report() -> Text {
    Text { width: width(), colour: std::io::stdout().is_terminal() && colours_wanted() }
}

/// A table as wide as the terminal at most.
pub(super) fn table(table: Builder) -> String {
    table_within(table, width())
}

/// A table of so many columns at most.
pub(super) fn table_within(table: Builder, width: usize) -> String {
    let mut table = table.build();
    table.with(Style::rounded()).with(Width::wrap(width).priority(PriorityMax::right()).keep_words(true));
    format!("{table}\n")
}

/// Names and what is said of each, side by side, in so many columns at most.
pub(super) fn list(lines: &[(&str, String)], width: usize) -> String {
    let names = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) + 2;
    let mut list = String::new();
    for (name, said) in lines {
        for (n, line) in wrap(said, width.saturating_sub(names).max(20)).iter().enumerate() {
            let name = if n == 0 { name } else { "" };
            list.extend([format!("{name:names$}"), line.clone(), String::from("\n")]);
        }
    }
    list
}

/// Lets `PARALLAX_LOG` choose what the program's parts say for whoever debugs it: `PARALLAX_LOG=parallax=debug`.
pub(super) fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("PARALLAX_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// Shows how far a run is.
pub(super) struct Progress {
    /// `None`: nothing is shown.
    mode: Option<Mode>,
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

struct State {
    began: Option<Instant>,
    told: Instant,
    far: Far,
    noticed: String,
}

impl Progress {
    /// A bar on a terminal, lines elsewhere, nothing when quiet.
    pub(super) fn new(quiet: bool) -> Self {
        Self::in_mode(quiet, None)
    }

    /// In the mode that was asked for; where none was, a bar on a terminal and lines elsewhere. Nothing when quiet.
    pub(super) fn in_mode(quiet: bool, mode: Option<Mode>) -> Self {
        let usual = if std::io::stderr().is_terminal() { Mode::Bar } else { Mode::Plain };
        let mode = (!quiet).then(|| mode.unwrap_or(usual));
        let bar = (mode == Some(Mode::Bar)).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(preparing_style());
            bar.enable_steady_tick(Duration::from_millis(150));
            bar
        });
        let state = State { began: None, told: Instant::now(), far: Far::default(), noticed: String::new() };
        Self { mode, bar, state: Mutex::new(state) }
    }

    /// Takes an event of the run.
    pub(super) fn hear(&self, event: Event) {
        let Some(mode) = self.mode else { return };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let first = state.began.is_none() && matches!(event, Event::Planned { .. });
        if first {
            state.began = Some(Instant::now());
        }
        let seconds = state.began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        state.far.hear(&event, seconds);
        if mode == Mode::Json {
            return note(&progress::line(&event, &state.far));
        }
        match event {
            Event::Preparing(what) => match &self.bar {
                Some(bar) => bar.set_message(escape::terminal(&what)),
                None => note(&escape::terminal(&what)),
            },
            Event::Planned { round, cells, expected_total, .. } => {
                if let Some(bar) = &self.bar {
                    if first {
                        bar.set_style(running_style());
                        bar.reset_elapsed();
                    }
                    bar.set_length(expected_total as u64);
                } else if first || state.far.phase == "cover" {
                    note(&format!("round {round} ({}): {cells} cells of about {expected_total}", state.far.phase));
                }
            }
            Event::Resumed(cells) => {
                self.tell(&format!("going on after {cells} cells"));
                if let Some(bar) = &self.bar {
                    bar.set_position(cells as u64);
                    bar.reset_eta();
                }
            }
            Event::Started(_) | Event::Hypotheses(_) => {}
            Event::Finished { .. } => {
                if self.bar.is_none() && state.told.elapsed() >= PLAIN {
                    state.told = Instant::now();
                    note(&state.far.plain());
                }
            }
            Event::Noticed(line) => {
                let line = escape::terminal(&line);
                if self.bar.is_none() {
                    note(&format!("noticed: {line}"));
                }
                state.noticed = line;
            }
            Event::Warning(text) => {
                self.tell(&text.lines().map(escape::terminal).collect::<Vec<_>>().join("\n  "));
            }
        }
        if let Some(bar) = &self.bar
            && state.began.is_some()
        {
            bar.set_position(state.far.done as u64);
            bar.set_prefix(state.far.phase);
            let failed = if state.far.failed > 0 {
                format!(" · {} lost by the engine", state.far.failed)
            } else {
                String::new()
            };
            let noticed = if state.noticed.is_empty() { "nothing noticed so far" } else { &state.noticed };
            bar.set_message(format!("{noticed}{}{failed}", state.far.evidence()));
        }
    }

    /// One line of JSON, where that is what was asked for.
    pub(super) fn json(&self, line: &serde_json::Value) {
        if self.mode == Some(Mode::Json) {
            note(&escape::json(line));
        }
    }

    /// Writes a line above the bar.
    pub(super) fn say(&self, line: &str) {
        match self.mode {
            None => {}
            Some(Mode::Json) => self.json(&progress::warning(line)),
            Some(_) => self.tell(line),
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn tell(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => note(line),
        }
    }
}

fn preparing_style() -> ProgressStyle {
    ProgressStyle::with_template(PREPARING).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn running_style() -> ProgressStyle {
    let style = ProgressStyle::with_template(RUNNING).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("rate", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = write!(out, "{:.1} cells/s", state.per_sec());
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_good() {
        assert!([PREPARING, RUNNING].iter().all(|template| ProgressStyle::with_template(template).is_ok()));
    }

    #[test]
    fn a_list_is_indented_behind_its_names() {
        let list = list(&[("one", "a b c d e f g h i j k l".to_owned()), ("three", "x".to_owned())], 27);
        assert_eq!(list, "one    a b c d e f g h i j\n       k l\nthree  x\n");
    }

    #[test]
    fn quiet_is_quiet_and_events_are_counted() {
        let progress = Progress::new(true);
        progress.hear(Event::Warning("x".into()));
        assert_eq!(progress.state.lock().unwrap().far.done, 0);
    }
}
