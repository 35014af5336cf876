//! The section `[branding]`: name, colour, logo, and custom templates.

use std::path::Path;

use crate::page::{Brand, Color, Logo, NAMES, Pages};
use crate::settings::Section;

/// The maximum size of a template, in bytes.
const MAX_TEMPLATE_BYTES: usize = 256 * 1024;

pub(super) fn read(section: &Section<'_>) -> Option<Pages> {
    let name = section.text("name");
    let color = section.text("color").and_then(|text| {
        if text.is_empty() {
            return Some(None);
        }
        let help = "write six digits, such as \"#2f5bd8\", or \"\" for the default";
        section.parsed("color", help, |text| Color::parse(text).map(Some).ok_or("it is not a colour"))
    });
    let logo = logo(section);
    let templates = section.text("templates_dir");
    section.finish();
    let pages = match Pages::built_in() {
        Ok(pages) => pages.branded(Brand { name: name?, color: color?, logo: logo? }),
        Err(error) => {
            section.report(
                "templates_dir",
                format!("the built-in pages cannot be rendered: {error}"),
                "report this as a bug",
            );
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
        .map_err(|why| section.report("logo_file", format!("it cannot be used: {why}"), help))
        .ok()
        .map(Some)
}

/// Replaces templates by those in the directory, and renders each page once.
fn exchange(section: &Section<'_>, mut pages: Pages, folder: &Path) -> Option<Pages> {
    let help = format!("put templates there, named as the built-in ones: {}", NAMES.join(", "));
    let wrong = |what: String| section.report("templates_dir", what, &help);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            wrong(format!("the directory {folder:?} cannot be read: {error}"));
            return None;
        }
    };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.ends_with(".html") && !name.starts_with('.'));
    names.sort();
    if names.is_empty() {
        wrong(format!("the directory {folder:?} has no template"));
        return None;
    }
    let mut is_valid = true;
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
            is_valid = false;
        }
    }
    if is_valid && let Err(why) = pages.render_all() {
        wrong(format!("a page cannot be rendered with these templates: {why}"));
        return None;
    }
    is_valid.then_some(pages)
}
