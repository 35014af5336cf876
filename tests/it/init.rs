//! `init`: what it writes for each login loads, and for nginx it signs users on.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rstest::rstest;
use tempfile::TempDir;

use crate::harness::App;
use crate::harness::command::{CommandResult, run, run_with};
use crate::harness::recipe::{self, AUTHELIA, AUTHENTIK, OAUTH2_PROXY, OWN_SESSIONS, Recipe, VOUCH};
use crate::harness::tree::{files_below, read, root};

const DOMAIN: &str = "portal.acme-software.co.uk";
const ALL_PLATFORMS: [&str; 4] = ["appdirect", "commercetools", "caf", "mittwald"];

fn init(folder: &Path, login: &str, more: &[&str]) -> CommandResult {
    let arguments = ["init", "--domain", DOMAIN, "--environment", "sandbox", "--account", "ledgerline"];
    let folder = ["--login", login, "--dir", folder.to_str().unwrap()];
    run(&[&arguments[..], &folder, more].concat())
}

/// The text of a file that was written.
fn written(folder: &TempDir, name: &str) -> String {
    read(&folder.path().join(name))
}

#[rstest]
fn what_it_writes_for_each_login_is_in_order(
    #[values(
        "oidc",
        "nginx-own-session",
        "nginx-oauth2-proxy",
        "nginx-vouch",
        "nginx-authelia",
        "nginx-authentik",
        "oauth2-proxy",
        "haproxy",
        "traefik",
        "caddy",
        "apache",
        "cloudflare",
        "tailscale",
        "azure"
    )]
    login: &str,
    #[values(false, true)] with_platforms: bool,
) {
    let folder = TempDir::new().unwrap();
    let platforms: Vec<&str> = ALL_PLATFORMS.iter().flat_map(|platform| ["--platform", platform]).collect();
    let result = init(folder.path(), login, if with_platforms { &platforms } else { &[] });
    assert_eq!((result.status, result.errors.as_str()), (0, ""), "{result:?}");
    assert!(result.output.contains("✓ The configuration is in order."), "{}", result.output);

    let config = folder.path().join("marketplace-sso.toml");
    let checked = run(&["check", "--strict", "--config", config.to_str().unwrap()]);
    assert_eq!((checked.status, checked.errors.as_str()), (0, ""), "{checked:?}");
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(result.output.contains(name), "{name} is not named: {}", result.output);
        let is_secret = name.ends_with(".secret") || name.ends_with(".key");
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert!(!is_secret || mode == 0o600, "{name}: {mode:o}");
        assert!(!read(&path).contains("example.com"), "{name}: {}", read(&path));
    }
    let page = written(&folder, "page.html");
    assert!(page.contains("/embed.js\"") && page.contains("https://imp.sandbox.pandium.com"), "{page}");
    let nginx = std::fs::read_to_string(folder.path().join("nginx.conf")).unwrap_or_default();
    let has_entrances = nginx.contains("location /merchant-center/pandium-sso {");
    assert_eq!(has_entrances, with_platforms && !nginx.is_empty(), "{nginx}");
}

/// From `init` to a hand-off behind nginx, with nothing edited but the addresses.
#[rstest]
#[case::oauth2_proxy("nginx-oauth2-proxy", OAUTH2_PROXY)]
#[case::own_session("nginx-own-session", OWN_SESSIONS)]
#[case::vouch("nginx-vouch", VOUCH)]
#[case::authelia("nginx-authelia", AUTHELIA)]
#[case::authentik("nginx-authentik", AUTHENTIK)]
fn users_sign_on_behind_the_nginx_that_it_writes(#[case] login: &str, #[case] recipe: Recipe) {
    let folder = TempDir::new().unwrap();
    assert_eq!(init(folder.path(), login, &["--platform", "caf"]).status, 0);
    let (config, nginx) = (folder.path().join("marketplace-sso.toml"), written(&folder, "nginx.conf"));
    let app = App::start_written(folder, &config);
    let nginx = recipe::start_written(recipe, &nginx, app.address());
    let host = ("Host", DOMAIN);
    let response = nginx.get("/pandium-sso", &[host, ("Cookie", "session=alice")]);
    assert_eq!(response.status, 307, "{response:?}");
    assert!(response.header("location").starts_with("https://imp.sandbox.pandium.com/ledgerline?tenant="));
    nginx.get("/pandium-sso", &[host]).assert_refused(401, "unauthenticated");
    nginx.get("/verified/pandium-sso", &[host]).assert_refused(401, "unauthenticated");
    assert_eq!(nginx.get("/embed.js", &[host]).status, 200);
}

#[test]
fn its_nginx_passes_the_sign_in_on() {
    let folder = TempDir::new().unwrap();
    assert_eq!(init(folder.path(), "oidc", &[]).status, 0);
    let (config, nginx) = (folder.path().join("marketplace-sso.toml"), written(&folder, "nginx.conf"));
    let app = App::start_written(folder, &config);
    let nginx = recipe::start_written(OAUTH2_PROXY, &nginx, app.address());
    nginx.get("/pandium-sso", &[("Host", DOMAIN)]).assert_refused(401, "unauthenticated");
}

#[test]
fn existing_files_are_never_overwritten_without_force() {
    let folder = TempDir::new().unwrap();
    let page = folder.path().join("page.html");
    std::fs::write(&page, "mine").unwrap();
    let refused = init(folder.path(), "caddy", &[]);
    assert_eq!((refused.status, refused.output.as_str()), (2, ""), "{refused:?}");
    assert!(refused.errors.contains("page.html") && refused.errors.contains("--force"), "{refused:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is written");
    assert_eq!(read(&page), "mine");

    assert_eq!(init(folder.path(), "caddy", &["--force"]).status, 0);
    let secret = written(&folder, "pandium.secret");
    assert!(secret.len() == 64 && read(&page).contains("<marketplace-frame"));
    let again = init(folder.path(), "caddy", &["--force"]);
    assert!(again.status == 0 && again.output.contains("kept"), "{again:?}");
    assert_eq!(written(&folder, "pandium.secret"), secret, "a secret is kept");
}

#[test]
fn missing_arguments_are_asked_for() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().to_str().unwrap();
    let answers = format!("localhost\nhttps://{DOMAIN}/\n\nledgerline\nnope\n1\ncaf, mittwald\n");
    let result = run_with(&["init", "--dir", dir], &[], &answers);
    assert_eq!(result.status, 0, "{result:?}");
    for message in ["write the host name", "[sandbox]", "one of the numbers or names"] {
        assert!(result.errors.contains(message), "{message}: {}", result.errors);
    }
    let config = written(&folder, "marketplace-sso.toml");
    for line in ["environment = \"sandbox\"", "kind = \"oidc\"", "kind = \"caf\"", "kind = \"mittwald\""] {
        assert!(config.contains(line), "{line}: {config}");
    }
    for (given, missing) in
        [(&[][..], "--domain"), (&["--domain", DOMAIN, "--environment", "demo"], "--account")]
    {
        let result = run(&[&["init", "--dir", dir], given].concat());
        assert_eq!(result.status, 2, "{result:?}");
        assert!(result.errors.contains(&format!("error: {missing} is missing")), "{result:?}");
    }
}

#[test]
fn its_snippets_are_the_documented_ones() {
    let documents: Vec<String> =
        files_below(&root().join("docs"), "md").iter().map(|file| read(file)).collect();
    let mut count = 0;
    for kind in ["conf", "cfg", "caddyfile", "yaml", "sh"] {
        for file in files_below(&root().join("docs/examples"), kind) {
            let block = format!("\n{}```", read(&file));
            assert!(
                documents.iter().any(|text| text.contains(&block)),
                "{} is in no document",
                file.display()
            );
            count += 1;
        }
    }
    assert!(count >= 17, "only {count} were found");
    assert!(read(&root().join("Dockerfile")).contains("\nCOPY docs/examples ./docs/examples\n"));
}
