//! The generic part of configuration: layers, sections, secrets and problems.
//! It does not know any setting; the readers of sections do.

mod choice;
mod effective;
mod excerpt;
mod files;
mod json;
mod layers;
mod merge;
mod origin;
mod problem;
pub(crate) mod secrets;
mod section;
mod section_files;
mod suggestion;

pub use effective::EffectiveSetting;
pub(crate) use effective::{effective, write as write_effective};
pub(crate) use excerpt::{Excerpt, MarkedPart, excerpt, printable};
pub use files::WatchedFile;
pub(crate) use json::to_json;
pub use layers::Sources;
pub(crate) use layers::{BuiltIn, read, read_text};
pub(crate) use origin::web_origin;
pub(crate) use problem::{Collector, PLACEHOLDER, Reported, file_and_line};
pub use problem::{Problem, Problems};
pub(crate) use section::Section;
