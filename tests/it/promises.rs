//! The documents are correct: every example loads, and every command and file that they name
//! exists.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use marketplace_sso::config::{Config, Sources};
use marketplace_sso::refusal::Reason;
use tempfile::TempDir;

use crate::harness::command::{File, run};
use crate::harness::tree::{files_below, read, root};
use crate::harness::{PROGRAM, SECRET, free_port};

pub const SMALLEST: &str = r#"
environment = "production"
[server]
listen = "unix:/run/marketplace-sso.sock"  # so that no proxy has to be named
public_url = "https://app.example.com"
[pandium]
account = "acme"
shared_secret_file = "/run/secrets/pandium"
"#;

#[test]
fn every_example_configuration_loads() {
    let mut loaded = 0;
    for folder in ["docs/examples", "deploy"] {
        for file in files_below(&root().join(folder), "toml") {
            assert_loads(&file.display().to_string(), &[&read(&file)]);
            loaded += 1;
        }
    }
    assert!(loaded >= 16, "only {loaded} were found");
}

#[test]
fn the_reference_configuration_loads_uncommented() {
    let text = read(&root().join("config/default.toml"));
    let keys = ["# environment = ", "# account = ", "# shared_secret_file = "];
    let text = text.replace("trusted_proxies = []", "trusted_proxies = [\"127.0.0.1/32\"]");
    let text = keys.iter().fold(text, |text, key| {
        assert!(text.contains(key), "{key}");
        text.replace(key, &key[2..])
    });
    assert_loads("config/default.toml", &[&text]);
    // includes the commented entrance at its end
    let entrance = text.split_once("# [entrances").unwrap().1;
    let entrance = format!("[entrances{entrance}").replace("\n# ", "\n");
    assert_loads("the entrance in config/default.toml", &[SMALLEST, &entrance]);
}

#[test]
fn the_environment_overlays_load() {
    for name in ["production", "sandbox", "demo"] {
        let text = read(&root().join(format!("config/{name}.toml")));
        text.parse::<toml::Table>().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_loads(name, &[&SMALLEST.replace("production", name)]);
    }
}

#[test]
fn every_configuration_in_the_documents_loads() {
    let mut loaded = 0;
    for (file, language, block) in blocks() {
        if language != "toml" {
            continue;
        }
        let is_whole = block.lines().any(|line| line.starts_with("environment ="));
        let layers = if is_whole { vec![block.as_str()] } else { vec![SMALLEST, block.as_str()] };
        assert_loads(&format!("{}:\n{block}", file.display()), &layers);
        loaded += 1;
    }
    assert!(loaded >= 10, "only {loaded} were found");
}

/// Runs the commands of the first page unchanged, except for the ports.
#[test]
fn the_first_commands_print_the_documented_output() {
    let (_, _, script) = blocks()
        .into_iter()
        .find(|(file, language, code)| {
            file.ends_with("start.md") && language == "sh" && code.contains("marketplace-sso mint")
        })
        .unwrap();
    let shown: Vec<&str> = script
        .lines()
        .filter(|line| {
            line.contains("marketplace-sso check") || line.contains("mint") || line.contains("| head")
        })
        .map(|line| line.rsplit_once(" # ").unwrap().1.trim_end_matches('…'))
        .collect();
    assert_eq!(shown.len(), 3, "{script}");

    let folder = TempDir::new().unwrap();
    let examples = folder.path().join("docs/examples");
    std::fs::create_dir_all(&examples).unwrap();
    std::fs::copy(root().join("docs/examples/five-settings.toml"), examples.join("five-settings.toml"))
        .unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let script = script.replace("cargo install", ": cargo install").replace("127.0.0.1:8080", &listen);
    let programs = Path::new(PROGRAM).parent().unwrap().display().to_string();
    let result = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()))
        .env("SSO_SERVER__LISTEN", &listen)
        .env("SSO_SERVER__ADMIN_LISTEN", "")
        .env("SSO_SERVER__DRAIN_DELAY_S", "0")
        .output()
        .unwrap();
    let output = String::from_utf8(result.stdout).unwrap();
    let errors = String::from_utf8(result.stderr).unwrap();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!((lines.len(), errors.as_str()), (shown.len(), ""), "{output}{errors}");
    for (line, shown) in lines.iter().zip(&shown) {
        assert!(line.starts_with(shown), "{line} is not {shown}");
    }
}

#[test]
fn the_first_configuration_equals_its_example() {
    let matches =
        |(file, language, _): &(PathBuf, String, String)| file.ends_with("start.md") && language == "toml";
    let (_, _, block) = blocks().into_iter().find(matches).unwrap();
    assert_eq!(block.trim(), read(&root().join("docs/examples/five-settings.toml")).trim());
}

#[test]
fn every_reason_is_raised() {
    // the list of all reasons, and the table of their statuses
    let is_list = |file: &PathBuf| file.ends_with("src/refusal.rs");
    let is_table_row = |line: &&str| line.contains("Reason::") && !line.contains(".because(");
    let sources = files_below(&root().join("src"), "rs").into_iter().filter(|file| !is_list(file));
    let without_table = |file: PathBuf| match file.ends_with("http/refused.rs") {
        true => read(&file).lines().filter(|line| !is_table_row(line)).collect::<Vec<_>>().join("\n"),
        false => read(&file),
    };
    let sources: String = sources.map(without_table).collect();
    for reason in Reason::ALL {
        assert!(sources.contains(&format!("Reason::{reason:?}")), "nothing raises {}", reason.code());
    }
}

/// Secrets in example files that are long enough to be used unchanged.
// T25
#[test]
fn placeholder_secrets_of_the_examples_are_rejected() {
    let mut found = Vec::new();
    let names = ["secret", "pandium"];
    for folder in ["deploy", "docs", "config"] {
        for kind in ["yaml", "toml", "md", "example", "service", "conf"] {
            for file in files_below(&root().join(folder), kind) {
                for line in read(&file).lines() {
                    let Some((key, value)) = line.split_once(['=', ':']) else { continue };
                    let value = value.trim().trim_matches(['"', '\'', '`', '|', ' ']);
                    let is_secret = names.iter().any(|name| key.trim().to_lowercase().ends_with(name));
                    let is_plain =
                        value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_+=".contains(&byte));
                    if is_secret && is_plain && value.len() >= 24 {
                        found.push((file.clone(), value.to_owned()));
                    }
                }
            }
        }
    }
    assert!(!found.is_empty(), "the search finds nothing");
    for (file, placeholder) in found {
        for line_end in ["", "\n"] {
            let secret = File::new(&(placeholder.clone() + line_end));
            let config = File::new(&SMALLEST.replace("/run/secrets/pandium", &secret.text()));
            let result = run(&["check", "--config", &config.text()]);
            let is_reported = result.errors.contains("pandium.shared_secret_file: it is the placeholder");
            assert!(result.status == 78 && is_reported, "{} has {placeholder}: {result:?}", file.display());
            assert!(!result.errors.contains(&placeholder), "{result:?}");
        }
    }
}

#[test]
fn the_readme_is_short() {
    assert!(read(&root().join("README.md")).lines().count() <= 100);
}

/// Each command is run with `--help` at the end, so that its arguments are parsed but nothing is
/// done.
#[test]
fn every_command_in_the_documents_is_accepted() {
    let mut count = 0;
    for (file, _, block) in blocks() {
        for line in block.replace("\\\n", " ").lines() {
            // a command begins a line or follows a pipe, `$` or a backtick
            for (start, name) in line.match_indices("marketplace-sso ") {
                let before = line[..start].trim_end();
                if !(before.is_empty() || before.ends_with(['|', '$', '`'])) {
                    continue;
                }
                let command = line[start + name.len()..].replace("2>", ">");
                let command = command.split(['|', '#', '>', '<', '&', ';', '`']).next().unwrap();
                let words: Vec<&str> =
                    command.split_whitespace().map(|word| word.trim_matches('\'')).collect();
                if words.first().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())) {
                    let result = run(&[&words[..], &["--help"]].concat());
                    assert_eq!(result.status, 0, "{}: {line}\n{}", file.display(), result.errors);
                    count += 1;
                }
            }
        }
    }
    assert!(count >= 20, "only {count} were found");
}

#[test]
fn every_make_target_in_the_documents_exists() {
    let makefile = read(&root().join("Makefile"));
    for (file, _, block) in blocks() {
        for line in block.lines().map(|line| line.trim_start_matches(['$', ' '])) {
            let Some(target) = line.strip_prefix("make ") else { continue };
            let target = target.split_whitespace().next().unwrap();
            let exists = makefile.lines().any(|line| line.starts_with(&format!("{target}:")));
            assert!(exists, "{} names the target {target}", file.display());
        }
    }
}

#[test]
fn the_dockerfile_copies_every_included_file() {
    let dockerfile = read(&root().join("Dockerfile"));
    let copied: Vec<&str> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .flat_map(|line| line.split_whitespace())
        .collect();
    let context_files = read(&root().join(".dockerignore"));
    let mut count = 0;
    for file in files_below(&root().join("src"), "rs") {
        let text = read(&file);
        for part in text.split("include_str!(\"").skip(1) {
            let named = part.split('"').next().unwrap();
            let built_in = file.parent().unwrap().join(named).canonicalize().unwrap();
            let path = built_in.strip_prefix(root().canonicalize().unwrap()).unwrap().to_str().unwrap();
            let top = path.split('/').next().unwrap();
            let is_copied = copied.iter().any(|copied| *copied == path || *copied == top);
            assert!(is_copied, "the Dockerfile does not copy {path}");
            assert!(
                context_files.lines().any(|line| line == format!("!{top}")),
                ".dockerignore keeps {top} out"
            );
            count += 1;
        }
    }
    assert!(count > 10, "the search finds nothing");
}

#[test]
fn every_recipe_forwards_the_component() {
    let mut proxies = 0;
    for file in files_below(&root().join("docs/recipes"), "md") {
        if file.ends_with("unix-socket.md") {
            continue;
        }
        let (heading, text) = (file.display(), read(&file));
        // some recipes forward the whole host, or describe the paths in the text
        assert!(text.contains("/embed") || text.contains("component"), "{heading}");
        for block in text.split("\n```") {
            if !["nginx\n", "caddyfile\n", "haproxy\n", "apache\n"].iter().any(|kind| block.starts_with(kind))
            {
                continue;
            }
            let each = ["/embed ", "/embed.js ", "/embed.json ", "/embed.d.ts"];
            let has_all = each.iter().all(|path| block.contains(path));
            assert!(has_all || block.contains(r"/embed(\.[0-9a-z]+)*"), "{heading}:\n{block}");
            proxies += 1;
        }
    }
    assert!(proxies >= 9, "only {proxies} were found");
}

#[test]
fn every_nginx_location_forwards_host() {
    let mut locations = 0;
    let compose = (root().join("deploy/compose/nginx.conf"), String::new(), String::new());
    for (file, language, block) in blocks().into_iter().chain([compose]) {
        let text = if language.is_empty() { read(&file) } else { block };
        if !matches!(language.as_str(), "nginx" | "") || file.ends_with("verify.md") {
            continue;
        }
        for location in text.split("location ").skip(1) {
            let backends = ["http://marketplace_sso;", "http://127.0.0.1:8080;"];
            if backends.iter().any(|backend| location.contains(backend)) {
                let passes = location.split(';').any(|line| {
                    line.split_whitespace().collect::<Vec<_>>().ends_with(&[
                        "proxy_set_header",
                        "Host",
                        "$host",
                    ])
                });
                assert!(passes, "{}: location {location}", file.display());
                locations += 1;
            }
        }
    }
    assert!(locations >= 20, "only {locations} were found");
}

#[test]
fn no_page_in_the_documents_has_an_inline_style() {
    let mut pages = 0;
    for (file, language, block) in blocks() {
        if language == "html" {
            assert!(!block.contains("style="), "{}:\n{block}", file.display());
            pages += 1;
        }
    }
    for file in files_below(&root().join("deploy"), "html") {
        assert!(!read(&file).contains("style="), "{}", file.display());
        pages += 1;
    }
    assert!(pages >= 4, "only {pages} were found");
}

/// Asserts that these layers load, with valid files for all secrets and keys.
pub fn assert_loads(what: &str, layers: &[&str]) {
    let folder = TempDir::new().unwrap();
    let named = |name: &str| folder.path().join(name);
    let (keys, logo) = (named("keys"), named("logo"));
    std::fs::write(&logo, "<svg xmlns=\"http://www.w3.org/2000/svg\"/>").unwrap();
    let store = named("store");
    std::fs::write(&store, "sqlite:unused.db").unwrap();
    let modulus = URL_SAFE_NO_PAD.encode([255; 256]);
    std::fs::write(&keys, format!(r#"{{"keys":[{{"kty":"RSA","n":"{modulus}","e":"AQAB"}}]}}"#)).unwrap();
    let files = layers.iter().enumerate().map(|(number, text)| {
        let lines = text.lines().map(|line| match line.split_once("_file = ") {
            Some((key, _)) if !line.starts_with('#') => {
                let file = match key.trim() {
                    key if key.ends_with("jwks") => keys.clone(),
                    "logo" => logo.clone(),
                    "url" => store.clone(),
                    // each setting has a different secret
                    key => {
                        let file = named(key);
                        std::fs::write(&file, format!("{key}-{SECRET}")).unwrap();
                        file
                    }
                };
                format!("{key}_file = {:?}", file.to_str().unwrap())
            }
            _ => line.to_owned(),
        });
        let file = folder.path().join(format!("{number}.toml"));
        std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
        file
    });
    let sources = Sources { files: files.collect(), ..Sources::default() };
    if let Err(problems) = Config::load(&sources) {
        panic!("{what}\n{problems}");
    }
}

/// Each code block of the documents: file, language and text.
fn blocks() -> Vec<(PathBuf, String, String)> {
    let mut blocks = Vec::new();
    for file in documents() {
        let text = read(&file);
        for fenced in text.split("\n```").skip(1).step_by(2) {
            let (language, code) = fenced.split_once('\n').unwrap();
            blocks.push((file.clone(), language.to_owned(), code.to_owned()));
        }
    }
    blocks
}

fn documents() -> Vec<PathBuf> {
    let mut documents = files_below(&root().join("docs"), "md");
    documents.push(root().join("README.md"));
    documents
}
