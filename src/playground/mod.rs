//! The playground: a front end, this service, and a stand-in marketplace, all on
//! this machine. The front end is a sample app behind a login proxy, the page of a
//! stand-in platform that authenticates its users, a sample app whose users the
//! service signs in at a stand-in OpenID provider, or a stand-in mStudio. For
//! demonstration, not for production.

mod integrations;
mod marketplace;
pub mod mstudio;
mod mstudio_app;
mod openid_app;
mod origin_guard;
mod pages;
mod people;
mod platform;
pub mod provider;
mod reverse_proxy;
mod sample_app;
mod service_config;
mod sessions;
mod setup;
pub mod stand_ins;
mod tenants;
mod tier;
mod token_rules;
mod views;

use std::net::{SocketAddr, TcpListener};

use actix_web::dev::Server as ActixServer;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use anyhow::Context;
use tempfile::TempDir;

use self::marketplace::Marketplace;
use self::origin_guard::{OwnOrigin, require_own_host};
use self::pages::Pages;
use self::people::{PASSWORD, PEOPLE, Person};
use self::platform::{Kind, kinds};
use self::reverse_proxy::ReverseProxy;
use self::sample_app::SampleApp;
use self::service_config::{ACCOUNT, ServiceSettings, login_proxy_sections};
use self::sessions::Sessions;
use self::setup::{Setup, bind_default_port, bind_next_port, bind_service, origin, random_secret};
use self::tenants::Tenants;
use crate::secret::SharedSecret;
use crate::server::Server;

/// All servers, bound and ready to run.
pub struct Playground {
    /// Where the front end listens.
    pub app: SocketAddr,
    /// Where the stand-in marketplace listens.
    pub marketplace: SocketAddr,
    simulated: Simulated,
    service: Server,
    app_server: ActixServer,
    marketplace_server: ActixServer,
    provider_server: Option<ActixServer>,
    /// Deleted after the servers have ended.
    _folder: TempDir,
}

/// What authenticates the users.
#[derive(Clone, Copy, Debug)]
pub enum Simulated {
    /// A login proxy in front of the service.
    LoginProxy,
    /// A platform whose page sends a token.
    Platform(&'static Kind),
    /// The service, at an OpenID provider.
    OpenIdProvider,
    /// mittwald's mStudio, where the extension is installed.
    Mstudio,
}

impl Simulated {
    /// The values of `--as`.
    pub fn names() -> impl Iterator<Item = &'static str> {
        kinds::ALL.into_iter().map(|kind| kind.name).chain([openid_app::NAME, mstudio_app::NAME])
    }

    /// Finds what a value of `--as` names.
    pub fn find(name: &str) -> Option<Self> {
        match name {
            openid_app::NAME => Some(Self::OpenIdProvider),
            mstudio_app::NAME => Some(Self::Mstudio),
            _ => kinds::find(name).map(Self::Platform),
        }
    }
}

impl Playground {
    /// Binds the front end to `listen` or to a free default port, and the
    /// marketplace and the service to the ports after it, or to any free ones.
    /// Port 0 lets the system choose.
    pub async fn start(listen: Option<SocketAddr>, simulated: Simulated) -> anyhow::Result<Self> {
        let app_listener = match listen {
            Some(listen) => TcpListener::bind(listen).with_context(|| {
                format!("{listen} cannot be listened on; choose another address with --listen")
            })?,
            None => bind_default_port()
                .context("none of the default ports can be listened on; choose an address with --listen")?,
        };
        let app = app_listener.local_addr()?;
        let base =
            if listen.is_some_and(|listen| listen.port() == 0) { SocketAddr::new(app.ip(), 0) } else { app };
        let marketplace_listener = bind_next_port(base).context("there is no port for the marketplace")?;
        let marketplace = marketplace_listener.local_addr()?;
        let setup = Setup {
            app_origin: origin(app),
            marketplace_origin: origin(marketplace),
            secret: random_secret(),
            folder: TempDir::with_prefix("marketplace-sso-playground-")
                .context("there is no folder for the store")?,
        };
        let marketplace_server = marketplace_server(marketplace_listener, &setup)?;
        let mut provider_server = None;
        let (service, app_server) = match simulated {
            Simulated::LoginProxy => {
                let (service, state) = login_proxy(&setup).await?;
                (service, serve(app_listener, &setup.app_origin, state, sample_app::routes)?)
            }
            Simulated::Platform(kind) => {
                let (service, state) = platform::start(kind, &setup, marketplace).await?;
                (service, serve(app_listener, &setup.app_origin, state, platform::routes)?)
            }
            Simulated::OpenIdProvider => {
                let servers = openid_app::start(&setup, marketplace).await?;
                provider_server = Some(servers.provider);
                (servers.service, serve(app_listener, &setup.app_origin, servers.app, openid_app::routes)?)
            }
            Simulated::Mstudio => {
                let (service, state) = mstudio_app::start(&setup, marketplace).await?;
                (service, serve(app_listener, &setup.app_origin, state, mstudio_app::routes)?)
            }
        };
        let _folder = setup.folder;
        Ok(Self {
            app,
            marketplace,
            simulated,
            service,
            app_server,
            marketplace_server,
            provider_server,
            _folder,
        })
    }

    /// Runs until Ctrl-C, or until one of the servers ends.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut handles = vec![self.app_server.handle(), self.marketplace_server.handle()];
        handles.extend(self.provider_server.as_ref().map(ActixServer::handle));
        let provider_server = async {
            match self.provider_server {
                Some(server) => server.await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            ended = self.service.run() => ended.context("the service ended"),
            ended = self.app_server => ended.context("the front end ended"),
            ended = self.marketplace_server => ended.context("the marketplace ended"),
            ended = provider_server => ended.context("the provider ended"),
            ended = tokio::signal::ctrl_c() => ended.context("Ctrl-C cannot be waited for"),
        };
        for handle in handles {
            handle.stop(false).await;
        }
        ended
    }

    /// The warning to print if the front end is reachable from other machines.
    pub fn warning(&self) -> Option<String> {
        (!self.app.ip().is_loopback()).then(|| {
            format!(
                "the playground listens at {}, beyond this machine: whoever can connect can sign in as its users \
                 and read its tokens; listen at 127.0.0.1 unless that is meant",
                self.app
            )
        })
    }

    /// The text to print after the start.
    pub fn greeting(&self) -> String {
        let open = format!("The playground is ready. Open\n\n  {}\n\n", origin(self.app));
        match self.simulated {
            Simulated::LoginProxy => {
                let line = |person: &Person| {
                    format!("  {:<14}{:<12}{}\n", person.name, person.plan.as_str(), person.email)
                };
                let people: String = PEOPLE.iter().map(line).collect();
                format!(
                    "{open}and sign in as one of\n\n{people}\nwith the password {PASSWORD}. Ctrl-C stops it."
                )
            }
            Simulated::Platform(kind) => format!("{open}{}\nCtrl-C stops it.", kind.greeting()),
            Simulated::OpenIdProvider => format!("{open}{}\nCtrl-C stops it.", openid_app::GREETING),
            Simulated::Mstudio => format!("{open}{}\nCtrl-C stops it.", mstudio_app::GREETING),
        }
    }
}

/// Starts the service for the sample app, which is its login proxy.
async fn login_proxy(setup: &Setup) -> anyhow::Result<(Server, web::Data<SampleApp>)> {
    let settings = ServiceSettings {
        listen: "127.0.0.1:0",
        public_url: &setup.app_origin,
        marketplace_origin: &setup.marketplace_origin,
        secret: &setup.secret,
        folder: setup.folder.path(),
        encryption_key: None,
    };
    let service = bind_service(&settings.to_toml(login_proxy_sections(&setup.app_origin))).await?;
    let upstream = service.addr().ip().context("the service does not listen on a port")?;
    let state = SampleApp {
        pages: Pages::compile()?,
        sessions: Sessions::default(),
        proxy: ReverseProxy::new(format!("http://{upstream}"))?,
        origin: setup.app_origin.clone(),
        marketplace_origin: setup.marketplace_origin.clone(),
    };
    Ok((service, web::Data::new(state)))
}

/// Serves a listener to requests whose `Host` matches `origin`. Every server
/// that browsers reach is created here.
fn serve<S: Send + Sync + 'static>(
    listener: TcpListener,
    origin: &str,
    state: web::Data<S>,
    routes: fn(&mut web::ServiceConfig),
) -> anyhow::Result<ActixServer> {
    let own = web::Data::new(OwnOrigin(origin.to_owned()));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(own.clone())
            .app_data(state.clone())
            .wrap(from_fn(require_own_host))
            .configure(routes)
    });
    Ok(server.workers(1).disable_signals().listen(listener)?.run())
}

fn marketplace_server(listener: TcpListener, setup: &Setup) -> anyhow::Result<ActixServer> {
    let state = web::Data::new(Marketplace {
        pages: Pages::compile()?,
        account: ACCOUNT,
        secret: SharedSecret::parse(&setup.secret).context("the generated secret is invalid")?,
        app_origin: setup.app_origin.clone(),
        origin: setup.marketplace_origin.clone(),
        tenants: Tenants::default(),
    });
    serve(listener, &setup.marketplace_origin, state, marketplace::routes)
}
