//! What is wrong with a configuration: everything at once, each with its key,
//! its place and a way out.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use super::files::SeenFile;

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
pub struct Problems {
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// The files that were read, or would have been: when one changes, it may
    /// be worth another try.
    pub files: Vec<SeenFile>,
}

/// Collects problems, and the files, while a configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<String>>,
    files: RefCell<Vec<SeenFile>>,
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

    /// Adds a warning: a setting that is valid and probably a mistake.
    pub fn warn(&self, key: &str, place: Option<&str>, what: &str, help: &str) {
        let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
        let warning = format!("{key}{place}: {what}; {help}");
        let mut warnings = self.warnings.borrow_mut();
        // sections that entrances share are read once for each of them
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// The file that a value was given in, by the value's place.
    pub fn file_of(&self, place: &str) -> Option<PathBuf> {
        let (path, _line) = place.rsplit_once(':')?;
        let files = self.files.borrow();
        files.iter().map(|file| &file.path).find(|file| file.as_path() == Path::new(path)).cloned()
    }

    /// Reads a file, and remembers what was in it.
    pub fn read_bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        let (seen, read) = SeenFile::read(path);
        self.files.borrow_mut().push(seen);
        read
    }

    /// The same, where a text is meant.
    pub fn read_file(&self, path: &Path) -> io::Result<String> {
        String::from_utf8(self.read_bytes(path)?)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
    }

    /// What was wrong so far, where it is of no use to go on.
    pub fn take(&self) -> Problems {
        Problems { problems: self.problems.take(), files: self.files.take() }
    }

    /// Whether anything was wrong so far.
    pub fn is_empty(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// The files and the warnings, if nothing was wrong.
    pub fn into_result(self) -> Result<(Vec<SeenFile>, Vec<String>), Problems> {
        let (problems, files) = (self.problems.into_inner(), self.files.into_inner());
        if problems.is_empty() {
            Ok((files, self.warnings.into_inner()))
        } else {
            Err(Problems { problems, files })
        }
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
        let Self { problems, .. } = self;
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
