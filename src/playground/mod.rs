//! The playground: a sample app with a login, this service behind its login
//! proxy, and a stand-in marketplace, all on this machine. For trying things
//! out and for showing them; not a way to run the service.

mod integrations;
mod marketplace;
mod pages;
mod people;
mod reverse_proxy;
mod sample_app;
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
use self::pages::Pages;
use self::people::{PASSWORD, PEOPLE};
use self::reverse_proxy::ReverseProxy;
use self::sample_app::{SampleApp, one_name_only};
use self::sessions::Sessions;
use self::tenants::Tenants;
use crate::config::Config;
use crate::secret::SharedSecret;
use crate::server::Server;

/// The three, bound and ready to run.
pub struct Playground {
    /// Where the sample app listens.
    pub app: SocketAddr,
    /// Where the stand-in marketplace listens.
    pub marketplace: SocketAddr,
    service: Server,
    app_server: ActixServer,
    marketplace_server: ActixServer,
}

/// Starts everything, says where to look, and runs until Ctrl-C.
pub async fn run(listen: SocketAddr) -> anyhow::Result<()> {
    let playground = Playground::start(listen).await?;
    println!("{}", playground.greeting());
    playground.run().await
}

impl Playground {
    /// Binds everything: the app to `listen`, the marketplace to the port after
    /// it (or any), the service to any. Port 0 lets the system choose.
    pub async fn start(listen: SocketAddr) -> anyhow::Result<Self> {
        let app_listener = TcpListener::bind(listen).with_context(|| {
            format!("{listen} cannot be listened on; choose another address with --listen")
        })?;
        let marketplace_listener = listen_beside(listen).context("there is no port for the marketplace")?;
        let app = app_listener.local_addr()?;
        let marketplace = marketplace_listener.local_addr()?;
        let (app_origin, marketplace_origin) = (origin(app), origin(marketplace));

        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let config = Config::from_toml(&service_config(&app_origin, &marketplace_origin, &secret))
            .map_err(|problems| anyhow!("the playground's own configuration is wrong: {problems}"))?;
        let service =
            Server::bind(config).await.map_err(|error| anyhow!("the service cannot start: {error}"))?;
        let upstream = service.addr().ip().context("the service does not listen on a port")?;

        let sample_app = web::Data::new(SampleApp {
            pages: Pages::compile()?,
            sessions: Sessions::default(),
            proxy: ReverseProxy::new(format!("http://{upstream}"))?,
            origin: app_origin.clone(),
            marketplace_origin: marketplace_origin.clone(),
        });
        let stand_in = web::Data::new(Marketplace {
            pages: Pages::compile()?,
            account: ACCOUNT,
            secret: SharedSecret::parse(&secret).context("the secret that was made up is no secret")?,
            app_origin,
            origin: marketplace_origin,
            tenants: Tenants::default(),
        });
        let app_server = HttpServer::new(move || {
            App::new().app_data(sample_app.clone()).wrap(from_fn(one_name_only)).configure(sample_app::routes)
        });
        let marketplace_server =
            HttpServer::new(move || App::new().app_data(stand_in.clone()).configure(marketplace::routes));
        Ok(Self {
            app,
            marketplace,
            service,
            app_server: app_server.workers(1).disable_signals().listen(app_listener)?.run(),
            marketplace_server: marketplace_server
                .workers(1)
                .disable_signals()
                .listen(marketplace_listener)?
                .run(),
        })
    }

    /// Runs the three until Ctrl-C, or until one of them ends.
    pub async fn run(self) -> anyhow::Result<()> {
        let handles = [self.app_server.handle(), self.marketplace_server.handle()];
        let ended = tokio::select! {
            ended = self.service.run() => ended.context("the service ended"),
            ended = self.app_server => ended.context("the sample app ended"),
            ended = self.marketplace_server => ended.context("the marketplace ended"),
            ended = tokio::signal::ctrl_c() => ended.context("Ctrl-C cannot be waited for"),
        };
        for handle in handles {
            handle.stop(false).await;
        }
        ended
    }

    fn greeting(&self) -> String {
        let people: String = PEOPLE
            .iter()
            .map(|person| format!("  {:<14}{:<12}{}\n", person.name, person.plan.word(), person.email))
            .collect();
        format!(
            "The playground is ready. Open\n\n  {}\n\nand sign in as one of\n\n{people}\n\
             with the password {PASSWORD}. Ctrl-C stops it.",
            origin(self.app)
        )
    }
}

/// The port after the app's, so that both can be opened to a browser outside a
/// container; any port, where that one is taken.
fn listen_beside(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let next = match listen.port() {
        0 => 0,
        port => port.checked_add(1).unwrap_or(0),
    };
    TcpListener::bind((listen.ip(), next)).or_else(|_| TcpListener::bind((listen.ip(), 0)))
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

/// The service's configuration, as an operator would write it.
fn service_config(app_origin: &str, marketplace_origin: &str, secret: &str) -> String {
    format!(
        r#"
environment = "sandbox"

[server]
listen = "127.0.0.1:0"
admin_listen = ""
public_url = "{app_origin}"
workers = 1
drain_delay_s = 0
shutdown_timeout_s = 1

[pandium]
account = "{ACCOUNT}"
shared_secret = "{secret}"
base_url = "{marketplace_origin}"

[identity]
kind = "proxy_headers"
preset = "custom"
trusted_proxies = ["127.0.0.1/32"]

[identity.headers]
id = "X-Auth-Request-User"
email = "X-Auth-Request-Email"
name = "X-Auth-Request-Name"
username = "X-Auth-Request-Preferred-Username"
groups = "X-Auth-Request-Groups"
organization.id = "X-Auth-Request-Organization-Id"
organization.name = "X-Auth-Request-Organization-Name"
attributes.plan = "X-Auth-Request-Plan"
attributes.installed = "X-Auth-Request-Installed"
attributes.hidden = "X-Auth-Request-Hidden"

[claims]
sub = "email"
external_id = "id"

[claims.meta]
username = "username"
groups = "groups"

[claims.ti]
uem = "email"
ufn = "name"
udn = "name"
aid = "organization.id"
adn = "organization.name"
ili = "attributes.installed|split(',')|list if attributes.installed else []"

[claims.ti.xti]
user_tier = "attributes.plan"
hidden_integrations = "attributes.hidden|split(',')|list if attributes.hidden else []"
allowed_installs = "50 if attributes.plan == 'enterprise' else 5 if attributes.plan == 'pro' else 2"

[embed]
parents = ["{app_origin}"]
policy = "enforce"
login_url = "{app_origin}/login"

[log]
format = "text"
"#
    )
}

/// The account at the stand-in marketplace.
const ACCOUNT: &str = "playground";

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
