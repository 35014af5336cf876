//! The section `[branding]`: whose pages they are, and templates in place of ours.

use std::path::Path;

use super::section::Section;
use crate::page::{Brand, Color, Logo, NAMES, Pages};

/// The largest template, in bytes.
const MAX_TEMPLATE_BYTES: usize = 256 * 1024;

pub(super) fn read(section: &Section<'_>) -> Option<Pages> {
    let name = section.text("name");
    let color = section.text("color").and_then(|text| {
        if text.is_empty() {
            return Some(None);
        }
        let help = "write six digits, such as \"#2f5bd8\", or \"\" for ours";
        section.parsed("color", help, |text| Color::parse(text).map(Some).ok_or("it is not a colour"))
    });
    let logo = logo(section);
    let templates = section.text("templates_dir");
    section.finish();
    let pages = match Pages::built_in() {
        Ok(pages) => pages.branded(Brand { name: name?, color: color?, logo: logo? }),
        Err(error) => {
            section.wrong("templates_dir", format!("our own pages cannot be made: {error}"), "report this");
            return None;
        }
    };
    match templates?.as_str() {
        "" => Some(pages),
        folder => exchange(section, pages, Path::new(folder)),
    }
}

fn logo(section: &Section<'_>) -> Option<Option<Logo>> {
    if section.text("logo_file")?.is_empty() {
        return Some(None);
    }
    let bytes = section.bytes("logo_file")?;
    let help = "give a small image: SVG, PNG, JPEG or WebP";
    Logo::from_bytes(&bytes)
        .map_err(|why| section.wrong("logo_file", format!("it cannot be used: {why}"), help))
        .ok()
        .map(Some)
}

/// Takes every template that lies in the folder, and makes each page once.
fn exchange(section: &Section<'_>, mut pages: Pages, folder: &Path) -> Option<Pages> {
    let help = format!("put templates there by the names of ours: {}", NAMES.join(", "));
    let wrong = |what: String| section.wrong("templates_dir", what, &help);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            wrong(format!("the folder {folder:?} cannot be read: {error}"));
            return None;
        }
    };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.ends_with(".html") && !name.starts_with('.'));
    names.sort();
    if names.is_empty() {
        wrong(format!("the folder {folder:?} holds no template"));
        return None;
    }
    let mut is_right = true;
    for name in names {
        let exchanged = match section.read_file(&folder.join(&name)) {
            Ok(text) if text.len() > MAX_TEMPLATE_BYTES => {
                Err(format!("it is larger than {MAX_TEMPLATE_BYTES} bytes"))
            }
            Ok(text) => pages.replace_template(&name, text).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = exchanged {
            wrong(format!("the template {name} cannot be used: {why}"));
            is_right = false;
        }
    }
    if is_right && let Err(why) = pages.render_all() {
        wrong(format!("a page cannot be made with these templates: {why}"));
        return None;
    }
    is_right.then_some(pages)
}
