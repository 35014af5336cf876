//! One listener's server: actix-server accepts, actix-http reads and writes
//! over [`LimitedStream`], and the application handles requests.
//!
//! It assembles the same parts as `actix_web::HttpServer`, in which the stream cannot be replaced.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_server::{GracefulShutdownSignal, Server, ServerBuilder};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt, apply_fn_factory, fn_service, map_config,
};
use actix_web::dev::{AppConfig, Service};
use actix_web::middleware::Condition;
use actix_web::rt::net::{ActixStream, TcpStream, UnixStream};
use actix_web::{App, web};
use tracing::Level;
use tracing_actix_web::TracingLogger;

use super::connections::{Connection, LimitedStream, OpenConnections};
use super::listen::{BoundAddr, BoundListener, Socket};
use crate::config::ServerSettings;
use crate::http::{self, RootSpan, SPAN_TARGET, Shared, SocketKind};

/// The number of worker threads and the maximum of open connections of a listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    pub workers: usize,
    pub connections: usize,
}

/// Connections beyond the limit that actix accepts, so that a new connection
/// can replace an idle one.
pub(super) const SPARE_CONNECTIONS: usize = 32;

/// How long to wait for the peer to close the connection after the last response.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts serving requests to one listener.
pub(super) fn serve(
    bound: BoundListener,
    capacity: Capacity,
    settings: &ServerSettings,
    shared: &web::Data<Shared>,
    is_admin: bool,
) -> io::Result<Server> {
    let server = Server::build()
        .workers(capacity.workers)
        .max_concurrent_connections(capacity.connections_per_worker())
        .shutdown_timeout(settings.shutdown_timeout.as_secs())
        .disable_signals();
    let http = HttpSettings {
        connections: Arc::new(OpenConnections::new(capacity.connections)),
        keep_alive: settings.keep_alive,
        request_timeout: settings.request_timeout,
        shared: shared.clone(),
        socket: match bound.addr {
            BoundAddr::Ip(_) => SocketKind::Tcp,
            BoundAddr::Unix(_) => SocketKind::Unix,
        },
        is_admin,
    };
    let server = match bound.socket {
        Socket::Tcp(socket) => listen_tcp(server, socket, http)?,
        Socket::Unix(socket) => listen_unix(server, socket, http)?,
    };
    Ok(server.run())
}

impl Capacity {
    /// actix limits each worker separately and spreads connections evenly.
    const fn connections_per_worker(self) -> usize {
        (self.connections + SPARE_CONNECTIONS).div_ceil(self.workers)
    }
}

/// The settings with which each worker builds its HTTP service.
#[derive(Clone)]
struct HttpSettings {
    connections: Arc<OpenConnections>,
    keep_alive: Duration,
    request_timeout: Duration,
    shared: web::Data<Shared>,
    socket: SocketKind,
    is_admin: bool,
}

fn listen_tcp(server: ServerBuilder, socket: TcpListener, http: HttpSettings) -> io::Result<ServerBuilder> {
    let stopping = server.graceful_shutdown_signal();
    server.listen("tcp", socket, move || {
        let connections = Arc::clone(&http.connections);
        fn_service(move |io: TcpStream| {
            let connections = Arc::clone(&connections);
            async move {
                // each response is written with one call, so Nagle's algorithm would only delay it
                io.set_nodelay(true).map_err(DispatchError::Io)?;
                let peer = io.peer_addr().ok();
                Ok((LimitedStream::new(io, connections), peer))
            }
        })
        .and_then(http1(http.clone(), stopping.clone()))
    })
}

fn listen_unix(server: ServerBuilder, socket: UnixListener, http: HttpSettings) -> io::Result<ServerBuilder> {
    let stopping = server.graceful_shutdown_signal();
    server.listen_uds("unix", socket, move || {
        let connections = Arc::clone(&http.connections);
        fn_service(move |io: UnixStream| {
            let connections = Arc::clone(&connections);
            async move { Ok((LimitedStream::new(io, connections), None)) }
        })
        .and_then(http1(http.clone(), stopping.clone()))
    })
}

/// The application, served by HTTP/1.1 over a stream.
fn http1<Io: ActixStream + 'static>(
    http: HttpSettings,
    stopping: GracefulShutdownSignal,
) -> impl ServiceFactory<
    (LimitedStream<Io>, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> {
    // constant while the process runs, like the log level
    let has_spans = tracing::span_enabled!(target: SPAN_TARGET, Level::INFO);
    let application = App::new()
        .wrap_fn(|request, service| {
            let in_progress = request.request().conn_data::<Arc<Connection>>().map(Connection::begin_request);
            let response = service.call(request);
            async move {
                let response = response.await;
                drop(in_progress);
                response
            }
        })
        .wrap(Condition::new(has_spans, TracingLogger::<RootSpan>::new()))
        .configure(|config| match http.is_admin {
            true => http::admin(config, &http.shared, http.socket),
            false => http::public(config, &http.shared, http.socket),
        })
        .into_factory()
        .map_err(|error| error.error_response());
    let service = HttpService::build()
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .keep_alive(http.keep_alive)
        .client_request_timeout(http.request_timeout)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .on_connect_ext(|stream: &LimitedStream<Io>, data| {
            data.insert(Arc::clone(stream.connection()));
        })
        .h1(map_config(application, |()| AppConfig::default()));
    // requests that actix-http itself refuses are visible only as the error with which the
    // connection ends
    apply_fn_factory(service, move |connection: (LimitedStream<Io>, Option<SocketAddr>), service| {
        let (shared, peer) = (http.shared.clone(), http.socket.peer(connection.1));
        let served = service.call(connection);
        async move {
            let served = served.await;
            if let Err(DispatchError::Parse(error)) = &served {
                http::record_unparsed(&shared, peer, error);
            }
            served
        }
    })
}
