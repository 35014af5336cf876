//! The terminal to which a command writes: colours, marks, and lines that fit its width.

use std::fmt;
use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use terminal_size::{Width, terminal_size_of};

use super::CommandResult;

/// When output is coloured.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Also in a file or a pipe
    Always,
    /// Never
    Never,
}

/// The form of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs: one JSON object on standard output
    Json,
}

/// Standard output and standard error. Styles are removed where output is not coloured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terminal {
    color: ColorChoice,
}

/// The mark before a line, which shows whether the result is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Good,
    Skipped,
    Warning,
    Bad,
}

/// The style of the most important part of a line.
pub(super) const STRONG: Style = Style::new().bold();
/// The style of the least important part of a line.
pub(super) const FAINT: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// The maximum width of text, in columns: longer lines are hard to read, even if the terminal is
/// wider.
const MAX_WIDTH: usize = 100;

impl Terminal {
    /// The terminal of this process.
    pub fn new(color: Color) -> Self {
        let color = match color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        Self { color }
    }

    /// Writes a line to standard output.
    pub fn print(self, text: impl fmt::Display) -> CommandResult {
        Ok(write_line(AutoStream::new(io::stdout(), self.color), &text)?)
    }

    /// Writes a line to standard error.
    pub fn print_error(self, text: impl fmt::Display) {
        // there is nowhere else to report a failed write
        let _ = write_line(AutoStream::new(io::stderr(), self.color), &text);
    }

    /// Writes JSON to standard output, without styles.
    pub fn print_json(self, value: &impl serde::Serialize) -> CommandResult {
        Ok(write_line(io::stdout(), &serde_json::to_string_pretty(value)?)?)
    }
}

impl Mark {
    /// The colour of the mark.
    pub const fn style(self) -> Style {
        match self {
            Self::Good => GOOD,
            Self::Skipped => FAINT,
            Self::Warning => WARNING,
            Self::Bad => BAD,
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let style = self.style();
        let mark = match self {
            Self::Good => "✓",
            Self::Skipped => "-",
            Self::Warning => "!",
            Self::Bad => "✗",
        };
        write!(f, "{style}{mark}{style:#}")
    }
}

/// The width of the terminal, if standard output is one.
pub(super) fn output_width() -> Option<usize> {
    width_of(terminal_size_of(io::stdout()))
}

/// The width of the terminal, if standard error is one.
pub(super) fn error_width() -> Option<usize> {
    width_of(terminal_size_of(io::stderr()))
}

fn width_of(size: Option<(Width, terminal_size::Height)>) -> Option<usize> {
    size.map(|(Width(width), _)| usize::from(width).min(MAX_WIDTH))
}

/// Text without styles, broken between words if it exceeds the width; later lines are indented to
/// the column of the first.
pub(super) fn hang(text: &str, column: usize, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let mut lines = String::new();
    let mut end = column;
    for (index, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && end + 1 + length > width && end > column {
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', column));
            end = column;
        } else if index > 0 {
            lines.push(' ');
            end += 1;
        }
        lines.push_str(word);
        end += length;
    }
    lines
}

/// Writes a line. A closed pipe is not an error: its reader, such as `head`, has ended.
pub(super) fn write_line(mut to: impl Write, text: &impl fmt::Display) -> io::Result<()> {
    match to.write_all(format!("{text}\n").as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_hangs_below_its_first_word() {
        assert_eq!(hang("one two three four", 4, Some(12)), "one two\n    three\n    four");
        assert_eq!(
            hang("a-word-that-is-longer-than-a-line", 4, Some(12)),
            "a-word-that-is-longer-than-a-line"
        );
        assert_eq!(hang("one two three four", 4, None), "one two three four");
    }
}
