//! A stand-in mStudio with a page, for `--as mittwald`: it installs, changes and removes instances
//! of the extension, opens it in a frame, and asks the service for access tokens.

mod backend;
mod routes;

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::web;
use anyhow::Context;

use self::backend::Backend;
pub use self::routes::routes;
use super::mstudio::Mstudio;
use super::pages::Pages;
use super::service_config::{PLAN_BY_DOMAIN, ServiceSettings, store_url};
use super::setup::{Setup, bind_service, free_address, origin, random_secret};
use crate::api_token::{ApiToken, ApiTokenName, Scope};
use crate::clock::Timestamp;
use crate::server::Server;
use crate::store::api_tokens::{AddApiToken, StoredApiToken};
use crate::store::{IfMissing, Store, StoreSettings, StoreUrl};

/// The value of `--as`.
pub const NAME: &str = "mittwald";

/// The text printed in the terminal after the start.
pub const GREETING: &str = "\
It simulates mStudio, where your extension is installed.
Install, change and remove instances: each button delivers a signed webhook.
Open the extension in the page, or ask for an access token as your other programs do.";

/// The state of the page.
pub struct MstudioApp {
    pages: Pages,
    backend: Backend,
    origin: String,
    service_origin: String,
    marketplace_origin: String,
    /// The service's configuration, with secrets redacted.
    config: String,
}

/// Starts mStudio, and the service as the backend of its extension.
pub async fn start(setup: &Setup, base: SocketAddr) -> anyhow::Result<(Server, web::Data<MstudioApp>)> {
    let mstudio = Mstudio::start().context("the stand-in mStudio cannot start")?;
    let encryption_key = random_secret();
    let api_token = add_api_token(setup).await.context("no API token can be created")?;
    // a webhook names the service's URL, so the port must be known before the service binds it
    let mut attempt = 1;
    let (service, listen) = loop {
        let listen = free_address(base).context("there is no port for the service")?;
        match bind_service(&config(setup, listen, &mstudio, (&setup.secret, &encryption_key))).await {
            Ok(service) => break (service, listen),
            Err(error) if attempt == MAX_ATTEMPTS => return Err(error),
            Err(_) => attempt += 1,
        }
    };
    let service_origin = origin(listen);
    let app = MstudioApp {
        pages: Pages::compile()?,
        config: config(setup, listen, &mstudio, (super::HIDDEN, super::HIDDEN)),
        backend: Backend::new(mstudio, &service_origin, api_token)?,
        origin: setup.app_origin.clone(),
        service_origin,
        marketplace_origin: setup.marketplace_origin.clone(),
    };
    Ok((service, web::Data::new(app)))
}

/// Creates the API token of the team's other programs.
async fn add_api_token(setup: &Setup) -> anyhow::Result<ApiToken> {
    let url = StoreUrl::parse(&store_url(setup.folder.path()))?;
    let settings = StoreSettings { url, timeout: STORE_TIMEOUT };
    let store = Store::open(&settings, IfMissing::Create).await?;
    let token = ApiToken::generate()?;
    let added = store.add_api_token(StoredApiToken {
        id: token.id(),
        name: ApiTokenName::parse("shop")?,
        hash: token.hash(),
        scopes: vec![Scope::MittwaldTokens],
        created_at_us: Timestamp::now().unix_microseconds(),
        expires_at_us: None,
        revoked_at_us: None,
        last_used_at_us: None,
    });
    let added = added.await?;
    store.close().await;
    anyhow::ensure!(added == AddApiToken::Added, "the new store has one already");
    Ok(token)
}

/// The configuration with its secrets: that of Pandium, and the key of the store.
fn config(setup: &Setup, listen: SocketAddr, mstudio: &Mstudio, (secret, key): (&str, &str)) -> String {
    let settings = ServiceSettings {
        listen: &listen.to_string(),
        public_url: &origin(listen),
        marketplace_origin: &setup.marketplace_origin,
        secret,
        folder: setup.folder.path(),
        encryption_key: Some(key),
    };
    settings.to_toml(format_args!(
        r#"[mittwald]
api_url = "{}"
extension_ids = ["{}"]

[identity]
kind = "mittwald"

[claims]
sub = "id"

[claims.ti]
uem = "email"
ufn = "name"
udn = "name"
aid = "attributes.context_id"

# the user has no plan, but the domains of companies are known
[claims.ti.xti]
{PLAN_BY_DOMAIN}
instance = "attributes.extension_instance_id"

[embed]
parents = ["{}"]
policy = "enforce"
login_url = "{}/"
"#,
        mstudio.origin(),
        mstudio.extension_id(),
        setup.app_origin,
        setup.app_origin
    ))
}

/// Another process may take a free port before the service binds it.
const MAX_ATTEMPTS: usize = 5;

const STORE_TIMEOUT: Duration = Duration::from_secs(10);
