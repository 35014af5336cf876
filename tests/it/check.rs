//! `check`: its output, its warnings and its errors.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use rstest::rstest;

use crate::harness::command::{CommandResult, File, run, run_with};
use crate::harness::{SECRET, STANDARD};

const IN_ORDER: &str = "The configuration is in order.\n";

/// Checks the standard configuration with one text in place of another.
fn check_with(from: &str, to: &str, arguments: &[&str]) -> CommandResult {
    assert!(STANDARD.contains(from), "{from} is not in the standard configuration");
    let file = File::new(&STANDARD.replacen(from, to, 1));
    run(&[&["check", "--config", &file.text()], arguments].concat())
}

/// The only warning of a run that succeeded.
fn warning(result: &CommandResult) -> &str {
    assert_eq!(result.status, 0, "{result:?}");
    assert_eq!(result.output, "The configuration can be used, with a warning.\n");
    let warnings: Vec<&str> =
        result.errors.lines().filter_map(|line| line.strip_prefix("warning: ")).collect();
    assert_eq!(warnings.len(), 1, "{result:?}");
    warnings[0]
}

#[test]
fn a_valid_configuration_is_in_order() {
    for arguments in [&[][..], &["--strict"]] {
        let result = check_with("", "", arguments);
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
    assert!(result.output.ends_with(IN_ORDER), "{}", result.output);
    // the output is a valid TOML document
    result.output.parse::<toml::Table>().unwrap();
}

#[test]
fn strict_turns_a_warning_into_a_problem() {
    let login = "login_url = \"https://app.example.com/login\"";
    let message = warning(&check_with(login, "", &[])).to_owned();
    assert!(message.contains("embed.login_url"), "{message}");

    let strict = check_with(login, "", &["--strict"]);
    assert_eq!((strict.status, strict.output.as_str()), (78, ""), "{strict:?}");
    assert!(strict.errors.contains(&message) && strict.errors.contains("--strict"), "{strict:?}");

    let shown = check_with(login, "", &["--show"]);
    assert!(!shown.output.contains("in order") && !shown.output.contains("warning:"), "{shown:?}");
    shown.output.parse::<toml::Table>().unwrap();
}

#[rstest]
#[case(0o600, false)]
#[case(0o640, false)]
#[case(0o644, true)]
#[case(0o660, true)]
fn a_secret_readable_by_others_is_warned_of(#[case] mode: u32, #[case] is_reported: bool) {
    let secret = File::new(SECRET);
    std::fs::set_permissions(secret.path(), Permissions::from_mode(mode)).unwrap();
    let in_file = format!("shared_secret_file = {:?}", secret.text());
    let result = check_with(&format!("shared_secret = {SECRET:?}"), &in_file, &[]);
    if is_reported {
        let message = warning(&result);
        assert!(
            message.contains("pandium.shared_secret_file") && message.contains(&format!("{mode:o}")),
            "{message}"
        );
    } else {
        assert_eq!((result.output.as_str(), result.errors.as_str()), (IN_ORDER, ""));
    }
}

#[test]
fn a_readable_configuration_with_a_secret_is_warned_of() {
    let file = File::new(STANDARD);
    std::fs::set_permissions(file.path(), Permissions::from_mode(0o644)).unwrap();
    let result = run(&["check", "--config", &file.text()]);
    assert!(
        warning(&result).contains("pandium.shared_secret ") && result.errors.contains(&file.text()),
        "{result:?}"
    );
    // a file without a secret may be readable
    let variables = [("SSO_PANDIUM__SHARED_SECRET", SECRET)];
    std::fs::write(file.path(), STANDARD.replace(&format!("shared_secret = {SECRET:?}"), "")).unwrap();
    assert_eq!(run_with(&["check", "--config", &file.text()], &variables, "").output, IN_ORDER);
}

#[test]
fn a_dangerous_variable_is_warned_of() {
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
    let written = "[pandium]\ndangerous_allow_short_secret = true";
    assert_eq!(check_with("[pandium]", written, &[]).output, IN_ORDER);
}

#[test]
fn a_service_without_hosts_is_warned_of() {
    let result = check_with("public_url = \"https://app.example.com\"", "", &[]);
    assert!(warning(&result).contains("server.public_url"), "{result:?}");
    let named = check_with("public_url = \"https://app.example.com\"", "hosts = [\"sso.example.org\"]", &[]);
    assert_eq!(named.output, IN_ORDER);
}

const TRUSTED: &str = "trusted_proxies = [\"127.0.0.1/32\"]";

#[rstest]
#[case::ipv4("[\"0.0.0.0/0\"]")]
#[case::ipv6("[\"::/0\", \"127.0.0.1\"]")]
#[case::two_halves("[\"0.0.0.0/1\", \"128.0.0.0/1\"]")]
#[case::two_halves_of_ipv6("[\"::/1\", \"8000::/1\"]")]
fn trusting_any_peer_is_an_error_in_production(#[case] networks: &str) {
    let everyone = format!("trusted_proxies = {networks}");
    let result = check_with(TRUSTED, &everyone, &[]);
    assert!(warning(&result).contains("identity.trusted_proxies"), "{result:?}");

    let production = STANDARD.replace("\"sandbox\"", "\"production\"");
    let check = |identity: &str| {
        run(&["check", "--config", &File::new(&production.replace(TRUSTED, identity)).text()])
    };
    assert_eq!(check(TRUSTED).output, IN_ORDER);
    let refused = check(&everyone);
    assert_eq!((refused.status, refused.output.as_str()), (78, ""), "{refused:?}");
    assert!(
        refused.errors.contains("identity.trusted_proxies")
            && refused.errors.contains("dangerous_trust_any_proxy")
    );
    let allowed = check(&format!("{everyone}\ndangerous_trust_any_proxy = true"));
    assert_eq!((allowed.status, allowed.output.as_str()), (0, IN_ORDER), "{allowed:?}");
}

#[test]
fn no_trusted_proxy_is_an_error_except_on_a_unix_socket() {
    let file = File::new(&STANDARD.replace(TRUSTED, ""));
    let result = run(&["check", "--config", &file.text()]);
    assert_eq!(result.status, 78, "{result:?}");
    assert!(result.errors.contains("\nidentity.trusted_proxies: "), "{result:?}");
    assert_eq!(run(&["serve", "--config", &file.text()]).errors, result.errors);

    let by_socket = STANDARD.replace(TRUSTED, "").replacen("127.0.0.1:0", "unix:/run/sso.sock", 1);
    assert_eq!(run(&["check", "--config", &File::new(&by_socket).text()]).output, IN_ORDER);

    let entrance = "[log]\nlevel = \"info\"\n[entrances.more]\npath = \"/more\"\n[entrances.more.identity]\nkind = \"proxy_headers\"\npreset = \"vouch\"";
    let result = check_with("[log]", &format!("{entrance}\n#"), &[]);
    assert!(result.errors.contains("entrances.more.identity.trusted_proxies: "), "{result:?}");
}

#[rstest]
#[case("parents = [\"https://*.github.io\"]", "embed.parents")]
#[case("parents = [\"https://app.example.com\"]\ncors_origins = [\"https://*.co.uk\"]", "embed.cors_origins")]
fn a_public_suffix_as_a_parent_is_warned_of(#[case] parents: &str, #[case] key: &str) {
    let result = check_with("parents = [\"https://app.example.com\"]", parents, &[]);
    let message = warning(&result);
    assert!(message.contains(key) && message.contains("public suffix"), "{message}");
}

#[rstest]
#[case::whole("SSO_PANDIUM__ACOUNT", "pandium.acount", "SSO_PANDIUM__ACCOUNT")]
#[case::one_underscore("SSO_PANDIUM_ACCOUNT", "pandium_account", "SSO_PANDIUM__ACCOUNT")]
#[case::no_underscore("SSO_PANDIUMACCOUNT", "pandiumaccount", "SSO_PANDIUM__ACCOUNT")]
#[case::section("SSO_PANDUIM__ACCOUNT", "panduim", "SSO_PANDIUM")]
#[case::too_deep("SSO_SERVER__WORKERS__X", "server.workers", "")]
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
