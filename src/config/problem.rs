//! What is wrong with a configuration: everything at once, each with its key,
//! its place and a way out.

use std::cell::RefCell;
use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `pandium.account`, or the file.
    pub key: String,
    /// Where the value was given: a file and its line, a variable, an argument.
    pub place: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// Collects problems while a configuration is read.
#[derive(Debug, Default)]
pub(super) struct Collector {
    problems: RefCell<Vec<Problem>>,
}

impl Collector {
    /// Adds a problem.
    pub fn add(
        &self,
        key: impl Into<String>,
        place: Option<String>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) {
        let problem = Problem { key: key.into(), place, what: what.into(), help: help.into() };
        let mut problems = self.problems.borrow_mut();
        // sections that entrances share are read once for each of them
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    /// All of them, or nothing.
    pub fn into_result(self) -> Result<(), Problems> {
        let problems = self.problems.into_inner();
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)?;
        if let Some(place) = &self.place {
            write!(f, "\n  given in: {place}")?;
        }
        write!(f, "\n  to do: {}", self.help)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(problems) = self;
        match problems.len() {
            1 => writeln!(f, "the configuration has a problem:")?,
            count => writeln!(f, "the configuration has {count} problems:")?,
        }
        for problem in problems {
            write!(f, "\n{problem}\n")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
