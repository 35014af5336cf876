//! The section `[branding]`: name, colour, logo, and custom templates.

use std::path::Path;

use crate::page::{Brand, Color, Logo, NAMES, Pages};
use crate::settings::{Reported, Section};

/// The maximum size of a template, in bytes.
const MAX_TEMPLATE_BYTES: usize = 256 * 1024;

pub(super) fn read(section: &Section<'_>) -> Result<Pages, Reported> {
    let name = section.text("name");
    let help = "write six digits, such as \"#2f5bd8\", or \"\" for the default";
    let color = section.optional("color", help, |text| Color::parse(text).ok_or("it is not a colour"));
    let logo = logo(section);
    let templates = section.text("templates_dir");
    section.finish();
    let pages = Pages::built_in().map_err(|error| {
        let what = format!("the built-in pages cannot be rendered: {error}");
        section.report("templates_dir", what, "report this as a bug")
    })?;
    let pages = pages.branded(Brand { name: name?, color: color?, logo: logo? });
    match templates?.as_str() {
        "" => Ok(pages),
        folder => exchange(section, pages, Path::new(folder)),
    }
}

fn logo(section: &Section<'_>) -> Result<Option<Logo>, Reported> {
    if section.text("logo_file")?.is_empty() {
        return Ok(None);
    }
    let help = "give a small image: SVG, PNG, JPEG or WebP";
    Logo::from_bytes(&section.bytes("logo_file")?)
        .map(Some)
        .map_err(|why| section.report("logo_file", format!("it cannot be used: {why}"), help))
}

/// Replaces templates by those in the directory, and renders each page once to find errors.
fn exchange(section: &Section<'_>, mut pages: Pages, folder: &Path) -> Result<Pages, Reported> {
    let help = format!("put templates there, named as the built-in ones: {}", NAMES.join(", "));
    let wrong = |what: String| section.report("templates_dir", what, &help);
    let entries = std::fs::read_dir(folder)
        .map_err(|error| wrong(format!("the directory {folder:?} cannot be read: {error}")))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.ends_with(".html") && !name.starts_with('.'));
    names.sort();
    if names.is_empty() {
        return Err(wrong(format!("the directory {folder:?} has no template")));
    }
    let mut problem = None;
    for name in names {
        let exchanged = match section.read_file(&folder.join(&name)) {
            Ok(text) if text.len() > MAX_TEMPLATE_BYTES => {
                Err(format!("it is larger than {MAX_TEMPLATE_BYTES} bytes"))
            }
            Ok(text) => pages.replace_template(&name, text).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = exchanged {
            problem = Some(wrong(format!("the template {name} cannot be used: {why}")));
        }
    }
    if let Some(reported) = problem {
        return Err(reported);
    }
    pages
        .render_all()
        .map_err(|why| wrong(format!("a page cannot be rendered with these templates: {why}")))?;
    Ok(pages)
}
