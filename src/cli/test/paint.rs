//! Colours, where standard output is a terminal that shows them: `NO_COLOR`,
//! `CLICOLOR_FORCE` and `TERM` are heeded.

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Effects, Style};

use crate::cases::{Ink, Line};

#[derive(Debug, Clone, Copy)]
pub struct Paint {
    on: bool,
}

const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const FAINT: Style = Style::new().effects(Effects::DIMMED);
const BOLD: Style = Style::new().effects(Effects::BOLD);
const MARKED: Effects = Effects::BOLD.insert(Effects::INVERT);

impl Paint {
    pub fn for_stdout() -> Self {
        let choice = AutoStream::choice(&std::io::stdout());
        Self { on: choice != ColorChoice::Never }
    }

    pub fn green(self, text: &str) -> String {
        self.paint(GREEN, text)
    }

    pub fn red(self, text: &str) -> String {
        self.paint(RED, text)
    }

    pub fn yellow(self, text: &str) -> String {
        self.paint(YELLOW, text)
    }

    pub fn faint(self, text: &str) -> String {
        self.paint(FAINT, text)
    }

    pub fn bold(self, text: &str) -> String {
        self.paint(BOLD, text)
    }

    /// A line of a difference.
    pub fn line(self, line: &Line) -> String {
        let styled = |(ink, text): &(Ink, String)| match ink {
            Ink::Plain => text.clone(),
            Ink::Faint => self.faint(text),
            Ink::Missing => self.red(text),
            Ink::Extra => self.green(text),
            Ink::MissingCell => self.paint(RED.effects(MARKED), text),
            Ink::ExtraCell => self.paint(GREEN.effects(MARKED), text),
        };
        let text: String = line.iter().map(styled).collect();
        if self.on { text } else { text.trim_end().to_owned() }
    }

    fn paint(self, style: Style, text: &str) -> String {
        if self.on && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}
