//! Prints the session cookie of a user, for `benches/load/run`. The argument is the configuration of
//! a service whose users sign in.

use anyhow::Context;
use marketplace_sso::clock::Timestamp;
use marketplace_sso::config::{Config, Sources};
use marketplace_sso::session::{Session, SessionId};
use marketplace_sso::user::{Email, Identifier, User};

fn main() -> anyhow::Result<()> {
    let file = std::env::args().nth(1).context("the argument is a configuration")?;
    let config = Config::load(&Sources { files: vec![file.into()], ..Sources::default() })?;
    let entrance = config.entrances.first().context("there is no entrance")?;
    let sign_in = entrance.authenticator.sign_in().context("its users do not sign in")?;
    let now = Timestamp::now();
    let id = SessionId::random()?;
    let session = Session {
        id,
        sign_in: id,
        created: now,
        authenticated: None,
        used: now,
        refreshed: now,
        issuer: "https://id.example.com".to_owned(),
        subject: "user-4211".to_owned(),
        sid: Some("0b8a21f4-53d1-44c1-95a4-0c1f9f7f3c3e".to_owned()),
        nonce: String::new(),
        refresh_token: None,
        user: User {
            id: Some(Identifier::parse("user-4211")?),
            email: Some(Email::parse("alice@example.com")?),
            ..User::default()
        },
    };
    let set = sign_in.sessions.set(&session)?;
    println!("{}", set.split(';').next().unwrap_or_default());
    Ok(())
}
