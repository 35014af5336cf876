//! Problems and warnings of a configuration, with the lines that they concern: as text, and as
//! JSON.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::terminal::{FAINT, Mark, STRONG, error_width, hang};
use crate::config::{Problem, WatchedFile};
use crate::settings::{self, Excerpt};

/// Reports on a configuration that was read from these files.
pub(super) struct Reporter<'a> {
    files: &'a [WatchedFile],
    texts: RefCell<BTreeMap<PathBuf, Option<String>>>,
}

/// A problem for programs.
#[derive(Debug, Serialize)]
pub(super) struct ProblemJson<'a> {
    key: &'a str,
    message: &'a str,
    remedy: &'a str,
    /// The file and line, the variable or the argument.
    origin: Option<&'a str>,
    file: Option<&'a Path>,
    line: Option<usize>,
    column: Option<usize>,
}

/// The location of a problem.
struct Location<'a> {
    file: &'a Path,
    line: usize,
    excerpt: Option<Excerpt>,
}

impl<'a> Reporter<'a> {
    /// `files`: the files that were read, in order.
    pub fn new(files: &'a [WatchedFile]) -> Self {
        Self { files, texts: RefCell::default() }
    }

    /// The problems or warnings as text: by file and line; those without a file last.
    pub fn to_text(&self, problems: &[Problem], mark: Mark) -> String {
        let mut text = String::new();
        for problem in self.in_order(problems) {
            self.write(&mut text, problem, mark);
        }
        text
    }

    /// The problems or warnings as JSON.
    pub fn to_json<'p>(&self, problems: &'p [Problem]) -> Vec<ProblemJson<'p>>
    where
        'a: 'p,
    {
        let json = |problem: &'p Problem| {
            let location = self.location(problem);
            ProblemJson {
                key: &problem.key,
                message: &problem.what,
                remedy: &problem.help,
                origin: problem.origin.as_deref(),
                file: location.as_ref().map(|location| location.file),
                line: location.as_ref().map(|location| location.line),
                column: location.and_then(|location| Some(location.excerpt?.column)),
            }
        };
        self.in_order(problems).into_iter().map(json).collect()
    }

    fn in_order<'p>(&self, problems: &'p [Problem]) -> Vec<&'p Problem> {
        let position = |problem: &&Problem| {
            let found = problem.origin.as_ref().and_then(|origin| {
                let (file, line) = settings::file_and_line(origin, self.files)?;
                Some((self.files.iter().position(|own| own.path == file.path)?, line))
            });
            found.unwrap_or((usize::MAX, 0))
        };
        let mut sorted: Vec<&Problem> = problems.iter().collect();
        sorted.sort_by_key(position);
        sorted
    }

    fn write(&self, text: &mut String, problem: &Problem, mark: Mark) {
        let Problem { key, origin, what, help } = problem;
        let (key, width) = (settings::printable(key), error_width());
        // measured without styles, which take no columns
        let what = hang(what, "✗ : ".chars().count() + key.chars().count(), width);
        let _ = writeln!(text, "\n{mark} {STRONG}{key}{STRONG:#}: {what}");
        let location = self.location(problem);
        let excerpt = location.and_then(|location| Some((location.line, location.excerpt?)));
        match (&excerpt, origin) {
            (Some((_, Excerpt { column, .. })), Some(origin)) => {
                let _ = writeln!(text, "  given in: {origin}:{column}");
            }
            (None, Some(origin)) => {
                let _ = writeln!(text, "  given in: {origin}");
            }
            (_, None) => {}
        }
        if let Some((line, Excerpt { text: shown, marked: (start, length), .. })) = excerpt {
            let (number, style) = (line.to_string(), mark.style());
            let gutter = " ".repeat(number.len());
            let (before, carets) = (" ".repeat(start), "^".repeat(length.max(1)));
            let _ = writeln!(text, "    {FAINT}{number} |{FAINT:#} {shown}");
            let _ = writeln!(text, "    {FAINT}{gutter} |{FAINT:#} {before}{style}{carets}{style:#}");
        }
        let _ = writeln!(text, "  to do: {}", hang(help, "  to do: ".len(), width));
    }

    /// The file and line of a problem; `None` if it does not come from a file.
    fn location(&self, problem: &Problem) -> Option<Location<'a>> {
        let (file, line) = settings::file_and_line(problem.origin.as_ref()?, self.files)?;
        let mark =
            if problem.is_about_key() { settings::MarkedPart::Key } else { settings::MarkedPart::Value };
        let mut texts = self.texts.borrow_mut();
        let text = texts.entry(file.path.clone()).or_insert_with(|| {
            // a pipe cannot be read again
            if file.is_pipe() { None } else { std::fs::read_to_string(&file.path).ok() }
        });
        let excerpt = text.as_ref().and_then(|text| settings::excerpt(text, line, &problem.key, mark));
        Some(Location { file: &file.path, line, excerpt })
    }
}

/// A number of things, such as "a problem" or "3 problems".
pub(super) fn count(number: usize, name: &str) -> String {
    if number == 1 { format!("a {name}") } else { format!("{number} {name}s") }
}
