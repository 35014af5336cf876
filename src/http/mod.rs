//! The only module below `server` that knows actix-web: routes, extractors,
//! handlers, and responses with their status, header fields and body.
//!
//! `middleware` runs around every handler; `routes` maps paths to handlers.

mod accept;
mod api_auth;
mod assets;
mod audit_api;
mod audit_query;
mod auth;
mod body;
mod context;
mod cors;
mod dashboard;
mod embed_page;
mod hand_off;
mod health;
mod limiting;
mod link_request;
mod links;
mod middleware;
mod mittwald;
mod openapi;
mod page_query;
mod previewers;
mod record;
mod redeem;
mod refusal_button;
mod refusal_response;
mod refused;
mod routes;
mod sender;
mod served;
mod span;
mod state;
mod target;
mod verify;

use std::net::SocketAddr;

use actix_web::{Scope, guard, web};

use crate::request::Peer;

pub use mittwald::Mittwald;
pub use record::record_unparsed;
pub use routes::{admin, public};
pub use span::{RootSpan, TARGET as SPAN_TARGET};
pub use state::{EntranceRuntime, InEffect, Served, Shared, Snapshot};

/// The kind of socket that a listener is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// TCP.
    Tcp,
    /// A Unix socket, whose file mode decides which processes may connect.
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
/// let shared = server::share(config).await?;
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
            // the request is handled with the snapshot with which it was matched
            context.req_data_mut().insert(snapshot);
        }
        is_ours
    });
    web::scope("").guard(is_ours).configure(|config| public(config, shared, SocketKind::Tcp))
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};

    use actix_web::dev::{Payload, Service, ServiceResponse};
    use actix_web::http::header;
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::{App, Error, FromRequest, HttpRequest, HttpResponse};
    use rstest::rstest;

    use super::context::Context;
    use super::middleware::middleware;
    use super::refused::RefusedRequest;
    use super::*;
    use crate::config::Config;

    /// A configuration in which every visible setting contains `name`.
    fn config(name: &str, environment: &str, entrances: &str) -> Config {
        let toml = format!(
            "environment = \"{environment}\"\n\
             [server]\npublic_url = \"https://app.example.com\"\n\
             [pandium]\naccount = \"{name}\"\nshared_secret = \"0123456789abcdef0123456789abcdef\"\n\
             [identity]\npreset = \"auth_request\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n\
             [embed]\nparents = [\"https://{name}.example\"]\nlogin_url = \"https://{name}.example/login\"\n\
             [branding]\nname = \"{name}\"\n{entrances}"
        );
        Config::from_toml(&toml).unwrap()
    }

    async fn old() -> web::Data<Shared> {
        let partners = "[entrances.partners]\npath = \"/partners\"\n[entrances.partners.identity]\n\
                        kind = \"proxy_headers\"\npreset = \"auth_request\"\ntrusted_proxies = [\"127.0.0.1/32\"]\n";
        crate::server::share(config("older-configuration", "sandbox", partners)).await.unwrap()
    }

    /// Replaces the configuration: the entrance `/partners` is removed, and all
    /// other settings differ.
    fn reload(shared: &Shared) {
        let mut config = config("newer-configuration", "production", "");
        let in_effect = shared.snapshot().in_effect.clone();
        let (hosts, public_url) = (config.server.hosts.clone(), config.server.public_url.clone());
        let (limits, pseudonym_keys, mittwald) = (config.limits, Vec::new(), None);
        let (entrances, pages) = config.take_served();
        shared.swap(Served {
            entrances,
            pages,
            hosts,
            public_url,
            limits,
            pseudonym_keys,
            mittwald,
            in_effect,
        });
    }

    /// A step of a request. Extracting it reloads the configuration, if the step is the one under
    /// test.
    struct Step<const NUMBER: usize>;

    /// The number of the [`Step`] that reloads, and the state that it reloads.
    struct ReloadAt(usize, web::Data<Shared>);

    impl<const NUMBER: usize> Step<NUMBER> {
        fn take(request: &HttpRequest) -> Self {
            let ReloadAt(number, shared) = request.app_data().unwrap();
            if *number == NUMBER {
                reload(shared);
            }
            Self
        }
    }

    impl<const NUMBER: usize> FromRequest for Step<NUMBER> {
        type Error = Error;
        type Future = Ready<Result<Self, Error>>;

        fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
            ready(Ok(Self::take(request)))
        }
    }

    /// [`routes::configured`] with a step before and after everything that it uses.
    async fn configured_in_steps(
        _: Step<1>,
        context: Context,
        _: Step<2>,
        payload: web::Payload,
        (_, request): (Step<3>, HttpRequest),
    ) -> Result<HttpResponse, RefusedRequest> {
        let response = routes::configured(context, request.clone(), payload).await;
        Step::<4>::take(&request);
        response
    }

    async fn text_of(response: ServiceResponse) -> String {
        let head = format!("{:?}", response.response().head());
        format!("{head} {}", String::from_utf8(read_body(response).await.to_vec()).unwrap())
    }

    /// Steps: before the middleware has taken the snapshot (0), before each
    /// extractor (1 to 3), and between the handler and the middleware's part of the
    /// response (4). A reload while keys are fetched is tested in `tests/it/reload.rs`.
    #[rstest]
    #[actix_web::test]
    async fn a_reload_between_two_steps_of_a_request_is_not_seen(#[values(0, 1, 2, 3, 4)] step: usize) {
        for (is_signed_in, expected) in [(true, 307), (false, 401)] {
            let shared = old().await;
            let resource = web::resource("/{path:.*}")
                .app_data(ReloadAt(step, shared.clone()))
                .to(configured_in_steps)
                .wrap(middleware(&shared, SocketKind::Tcp))
                .wrap_fn(move |request, service| {
                    if step == 0 {
                        Step::<0>::take(request.request());
                    }
                    service.call(request)
                });
            let app = init_service(App::new().service(resource)).await;
            let path = if step == 0 { "/pandium-sso" } else { "/partners" };
            let mut request = TestRequest::get().uri(path).peer_addr("127.0.0.1:1".parse().unwrap());
            request = request
                .insert_header((header::HOST, "app.example.com"))
                .insert_header((header::ACCEPT, "text/html"));
            if is_signed_in {
                request = request.insert_header(("x-auth-request-email", "alice@example.com"));
            }
            let response = call_service(&app, request.to_request()).await;
            assert_eq!(response.status(), expected);
            let text = text_of(response).await;
            let is_old = text.contains("older-configuration") && !text.contains("newer-configuration");
            let is_new = text.contains("newer-configuration") && !text.contains("older-configuration");
            assert_eq!((is_old, is_new), (step != 0, step == 0), "{text}");
            assert_eq!(text.contains("sandbox.pandium.com"), is_signed_in && step != 0, "{text}");
        }
    }

    #[actix_web::test]
    async fn a_reload_after_a_scope_has_matched_a_path_is_not_seen() {
        let shared = old().await;
        let reloaded = shared.clone();
        let scope = scope(&shared).wrap_fn(move |request, service| {
            reload(&reloaded);
            service.call(request)
        });
        let app = init_service(App::new().service(scope)).await;
        let request = TestRequest::get().uri("/partners").peer_addr("127.0.0.1:1".parse().unwrap());
        let request = request
            .insert_header((header::HOST, "app.example.com"))
            .insert_header(("x-auth-request-email", "alice@example.com"));
        let text = text_of(call_service(&app, request.to_request()).await).await;
        assert!(text.contains("307") && text.contains("older-configuration"), "{text}");
    }

    #[actix_web::test]
    async fn a_panic_or_a_foreign_error_becomes_a_500() {
        let shared = old().await;
        let resource = |path: &str| web::resource(path).wrap(middleware(&shared, SocketKind::Tcp));
        async fn panicking_handler() -> HttpResponse {
            panic!("a bug")
        }
        let panicking = resource("/panic").to(panicking_handler);
        let foreign = resource("/foreign")
            .to(|| async { Err::<HttpResponse, _>(actix_web::error::ErrorImATeapot("of another crate")) });
        let app = init_service(App::new().service(panicking).service(foreign)).await;
        for path in ["/panic", "/foreign"] {
            let request = TestRequest::get().uri(path).insert_header((header::HOST, "app.example.com"));
            let text = text_of(call_service(&app, request.to_request()).await).await;
            assert!(text.contains("500") && text.contains("\"reason\":\"internal\""), "{text}");
            assert!(text.contains("x-request-id") && text.contains("no-store"), "{text}");
        }
    }

    #[rstest]
    #[case("/livez", true)]
    #[case("/v1/audit", true)]
    #[case("/v1/openapi.json", true)]
    #[case("/embed.json", true)]
    #[case("/pandium-sso", true)]
    #[case("/partners/install/1", true)]
    #[case("/partners/other", false)]
    #[case("/liv%65z", false)]
    #[case("/v1/verify/partners", false)]
    #[case("/", false)]
    #[actix_web::test]
    async fn a_scope_leaves_other_paths_to_the_application(#[case] path: &str, #[case] is_served: bool) {
        let others = web::to(HttpResponse::ImATeapot);
        let app = init_service(App::new().service(scope(&old().await)).default_service(others)).await;
        let status = call_service(&app, TestRequest::get().uri(path).to_request()).await.status();
        assert_eq!(status != 418, is_served, "{status}");
    }
}
