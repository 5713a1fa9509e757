//! Serving the API and the management listener: actix's workers, with time limits and counts on each connection.
//!
//! As `HttpServer` does it, which has no place for [`TimeoutStream`] between the listener and HTTP.

use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::body::BoxBody;
use actix_http::{HttpService, KeepAlive, Protocol, Request, Response};
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
use super::process::ACCEPTOR_PANICKED;
use crate::api;
use crate::api::ApiState;
use crate::api::middleware;
use crate::api::middleware::connection::{ConnectionLimits, canonical};
use crate::api::middleware::parse_errors::Unread;
use crate::api::middleware::timeout_stream::TimeoutStream;
use crate::apidocs::{self, DocsState};
use crate::audit::AuditWriter;
use crate::audit::Peer;
use crate::critical_tasks::CriticalTasks;
use crate::management::{self, ManagementState};
use crate::settings::Settings;

/// How long a connection may linger while it is being closed.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections above `limits.connections` that are accepted and answered 503; more wait in the system's queue.
const SURPLUS: usize = 256;
/// Bytes of an answer that the system buffers for a client that does not read (Linux doubles it for its own bookkeeping).
/// By default it grows to 4 MiB a connection (`net.ipv4.tcp_wmem`).
const SEND_BUFFER: usize = 256 << 10;

pub(super) const MANAGEMENT_WORKERS: usize = 1;
const MANAGEMENT_CONNECTIONS: usize = 64;
/// Short: a request for health or metrics can be repeated.
const MANAGEMENT_SHUTDOWN: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) enum Role {
    /// The methods and, unless it is turned off, their documentation.
    Api { docs: Option<web::Data<DocsState>> },
    /// Health, metrics and export.
    Management(web::Data<ManagementState>),
}

impl Role {
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

/// The parts of each worker's service.
#[derive(Clone)]
struct Parts {
    api: web::Data<ApiState>,
    role: Role,
    limits: ConnectionLimits,
    stopping: GracefulShutdownSignal,
    tasks: CriticalTasks,
}

/// Serves on this listener as a critical task.
pub(super) fn start(
    listener: ApiListener,
    role: Role,
    settings: &Settings,
    state: web::Data<ManagementState>,
    tasks: &CriticalTasks,
) -> io::Result<ServerHandle> {
    let limits = &settings.limits;
    let (name, workers, connections, shutdown) = match role {
        Role::Api { .. } => (
            "the server of the API",
            settings.server.workers,
            limits.connections,
            settings.server.shutdown_timeout,
        ),
        Role::Management(_) => (
            "the server of the management listener",
            MANAGEMENT_WORKERS,
            MANAGEMENT_CONNECTIONS,
            MANAGEMENT_SHUTDOWN,
        ),
    };
    let server = Server::build()
        .workers(workers)
        .max_concurrent_connections((connections + SURPLUS).div_ceil(workers))
        .shutdown_timeout(shutdown.as_secs())
        .disable_signals();
    let parts = Parts {
        api: state.api.clone(),
        role,
        limits: ConnectionLimits {
            request: limits.request_timeout,
            write: limits.write_timeout,
            idle: limits.idle_timeout,
            most: connections,
            open: Arc::default(),
            stopping: Arc::clone(&state.stopping),
        },
        stopping: server.graceful_shutdown_signal(),
        tasks: tasks.clone(),
    };
    let server = match listener {
        ApiListener::Tcp(listener) => {
            // Connections inherit it.
            SockRef::from(&listener).set_send_buffer_size(SEND_BUFFER)?;
            let peer = |stream: &TcpStream| stream.peer_addr().ok().map(canonical);
            server.listen("http", listener, move || served(&parts, peer))?
        }
        ApiListener::Unix(listener) => {
            server.listen_uds("http", listener, move || served(&parts, |_: &UnixStream| None))?
        }
    };
    let (server, tasks) = (server.run(), tasks.clone());
    let handle = server.handle();
    rt::spawn(async move {
        let acceptor = ACCEPTOR_PANICKED.notified();
        let mut server = pin!(AssertUnwindSafe(server).catch_unwind());
        let reason = tokio::select! {
            biased;
            ended = &mut server => return tasks.end(match ended {
                Ok(Ok(())) => format!("{name} has ended"),
                Ok(Err(error)) => format!("{name} has ended: {error}"),
                Err(_) => format!("{name} has panicked"),
            }),
            () = acceptor => "a thread that accepts connections has panicked",
        };
        tasks.end(reason.to_owned());
        // The workers go on until they are stopped.
        let _ = server.await;
    });
    Ok(handle)
}

/// The service of one worker; `peer` is the address of a stream's other end.
fn served<T: AsyncRead + AsyncWrite + Unpin + 'static>(
    parts: &Parts,
    peer: fn(&T) -> Option<SocketAddr>,
) -> impl ServiceFactory<T, Config = (), InitError = ()> + use<T> {
    let Parts { api, role, limits, stopping, tasks } = parts.clone();
    let guard = Rc::new(tasks.guard(match role {
        Role::Api { .. } => "a worker of the API",
        Role::Management(_) => "the worker of the management listener",
    }));
    let audit = AuditWriter::new(Arc::clone(&api.audit));
    let app = || {
        let app = middleware::wrap(WebApp::new().app_data(api.clone()));
        let app = app.configure(|config| role.configure(&audit, config)).into_factory();
        map_config(app, |_| AppConfig::default()).map_err(|error: Error| error.error_response().into())
    };
    // actix-http sends `100 Continue` as soon as the head is read, unless the expectation fails. So every answer to such a
    // request is given as a failure, and the body asks for the rest when a handler reads it.
    let expect = apply_fn_factory(app(), |request: Request, app| {
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
        // The stream times idle connections; actix-http would set up a timer for each request.
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(limits.request)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .on_connect_ext(|stream: &TimeoutStream<T>, extensions| {
            extensions.insert(Rc::clone(stream.connection()));
        })
        .expect(expect)
        .finish(app());
    let limits = Rc::new(limits);
    let metrics = Arc::clone(&api.metrics);
    apply_fn_factory(service, move |stream: T, http| {
        // Lives as long as the worker.
        let _ = &guard;
        let peer = peer(&stream);
        let stream = TimeoutStream::new(stream, Rc::clone(&limits));
        let (connection, metrics) = (Rc::clone(stream.connection()), Arc::clone(&metrics));
        let served = http.call((stream, Protocol::Http1, peer));
        let remote = Peer(peer.map(|address| address.ip()));
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
