//! Reads settings that name files, and secrets, which are given directly or in a file.

use std::io;
use std::path::Path;

use config::ValueKind;

use super::effective::is_secret;
use super::files::too_open_mode;
use super::merge::FILE;
use super::problem::{NotedSecret, Reported};
use super::section::Section;
use crate::secret::SharedSecret;

/// The secrets of the public examples, which are refused.
const PLACEHOLDERS: [&str; 1] = ["replace-me-by-32-bytes-or-more-from-pandium"];

impl Section<'_> {
    /// Whether a secret is given, directly or in a file. Both names count as known.
    pub fn has_secret(&self, name: &str) -> bool {
        let (direct, in_file) = (self.value(name), self.value(&format!("{name}{FILE}")));
        direct.is_some() || in_file.is_some()
    }

    /// A secret, given directly or in a file, and the key that gave it.
    pub fn secret(&self, name: &str, help: &str) -> Result<(String, String), Reported> {
        let file_name = format!("{name}{FILE}");
        let (key, secret) = match (self.value(name), self.value(&file_name)) {
            (Some(_), Some(_)) => {
                let what = format!("both {name} and {file_name} are set");
                return Err(self.report(name, what, "keep one of them"));
            }
            (Some(_), None) => {
                let text = self.text(name)?;
                // the path of a database is given as its URL, too
                if is_secret(&self.key, name, &text) {
                    let holder = self.origin(name).and_then(|origin| self.problems.file_of(&origin));
                    self.warn_if_too_open(name, holder.as_deref());
                }
                (name.to_owned(), text)
            }
            (None, Some(_)) => {
                let (path, text) = (self.text(&file_name)?, self.file(&file_name)?);
                self.warn_if_too_open(&file_name, Some(Path::new(&path)));
                (file_name, text)
            }
            (None, None) => {
                return Err(self.report(name, format!("neither {name} nor {file_name} is set"), help));
            }
        };
        if PLACEHOLDERS.contains(&secret.trim()) {
            return Err(self.report(&key, "it is the placeholder of our own example, which is public", help));
        }
        Ok((key, secret))
    }

    /// Records a secret of this setting, which is compared with other secrets later.
    pub fn note_secret(&self, name: &str, secret: &SharedSecret) {
        let (key, origin) = (self.key(name), self.own_origin(name));
        self.problems.note_secret(NotedSecret { key, origin, secret: secret.clone() });
    }

    /// One or more secrets, as a list or one in each line, given directly or in a file; and the key
    /// that gave them.
    pub fn secrets(&self, name: &str, help: &str) -> Result<(String, Vec<String>), Reported> {
        let is_list = self.entries.get(name).is_some_and(|value| matches!(value.kind, ValueKind::Array(_)));
        if !is_list || self.has(&format!("{name}{FILE}")) {
            let (key, text) = self.secret(name, help)?;
            let lines = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
            return Ok((key, lines));
        }
        self.value(&format!("{name}{FILE}"));
        self.value(name);
        let holder = self.origin(name).and_then(|origin| self.problems.file_of(&origin));
        self.warn_if_too_open(name, holder.as_deref());
        Ok((name.to_owned(), self.texts(name)?))
    }

    fn warn_if_too_open(&self, name: &str, file: Option<&Path>) {
        let Some((path, mode)) = file.and_then(|path| Some((path, too_open_mode(path)?))) else { return };
        let what = format!(
            "the file {path:?} holds a secret, and its mode {mode:o} allows more than reading by its group"
        );
        self.warn(name, what, format!("chmod 600 {path:?}, or 640 where the group has to read it"));
    }

    /// The content of the file whose path is given, as UTF-8.
    pub fn file(&self, name: &str) -> Result<String, Reported> {
        self.read(name, |path| self.problems.read_file(path))
    }

    /// The content of the file whose path is given, as bytes.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, Reported> {
        self.read(name, |path| self.problems.read_bytes(path))
    }

    /// The content of a file that a setting refers to. A change of the file
    /// triggers a reload.
    pub fn read_file(&self, path: &Path) -> io::Result<String> {
        self.problems.read_file(path)
    }

    fn read<T>(&self, name: &str, read: impl FnOnce(&Path) -> io::Result<T>) -> Result<T, Reported> {
        let path = self.text(name)?;
        read(Path::new(&path)).map_err(|error| {
            // a value without a slash may be a secret under the wrong key
            let shown = if path.contains('/') { format!("{path:?}") } else { "named there".to_owned() };
            let what = format!("the file {shown} cannot be read: {error}");
            self.report(name, what, "write the path of a file that this process may read")
        })
    }
}
