//! `docs/migrating.md`: its configuration yields the claims that it shows.

use serde_json::Value;

use crate::harness::command::{File, run};
use crate::harness::tree::{read, root};
use crate::harness::{SECRET, Token};

#[test]
fn the_settings_give_the_claims_of_the_old_route() {
    let page = read(&root().join("docs/migrating.md"));
    let block = |language: &str, contained: &str| {
        let fence = format!("\n```{language}\n");
        let mut blocks = page.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next());
        let found = blocks.find(|text| text.contains(contained));
        found.unwrap_or_else(|| panic!("no {language} with {contained}")).to_owned()
    };
    let secret = File::new(SECRET);
    let config = File::new(&block("toml", "[pandium]").replace("/run/secrets/pandium", &secret.text()));
    let command = block("sh", "mint").lines().next().unwrap().replace("sso.toml", &config.text());
    let arguments: Vec<&str> = command.split(" > ").next().unwrap().split_whitespace().skip(1).collect();
    let minted = run(&arguments);
    assert_eq!(minted.status, 0, "{minted:?}");
    let mut claims = Token::in_url(minted.output.trim(), SECRET).claims;
    for each_time_new in ["iat", "jti"] {
        assert!(claims.remove(each_time_new).is_some());
    }
    assert_eq!(Value::Object(claims), block("json", "sub").parse::<Value>().unwrap());
}
