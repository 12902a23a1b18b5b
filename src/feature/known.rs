//! What is **known** of requests and arrays over all captures, and what is asked of it while a capture is taken apart: the
//! few answers that depend on the captures before it. All else of a capture can be read in parallel and ahead of its turn:
//! what it asked is asked once more in its turn, and only where an answer is another now must it be taken apart again.

use std::collections::VecDeque;

use super::element::{Elements, Traits};
use super::escape::Style;
use super::hash::HashMap;
use super::json::Node;
use super::slots::{Slots, Summary};
use crate::capture::Exchange;

/// What was met, by the kind of a request or the address of a JSON value.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    requests: HashMap<String, Slots>,
    elements: HashMap<String, Elements>,
    styles: HashMap<String, Style>,
}

/// What was asked, with what the answer was made of.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    question: Question,
    answer: Answer,
}

#[derive(Clone, Debug)]
enum Question {
    /// Which of its kind each request is.
    Slots(String, Vec<Summary>),
    /// What the elements of an array are called.
    Labels(String, Traits),
    /// Which characters a JSON text escapes.
    Style(String, Style),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Slots(Vec<Option<usize>>),
    Labels(Vec<String>),
    Style(Style),
}

/// The questions of one capture.
#[derive(Debug)]
pub(super) struct Inquiry<'a> {
    known: &'a mut Known,
    /// Answers to its first questions, which were asked before.
    given: VecDeque<Answer>,
    /// What was asked; not noted where nobody will ask again.
    asked: Option<Vec<Asked>>,
}

impl Known {
    /// Asks again what a capture has asked, in its turn. `Err` has the answers to the first questions where a later one is
    /// another now, or cannot be told from what was noted.
    pub(super) fn again(&mut self, asked: &[Asked]) -> Result<(), VecDeque<Answer>> {
        let mut given = VecDeque::new();
        for Asked { question, answer } in asked {
            let now = match question {
                Question::Slots(kind, summaries) => self.requests(kind).again(summaries).map(Answer::Slots),
                Question::Labels(address, traits) => self.elements(address).again(traits).map(Answer::Labels),
                Question::Style(address, style) => Some(Answer::Style(self.style(address, style.clone()))),
            };
            let Some(now) = now else { return Err(given) };
            let same = now == *answer;
            given.push_back(now);
            if !same {
                return Err(given);
            }
        }
        Ok(())
    }

    fn requests(&mut self, kind: &str) -> &mut Slots {
        entry(&mut self.requests, kind)
    }

    fn elements(&mut self, address: &str) -> &mut Elements {
        entry(&mut self.elements, address)
    }

    /// The style of a text together with that of the texts before it.
    fn style(&mut self, address: &str, mut style: Style) -> Style {
        let known = entry(&mut self.styles, address);
        style.or(known);
        known.or(&style);
        style
    }
}

fn entry<'a, T: Default>(map: &'a mut HashMap<String, T>, key: &str) -> &'a mut T {
    map.entry(key.to_owned()).or_default()
}

impl Asked {
    /// Drops what takes much memory and is seldom needed when a question is asked for the third time.
    pub(super) fn shorten(&mut self) {
        match &mut self.question {
            Question::Slots(_, summaries) => summaries.iter_mut().for_each(|summary| summary.words = None),
            Question::Labels(_, traits) => traits.bags.clear(),
            Question::Style(..) => {}
        }
    }
}

impl<'a> Inquiry<'a> {
    /// Asks, and notes nothing.
    pub(super) fn new(known: &'a mut Known) -> Self {
        Self { known, given: VecDeque::new(), asked: None }
    }

    /// Asks, and notes what was asked. The first answers are given.
    pub(super) fn noting(known: &'a mut Known, given: VecDeque<Answer>) -> Self {
        Self { known, given, asked: Some(Vec::new()) }
    }

    /// What was asked.
    pub(super) fn end(self) -> Vec<Asked> {
        self.asked.unwrap_or_default()
    }

    /// The slot of each of these requests of one kind.
    pub(super) fn slots(&mut self, kind: &str, members: &[&Exchange]) -> Vec<Option<usize>> {
        let (slots, summaries) = match self.given.pop_front() {
            Some(Answer::Slots(given)) => (given, Slots::default().assign(members).1),
            _ => self.known.requests(kind).assign(members),
        };
        self.note(|| (Question::Slots(kind.to_owned(), summaries), Answer::Slots(slots.clone())));
        slots
    }

    /// The labels of an array's elements.
    pub(super) fn labels(&mut self, address: &str, elements: &[Node]) -> Vec<String> {
        let (labels, traits) = match self.given.pop_front() {
            Some(Answer::Labels(given)) => (given, Traits::of(elements)),
            _ => self.known.elements(address).labels(elements),
        };
        self.note(|| (Question::Labels(address.to_owned(), traits), Answer::Labels(labels.clone())));
        labels
    }

    /// The style of a JSON text, completed by that of the texts before it.
    pub(super) fn style(&mut self, address: &str, own: Style) -> Style {
        let style = match self.given.pop_front() {
            Some(Answer::Style(given)) => given,
            _ => self.known.style(address, own.clone()),
        };
        self.note(|| (Question::Style(address.to_owned(), own), Answer::Style(style.clone())));
        style
    }

    fn note(&mut self, asked: impl FnOnce() -> (Question, Answer)) {
        if let Some(all) = &mut self.asked {
            let (question, answer) = asked();
            all.push(Asked { question, answer });
        }
    }
}
