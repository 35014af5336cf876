//! `init`: the configuration for each login loads, and the files for nginx sign users on.

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
fn what_it_writes_lacks_only_what_it_names(
    #[values(
        "oidc",
        "bearer",
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
    let missing = result
        .output
        .lines()
        .find_map(|line| line.strip_prefix("! The configuration is complete except for "));
    let missing: Vec<&str> = missing.unwrap().trim_end_matches('.').split(", ").collect();
    assert!(missing.contains(&"pandium.shared_secret_file"), "{missing:?}");

    let path = folder.path().join("marketplace-sso.toml");
    let checked = run(&["check", "--strict", "--config", path.to_str().unwrap()]);
    assert_eq!(checked.status, 78, "{checked:?}");
    assert_eq!(checked.errors.matches(": it is a placeholder").count(), missing.len(), "{checked:?}");
    for key in &missing {
        assert!(checked.errors.contains(&format!("{key}: it is a placeholder")), "{key}: {checked:?}");
    }
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(result.output.contains(name), "{name} is not named: {}", result.output);
        let is_secret = name.ends_with(".secret") || name.ends_with(".key");
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert!(!is_secret || mode == 0o600, "{name}: {mode:o}");
        assert!(!read(&path).contains("example.com"), "{name}: {}", read(&path));
    }
    // values to replace are named, and are obvious placeholders
    let config = written(&folder, "marketplace-sso.toml");
    for line in config.lines().filter(|line| line.contains("# replace:")) {
        assert!(line.contains("replace-me") || line.contains("[\"00000000-"), "{line}");
        let key = line.split(' ').next().unwrap();
        assert!(missing.iter().any(|missing| missing.ends_with(key)), "{line}: {missing:?}");
    }
    assert!(config.contains("\nadmin_listen = \"127.0.0.1:"), "{config}");
    assert!(result.output.contains("(server.admin_listen)"), "{}", result.output);
    let page = written(&folder, "page.html");
    assert!(page.contains("/embed.js\"") && page.contains("https://imp.sandbox.pandium.com"), "{page}");
    let nginx = std::fs::read_to_string(folder.path().join("nginx.conf")).unwrap_or_default();
    let has_entrances = nginx.contains("location /merchant-center/pandium-sso {");
    assert_eq!(has_entrances, with_platforms && !nginx.is_empty(), "{nginx}");
}

#[test]
fn production_does_not_start_with_its_placeholders() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().to_str().unwrap();
    let environment = "--environment=production";
    let result =
        run(&["init", "--domain", DOMAIN, environment, "--account=ledgerline", "--login=oidc", "--dir", dir]);
    assert_eq!((result.status, result.errors.as_str()), (0, ""), "{result:?}");
    assert!(result.output.contains("Tell Pandium the domain"), "{result:?}");

    let path = folder.path().join("marketplace-sso.toml");
    let refused = run(&["serve", "--config", path.to_str().unwrap()]);
    assert_eq!(refused.status, 78, "{refused:?}");
    for key in ["issuer", "client_id", "client_secret_file"].map(|key| format!("identity.{key}")) {
        assert!(refused.errors.contains(&format!("{key}: it is a placeholder")), "{key}: {refused:?}");
    }
    let is_trial = refused.errors.contains("pandium.shared_secret_file: it is a placeholder");
    assert!(is_trial && !refused.errors.contains("trial-only-"), "{refused:?}");
}

#[test]
fn values_to_replace_for_oauth2_proxy_are_marked_and_named() {
    let folder = TempDir::new().unwrap();
    let result = init(folder.path(), "nginx-oauth2-proxy", &[]);
    let marked = written(&folder, "oauth2-proxy.cfg");
    let marked: Vec<&str> = marked.lines().filter(|line| line.contains("# replace:")).collect();
    assert_eq!(marked.len(), 5, "{marked:?}");
    for line in marked {
        let key = line.split(' ').next().unwrap();
        assert!(result.output.contains(key), "{key}: {}", result.output);
    }
}

/// From `init` to a hand-off behind nginx, with only the addresses edited.
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
    assert!(
        secret.starts_with("trial-only-") && secret.len() == 75 && read(&page).contains("<marketplace-frame")
    );
    let again = init(folder.path(), "caddy", &["--force"]);
    assert!(again.status == 0 && again.output.contains("kept"), "{again:?}");
    assert_eq!(written(&folder, "pandium.secret"), secret, "a secret is kept");
}

#[rstest]
#[case("*.example.com")]
#[case("a.b;return")]
#[case("a.b\"")]
#[case("-a.example.com")]
#[case("a..example.com")]
#[case("a_b.example.com")]
#[case("app.example.com:8080")]
fn what_is_no_host_name_is_refused(#[case] domain: &str) {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().to_str().unwrap();
    let domain = format!("--domain={domain}");
    let result = run(&["init", &domain, "--environment=demo", "--account=a", "--login=oidc", "--dir", dir]);
    assert_eq!(result.status, 2, "{result:?}");
    assert!(result.errors.contains("such as app.example.com"), "{result:?}");
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0);
}

#[test]
fn a_failure_leaves_no_file() {
    // the configuration is invalid: the path of a database cannot contain a colon
    let folder = TempDir::with_prefix("a:b").unwrap();
    let result = init(folder.path(), "oidc", &["--platform", "mittwald"]);
    assert!(result.status == 2 && result.errors.contains("store.url"), "{result:?}");
    assert!(!result.errors.contains("-init-"), "{result:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    // the last file cannot be written
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("page.html.tmp"), "mine").unwrap();
    let result = init(folder.path(), "oidc", &[]);
    assert!(result.status == 1 && result.errors.contains("page.html.tmp"), "{result:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn force_replaces_a_symbolic_link_and_keeps_the_mode() {
    let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (page, target) = (folder.path().join("page.html"), elsewhere.path().join("target"));
    std::fs::write(&target, "mine").unwrap();
    std::os::unix::fs::symlink(&target, &page).unwrap();
    let config = folder.path().join("marketplace-sso.toml");
    std::fs::write(&config, "").unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(init(folder.path(), "oidc", &["--force"]).status, 0);
    assert_eq!(read(&target), "mine");
    assert!(page.symlink_metadata().unwrap().is_file() && read(&page).contains("<marketplace-frame"));
    assert_eq!(config.metadata().unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn missing_arguments_are_asked_for() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().to_str().unwrap();
    let answers = format!(
        "localhost\nhttps://{DOMAIN}/x\n\nledgerline\nnope\n1\nid.{DOMAIN}\nhttps://id.{DOMAIN}/\n\ncaf, mittwald\n"
    );
    let result = run_with(&["init", "--dir", dir], &[], &answers);
    assert_eq!(result.status, 0, "{result:?}");
    let taken = format!("the host of the URL is taken: {DOMAIN}\n");
    for message in
        ["write the host name", &taken, "[sandbox]", "one of the numbers or names", "begins with https://"]
    {
        assert!(result.errors.contains(message), "{message}: {}", result.errors);
    }
    let config = written(&folder, "marketplace-sso.toml");
    let issuer = format!("issuer = \"https://id.{DOMAIN}/\"\nclient_id = \"replace-me\" ");
    for line in
        ["environment = \"sandbox\"", "kind = \"oidc\"", &issuer, "kind = \"caf\"", "kind = \"mittwald\""]
    {
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
fn arguments_replace_placeholders() {
    let folder = TempDir::new().unwrap();
    let given =
        ["--issuer=https://app.example.com", "--audience=sso", "--jwks-url=https://id.example.net/keys"];
    let result = init(folder.path(), "bearer", &given);
    assert!(result.status == 0 && !result.output.contains("placeholders"), "{result:?}");
    let config = written(&folder, "marketplace-sso.toml");
    for line in [
        "issuer = \"https://app.example.com\"",
        "audience = \"sso\"",
        "jwks_url = \"https://id.example.net/keys\"",
    ] {
        assert!(config.contains(&format!("\n{line}\n")), "{line}: {config}");
    }
    assert!(written(&folder, "page.html").contains("tokenProvider"));

    let other = init(TempDir::new().unwrap().path(), "caddy", &["--issuer=https://id.example.net"]);
    assert!(
        other.status == 2 && other.errors.contains("--issuer is for --login oidc and bearer only"),
        "{other:?}"
    );
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
