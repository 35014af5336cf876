//! A sample app without its own login, for `--as oidc`: the service signs its users in at a
//! stand-in OpenID provider, in a pop-up. The page embeds the component; its buttons make the
//! provider end sessions, fail and rotate its keys.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::Server as ActixServer;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::origin_guard::{cross_site_response, is_from_origin};
use super::pages::{ContentSecurityPolicy, Pages, nonce};
use super::people::provider_users;
use super::provider::{
    FixedResponse, Lies, Provider, RegisteredAuthentication, RegisteredClient, routes as provider_routes,
};
use super::serve;
use super::service_config::{ALLOWED_INSTALLS, ServiceSettings};
use super::setup::{Setup, bind_next_port, bind_service, free_address, origin, random_secret};
use crate::server::Server;
use crate::sign_on::Entrance;

/// The value of `--as`.
pub const NAME: &str = "oidc";

/// The text printed in the terminal after the start.
pub const GREETING: &str = "\
It simulates an app without its own login, and an OpenID provider.
Sign in: a pop-up leads to the provider, and the marketplace is shown in the page.
Dora Lindqvist may sign in, but has no access.
End the session at the provider, make the provider fail, or rotate its keys.";

/// The state of the app.
pub struct OpenIdApp {
    pages: Pages,
    provider: Arc<Provider>,
    origin: String,
    service_origin: String,
    marketplace_origin: String,
    /// The service's configuration, with secrets redacted.
    config: String,
}

/// The servers of the playground.
pub struct Servers {
    pub service: Server,
    pub provider: ActixServer,
    pub app: web::Data<OpenIdApp>,
}

/// Starts the provider, and the service with an entrance that signs users in there.
pub async fn start(setup: &Setup, base: SocketAddr) -> anyhow::Result<Servers> {
    let provider_listener = bind_next_port(base).context("there is no port for the provider")?;
    let provider_address = provider_listener.local_addr()?;
    let issuer = origin(provider_address);
    let (client_secret, session_key) = (random_secret(), random_secret());
    // the redirect URI has the service's port, so it must be known before the service binds it
    let mut attempt = 1;
    let next = if base.port() == 0 { base } else { provider_address };
    let (service, listen) = loop {
        let listen = free_address(next).context("there is no port for the service")?;
        let secrets = Secrets { signing: &setup.secret, client: &client_secret, session: &session_key };
        match bind_service(&config(setup, listen, &issuer, &secrets)).await {
            Ok(service) => break (service, listen),
            Err(error) if attempt == MAX_ATTEMPTS => return Err(error),
            Err(_) => attempt += 1,
        }
    };
    let service_origin = origin(listen);
    let provider = start_provider(provider_listener, &issuer, &service_origin, client_secret)?;
    let hidden = Secrets { signing: super::HIDDEN, client: super::HIDDEN, session: super::HIDDEN };
    let app = OpenIdApp {
        pages: Pages::compile()?,
        provider: Arc::clone(&provider.0),
        origin: setup.app_origin.clone(),
        service_origin,
        marketplace_origin: setup.marketplace_origin.clone(),
        config: config(setup, listen, &issuer, &hidden),
    };
    Ok(Servers { service, provider: provider.1, app: web::Data::new(app) })
}

/// Registers the routes; they need a `web::Data<OpenIdApp>`.
pub fn routes(app: &mut web::ServiceConfig) {
    app.app_data(web::JsonConfig::default().limit(MAX_BODY_BYTES))
        .route("/", web::get().to(page))
        .route("/provider", web::post().to(change));
}

/// The context of the template of the page.
#[derive(Serialize)]
struct OpenIdPage<'a> {
    nonce: &'a str,
    service_origin: &'a str,
    marketplace_origin: &'a str,
    issuer: &'a str,
    logout_url: String,
    config: &'a str,
}

/// A change of the provider's behaviour.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase", tag = "do")]
enum Change {
    /// Ends all sessions, and sends logout tokens to the service.
    End,
    /// Rotates its keys.
    Rotate,
    /// Fails to redeem codes.
    Down,
    /// Redeems them again.
    Up,
}

/// The secrets in the configuration.
struct Secrets<'a> {
    signing: &'a str,
    client: &'a str,
    session: &'a str,
}

fn start_provider(
    listener: TcpListener,
    issuer: &str,
    service_origin: &str,
    client_secret: String,
) -> anyhow::Result<(Arc<Provider>, ActixServer)> {
    let at = |action: &str| format!("{service_origin}/auth/{}/{action}", Entrance::MAIN_NAME);
    let client = RegisteredClient {
        client_id: CLIENT_ID.to_owned(),
        authentication: RegisteredAuthentication::SecretBasic(client_secret),
        redirect_uri: at("callback"),
        backchannel_logout_uri: Some(at("backchannel-logout")),
    };
    let provider = Arc::new(Provider::new(issuer.to_owned(), client)?);
    let server = serve(listener, issuer, web::Data::from(Arc::clone(&provider)), provider_routes)?;
    Ok((provider, server))
}

fn config(setup: &Setup, listen: SocketAddr, issuer: &str, secrets: &Secrets<'_>) -> String {
    let settings = ServiceSettings {
        listen: &listen.to_string(),
        public_url: &origin(listen),
        marketplace_origin: &setup.marketplace_origin,
        secret: secrets.signing,
        folder: setup.folder.path(),
        encryption_key: None,
    };
    let Secrets { client, session, .. } = secrets;
    settings.to_toml(format_args!(
        r#"[identity]
kind = "oidc"
issuer = "{issuer}"
client_id = "{CLIENT_ID}"
client_secret = "{client}"
# 30 unless set; short, so that there is something to see
jwks_min_refresh_interval_s = 1

[identity.user]
organization.id = "organization_id"
organization.name = "organization_name"
attributes.plan = "plan"

[access]
groups = ["staff"]

[session]
key = "{session}"

[claims]
sub = "email"
external_id = "id"

[claims.ti.xti]
{ALLOWED_INSTALLS}

[embed]
parents = ["{}"]
"#,
        setup.app_origin
    ))
}

async fn page(app: web::Data<OpenIdApp>) -> HttpResponse {
    let nonce = nonce();
    // a sign-out redirects from the service to the provider
    let requests = format!("{} {}", app.service_origin, app.provider.issuer());
    let frames = format!("{} {}", app.service_origin, app.marketplace_origin);
    let policy = ContentSecurityPolicy {
        connect_src: Some(&requests),
        frame_src: Some(&frames),
        ..ContentSecurityPolicy::alone(&nonce)
    };
    let page = OpenIdPage {
        nonce: &nonce,
        service_origin: &app.service_origin,
        marketplace_origin: &app.marketplace_origin,
        issuer: app.provider.issuer(),
        logout_url: format!("{}/auth/{}/logout", app.service_origin, Entrance::MAIN_NAME),
        config: &app.config,
    };
    app.pages.respond(StatusCode::OK, &policy, "openid_app.html", &page)
}

async fn change(app: web::Data<OpenIdApp>, request: HttpRequest, change: web::Json<Change>) -> HttpResponse {
    if !is_from_origin(&app.origin, request.headers()) {
        return cross_site_response();
    }
    match apply(&app.provider, change.into_inner()).await {
        Ok(sent) => HttpResponse::Ok().insert_header(NO_STORE).json(json!({"logout_tokens": sent})),
        Err(error) => {
            tracing::warn!(%error, "the stand-in provider failed");
            HttpResponse::InternalServerError().body(format!("The stand-in provider failed: {error}.\n"))
        }
    }
}

/// Applies a change, and returns the status of the response to each logout token.
async fn apply(provider: &Provider, change: Change) -> anyhow::Result<Vec<u16>> {
    let mut statuses = Vec::new();
    match change {
        Change::End => {
            for person in provider_users() {
                for sid in provider.end_sessions(person.id) {
                    let token = provider.logout_token(Some(person.id), Some(&sid))?;
                    statuses.push(provider.send_logout_token(&token).await?);
                }
            }
        }
        Change::Rotate => provider.rotate_keys()?,
        Change::Down => provider.lie(Lies { response: Some(unavailable()), ..Lies::default() }),
        Change::Up => provider.lie(Lies::default()),
    }
    Ok(statuses)
}

fn unavailable() -> FixedResponse {
    FixedResponse {
        path: "/token",
        status: 503,
        content_type: "text/plain",
        body: "down for maintenance".to_owned(),
    }
}

const CLIENT_ID: &str = "marketplace-sso";

/// Another process may take a free port before the service binds it.
const MAX_ATTEMPTS: usize = 5;

const NO_STORE: (&str, &str) = ("Cache-Control", "no-store");
const MAX_BODY_BYTES: usize = 4_096;
