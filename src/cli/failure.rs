//! A command's **failure**: what a person is told, and the exit code.

use super::console;
use super::exit::Exit;
use crate::engine::EngineError;
use crate::report::escape;
use crate::run::RunError;
use crate::scenario::ScenarioError;
use crate::store::StoreError;

/// Why a command did not do what it should.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// The command line, a scenario or a folder is wrong.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }

    /// The engine or the machine failed.
    pub(super) fn engine(message: impl Into<String>) -> Self {
        Self { exit: Exit::Engine, message: message.into() }
    }

    /// The run is not finished.
    pub(super) fn unfinished(message: impl Into<String>) -> Self {
        Self { exit: Exit::Inconclusive, message: message.into() }
    }

    /// The same, saying of what.
    pub(super) fn of(self, what: &str) -> Self {
        Self { message: format!("{}: {}", escape::terminal(what), self.message), ..self }
    }

    /// What a person would be told.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// Tells a person.
    pub(super) fn show(&self) -> Exit {
        console::error(&self.message);
        self.exit
    }
}

impl From<Box<ScenarioError>> for Failure {
    fn from(error: Box<ScenarioError>) -> Self {
        // The place in the file is underlined; that takes several lines and its own colours.
        let theme = if console::colour_on_stderr() {
            miette::GraphicalTheme::unicode()
        } else {
            miette::GraphicalTheme::unicode_nocolor()
        };
        let mut text = String::new();
        let width = console::width().max(60);
        let handler = miette::GraphicalReportHandler::new_themed(theme).with_width(width).with_links(false);
        if handler.render_report(&mut text, error.as_ref()).is_err() {
            text = error.to_string();
        }
        Self::usage(text.trim())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match error {
            StoreError::NotEmpty(_) | StoreError::NoRun(_) | StoreError::Busy(_) | StoreError::Newer { .. } => {
                Exit::Usage
            }
            StoreError::Damaged { .. } | StoreError::Io(_) => Exit::Engine,
        };
        Self { exit, message: error.to_string() }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Store(error) => error.into(),
            RunError::Diverged(_) | RunError::OtherRun(_) => Self::usage(error.to_string()),
            RunError::Engine(EngineError::Cancelled) | RunError::Interrupted => Self::engine("interrupted"),
            // An engine may quote what a program in a pod said.
            RunError::Engine(_) | RunError::Lost { .. } => {
                let lines = error.to_string();
                Self::engine(lines.lines().map(escape::terminal).collect::<Vec<_>>().join("\n"))
            }
        }
    }
}

/// Makes a panic, which can only be a bug of ours, say so in a few lines. `RUST_BACKTRACE` gives the long story.
pub(super) fn report_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload();
        let message = said.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = message.or_else(|| said.downcast_ref::<String>().cloned()).unwrap_or_default();
        let place = panic.location().map(|place| format!(" ({}:{})", place.file(), place.line())).unwrap_or_default();
        console::error(&format!(
            "a bug in parallax {}: {message}{place}\nPlease report it with the command line and the scenario; \
             RUST_BACKTRACE=1 shows where it came from. A run's folder can be gone on with by --resume.",
            env!("CARGO_PKG_VERSION")
        ));
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            usual(panic);
        }
    }));
}
