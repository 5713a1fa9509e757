//! Serving the API and the management listener: actix's workers, each connection watched and counted.
//!
//! `HttpServer` would do but for the watch: it takes connections as they come from the listener. So its few lines are
//! here, with [`TimeoutStream`] between the listener and HTTP.

use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use actix_http::body::BoxBody;
use actix_http::{HttpService, Protocol, Request, Response};
use actix_rt::net::{TcpStream, UnixStream};
use actix_server::{GracefulShutdownSignal, Server, ServerHandle};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory, map_config,
};
use actix_web::dev::AppConfig;
use actix_web::{App as WebApp, Error, rt, web};
use futures_util::FutureExt;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};

use super::listener::ApiListener;
use super::{DISCONNECT_TIMEOUT, acceptor};
use crate::api;
use crate::api::ApiState;
use crate::api::middleware;
use crate::api::middleware::connection::{ConnectionLimits, canonical};
use crate::api::middleware::parse_errors::Unread;
use crate::api::middleware::timeout_stream::TimeoutStream;
use crate::apidocs::{self, DocsState};
use crate::audit::AuditWriter;
use crate::audit::peer::Peer;
use crate::critical_tasks::CriticalTasks;
use crate::management::{self, ManagementState};
use crate::settings::Settings;

/// How many connections above `limits.connections` are accepted to be told that they are too many. Beyond these, a
/// connection waits in the system's queue.
const SURPLUS: usize = 256;

/// How much of an answer the system buffers for a client that takes nothing, in bytes (Linux doubles it for its own
/// bookkeeping). Left to itself it grows to 4 MiB a connection (`net.ipv4.tcp_wmem`).
const SEND_BUFFER: usize = 256 << 10;

/// What a listener is for.
#[derive(Clone)]
pub(super) enum Role {
    /// The methods and, unless it is turned off, their documentation.
    Api { docs: Option<web::Data<DocsState>> },
    /// Health, metrics and export.
    Management(web::Data<ManagementState>),
}

impl Role {
    /// Threads that answer on the management listener.
    pub(super) const MANAGEMENT_WORKERS: usize = 1;
    /// Connections of the management listener that are served at once.
    const MANAGEMENT_CONNECTIONS: usize = 64;
    /// What is under way there may be asked for again.
    const MANAGEMENT_SHUTDOWN_SECONDS: u64 = 1;

    /// What one of its workers is called when it ends.
    const fn worker(&self) -> &'static str {
        match self {
            Self::Api { .. } => "a worker of the API",
            Self::Management(_) => "the worker of the management listener",
        }
    }

    /// Its paths, and what only they need.
    fn configure(&self, audit: &Rc<AuditWriter>, config: &mut web::ServiceConfig) {
        match self {
            Self::Api { docs } => {
                config.app_data(Rc::clone(audit));
                api::routes(config);
                if let Some(docs) = docs {
                    config.app_data(docs.clone());
                    apidocs::routes(config);
                }
            }
            Self::Management(state) => {
                config.app_data(state.clone());
                management::routes(config);
            }
        }
    }
}

/// What the service of each worker is made of.
#[derive(Clone)]
struct Parts {
    api: web::Data<ApiState>,
    role: Role,
    limits: ConnectionLimits,
    stopping: GracefulShutdownSignal,
    essential: CriticalTasks,
}

/// Starts serving on this listener what it is for.
pub(super) fn serve(
    bound: ApiListener,
    role: Role,
    settings: &Settings,
    api: web::Data<ApiState>,
    essential: &CriticalTasks,
) -> io::Result<Server> {
    let limits = &settings.limits;
    let (workers, connections, shutdown) = match role {
        Role::Api { .. } => {
            (settings.server.workers, limits.connections, settings.server.shutdown_timeout.as_secs())
        }
        Role::Management(_) => {
            (Role::MANAGEMENT_WORKERS, Role::MANAGEMENT_CONNECTIONS, Role::MANAGEMENT_SHUTDOWN_SECONDS)
        }
    };
    let server = Server::build()
        .workers(workers)
        .max_concurrent_connections((connections + SURPLUS).div_ceil(workers))
        .shutdown_timeout(shutdown)
        .disable_signals();
    let parts = Parts {
        api,
        role,
        limits: ConnectionLimits {
            request: limits.request_timeout,
            write: limits.write_timeout,
            idle: limits.idle_timeout,
            most: connections,
            open: Arc::default(),
        },
        stopping: server.graceful_shutdown_signal(),
        essential: essential.clone(),
    };
    let server = match bound {
        ApiListener::Tcp(listener) => {
            // Connections have it of their listener.
            SockRef::from(&listener).set_send_buffer_size(SEND_BUFFER)?;
            server.listen("http", listener, move || served::<TcpStream>(&parts))?
        }
        ApiListener::Unix(listener, _) => {
            server.listen_uds("http", listener, move || served::<UnixStream>(&parts))?
        }
    };
    Ok(server.run())
}

/// Runs a server until it ends: an essential part, from the moment when its threads run.
pub(super) fn run(server: Server, name: &'static str, essential: CriticalTasks) -> ServerHandle {
    let handle = server.handle();
    rt::spawn(async move {
        let acceptor = acceptor::panicked();
        let mut server = pin!(AssertUnwindSafe(server).catch_unwind());
        // Actix starts its threads, and waits for each worker's service, before it gives way for the first time.
        let mut ended = tokio::select! {
            biased;
            ended = &mut server => Some(ended),
            () = std::future::ready(()) => None,
        };
        let _guard = essential.guard(name);
        if ended.is_none() {
            ended = tokio::select! {
                ended = &mut server => Some(ended),
                () = acceptor => None,
            };
        }
        essential.end(match &ended {
            Some(Ok(Ok(()))) => format!("{name} has ended"),
            Some(Ok(Err(error))) => format!("{name} has ended: {error}"),
            Some(Err(_)) => format!("{name} has panicked"),
            None => "a thread that accepts connections has panicked".to_owned(),
        });
        if ended.is_none() {
            // The workers go on, and finish what is in hand when they are told to stop.
            let _ = server.await;
        }
    });
    handle
}

/// A stream as it is accepted.
trait Accepted: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Who is at the other end, when that has an address.
    fn peer(&self) -> Option<SocketAddr>;
}

impl Accepted for TcpStream {
    fn peer(&self) -> Option<SocketAddr> {
        self.peer_addr().ok().map(canonical)
    }
}

impl Accepted for UnixStream {
    fn peer(&self) -> Option<SocketAddr> {
        None
    }
}

/// The service of one worker.
fn served<T: Accepted>(parts: &Parts) -> impl ServiceFactory<T, Config = (), InitError = ()> + use<T> {
    let Parts { api, role, limits, stopping, essential } = parts.clone();
    let guard = Rc::new(essential.guard(role.worker()));
    let audit = AuditWriter::new(Arc::clone(&api.audit));
    let app = || {
        let app = middleware::wrap(WebApp::new().app_data(api.clone()));
        let app = app.configure(|config| role.configure(&audit, config)).into_factory();
        map_config(app, |_| AppConfig::default()).map_err(|error: Error| error.error_response().into())
    };
    // actix-http would send `100 Continue` as soon as the head has been read, unless that is refused. So every answer to
    // such a request is given as a refusal, and the body asks for the rest when a handler wants it.
    let held_back = apply_fn_factory(app(), |request: Request, app| {
        let answer = app.call(request);
        async move {
            let answer: Response<BoxBody> = answer.await.map_or_else(|error| error, Response::from);
            Err::<Request, _>(answer)
        }
    });
    let service = HttpService::build()
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .keep_alive(limits.idle)
        .client_request_timeout(limits.request)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .on_connect_ext(|stream: &TimeoutStream<T>, extensions| {
            extensions.insert(Rc::clone(stream.connection()));
        })
        .expect(held_back)
        .finish(app());
    let limits = Rc::new(limits);
    let metrics = Arc::clone(&api.metrics);
    apply_fn_factory(service, move |stream: T, http| {
        // Lives as long as the worker.
        let _ = &guard;
        let peer = stream.peer();
        let watched = TimeoutStream::new(stream, Rc::clone(&limits));
        let (connection, metrics) = (Rc::clone(watched.connection()), Arc::clone(&metrics));
        let remote = Peer(peer.map(|address| address.ip()));
        let served = http.call((watched, Protocol::Http1, peer));
        async move {
            let ended = served.await;
            if let Some(reason) = Unread::of(&ended, &connection) {
                metrics.unread.count(reason, remote);
            } else if let Err(error) = &ended {
                log::debug!(remote:% = remote; "a connection ended: {error}");
            }
            ended
        }
    })
    .map_err(drop)
}
