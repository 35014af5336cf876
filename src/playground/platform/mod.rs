//! A stand-in platform that authenticates its users: its page, signer and key
//! server, and the service with an entrance for it.

mod front_end;
mod gateway;
mod issuer;
mod keys;
mod kind;
pub mod kinds;
mod state;

use std::net::SocketAddr;

use actix_web::web;
use anyhow::Context;

pub use self::front_end::routes;
use self::issuer::Issuer;
pub use self::kind::Kind;
use self::kind::SectionValues;
pub use self::state::FrontEnd;
use super::pages::Pages;
use super::reverse_proxy;
use super::service_config::ServiceSettings;
use super::setup::{Setup, bind_service, free_address, origin, random_secret};
use crate::server::Server;
use crate::sign_on::Entrance;

/// Starts the service with an entrance for a platform, and returns the state of the
/// platform's front end.
pub async fn start(
    kind: &'static Kind,
    setup: &Setup,
    base: SocketAddr,
) -> anyhow::Result<(Server, web::Data<FrontEnd>)> {
    let client_secret = random_secret();
    let issuer = Issuer::start(kind, &client_secret)?;
    let config = |listen: SocketAddr, secret: &str, client_secret: &str| {
        let settings = ServiceSettings {
            listen: &listen.to_string(),
            public_url: &origin(listen),
            marketplace_origin: &setup.marketplace_origin,
            secret,
            folder: setup.folder.path(),
            encryption_key: None,
        };
        let keys_origin = issuer.origin();
        let values =
            SectionValues { page_origin: &setup.app_origin, keys_origin: &keys_origin, client_secret };
        settings.to_toml((kind.sections)(&values))
    };
    // commercetools signs for a URL, so the port must be known before the service binds it
    let mut attempt = 1;
    let (service, listen) = loop {
        let listen = free_address(base).context("there is no port for the service")?;
        match bind_service(&config(listen, &setup.secret, &client_secret)).await {
            Ok(service) => break (service, listen),
            Err(error) if attempt == MAX_ATTEMPTS => return Err(error),
            Err(_) => attempt += 1,
        }
    };
    let service_origin = origin(listen);
    let front_end = web::Data::new(FrontEnd {
        kind,
        pages: Pages::compile()?,
        client: reverse_proxy::client()?,
        origin: setup.app_origin.clone(),
        entrance: format!("{service_origin}{}", Entrance::MAIN_PATH),
        service_origin,
        marketplace_origin: setup.marketplace_origin.clone(),
        config: config(listen, HIDDEN, HIDDEN),
        issuer,
    });
    Ok((service, front_end))
}

/// Replaces secrets in the configuration that the page shows, as in `check`.
const HIDDEN: &str = "[hidden]";

/// Another process may take a free port before the service binds it.
const MAX_ATTEMPTS: usize = 5;
