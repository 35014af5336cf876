//! The only module below `server` that knows actix-web: routes, extractors,
//! handlers, and responses with their status, header fields and body.
//!
//! `middleware` surrounds every handler; `routes` says which handler a path has.

mod accept;
mod assets;
mod context;
mod cors;
mod embed_page;
mod hand_off;
mod health;
mod middleware;
mod record;
mod refused;
mod routes;
mod span;
mod state;
mod verify;

use std::net::SocketAddr;

use actix_web::{Scope, guard, web};

use crate::request::Peer;

pub use record::record_unparsed;
pub use routes::{admin, public};
pub use span::{RootSpan, TARGET as SPAN_TARGET};
pub use state::{EntranceRuntime, Served, Shared, Snapshot};

/// The kind of socket that a listener is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// TCP.
    Tcp,
    /// A Unix socket, whose file mode says who may connect.
    Unix,
}

impl SocketKind {
    /// The peer of a connection.
    pub fn peer(self, address: Option<SocketAddr>) -> Peer {
        match (address, self) {
            (Some(address), _) => Peer::from_ip(address.ip()),
            (None, Self::Unix) => Peer::UnixSocket,
            (None, Self::Tcp) => Peer::Unknown,
        }
    }
}

/// The service's routes as a part of another actix application. Requests to
/// other paths are left to that application.
///
/// ```no_run
/// use actix_web::{App, HttpServer};
/// use marketplace_sso::{config::Config, http, server};
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::from_toml(&std::fs::read_to_string("marketplace-sso.toml")?)?;
/// let shared = server::share(config)?;
/// HttpServer::new(move || App::new().service(http::scope(&shared))).bind("127.0.0.1:8080")?.run().await?;
/// # Ok(())
/// # }
/// ```
pub fn scope(shared: &web::Data<Shared>) -> Scope {
    let guard_shared = shared.clone();
    let is_ours = guard::fn_guard(move |context| {
        let snapshot = guard_shared.snapshot();
        let is_ours = routes::is_served(&snapshot, context.head().uri.path());
        if is_ours {
            // the request is handled with the snapshot that it was matched with
            context.req_data_mut().insert(snapshot);
        }
        is_ours
    });
    web::scope("").guard(is_ours).configure(|config| public(config, shared, SocketKind::Tcp))
}
