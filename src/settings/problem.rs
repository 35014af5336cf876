//! Collects all problems of a configuration, each with its key, origin and remedy.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use super::files::WatchedFile;
use crate::secret::SharedSecret;

/// What is wrong with an unknown key.
pub(crate) const NO_SUCH_KEY: &str = "there is no such key";

/// What is wrong with a value where a section is expected.
pub(crate) const NOT_A_SECTION: &str = "it is a single value";

/// What is wrong with a placeholder for a value that only the user knows.
pub(crate) const PLACEHOLDER: &str = "it is a placeholder";

/// One problem, or a setting that is valid but probably a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `pandium.account`, or the file.
    pub key: String,
    /// The origin of the value: file and line, variable or argument.
    pub origin: Option<String>,
    /// What is wrong.
    pub what: String,
    /// The remedy.
    pub help: String,
}

/// All problems of a configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The problems.
    pub problems: Vec<Problem>,
    /// The files that were read or could not be; a change of one triggers another
    /// attempt.
    pub files: Vec<WatchedFile>,
}

/// Proof that a problem was reported, in place of the value that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reported(());

/// Collects problems, warnings and files while a configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    files: RefCell<Vec<WatchedFile>>,
    secrets: RefCell<Vec<NotedSecret>>,
}

/// A secret that was read.
#[derive(Clone, Debug)]
pub(crate) struct NotedSecret {
    /// The key with the secret.
    pub key: String,
    /// The origin of the value.
    pub origin: Option<String>,
    /// The secret.
    pub secret: SharedSecret,
}

impl Collector {
    /// Adds a problem.
    pub fn add(
        &self,
        key: impl Into<String>,
        origin: Option<String>,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> Reported {
        let problem = Problem { key: key.into(), origin, what: what.into(), help: help.into() };
        let mut problems = self.problems.borrow_mut();
        // sections that entrances share are read once for each of them
        if !problems.contains(&problem) {
            problems.push(problem);
        }
        Reported(())
    }

    /// Adds a warning: a setting that is valid but probably a mistake.
    pub fn warn(&self, key: &str, origin: Option<&str>, what: &str, help: &str) {
        let origin = origin.map(str::to_owned);
        let warning = Problem { key: key.to_owned(), origin, what: what.to_owned(), help: help.to_owned() };
        let mut warnings = self.warnings.borrow_mut();
        // sections that entrances share are read once for each of them
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// Notes a secret, to be compared with the others.
    pub fn note_secret(&self, secret: NotedSecret) {
        self.secrets.borrow_mut().push(secret);
    }

    /// The secrets that were read so far.
    pub fn secrets(&self) -> Vec<NotedSecret> {
        self.secrets.borrow().clone()
    }

    /// The file of an origin.
    pub fn file_of(&self, origin: &str) -> Option<PathBuf> {
        file_and_line(origin, &self.files.borrow()).map(|(file, _line)| file.path.clone())
    }

    /// Reads a file and records its digest.
    pub fn read_bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        let (file, content) = WatchedFile::read(path);
        self.files.borrow_mut().push(file);
        content
    }

    /// Reads a UTF-8 file and records its digest.
    pub fn read_file(&self, path: &Path) -> io::Result<String> {
        String::from_utf8(self.read_bytes(path)?)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
    }

    /// Returns the problems so far, if reading cannot continue.
    pub fn take(&self) -> Problems {
        Problems { problems: self.problems.take(), files: self.files.take() }
    }

    /// Returns what was read, the files and the warnings, if there is no problem.
    pub fn finish<T>(
        self,
        read: Result<T, Reported>,
    ) -> Result<(T, Vec<WatchedFile>, Vec<Problem>), Problems> {
        let (problems, files) = (self.problems.into_inner(), self.files.into_inner());
        match read {
            Ok(read) if problems.is_empty() => Ok((read, files, self.warnings.into_inner())),
            Ok(_) | Err(Reported(())) => Err(Problems { problems, files }),
        }
    }
}

/// The file of an origin, if it is one of these, and the line.
pub(crate) fn file_and_line<'a>(origin: &str, files: &'a [WatchedFile]) -> Option<(&'a WatchedFile, usize)> {
    let (path, line) = origin.rsplit_once(':')?;
    let file = files.iter().find(|file| file.path == Path::new(path))?;
    Some((file, line.parse().ok()?))
}

impl Problem {
    /// Whether the problem concerns the key. Its value may then be anything, such as the secret of
    /// another key.
    pub(crate) fn is_about_key(&self) -> bool {
        matches!(self.what.as_str(), NO_SUCH_KEY | NOT_A_SECTION)
    }

    /// Whether the value is a placeholder for one that only the user knows.
    pub(crate) fn is_placeholder(&self) -> bool {
        self.what == PLACEHOLDER
    }

    /// The problem in one line, for a log.
    pub fn one_line(&self) -> String {
        let Self { key, origin, what, help } = self;
        let origin = origin.as_ref().map(|origin| format!(" ({origin})")).unwrap_or_default();
        format!("{key}{origin}: {what}; {help}")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)?;
        if let Some(origin) = &self.origin {
            write!(f, "\n  given in: {origin}")?;
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
