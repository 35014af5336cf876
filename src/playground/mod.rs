//! The playground: a front end, this service, and a stand-in marketplace, all on
//! this machine. The front end is a sample app behind a login proxy, or that of
//! a stand-in platform which vouches for its users. For trying things out and
//! for showing them; not a way to run the service.

mod integrations;
mod marketplace;
mod origin_guard;
mod pages;
mod people;
mod platform;
mod reverse_proxy;
mod sample_app;
mod service_config;
mod sessions;
pub mod stand_ins;
mod tenants;
mod tier;
mod token_rules;
mod views;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use actix_web::dev::Server as ActixServer;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use anyhow::{Context, anyhow};
use uuid::Uuid;

use self::marketplace::Marketplace;
use self::origin_guard::{OwnOrigin, one_name_only};
use self::pages::Pages;
use self::people::{PASSWORD, PEOPLE};
pub use self::platform::Kind;
use self::reverse_proxy::ReverseProxy;
use self::sample_app::SampleApp;
use self::service_config::{ACCOUNT, Service, behind_login_proxy};
use self::sessions::Sessions;
use self::tenants::Tenants;
use crate::config::Config;
use crate::secret::SharedSecret;
use crate::server::Server;

/// The three, bound and ready to run.
pub struct Playground {
    /// Where the front end listens.
    pub app: SocketAddr,
    /// Where the stand-in marketplace listens.
    pub marketplace: SocketAddr,
    platform: Option<Kind>,
    service: Server,
    app_server: ActixServer,
    marketplace_server: ActixServer,
}

/// What every front end is built on.
struct Ground {
    app_origin: String,
    marketplace_origin: String,
    /// What the service signs with.
    secret: String,
}

/// Where the front end listens unless it is told otherwise: the first of these
/// ports that is free.
const USUAL_PORTS: std::ops::RangeInclusive<u16> = 8088..=8187;

impl Playground {
    /// Binds everything: the front end to `listen` or to a usual port that is
    /// free, the marketplace to the port after it (or any), the service to the
    /// one after that (or any). Port 0 lets the system choose. The front end is
    /// the platform's, or the sample app behind its login proxy.
    pub async fn start(listen: Option<SocketAddr>, platform: Option<Kind>) -> anyhow::Result<Self> {
        let app_listener = match listen {
            Some(listen) => TcpListener::bind(listen).with_context(|| {
                format!("{listen} cannot be listened on; choose another address with --listen")
            })?,
            None => listen_as_usual()
                .context("none of the usual ports can be listened on; choose an address with --listen")?,
        };
        let app = app_listener.local_addr()?;
        let beside =
            if listen.is_some_and(|listen| listen.port() == 0) { SocketAddr::new(app.ip(), 0) } else { app };
        let marketplace_listener = listen_beside(beside).context("there is no port for the marketplace")?;
        let marketplace = marketplace_listener.local_addr()?;
        let ground = Ground {
            app_origin: origin(app),
            marketplace_origin: origin(marketplace),
            secret: made_up_secret(),
        };
        let marketplace_server = marketplace_server(marketplace_listener, &ground)?;
        let (service, app_server) = match platform {
            None => {
                let (service, state) = login_proxy(&ground).await?;
                (service, serve(app_listener, &ground.app_origin, state, sample_app::routes)?)
            }
            Some(kind) => {
                let (service, state) = platform::start(kind, &ground, marketplace).await?;
                (service, serve(app_listener, &ground.app_origin, state, platform::routes)?)
            }
        };
        Ok(Self { app, marketplace, platform, service, app_server, marketplace_server })
    }

    /// Runs the three until Ctrl-C, or until one of them ends.
    pub async fn run(self) -> anyhow::Result<()> {
        let handles = [self.app_server.handle(), self.marketplace_server.handle()];
        let ended = tokio::select! {
            ended = self.service.run() => ended.context("the service ended"),
            ended = self.app_server => ended.context("the front end ended"),
            ended = self.marketplace_server => ended.context("the marketplace ended"),
            ended = tokio::signal::ctrl_c() => ended.context("Ctrl-C cannot be waited for"),
        };
        for handle in handles {
            handle.stop(false).await;
        }
        ended
    }

    /// What to say where others than the person at this machine can connect.
    pub fn warning(&self) -> Option<String> {
        (!self.app.ip().is_loopback()).then(|| {
            format!(
                "the playground listens at {}, beyond this machine: whoever can connect can sign in as its users \
                 and read its tokens; listen at 127.0.0.1 unless that is meant",
                self.app
            )
        })
    }

    /// Where to look, and what to do there.
    pub fn greeting(&self) -> String {
        let open = format!("The playground is ready. Open\n\n  {}\n\n", origin(self.app));
        let Some(kind) = self.platform else {
            let people: String = PEOPLE
                .iter()
                .map(|person| format!("  {:<14}{:<12}{}\n", person.name, person.plan.word(), person.email))
                .collect();
            return format!(
                "{open}and sign in as one of\n\n{people}\nwith the password {PASSWORD}. Ctrl-C stops it."
            );
        };
        format!("{open}{}\nCtrl-C stops it.", kind.greeting())
    }
}

/// The service behind a login proxy, and the sample app that is the proxy.
async fn login_proxy(ground: &Ground) -> anyhow::Result<(Server, web::Data<SampleApp>)> {
    let config = Service {
        listen: "127.0.0.1:0",
        public_url: &ground.app_origin,
        marketplace_origin: &ground.marketplace_origin,
        secret: &ground.secret,
    };
    let service = bind_service(&config.with(behind_login_proxy(&ground.app_origin))).await?;
    let upstream = service.addr().ip().context("the service does not listen on a port")?;
    let state = SampleApp {
        pages: Pages::compile()?,
        sessions: Sessions::default(),
        proxy: ReverseProxy::new(format!("http://{upstream}"))?,
        origin: ground.app_origin.clone(),
        marketplace_origin: ground.marketplace_origin.clone(),
    };
    Ok((service, web::Data::new(state)))
}

async fn bind_service(config: &str) -> anyhow::Result<Server> {
    let config = Config::from_toml(config)
        .map_err(|problems| anyhow!("the playground's own configuration is wrong: {problems}"))?;
    Server::bind(config).await.map_err(|error| anyhow!("the service cannot start: {error}"))
}

/// Serves at a listener under one name only: every server of the playground
/// that browsers open is made here.
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
            .wrap(from_fn(one_name_only))
            .configure(routes)
    });
    Ok(server.workers(1).disable_signals().listen(listener)?.run())
}

fn marketplace_server(listener: TcpListener, ground: &Ground) -> anyhow::Result<ActixServer> {
    let state = web::Data::new(Marketplace {
        pages: Pages::compile()?,
        account: ACCOUNT,
        secret: SharedSecret::parse(&ground.secret).context("the secret that was made up is no secret")?,
        app_origin: ground.app_origin.clone(),
        origin: ground.marketplace_origin.clone(),
        tenants: Tenants::default(),
    });
    serve(listener, &ground.marketplace_origin, state, marketplace::routes)
}

/// The first usual port of this machine that is free.
fn listen_as_usual() -> std::io::Result<TcpListener> {
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrInUse);
    for port in USUAL_PORTS {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn made_up_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// The port after another, so that all can be opened to a browser outside a
/// container; any port, where that one is taken.
fn listen_beside(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let next = match listen.port() {
        0 => 0,
        port => port.checked_add(1).unwrap_or(0),
    };
    TcpListener::bind((listen.ip(), next)).or_else(|_| TcpListener::bind((listen.ip(), 0)))
}

/// An address beside another at which nobody listens.
fn free_address(beside: SocketAddr) -> std::io::Result<SocketAddr> {
    listen_beside(beside)?.local_addr()
}

/// How a browser on this machine names that address.
fn origin(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_means_all_is_named_by_the_loopback() {
        let check = |listen: &str, expected: &str| assert_eq!(origin(listen.parse().unwrap()), expected);
        check("127.0.0.1:8088", "http://127.0.0.1:8088");
        check("0.0.0.0:8088", "http://127.0.0.1:8088");
        check("[::]:8088", "http://[::1]:8088");
    }
}
