//! `check`: its output, its warnings and its errors.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rstest::rstest;

use crate::harness::command::{CommandResult, File, run, run_with};
use crate::harness::{SECRET, STANDARD, Settings};

const IN_ORDER: &str = "✓ The configuration is valid.\n";
const ONE_WARNING: &str = "! The configuration can be used, with a warning.\n";

/// Runs `check` with these settings.
fn check(settings: &Settings, arguments: &[&str]) -> CommandResult {
    run(&[&["check", "--config", &settings.file().text()], arguments].concat())
}

/// The paragraph of the only warning of a run that succeeded. The result is printed before and
/// after it.
fn warning(result: &CommandResult) -> &str {
    assert_eq!((result.status, result.output.as_str()), (0, ONE_WARNING), "{result:?}");
    let warning = result.errors.strip_prefix(ONE_WARNING).and_then(|rest| rest.strip_prefix("\n! "));
    let warning = warning.unwrap_or_else(|| panic!("{result:?}"));
    assert!(!warning.contains("\n! "), "{result:?}");
    warning
}

#[test]
fn a_valid_configuration_has_no_problem() {
    for arguments in [&[][..], &["--strict"]] {
        let result = check(&Settings::standard(), arguments);
        assert_eq!((result.status, result.output.as_str(), result.errors.as_str()), (0, IN_ORDER, ""));
    }
}

#[test]
fn check_shows_effective_values_and_hides_secrets() {
    let file = File::new(STANDARD);
    let result = run(&["check", "--show", "--config", &file.text()]);
    assert_eq!((result.status, result.errors.as_str()), (0, ""), "{result:?}");
    assert!(result.output.contains("shared_secret = \"[hidden]\"") && !result.output.contains(SECRET));
    assert!(result.output.contains("account = \"acme\""));
    assert!(
        result.output.contains(&format!("{}:", file.text())),
        "each value names its place: {}",
        result.output
    );
    assert!(result.output.contains("max_location_bytes = 4096"), "what is built in is shown, too");
    let verdict = "# The configuration is valid.\n";
    assert!(result.output.starts_with(verdict) && result.output.ends_with(verdict), "{}", result.output);
    // the output is a valid TOML document
    result.output.parse::<toml::Table>().unwrap();
}

#[test]
fn strict_turns_a_warning_into_a_problem() {
    let without_login = Settings::standard().without("embed.login_url");
    let message = warning(&without_login.check()).lines().next().unwrap().to_owned();
    assert!(message.contains("embed.login_url"), "{message}");

    let strict = check(&without_login, &["--strict"]);
    assert_eq!((strict.status, strict.output.as_str()), (78, ""), "{strict:?}");
    assert!(strict.errors.contains(&message) && strict.errors.contains("--strict"), "{strict:?}");

    let shown = check(&without_login, &["--show"]);
    assert!(!shown.output.contains("in order") && !shown.output.contains("embed.login_url:"), "{shown:?}");
    shown.output.parse::<toml::Table>().unwrap();
}

#[rstest]
#[case(0o600, false)]
#[case(0o640, false)]
#[case(0o644, true)]
#[case(0o660, true)]
fn a_secret_readable_by_others_is_a_warning(#[case] mode: u32, #[case] is_reported: bool) {
    let secret = File::new(SECRET);
    std::fs::set_permissions(secret.path(), Permissions::from_mode(mode)).unwrap();
    let result = Settings::standard().secret_file(&secret.path()).check();
    if is_reported {
        let message = warning(&result);
        assert!(
            message.contains("pandium.shared_secret_file: ") && message.contains(&format!("{mode:o}")),
            "{message}"
        );
    } else {
        assert_eq!((result.output.as_str(), result.errors.as_str()), (IN_ORDER, ""));
    }
}

/// The problem names both settings.
#[rstest]
#[case("session.key", "pandium.shared_secret")]
#[case("store.encryption_key", "pandium.shared_secret")]
#[case("audit.chain_key", "pandium.shared_secret")]
#[case("audit.chain_key", "session.key")]
#[case("store.encryption_key", "session.key")]
#[case("session.key", "identity.client_secret")]
fn a_key_of_the_service_differs_from_other_secrets(#[case] key: &str, #[case] other: &str) {
    let shared = "a-secret-that-is-used-for-two-purposes";
    let settings = Settings::of_kind("oidc").issuer("https://id.example.com").identity("client_id", "c");
    let settings =
        settings.set("session.key", "a-key-of-sessions-with-32-bytes-or-more").set("claims.sub", "id");
    let both = settings.clone().set(other, shared).set(key, shared);
    both.assert_wrong(key, &format!("it is the secret of {other} too"));
    // several keys, and files, are compared as well
    let file = File::new(shared);
    let in_a_file = settings.clone().set(other, shared).set(&format!("{key}_file"), file.text());
    let in_a_file = if key == "session.key" { in_a_file.without("session.key") } else { in_a_file };
    in_a_file.assert_wrong(&format!("{key}_file"), &format!("it is the secret of {other} too"));
}

#[test]
fn a_readable_configuration_with_a_secret_is_a_warning() {
    let file = File::new(STANDARD);
    std::fs::set_permissions(file.path(), Permissions::from_mode(0o644)).unwrap();
    let result = run(&["check", "--config", &file.text()]);
    assert!(
        warning(&result).contains("pandium.shared_secret: ") && result.errors.contains(&file.text()),
        "{result:?}"
    );
    // a file without a secret may be readable
    let variables = [("SSO_PANDIUM__SHARED_SECRET", SECRET)];
    std::fs::write(file.path(), Settings::standard().without("pandium.shared_secret").text()).unwrap();
    assert_eq!(run_with(&["check", "--config", &file.text()], &variables, "").output, IN_ORDER);
}

#[test]
fn a_dangerous_variable_is_a_warning() {
    let file = File::new(STANDARD);
    let check = |value| {
        let variables = [("SSO_PANDIUM__DANGEROUS_ALLOW_SHORT_SECRET", value)];
        run_with(&["check", "--config", &file.text()], &variables, "")
    };
    let result = check("true");
    let message = warning(&result);
    assert!(message.contains("pandium.dangerous_allow_short_secret"), "{message}");
    assert!(message.contains("SSO_PANDIUM__DANGEROUS_ALLOW_SHORT_SECRET"), "{message}");
    assert_eq!(check("false").output, IN_ORDER);
    let written = Settings::standard().set("pandium.dangerous_allow_short_secret", true);
    assert_eq!(written.check().output, IN_ORDER);
}

#[test]
fn a_service_without_hosts_is_a_warning() {
    let unnamed = Settings::standard().without("server.public_url");
    let result = unnamed.check();
    assert!(warning(&result).contains("server.public_url"), "{result:?}");
    assert_eq!(unnamed.set("server.hosts", ["sso.example.org"]).check().output, IN_ORDER);
}

#[rstest]
#[case::http("http://sso.example.com", "https://app.example.com", true)]
#[case::subdomains("http://sso.example.com", "https://*.example.com", true)]
#[case::loopback("http://localhost:8080", "https://app.example.com", false)]
#[case::http_page("http://sso.example.com", "http://app.example.com", false)]
#[case::https("https://sso.example.com", "https://app.example.com", false)]
fn an_http_frame_in_an_https_page_is_a_warning(
    #[case] own: &str,
    #[case] parent: &str,
    #[case] is_warned_of: bool,
) {
    let settings = Settings::standard().set("server.public_url", own).set("embed.parents", [parent]);
    let result = settings.check();
    if !is_warned_of {
        assert_eq!(result.output, IN_ORDER);
        return;
    }
    let message = warning(&result);
    assert!(message.contains("server.public_url: ") && message.contains(parent), "{message}");
    assert_eq!(check(&settings, &["--strict"]).status, 78);
}

#[rstest]
#[case::ipv4(&["0.0.0.0/0"])]
#[case::ipv6(&["::/0", "127.0.0.1"])]
#[case::two_halves(&["0.0.0.0/1", "128.0.0.0/1"])]
#[case::two_halves_of_ipv6(&["::/1", "8000::/1"])]
fn trusting_any_peer_is_an_error_in_production(#[case] networks: &[&str]) {
    let result = Settings::standard().identity("trusted_proxies", networks).check();
    assert!(warning(&result).contains("identity.trusted_proxies"), "{result:?}");

    let production = Settings::standard().set("environment", "production");
    assert_eq!(production.check().output, IN_ORDER);
    let everyone = production.identity("trusted_proxies", networks);
    let refused = everyone.check();
    assert_eq!((refused.status, refused.output.as_str()), (78, ""), "{refused:?}");
    everyone.assert_wrong("identity.trusted_proxies", "dangerous_trust_any_proxy");
    let allowed = everyone.identity("dangerous_trust_any_proxy", true).check();
    assert_eq!((allowed.status, allowed.output.as_str()), (0, IN_ORDER), "{allowed:?}");
}

#[test]
fn no_trusted_proxy_is_an_error_except_on_a_unix_socket() {
    let file = Settings::standard().without("identity.trusted_proxies").file();
    let result = run(&["check", "--config", &file.text()]);
    assert_eq!(result.status, 78, "{result:?}");
    assert!(result.errors.contains("\n✗ identity.trusted_proxies: "), "{result:?}");
    assert_eq!(run(&["serve", "--config", &file.text()]).errors, result.errors);

    let by_socket = Settings::on_socket(Path::new("/run/sso.sock"));
    assert_eq!(by_socket.check().output, IN_ORDER);

    let more = Settings::proxy_headers("vouch").without("identity.trusted_proxies");
    let settings = Settings::standard().entrance("more", &more);
    settings.assert_wrong("entrances.more.identity.trusted_proxies", "");
}

#[rstest]
#[case("embed.parents", "https://*.github.io")]
#[case("embed.cors_origins", "https://*.co.uk")]
fn a_public_suffix_as_a_parent_is_a_warning(#[case] key: &str, #[case] origin: &str) {
    let result = Settings::standard().set(key, [origin]).check();
    let message = warning(&result);
    assert!(message.contains(key) && message.contains("public suffix"), "{message}");
}

#[rstest]
#[case::whole("SSO_PANDIUM__ACOUNT", "pandium.acount", "SSO_PANDIUM__ACCOUNT")]
#[case::one_underscore("SSO_PANDIUM_ACCOUNT", "pandium_account", "SSO_PANDIUM__ACCOUNT")]
#[case::no_underscore("SSO_PANDIUMACCOUNT", "pandiumaccount", "SSO_PANDIUM__ACCOUNT")]
#[case::section("SSO_PANDUIM__ACCOUNT", "panduim", "SSO_PANDIUM")]
#[case::too_deep("SSO_SERVER__WORKERS__X", "server.workers", "")]
#[case::renamed("SSO_EMBED__UNKNOWN_PARENT", "embed.unknown_parent", "SSO_EMBED__MISSING_REFERER")]
#[case::nothing_like_it("SSO_X", "x", "SSO_SECTION__KEY")]
#[case::almost_of_kubernetes("SSO_SERVICE_HOSTS", "service_hosts", "")]
fn an_unknown_variable_is_an_error_that_names_it(
    #[case] variable: &str,
    #[case] key: &str,
    #[case] near: &str,
) {
    let file = File::new(STANDARD);
    let result = run_with(&["check", "--config", &file.text()], &[(variable, "canary")], "");
    assert_eq!(result.status, 78, "{result:?}");
    assert!(result.errors.contains(key) && result.errors.contains(variable), "{result:?}");
    assert!(result.errors.contains(near), "{near} is not suggested: {result:?}");
}

#[test]
fn an_old_name_of_a_setting_is_an_error_with_the_new_one() {
    let fetched = Settings::bearer().jwks_url("https://id.example.com/keys");
    for (settings, old, new) in [
        (Settings::standard(), "page", "branding"),
        (Settings::standard(), "embed.script_origins", "embed.cors_origins"),
        (Settings::standard(), "embed.unknown_parent", "embed.missing_referer"),
        (fetched.clone(), "identity.dangerous_allow_http_keys", "identity.dangerous_allow_http_jwks"),
        (fetched.clone(), "identity.keys_ca_file", "identity.jwks_ca_file"),
        (fetched.clone(), "identity.keys_cooldown_s", "identity.jwks_min_refresh_interval_s"),
        (fetched.clone(), "identity.keys_keep_s", "identity.jwks_max_stale_s"),
        (fetched.clone(), "identity.keys_refresh_s", "identity.jwks_refresh_interval_s"),
        (fetched, "identity.keys_timeout_s", "identity.jwks_timeout_s"),
    ] {
        settings.set(old, "").assert_wrong(old, &format!("it is renamed to {new}"));
    }
}

#[test]
fn the_variables_of_a_service_named_sso_are_ignored() {
    let variables = [
        ("SSO_SERVICE_HOST", "10.96.0.7"),
        ("SSO_SERVICE_PORT", "80"),
        ("SSO_SERVICE_PORT_HTTP", "80"),
        ("SSO_PORT", "tcp://10.96.0.7:80"),
        ("SSO_PORT_80_TCP", "tcp://10.96.0.7:80"),
        ("SSO_PORT_80_TCP_PROTO", "tcp"),
        ("SSO_PORT_80_TCP_PORT", "80"),
        ("SSO_PORT_80_TCP_ADDR", "10.96.0.7"),
        ("SSO_PORT_53_UDP", "udp://10.96.0.7:53"),
    ];
    let file = File::new(STANDARD);
    let result = run_with(&["check", "--config", &file.text()], &variables, "");
    assert_eq!((result.output.as_str(), result.errors.as_str()), (IN_ORDER, ""));
    let none = run_with(&["check"], &variables, "");
    assert!(none.status == 78 && none.errors.contains("nothing is configured"), "{none:?}");
}

#[test]
fn the_error_for_a_missing_file_names_its_path_and_init() {
    let nothing = run(&["serve"]);
    assert_eq!(nothing.status, 78, "{nothing:?}");
    for text in ["--config", "SSO_CONFIG", "marketplace-sso init"] {
        assert!(nothing.errors.contains(text), "{text}: {nothing:?}");
    }
    let missing = run(&["check", "--config", "nowhere.toml"]);
    let path = std::env::current_dir().unwrap().join("nowhere.toml");
    assert_eq!(missing.status, 78, "{missing:?}");
    for text in [path.to_str().unwrap(), "marketplace-sso init"] {
        assert!(missing.errors.contains(text), "{text}: {missing:?}");
    }
}

#[rstest]
#[case("app.example.com")]
#[case("app.example.com:8443")]
#[case("localhost:8080")]
#[case("//app.example.com")]
fn a_url_without_scheme_is_told_in_plain_words(#[case] url: &str) {
    let settings = Settings::standard().set("server.public_url", url);
    settings.assert_wrong("server.public_url", "it needs a scheme, such as https://app.example.com");
}

#[rstest]
#[case(Settings::proxy_headers("auth_reqest").set("identity.headers.attributes.plan", "X-Plan"), "auth_request")]
#[case(Settings::proxy_headers("custm").set("identity.headers.email", "X-E"), "custom")]
#[case(Settings::of_kind("oidc").identity("preset", "mitwald").identity("client_id", "c"), "mittwald")]
fn a_misspelt_preset_is_the_only_problem(#[case] settings: Settings, #[case] meant: &str) {
    let settings = settings.set("session.key", "a-key-of-sessions-with-32-bytes-or-more");
    let result = settings.check();
    assert!(result.errors.starts_with("✗ The configuration has a problem.\n"), "{result:?}");
    settings.assert_wrong("identity.preset", &format!("is \"{meant}\" meant?"));
}

#[test]
fn a_misspelt_section_is_compared_with_the_nearest() {
    Settings::standard().set("sevre.workers", 1).assert_wrong("sevre", "is server meant?");
}

const PROBLEMS: &str = r#"[pandium]
account = "a/b"         # hush-hush
shared_secret = "hush-hush"
shared_secrte = "hush-hush"
[server]
workers = 1000
"#;

#[test]
fn problems_are_in_the_order_of_the_file_with_their_lines() {
    let file = File::new(PROBLEMS);
    let path = file.text();
    let result = run(&["check", "--config", &path]);
    assert_eq!((result.status, result.output.as_str()), (78, ""), "{result:?}");
    let verdict = "✗ The configuration has 6 problems.\n";
    assert!(result.errors.starts_with(verdict) && result.errors.ends_with(verdict), "{}", result.errors);
    assert!(
        result.errors.contains(&format!(
            "\n  given in: {path}:2:11\n    2 | account = \"a/b\"\n      |           ^^^^^\n  to do: "
        )),
        "{}",
        result.errors
    );
    let order = ["given in: PATH:2", "    3 | shared_secret = [hidden]", "    4 | shared_secrte = [hidden]"];
    let order = order.map(|text| text.replace("PATH", &path));
    let rest = ["workers = 1000".to_owned(), "✗ environment: ".to_owned()];
    let places = order.iter().chain(&rest).map(|text| result.errors.find(text.as_str()));
    assert!(places.clone().all(|place| place.is_some()) && places.is_sorted(), "{}", result.errors);
    assert!(!result.errors.contains("hush"), "{}", result.errors);
}

#[rstest]
#[case::libpq_form("[store]\nurl = \"host=db user=sso password=HUSH\"")]
#[case::libpq_form_with_scheme("[store]\nurl = \"postgres:host=db password=HUSH\"")]
#[case::table_in_an_array("[pandium]\naccount = [ { shared_secret = \"HUSH\" } ]")]
#[case::scalar_as_section("session = \"HUSH\"")]
#[case::scalar_as_entrance("entrances.x = \"HUSH\"")]
#[case::encoding("[pandium]\nshared_secret_encoding = \"HUSH\"")]
#[case::query("[pandium]\nbase_url = \"https://h.example/?token=HUSH\"")]
#[case::query_without_scheme("[pandium]\nbase_url = \"h.example?token=HUSH\"")]
#[case::query_in_a_list("[embed]\nparents = [\"https://h.example/?token=HUSH\"]")]
fn a_secret_in_the_wrong_place_is_not_printed(#[case] text: &str) {
    let file = File::new(text);
    for more in [&[][..], &["--show"], &["--format", "json"]] {
        let result = run(&[&["check", "--config", &file.text()], more].concat());
        assert_eq!(result.status, 78, "{result:?}");
        assert!(!format!("{result:?}").contains("HUSH"), "{result:?}");
        // it is reported nevertheless
        let name = text.rsplit('\n').next().and_then(|line| line.split(['.', ' ']).next()).unwrap();
        assert!(format!("{result:?}").contains(name), "{result:?}");
    }
}

#[test]
fn check_prints_json_for_programs() {
    let file = File::new(PROBLEMS);
    let result = run(&["check", "--format", "json", "--config", &file.text()]);
    assert_eq!((result.status, result.errors.as_str()), (78, ""), "{result:?}");
    assert!(!result.output.contains("hush"), "{}", result.output);
    let json: serde_json::Value = serde_json::from_str(&result.output).unwrap();
    let first = &json["problems"][0];
    assert_eq!(json["valid"], false);
    assert_eq!(
        (&first["key"], &first["line"], &first["column"]),
        (&"pandium.account".into(), &2.into(), &11.into())
    );
    assert_eq!(first["file"], file.text());

    let warned = check(&Settings::standard().without("embed.login_url"), &["--format", "json", "--show"]);
    let json: serde_json::Value = serde_json::from_str(&warned.output).unwrap();
    assert_eq!((warned.status, &json["valid"], &json["problems"]), (0, &true.into(), &serde_json::json!([])));
    assert_eq!(json["warnings"][0]["key"], "embed.login_url");
    let account =
        json["settings"].as_array().unwrap().iter().find(|setting| setting["key"] == "pandium.account");
    assert_eq!(account.unwrap()["value"], "\"acme\"");
    let strict = check(&Settings::standard().without("embed.login_url"), &["--format", "json", "--strict"]);
    assert_eq!(strict.status, 78);
}

#[test]
fn color_is_for_terminals_unless_requested() {
    let settings = Settings::standard();
    let is_coloured = |arguments: &[&str]| check(&settings, arguments).output.contains("\x1b[");
    assert!(!is_coloured(&[]) && !is_coloured(&["--color", "never"]));
    assert!(is_coloured(&["--color", "always"]));
    assert!(!check(&settings, &["--color", "always", "--format", "json"]).output.contains("\x1b["));
}
