//! The running **process** of an external engine: questions go in, answers come out in any order, and whatever it does
//! wrong fails the cells that wait for it, with the line and its own last words.

use std::collections::{HashMap, HashSet};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::answer::{self, Answer};
use super::{Program, STEP};
use crate::capture::Capture;
use crate::cell::CellId;
use crate::engine::EngineError;

/// A line is never longer than this.
const LONGEST: u64 = 256 << 20;
/// Questions that are written at once, in bytes.
const BATCH: usize = 1 << 20;
/// What is kept of its standard error.
const LAST_WORDS: usize = 4096;
/// How long it may take to end once its standard input is closed.
const ENDING: Duration = Duration::from_secs(5);
/// How much of a line is quoted.
const QUOTED: usize = 160;

/// What a cell waits for.
type Waiting = oneshot::Receiver<Result<Capture, String>>;

/// A program that was started.
pub(super) struct Process {
    state: Arc<Mutex<State>>,
    /// `None` once it is to end.
    questions: Mutex<Option<mpsc::UnboundedSender<Vec<u8>>>>,
    reader: Mutex<Option<JoinHandle<()>>>,
    group: Option<Pid>,
}

#[derive(Default)]
struct State {
    name: String,
    waiting: HashMap<String, oneshot::Sender<Result<Capture, String>>>,
    answered: HashSet<String>,
    /// Cells whose answer was given up, as often as that: it may still come, and is then left out.
    late: HashMap<String, u32>,
    over: bool,
    /// Why it is over, where no cell was there to hear it.
    unheard: Option<String>,
}

impl Process {
    /// Starts the program in a process group of its own, so that an interrupt is ours to handle.
    pub(super) fn start(program: &Program) -> Result<Self, EngineError> {
        let failed = |error: std::io::Error| EngineError::Missing(format!("`{program}` cannot be started: {error}"));
        let mut child = Command::new(program.file())
            .args(program.arguments())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(EngineError::Failed { step: STEP, message: String::from("its pipes could not be opened") });
        };
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let state = Arc::new(Mutex::new(State { name: program.to_string(), ..State::default() }));
        let (questions, asked) = mpsc::unbounded_channel();
        tokio::spawn(write(stdin, asked));
        let words = tokio::spawn(last_words(stderr));
        let reader = tokio::spawn(listen(child, stdout, words, Arc::clone(&state), group));
        Ok(Self { state, questions: Mutex::new(Some(questions)), reader: Mutex::new(Some(reader)), group })
    }

    /// Asks for a cell.
    pub(super) fn ask(&self, cell: &CellId, line: Vec<u8>) -> Result<Waiting, String> {
        let (sender, waiting) = oneshot::channel();
        {
            let mut state = lock(&self.state);
            if state.over {
                return Err(state.unheard.take().unwrap_or_else(|| format!("`{}` has ended", state.name)));
            }
            state.answered.remove(&cell.0);
            state.waiting.insert(cell.0.clone(), sender);
        }
        // A writer that is gone means that the program is: the reader says so to whoever waits.
        let _ = lock(&self.questions).as_ref().map(|questions| questions.send(line));
        Ok(waiting)
    }

    /// No longer waits for a cell.
    pub(super) fn give_up(&self, cell: &CellId) {
        let mut state = lock(&self.state);
        if state.waiting.remove(&cell.0).is_some() {
            *state.late.entry(cell.0.clone()).or_default() += 1;
        }
    }

    /// Whether it can be asked no more.
    pub(super) fn is_over(&self) -> bool {
        lock(&self.state).over
    }

    /// Why it is over, if nobody was told.
    pub(super) fn unheard(&self) -> Option<String> {
        lock(&self.state).unheard.take()
    }

    /// Closes its standard input, and kills it where it does not end then.
    pub(super) async fn end(&self) {
        lock(&self.questions).take();
        let reader = lock(&self.reader).take();
        if let Some(mut reader) = reader
            && tokio::time::timeout(ENDING, &mut reader).await.is_err()
        {
            kill(self.group);
            reader.abort();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(reader) = lock(&self.reader).take()
            && !reader.is_finished()
        {
            kill(self.group);
            reader.abort();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills the program and what it started. Only called while the program was not waited for, so that its id is its own.
fn kill(group: Option<Pid>) {
    if let Some(group) = group {
        let _ = killpg(group, Signal::SIGKILL);
    }
}

/// Writes questions, all that are there at once.
async fn write(mut stdin: ChildStdin, mut asked: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(mut batch) = asked.recv().await {
        while batch.len() < BATCH
            && let Ok(next) = asked.try_recv()
        {
            batch.extend_from_slice(&next);
        }
        if stdin.write_all(&batch).await.is_err() {
            return;
        }
    }
}

/// The end of its standard error.
async fn last_words(mut stderr: ChildStderr) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = vec![0; 8192];
    while let Ok(length @ 1..) = stderr.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..length]);
        if kept.len() > 2 * LAST_WORDS {
            kept.drain(..kept.len() - LAST_WORDS);
        }
    }
    kept
}

/// Reads answers until the program ends or breaks the protocol.
async fn listen(
    mut child: Child,
    stdout: ChildStdout,
    words: JoinHandle<Vec<u8>>,
    state: Arc<Mutex<State>>,
    group: Option<Pid>,
) {
    let mut reader = BufReader::with_capacity(1 << 20, stdout);
    let mut line = Vec::new();
    let mut number = 0_u64;
    let wrong = loop {
        line.clear();
        match (&mut reader).take(LONGEST).read_until(b'\n', &mut line).await {
            Ok(0) => break None,
            Ok(_) => {}
            Err(error) => break Some(format!("its standard output cannot be read: {error}")),
        }
        number += 1;
        if line.last() != Some(&b'\n') && line.len() as u64 >= LONGEST {
            break Some(format!("line {number} of its standard output is longer than {LONGEST} bytes"));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if let Err(message) = lock(&state).hear(number, &line) {
            break Some(message);
        }
    };
    let (ended, well) = if let Some(message) = wrong {
        kill(group);
        let _ = child.wait().await;
        (message, false)
    } else {
        // It closed its standard output: it has ended, or will do so now.
        let status = tokio::time::timeout(ENDING, child.wait()).await;
        kill_unless(status.is_ok(), group);
        match status {
            Ok(Ok(status)) => (format!("it ended ({status}) after {number} lines of answers"), status.success()),
            _ => (format!("it closed its standard output after {number} lines of answers"), false),
        }
    };
    let words = tokio::time::timeout(Duration::from_millis(500), words).await;
    let words = words.ok().and_then(Result::ok).unwrap_or_default();
    lock(&state).end(&ended, well, &words);
}

fn kill_unless(ended: bool, group: Option<Pid>) {
    if !ended {
        kill(group);
    }
}

impl State {
    /// Takes a line. An error breaks the protocol so that nothing later can be trusted.
    fn hear(&mut self, number: u64, line: &[u8]) -> Result<(), String> {
        let (cell, result) = match answer::read(line) {
            Ok(Answer { cell, result: Ok(capture) }) => (cell, Ok(capture)),
            Ok(Answer { cell, result: Err(error) }) => {
                let message = format!("`{}` could not run {cell}: {error}", self.name);
                (cell, Err(message))
            }
            Err(unreadable) => {
                let message = unreadable.message;
                let message =
                    format!("line {number} of its standard output is no answer ({message}): {}", quoted(line));
                match unreadable.cell {
                    Some(cell) if self.waiting.contains_key(&cell) => {
                        let message = format!("`{}`: {message}", self.name);
                        (cell, Err(message))
                    }
                    _ => return Err(message),
                }
            }
        };
        if let Some(sender) = self.waiting.remove(&cell) {
            // Whoever asked may have gone away meanwhile.
            let _ = sender.send(result);
            self.answered.insert(cell);
            return Ok(());
        }
        if let Some(late) = self.late.get_mut(&cell).filter(|late| **late > 0) {
            *late -= 1;
            return Ok(());
        }
        let quoted = quoted(line);
        Err(if self.answered.contains(&cell) {
            format!("line {number} of its standard output answers cell {cell} a second time: {quoted}")
        } else {
            let cell: String = cell.chars().take(QUOTED).collect();
            format!("line {number} of its standard output answers cell {cell:?}, which it was not asked for: {quoted}")
        })
    }

    /// Tells all who wait why nothing more will come.
    fn end(&mut self, why: &str, well: bool, words: &[u8]) {
        self.over = true;
        let words = String::from_utf8_lossy(words);
        let words = words.trim();
        let mut message = format!("`{}`: {why}", self.name);
        if words.is_empty() {
            message.push_str("; its standard error is empty");
        } else {
            let skip = words.chars().count().saturating_sub(LAST_WORDS / 4);
            let end: String = words.chars().skip(skip).collect();
            message = format!("{message}; its standard error ended:\n{end}");
        }
        if self.waiting.is_empty() {
            self.unheard = (!well).then_some(message);
        } else {
            for (_, sender) in self.waiting.drain() {
                let _ = sender.send(Err(message.clone()));
            }
        }
    }
}

/// The beginning of a line, for a message.
fn quoted(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(4 * QUOTED)]);
    let text = text.trim_end();
    let mut short: String = text.chars().take(QUOTED).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("`{short}`")
}
