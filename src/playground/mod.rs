//! The playground: a front end, this service, and a stand-in marketplace, all on
//! this machine. The front end is a sample app behind a login proxy, the page of a
//! stand-in platform that authenticates its users, a sample app whose users the
//! service signs in at a stand-in OpenID provider, or a stand-in mStudio. For
//! demonstration, not for production.

mod experiments;
mod integrations;
mod load;
mod log_tee;
mod marketplace;
pub mod mstudio;
mod mstudio_app;
mod openid_app;
mod origin_guard;
mod other_site;
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
mod trace;
mod views;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use actix_web::dev::Server as ActixServer;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context, anyhow};
use tempfile::TempDir;

use self::log_tee::LogTee;
use self::marketplace::Marketplace;
use self::origin_guard::{OwnOrigin, require_own_host};
use self::other_site::OtherSite;
use self::pages::Pages;
use self::people::{PASSWORD, PEOPLE, Person};
use self::platform::{Kind, kinds};
use self::reverse_proxy::ReverseProxy;
use self::sample_app::SampleApp;
use self::service_config::{ACCOUNT, ServiceFile};
use self::sessions::Sessions;
use self::setup::{Setup, bind_default_port, bind_next_port, origin, random_secret};
use self::tenants::Tenants;
use self::trace::Trace;
use crate::log_writer::LogWriter;
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
    /// The OpenID provider, or the site that may not embed the marketplace.
    other_server: Option<ActixServer>,
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
    /// mittwald's mStudio, in which the extension is installed.
    Mstudio,
}

impl Simulated {
    /// The values of `--as`.
    pub fn names() -> impl Iterator<Item = &'static str> {
        kinds::ALL.into_iter().map(|kind| kind.name).chain([openid_app::NAME, mstudio_app::NAME])
    }

    /// Finds the simulation that a value of `--as` names.
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
        let mut other_server = None;
        let (service, app_server, marketplace_state) = match simulated {
            Simulated::LoginProxy => {
                let servers = login_proxy(&setup, marketplace).await?;
                other_server = Some(servers.other_site);
                let marketplace_state = servers.app.marketplace.clone();
                let routes = |app: &mut web::ServiceConfig| {
                    sample_app::routes(app);
                    experiments::routes(app);
                };
                let app = serve(app_listener, &setup.app_origin, servers.app, routes)?;
                (servers.service, app, marketplace_state)
            }
            Simulated::Platform(kind) => {
                let (service, state) = platform::start(kind, &setup, marketplace).await?;
                let app = serve(app_listener, &setup.app_origin, state, platform::routes)?;
                (service, app, marketplace_for(&setup, None)?)
            }
            Simulated::OpenIdProvider => {
                let servers = openid_app::start(&setup, marketplace).await?;
                other_server = Some(servers.provider);
                let app = serve(app_listener, &setup.app_origin, servers.app, openid_app::routes)?;
                (servers.service, app, marketplace_for(&setup, None)?)
            }
            Simulated::Mstudio => {
                let (service, state) = mstudio_app::start(&setup, marketplace).await?;
                let app = serve(app_listener, &setup.app_origin, state, mstudio_app::routes)?;
                (service, app, marketplace_for(&setup, None)?)
            }
        };
        let marketplace_server =
            serve(marketplace_listener, &setup.marketplace_origin, marketplace_state, marketplace::routes)?;
        let _folder = setup.folder;
        Ok(Self {
            app,
            marketplace,
            simulated,
            service,
            app_server,
            marketplace_server,
            other_server,
            _folder,
        })
    }

    /// Runs until Ctrl-C, or until one of the servers ends.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut handles = vec![self.app_server.handle(), self.marketplace_server.handle()];
        handles.extend(self.other_server.as_ref().map(ActixServer::handle));
        let other_server = async {
            match self.other_server {
                Some(server) => server.await,
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            ended = self.service.run() => ended.context("the service ended"),
            ended = self.app_server => ended.context("the front end ended"),
            ended = self.marketplace_server => ended.context("the marketplace ended"),
            ended = other_server => ended.context("the provider or the other site ended"),
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
                "the playground listens at {}, which other machines can reach: anyone who can connect can sign in as its users \
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

/// The servers of the sample app, without the app itself.
struct LoginProxyServers {
    service: Server,
    app: web::Data<SampleApp>,
    other_site: ActixServer,
}

/// Starts the service for the sample app, which is its login proxy, and the other site.
async fn login_proxy(setup: &Setup, base: SocketAddr) -> anyhow::Result<LoginProxyServers> {
    let other_listener = bind_next_port(base).context("there is no port for the other site")?;
    let other_origin = origin(other_listener.local_addr()?);
    let service_file = ServiceFile::new(&setup.app_origin, &setup.marketplace_origin, setup.folder.path());
    service_file.write(&setup.secret)?;
    let settings = trace::Settings::new(
        service_file.to_toml(HIDDEN),
        setup.app_origin.clone(),
        setup.marketplace_origin.clone(),
    )?;
    let trace = Arc::new(Trace::new(settings));
    let log_writer = LogWriter::to(LogTee(Arc::clone(&trace)))?;
    let service = Server::bind_with_log_writer(service_file.load()?, log_writer)
        .await
        .map_err(|error| anyhow!("the service cannot start: {error}"))?;
    let upstream = service.addr().ip().context("the service does not listen on a port")?;
    let other_site = web::Data::new(OtherSite {
        pages: Pages::compile()?,
        app_origin: setup.app_origin.clone(),
        origin: other_origin.clone(),
    });
    let app = web::Data::new(SampleApp {
        pages: Pages::compile()?,
        sessions: Sessions::default(),
        proxy: ReverseProxy::new(format!("http://{upstream}"))?,
        origin: setup.app_origin.clone(),
        marketplace_origin: setup.marketplace_origin.clone(),
        other_origin: other_origin.clone(),
        marketplace: marketplace_for(setup, Some(Arc::clone(&trace)))?,
        trace,
        service_file,
        rotation: tokio::sync::Mutex::new(()),
    });
    let other_site = serve(other_listener, &other_origin, other_site, other_site::routes)?;
    Ok(LoginProxyServers { service, app, other_site })
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
    let pages = web::Data::new(Pages::compile()?);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(own.clone())
            .app_data(state.clone())
            .app_data(pages.clone())
            .wrap(from_fn(require_own_host))
            .default_service(web::route().to(not_found))
            .configure(routes)
    });
    Ok(server.workers(1).disable_signals().listen(listener)?.run())
}

async fn not_found(pages: web::Data<Pages>) -> HttpResponse {
    pages.not_found()
}

fn marketplace_for(setup: &Setup, trace: Option<Arc<Trace>>) -> anyhow::Result<web::Data<Marketplace>> {
    let secret = SharedSecret::parse(&setup.secret).context("the generated secret is invalid")?;
    Ok(web::Data::new(Marketplace {
        pages: Pages::compile()?,
        account: ACCOUNT,
        secrets: Mutex::new(vec![secret]),
        expired: Mutex::default(),
        app_origin: setup.app_origin.clone(),
        origin: setup.marketplace_origin.clone(),
        tenants: Tenants::default(),
        trace,
    }))
}

/// Replaces secrets in a configuration that a page shows, as `check` does.
const HIDDEN: &str = "[hidden]";
