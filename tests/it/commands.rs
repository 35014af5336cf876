//! The command line: the output and exit status of each command.

use std::path::Path;

use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::command::{CommandResult, File, run, run_unread, run_with};
use crate::harness::{ALICE, App, SECRET, STANDARD, Settings, Token, wait_until};
use crate::playground::Playground;

const BROKEN: &str = r#"
environment = "staging"
[server]
workers = "many"
[pandium]
acount = "acme"
shared_secret = "fedcba9876543210"
[claims]
sub = "emial"
[embed]
parents = ["*"]
"#;

#[test]
fn check_reports_every_problem_at_once() {
    let file = File::new(BROKEN);
    let result = run(&["check", "--config", &file.text()]);
    assert_eq!((result.status, result.output.as_str()), (78, ""));
    for key in [
        "environment",
        "server.workers",
        "pandium.account",
        "pandium.acount",
        "pandium.shared_secret",
        "claims.sub",
        "embed.parents",
    ] {
        assert!(result.errors.contains(&format!("\n✗ {key}: ")), "{key} is missing: {}", result.errors);
    }
    assert!(result.errors.contains("is pandium.account meant?"), "{}", result.errors);
    assert!(result.errors.contains(&format!("given in: {}:6", file.text())), "{}", result.errors);
    assert!(!result.errors.contains("fedcba9876543210"));
    assert_eq!(run(&["serve", "--config", &file.text()]).errors, result.errors);
}

#[test]
fn minted_tokens_can_be_inspected() {
    let file = File::new(STANDARD);
    let config = file.text();
    let minted = run(&[
        "mint",
        "--config",
        &config,
        "--email",
        "alice@example.com",
        "--id",
        "u-1",
        "--name",
        "Alice Ä",
        "--group",
        "staff",
        "--set",
        "attributes.plan=\"pro\"",
        "--set",
        "organization.id=\"org-1\"",
        "--integration-id",
        "1121",
        "--display",
        "settings",
    ]);
    assert_eq!(minted.status, 0, "{minted:?}");
    let token = Token::in_url(minted.output.trim(), SECRET);
    assert_eq!(token.link(), "integration_id=1121&display=settings");
    assert_eq!(
        (&token.claims["external_id"], &token.claims["ti"]["xti"]["user_tier"]),
        (&"u-1".into(), &"pro".into())
    );

    for (argument, input) in [("-", minted.output.as_str()), (minted.output.trim(), ""), (&token.text, "")] {
        let inspected = run_with(&["inspect", "--config", &config, argument], &[], input);
        assert_eq!(inspected.status, 0, "{inspected:?}");
        for message in
            ["✓ signature  valid", "sub = \"alice@example.com\"", "ti.xti.user_tier = \"pro\"", "Alice Ä"]
        {
            assert!(inspected.output.contains(message), "{message} is missing: {}", inspected.output);
        }
    }
}

#[test]
fn mint_prints_the_urls_of_the_service() {
    let app = App::standard();
    let served = Token::of(&app.get("/pandium-sso/install/7", ALICE));
    let standard = app.folder.path().join("standard.toml");
    let minted = run(&[
        "mint",
        "--config",
        standard.to_str().unwrap(),
        "--email",
        "alice@example.com",
        "--install",
        "7",
    ]);
    let minted = Token::in_url(minted.output.trim(), SECRET);
    assert_eq!(minted.url.path(), served.url.path());
    assert_eq!((minted.header, &minted.claims["ti"]), (served.header, &served.claims["ti"]));
}

#[test]
fn inspect_fails_for_a_token_of_another_secret() {
    let other = Settings::standard().set("pandium.shared_secret", SECRET.to_uppercase()).file();
    let file = File::new(STANDARD);
    let minted = run(&["mint", "--config", &other.text(), "--email", "alice@example.com"]);
    let inspected = run(&["inspect", "--config", &file.text(), minted.output.trim()]);
    assert_eq!(inspected.status, 1);
    assert!(inspected.output.contains("signature  WRONG"), "{inspected:?}");
    assert!(inspected.output.contains("does not verify with the configured secret or key"), "{inspected:?}");
}

/// The arguments, the exit status, and a part of the message.
#[rstest]
#[case::no_command(&[], 2, "Usage")]
#[case::unknown_command(&["frobnicate"], 2, "frobnicate")]
#[case::file_without_option(&["serve", "sso.toml"], 2, "--config FILE")]
#[case::unknown_option(&["serve", "--port", "1"], 2, "--port")]
#[case::no_email(&["mint", "--config", "FILE"], 2, "--email")]
#[case::no_id_either(&["mint", "--config", "FILE"], 2, "--id")]
#[case::no_email_address(&["mint", "--config", "FILE", "--email", "alice"], 2, "email")]
#[case::unknown_setting(&["mint", "--config", "FILE", "--email", "a@b.example", "--set", "colour=1"], 2, "colour")]
#[case::no_setting(&["mint", "--config", "FILE", "--email", "a@b.example", "--set", "colour"], 2, "KEY=JSON")]
#[case::unknown_entrance(&["mint", "--config", "FILE", "--email", "a@b.example", "--entrance", "x"], 2, "pandium-sso")]
#[case::bad_link(&["mint", "--config", "FILE", "--email", "a@b.example", "--integration-id", "x"], 1, "bad_link")]
#[case::nothing_to_inspect(&["inspect", "--config", "FILE", ""], 2, "nothing to inspect")]
#[case::no_token(&["inspect", "--config", "FILE", "a.b"], 1, "three base64url parts")]
#[case::a_url_without_a_token(&["inspect", "--config", "FILE", "https://a.example/"], 2, "tenant")]
#[case::missing_file(&["check", "--config", "/nowhere/at-all.toml"], 78, "/nowhere/at-all.toml")]
#[case::unknown_environment(&["check", "--config", "FILE", "--environment", "staging"], 78, "--environment")]
#[case::no_address(&["healthcheck", "nowhere"], 2, "nowhere")]
#[case::nothing_listens(&["healthcheck", "127.0.0.1:1"], 1, "127.0.0.1:1")]
#[case::no_socket_there(&["healthcheck", "unix:/nowhere.sock"], 1, "/nowhere.sock")]
fn a_failed_command_has_a_status_and_a_message(
    #[case] arguments: &[&str],
    #[case] status: i32,
    #[case] message: &str,
) {
    let file = File::new(STANDARD);
    let result = run(&with_path(arguments, &file.text()));
    assert_eq!((result.status, result.output.as_str()), (status, ""), "{result:?}");
    assert!(result.errors.contains(message), "{message} is missing: {}", result.errors);
}

#[rstest]
#[case("server.listen")]
#[case("server.admin_listen")]
fn an_address_in_use_is_named_with_its_setting(#[case] setting: &str) {
    let app = App::standard();
    let taken = app.address().to_string();
    let file = Settings::standard().set(setting, &taken).file();
    let result = run(&["serve", "--config", &file.text()]);
    assert_eq!(result.status, 1);
    assert!(result.errors.contains(&format!("{setting}: cannot listen at http://{taken}")), "{result:?}");
    assert!(result.errors.contains(&format!("set {setting} to another address")), "{result:?}");
}

#[test]
fn healthcheck_works_over_tcp_and_unix_sockets() {
    let is_ready = |result: &CommandResult| (result.status, result.output.as_str()) == (0, "ready\n");
    let app = App::standard();
    for address in
        [app.address().to_string(), app.admin_address().to_string(), format!("http://{}", app.address())]
    {
        wait_until(&address, || is_ready(&run(&["healthcheck", &address])));
    }
    let address = app.address().to_string();
    let variables = [("SSO_SERVER__LISTEN", address.as_str())];
    wait_until("by a variable", || is_ready(&run_with(&["healthcheck"], &variables, "")));

    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("sso.sock");
    let _by_socket = App::start_in(folder, Settings::on_socket(&socket));
    let address = format!("unix:{}", socket.display());
    wait_until("by its socket", || is_ready(&run(&["healthcheck", &address])));
}

#[test]
fn healthcheck_fails_while_the_service_drains() {
    let app = App::start(Settings::standard().set("server.drain_delay_s", 60));
    app.signal("TERM");
    app.wait_for_line(|line| line["signal"] == "SIGTERM");
    let result = run(&["healthcheck", &app.address().to_string()]);
    assert!(result.status == 1 && result.errors.contains("503"), "{result:?}");
}

#[test]
fn later_layers_win() {
    let file = Settings::standard().set("access.groups", ["a"]).file();
    let (over, path) = (File::new("[pandium]\naccount = \"over\""), file.text());
    let account = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mint = ["mint", "--email", "a@b.example", "--group", "a"];
        let result = run_with(&[&mint[..], arguments].concat(), variables, "");
        let token = Token::in_url(result.output.trim(), SECRET);
        token.url.to_string().split_once('?').unwrap().0.to_owned()
    };
    let (config, over) = (["--config", &path], ["--config", &path, "--config", &over.text()]);
    let variable = ("SSO_PANDIUM__ACCOUNT", "variable");
    assert_eq!(account(&config, &[]), "https://imp.sandbox.pandium.com/acme");
    assert_eq!(account(&over, &[]), "https://imp.sandbox.pandium.com/over");
    assert_eq!(account(&over, &[variable]), "https://imp.sandbox.pandium.com/variable");
    assert_eq!(account(&[], &[("SSO_CONFIG", &path)]), "https://imp.sandbox.pandium.com/acme");
    assert_eq!(account(&over, &[("SSO_CONFIG", "/nowhere")]), "https://imp.sandbox.pandium.com/over");
    let demo = ("SSO_ENVIRONMENT", "demo");
    assert_eq!(account(&config, &[demo]), "https://imp.demo.pandium.com/acme");
    let argument = [&config[..], &["--environment", "sandbox"]].concat();
    assert_eq!(account(&argument, &[demo]), "https://imp.sandbox.pandium.com/acme");
}

#[test]
fn environment_variables_alone_configure_the_service() {
    let variables = [
        ("SSO_ENVIRONMENT", "sandbox"),
        ("SSO_PANDIUM__ACCOUNT", "acme"),
        ("SSO_PANDIUM__SHARED_SECRET", SECRET),
        ("SSO_PANDIUM__TOKEN_LIFETIME_S", "60"),
        ("SSO_IDENTITY__TRUSTED_PROXIES", "127.0.0.1/32, 10.0.0.0/8"),
        ("SSO_EMBED__PARENTS", "https://app.example.com"),
        ("PANDIUM__ACCOUNT", "not ours"),
    ];
    let result = run_with(&["check", "--show"], &variables, "");
    assert_eq!(result.status, 0, "{result:?}");
    assert!(result.output.contains("the environment variable SSO_PANDIUM__ACCOUNT"), "{}", result.output);
}

#[test]
fn a_missing_secret_file_is_named_with_its_setting() {
    let settings = Settings::standard().secret_file(Path::new("/nowhere/pandium"));
    settings.assert_wrong("pandium.shared_secret_file", "/nowhere/pandium");
}

#[rstest]
#[case("serve")]
#[case("playground")]
#[case("check")]
#[case("init")]
#[case("mint")]
#[case("inspect")]
#[case("audit")]
#[case("doctor")]
#[case("completions")]
#[case("man")]
#[case("healthcheck")]
fn every_command_shows_an_example(#[case] command: &str) {
    let CommandResult { status, output, .. } = run(&[command, "--help"]);
    assert_eq!(status, 0);
    let (_, examples) = output.split_once("Example").unwrap();
    assert!(!output.contains("eyJ"), "an argument is visible in the shell history and the process list");
    assert!(examples.contains(&format!("marketplace-sso {command}")), "{output}");
    assert!(run(&["--help"]).output.contains(&format!("  {command} ")), "missing in the list of commands");
}

#[test]
fn examples_in_help_are_not_wrapped() {
    let mut commands: Vec<Vec<String>> = vec![Vec::new()];
    let mut count = 0;
    while let Some(command) = commands.pop() {
        let arguments: Vec<&str> = command.iter().map(String::as_str).chain(["--help"]).collect();
        let help = |width| run_with(&arguments, &[("COLUMNS", width)], "").output;
        let (narrow, wide) = (help("80"), help("100"));
        let examples = |help: &str| help.split_once("\nExample").map(|(_, examples)| examples.to_owned());
        let shown = examples(&narrow).unwrap_or_else(|| panic!("{command:?}: {narrow}"));
        assert_eq!(Some(&shown), examples(&wide).as_ref(), "{command:?}");
        assert!(shown.lines().all(|line| line.chars().count() <= 78), "{command:?}: {shown}");
        let (plural, rest) = shown.split_once(":\n").unwrap();
        let list = rest.split("\n\n").next().unwrap();
        let number = list.lines().filter(|line| line.contains("marketplace-sso ")).count();
        assert_eq!(plural == "s", number > 1, "{command:?}: {shown}");
        let list = wide.split_once("\nCommands:\n").map_or("", |(_, list)| list);
        // each takes one line
        let names =
            list.lines().take_while(|line| !line.is_empty()).map(|line| line.split_whitespace().next());
        let names = names.flatten().filter(|name| *name != "help");
        commands.extend(names.map(|name| [&command[..], &[name.to_owned()]].concat()));
        count += 1;
    }
    assert!(count > 20, "only {count} were found");
}

/// The exit status of a command whose output pipes are closed.
#[rstest]
#[case::inspect(&["inspect", "--config", "FILE", "-"], 0)]
#[case::inspect_wrong(&["inspect", "--config", "FILE", "a.b"], 1)]
#[case::mint(&["mint", "--config", "FILE", "--email", "a@b.example"], 0)]
#[case::check(&["check", "--config", "FILE"], 0)]
#[case::check_show(&["check", "--config", "FILE", "--show"], 0)]
#[case::check_missing_file(&["check", "--config", "/nowhere.toml"], 78)]
#[case::healthcheck(&["healthcheck", "127.0.0.1:1"], 1)]
#[case::doctor(&["doctor", "http://127.0.0.1:1"], 1)]
#[case::playground(&["playground", "--listen", "256.0.0.1:1"], 2)]
#[case::help(&["--help"], 0)]
#[case::wrong_arguments(&["mint"], 2)]
fn a_closed_pipe_does_not_panic(#[case] arguments: &[&str], #[case] status: i32) {
    let file = File::new(STANDARD);
    let path = file.text();
    let token = run(&["mint", "--config", &path, "--email", "alice@example.com"]).output;
    assert_eq!(run_unread(&with_path(arguments, &path), &token), status);
}

/// The arguments with a path in place of `FILE`.
fn with_path<'a>(arguments: &[&'a str], path: &'a str) -> Vec<&'a str> {
    arguments.iter().map(|argument| if *argument == "FILE" { path } else { argument }).collect()
}

#[rstest]
#[case("bash", "complete -F _marketplace__sso")]
#[case("zsh", "#compdef marketplace-sso")]
#[case("fish", "complete -c marketplace-sso")]
fn completions_know_every_command(#[case] shell: &str, #[case] text: &str) {
    let result = run(&["completions", shell]);
    assert_eq!((result.status, result.errors.as_str()), (0, ""), "{result:?}");
    for text in [text, "healthcheck", "revoke", "cookie-file"] {
        assert!(result.output.contains(text), "{text}: {}", result.output);
    }
}

#[test]
fn each_command_has_a_manual_page() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().join("man1");
    assert_eq!(run(&["man", dir.to_str().unwrap()]).status, 0);
    for (page, text) in [
        ("marketplace-sso.1", "Signs logged"),
        ("marketplace-sso-check.1", "Fail if there is a warning"),
        ("marketplace-sso-token-create.1", "scope"),
    ] {
        let written = std::fs::read_to_string(dir.join(page)).unwrap();
        assert!(written.contains(".TH") && written.contains(text), "{page}: {written}");
    }
    let nowhere = run(&["man", "/proc/nowhere"]);
    assert!(nowhere.status == 1 && nowhere.errors.contains("/proc/nowhere"), "{nowhere:?}");
}

#[test]
fn mint_and_inspect_print_json_for_programs() {
    let file = File::new(STANDARD);
    let config = file.text();
    let minted = run(&["mint", "--config", &config, "--email", "alice@example.com", "--format", "json"]);
    let minted: Value = serde_json::from_str(&minted.output).unwrap();
    let token = Token::in_url(minted["url"].as_str().unwrap(), SECRET);
    assert_eq!((&minted["jti"], &minted["subject"]), (&token.claims["jti"], &"alice@example.com".into()));

    let inspect = |config: &str| {
        let result = run(&["inspect", "--config", config, "--format", "json", &token.text]);
        (result.status, serde_json::from_str::<Value>(&result.output).unwrap())
    };
    let (status, accepted) = inspect(&config);
    assert_eq!(
        (status, &accepted["accepted"], &accepted["signature"]["valid"]),
        (0, &true.into(), &true.into())
    );
    assert_eq!(accepted["claims"]["sub"], "alice@example.com");
    assert!(
        accepted["meanings"]["ti.uem"].is_string() && accepted["rules"][0]["holds"] == true,
        "{accepted}"
    );

    let other = Settings::standard().set("pandium.shared_secret", SECRET.to_uppercase()).file();
    let (status, refused) = inspect(&other.text());
    assert_eq!(
        (status, &refused["accepted"], &refused["signature"]["valid"]),
        (1, &false.into(), &false.into())
    );
}

#[test]
fn the_playground_runs_with_unread_output() {
    let mut playground = Playground::start_unread();
    playground.interrupt();
}
