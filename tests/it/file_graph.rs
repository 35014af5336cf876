//! No two files of the crate use each other. Names are followed through re-exports.

use std::collections::{BTreeMap, BTreeSet};

use crate::architecture::{module_files, source};

/// The segments of a path, from the crate's root.
type Segments = Vec<String>;

/// A parsed source file.
struct File {
    /// The items of `use`, and those of `pub use` by name.
    imports: Vec<Segments>,
    reexports: BTreeMap<String, Segments>,
    /// The code without `use`.
    code: String,
}

/// Files by the paths of their modules.
type Files = BTreeMap<Segments, File>;

/// Not checked: `mod.rs` and a file of its folder.
#[test]
fn no_two_files_use_each_other() {
    let files = files();
    let used = files.iter().map(|(module, file)| (module, used_files(&files, module, file)));
    let uses: BTreeMap<&Segments, BTreeSet<Segments>> = used.collect();
    for (one, used) in &uses {
        for other in used.iter().filter(|other| !other.starts_with(one) && !one.starts_with(other)) {
            assert!(!uses[other].contains(*one), "{} and {} use each other", one.join("/"), other.join("/"));
        }
    }
}

#[test]
fn uses_are_found_in_code() {
    let mut files = Files::new();
    for (module, code) in [
        ("a", "pub use b::Thing;\nmod b;"),
        ("a::b", "use crate::{c::{self, D}, e};\nfn f() { e::g::<u8>(super::h::x) }"),
        ("a::h", "use super::{\n    Thing,\n};"),
        ("c", ""),
        ("e", ""),
    ] {
        files.insert(segments(module), File::parse(&segments(module), code));
    }
    let used = |module: &str| {
        let module = segments(module);
        let used = used_files(&files, &module, &files[&module]);
        used.iter().map(|path| path.join("::")).collect::<Vec<_>>()
    };
    assert_eq!(used("a::b"), ["a::h", "c", "e"]);
    assert_eq!(used("a::h"), ["a::b"]);
}

fn files() -> Files {
    let files = module_files().into_iter().map(|(file, _, code)| {
        let inside = file.strip_prefix(source("")).unwrap().with_extension("");
        let parts = inside.components().map(|part| part.as_os_str().to_str().unwrap().to_owned());
        let module: Segments = parts.filter(|part| part != "mod").collect();
        let parsed = File::parse(&module, &code);
        (module, parsed)
    });
    files.collect()
}

impl File {
    fn parse(module: &[String], code: &str) -> Self {
        let (mut imports, mut reexports, mut rest) = (Vec::new(), BTreeMap::new(), String::new());
        for statement in code.split_inclusive(';') {
            let item = statement.trim_start();
            let tree = item
                .strip_prefix("pub")
                .map_or(item, |item| item[item.find(' ').unwrap_or(0)..].trim_start());
            let Some(tree) = tree.strip_prefix("use ") else {
                rest.push_str(statement);
                continue;
            };
            for path in expand(tree.trim_end_matches(';')) {
                let (path, name) =
                    path.split_once(" as ").map_or((path.as_str(), None), |(path, name)| (path, Some(name)));
                let path = absolute(module, path);
                if item.starts_with("pub") {
                    let name = name.map_or_else(|| path.last().cloned(), |name| Some(name.trim().to_owned()));
                    reexports.insert(name.unwrap_or_default(), path.clone());
                }
                imports.push(path);
            }
        }
        Self { imports, reexports, code: rest }
    }
}

/// The files that one names, by imports and by paths in its code.
fn used_files(files: &Files, module: &Segments, file: &File) -> BTreeSet<Segments> {
    let imported = |name: &str| file.imports.iter().find(|path| path.last().is_some_and(|last| last == name));
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let written = file.code.split(|c| !is_part(c)).filter_map(|text| text.split_once("::"));
    let in_code = written.filter_map(|(first, rest)| match first {
        "crate" | "super" | "self" => Some(absolute(module, &format!("{first}::{rest}"))),
        name => imported(name).map(|path| [path.clone(), segments(rest)].concat()),
    });
    let mut used: BTreeSet<Segments> =
        file.imports.iter().cloned().chain(in_code).filter_map(|path| file_of(files, path)).collect();
    used.remove(module);
    used
}

/// The file with the item of this path, or that of the module.
fn file_of(files: &Files, mut path: Segments) -> Option<Segments> {
    for _ in 0..8 {
        let depth = (1..=path.len()).rev().find(|depth| files.contains_key(&path[..*depth]))?;
        let (module, inside) = path.split_at(depth);
        match inside.split_first().and_then(|(name, rest)| Some((files[module].reexports.get(name)?, rest))) {
            Some((original, rest)) => path = [original.as_slice(), rest].concat(),
            None => return Some(module.to_vec()),
        }
    }
    None
}

/// A path from the crate's root. Without a keyword it is that of a module below, or of another crate, which has no file
/// here.
fn absolute(module: &[String], path: &str) -> Segments {
    let mut base = module.to_vec();
    let mut rest = segments(path).into_iter().peekable();
    if rest.next_if(|first| first == "crate").is_some() {
        base.clear();
    }
    rest.next_if(|first| first == "self");
    while rest.next_if(|first| first == "super").is_some() {
        base.pop();
    }
    base.extend(rest.filter(|part| part != "self"));
    base
}

fn segments(path: &str) -> Segments {
    path.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The paths of a tree of `use`.
fn expand(tree: &str) -> Vec<String> {
    let Some((prefix, group)) = tree.split_once('{') else { return vec![tree.trim().to_owned()] };
    let group = &group[..group.rfind('}').unwrap()];
    let mut depth = 0;
    let parts = group.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    let paths = parts.filter(|part| !part.trim().is_empty()).flat_map(expand);
    paths.map(|path| format!("{}{path}", prefix.trim())).collect()
}
