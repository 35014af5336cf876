//! A platform that vouches for its users, with a sample front end: its page, its
//! signer, its key server, and the service with an entrance for it.

mod entrance;
mod gateway;
mod issuer;
mod issuer_preset;
mod keys;
mod kind;
mod tokens;
mod view;

use std::net::SocketAddr;

use actix_web::web;
use anyhow::Context;

use self::entrance::{Platform, sections};
use self::issuer::Issuer;
pub use self::issuer_preset::{IssuerPreset, routes};
pub use self::kind::Kind;
use super::pages::Pages;
use super::service_config::Service;
use super::{Ground, bind_service, free_address, made_up_secret, origin, reverse_proxy};
use crate::server::Server;
use crate::sign_on::Entrance;

/// Starts the service with an entrance for that platform, and gives what the
/// platform's front end needs.
pub async fn start(
    kind: Kind,
    ground: &Ground,
    beside: SocketAddr,
) -> anyhow::Result<(Server, web::Data<IssuerPreset>)> {
    let client_secret = made_up_secret();
    let issuer = Issuer::start(kind, &client_secret)?;
    let config = |listen: SocketAddr, secret: &str, client_secret: &str| {
        let service = Service {
            listen: &listen.to_string(),
            public_url: &origin(listen),
            marketplace_origin: &ground.marketplace_origin,
            secret,
        };
        let keys_origin = issuer.origin();
        let platform = Platform { page_origin: &ground.app_origin, keys_origin: &keys_origin, client_secret };
        service.with(sections(kind, &platform))
    };
    // commercetools signs for an address, so the port has to be known before the service has it
    let mut tried = 1;
    let (service, listen) = loop {
        let listen = free_address(beside).context("there is no port for the service")?;
        match bind_service(&config(listen, &ground.secret, &client_secret)).await {
            Ok(service) => break (service, listen),
            Err(error) if tried == MOST_TRIES => return Err(error),
            Err(_) => tried += 1,
        }
    };
    let service_origin = origin(listen);
    let front = web::Data::new(IssuerPreset {
        kind,
        pages: Pages::compile()?,
        client: reverse_proxy::client()?,
        origin: ground.app_origin.clone(),
        entrance: format!("{service_origin}{}", Entrance::MAIN_PATH),
        service_origin,
        marketplace_origin: ground.marketplace_origin.clone(),
        config: config(listen, HIDDEN, HIDDEN),
        issuer,
    });
    Ok((service, front))
}

/// What the page shows for a secret, as `check` does.
const HIDDEN: &str = "[hidden]";

/// Somebody else may take a port between finding it and listening there.
const MOST_TRIES: usize = 5;
