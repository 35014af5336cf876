//! Settings whose value is one of a few names.

use super::merge::ENCODING;
use super::problem::Reported;
use super::section::Section;
use super::suggestion;

impl Section<'_> {
    /// A setting whose value is one of these strings.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<T, Reported> {
        let text = self.text(name)?;
        let chosen = choices.iter().find(|(value, _)| *value == text).map(|(_, choice)| *choice);
        chosen.ok_or_else(|| {
            let values: Vec<&str> = choices.iter().map(|(value, _)| *value).collect();
            // the value is not quoted: it may be the secret, written under the key of its encoding
            // by mistake
            let shown = if name.ends_with(ENCODING) { "the value".to_owned() } else { format!("{text:?}") };
            self.report(name, format!("{shown} is not one of its values"), suggestion::value(&text, &values))
        })
    }

    /// Like [`Self::choice`], for a value that determines which other keys the section has. If it
    /// is invalid, no other key is reported as unknown.
    pub fn choice_of_form<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<T, Reported> {
        self.choice(name, choices).inspect_err(|_| {
            for other in self.names() {
                self.value(&other);
            }
        })
    }
}
