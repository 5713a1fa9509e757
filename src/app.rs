//! The only place that wires the parts together, and that takes them apart again in the right order.
//!
//! [`App::build`] opens and binds everything or says what is wrong; [`App::run_until_stopped`] serves until it is told
//! to stop, finishes what is in hand and leaves the store closed. Nothing here decides anything about a request.

mod files;
mod inherited;
mod listener;
mod preflight;
mod reload;
mod serving;
mod supervisor;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App as WebApp, HttpServer, rt, web};
use arc_swap::ArcSwap;

use crate::auth::{self, Authenticator};
use crate::domain::clock::SharedClock;
use crate::http::audit::AuditLog;
use crate::http::boundary::boundary;
use crate::http::management::Lifecycle;
use crate::http::metrics::Metrics;
use crate::http::rate::RateLimit;
use crate::http::{self, Api};
use crate::settings::{
    AuditTarget, JwksSource, Server as ServerSettings, Settings, Store as StoreSettings, StoreKind, Token,
};
use crate::store::{self, Address, Database, Place, Store};

pub use inherited::Inherited;
pub use listener::Bound;
pub use preflight::{Preflight, preflight};
pub use reload::Reload;
pub use supervisor::Supervisor;

/// How long a connection may linger once it is being closed.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The key set cannot be used.
    #[error("token.jwks: {0}")]
    Keys(#[from] auth::StartError),
    /// The store cannot be opened; it carries its own exit code.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The connection string cannot be used.
    #[error("store.url: {0}")]
    Address(#[from] store::AddressError),
    /// The audit file cannot be opened.
    #[error("audit.file: {0} cannot be opened for appending: {1}")]
    Audit(std::path::PathBuf, io::Error),
    /// A socket that the service manager handed over cannot be used.
    #[error("the socket {name:?} that was handed over (LISTEN_FDS) {reason}")]
    Inherited {
        /// Its name, as in `FileDescriptorName=`.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An address cannot be listened on.
    #[error("{key}: cannot listen on {address}: {error}")]
    Listen {
        /// The configuration key.
        key: &'static str,
        /// The address as configured.
        address: String,
        /// What the system says.
        error: io::Error,
    },
}

impl StartError {
    /// The exit code of the process (INTERFACE: "Commands"): 1 failed, 2 configuration, 3 store damaged or not ours.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Keys(_) | Self::Address(_) | Self::Inherited { .. } => 2,
            Self::Store(error) => error.exit_code(),
            Self::Audit(..) | Self::Listen { .. } => 1,
        }
    }
}

/// A service that is bound to its addresses and ready to run.
pub struct App {
    settings: Settings,
    api: web::Data<Api>,
    listener: Bound,
    management: Option<TcpListener>,
    supervisor: Supervisor,
}

impl App {
    /// As [`App::build_on`], with sockets of its own and nobody who is told.
    ///
    /// # Errors
    /// As there.
    pub fn build(settings: Settings, clock: SharedClock) -> Result<Self, StartError> {
        Self::build_on(settings, clock, Inherited::default(), Supervisor::default())
    }

    /// Opens the audit log, loads the keys, opens the store, and binds both listeners unless they were handed over, in
    /// this order.
    ///
    /// # Errors
    /// The first part that cannot be had. Nothing is left running.
    pub fn build_on(
        settings: Settings,
        clock: SharedClock,
        inherited: Inherited,
        supervisor: Supervisor,
    ) -> Result<Self, StartError> {
        let audit = match &settings.audit_file {
            AuditTarget::Stdout => {
                AuditLog::to_stdout().map_err(|error| StartError::Audit("-".into(), error))?
            }
            AuditTarget::File(path) => {
                AuditLog::to_file(path).map_err(|error| StartError::Audit(path.clone(), error))?
            }
        };
        let authenticator = Authenticator::new(
            token_rules(&settings.token),
            key_source(&settings.token),
            Arc::clone(&clock),
        )?;
        let options = store::Options { clock: clock.limits(), ..store_options(&settings.store)? };
        let store = Store::open(&options)?;
        files::make_room(settings.limits.connections);
        // Bound last: nobody is kept waiting on an open port while the store is being checked.
        let (listener, management) = inherited.or_bind(&settings.server)?;
        let api = web::Data::new(Api {
            authenticator: Arc::new(authenticator),
            matrix: Arc::new(ArcSwap::from_pointee(settings.matrix.clone())),
            store: Arc::new(store),
            audit: Arc::new(audit),
            clock,
            lifecycle: Arc::new(Lifecycle::default()),
            metrics: Arc::new(Metrics::default()),
            rate: settings.limits.rate.map(|rate| RateLimit::new(rate.per_second, rate.burst)),
            body_timeout: settings.limits.request_timeout,
        });
        Ok(Self { settings, api, listener, management, supervisor })
    }

    /// Where the API listens, with the port that the system chose for port 0.
    pub fn address(&self) -> String {
        self.listener.to_string()
    }

    /// Where the management listener listens, when there is one.
    pub fn management_address(&self) -> Option<SocketAddr> {
        self.management.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// What reads matrix, keys and audit file anew.
    pub fn reload(&self) -> Reload {
        Reload::new(self.api.clone(), self.settings.access_file.clone())
    }

    /// Serves until `stop` is done (or a server ends by itself), then: readiness turns 503, requests in hand are
    /// finished within `server.shutdown_timeout_seconds`, and the store is closed with everything on disk.
    ///
    /// # Errors
    /// When the servers cannot be started.
    pub async fn run_until_stopped(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let api = self.api.clone();
        let status = format!("answers on {}", self.listener);
        let server = serving::serve(self.listener, &self.settings, self.api.clone())?;
        let handle = server.handle();
        let management = self.management.map(|listener| serve_management(listener, self.api)).transpose()?;
        let management_handle = management.as_ref().map(Server::handle);
        if let Some(management) = management {
            rt::spawn(management);
        }
        let running = rt::spawn(server);
        // The workers run by now, and the sockets take connections.
        self.supervisor.ready(&status);
        self.supervisor.watch(Arc::clone(&api.store), self.settings.store.deadline);
        rt::spawn(http::clock::watch(api.clone()));

        tokio::select! {
            () = stop => log::info!("stopping: finishing the requests in hand"),
            ended = running => log::error!("the server ended by itself: {ended:?}"),
        }
        self.supervisor.stopping();
        api.lifecycle.stop();
        handle.stop(true).await;
        if let Some(management) = management_handle {
            management.stop(true).await;
        }
        let store = Arc::clone(&api.store);
        match rt::task::spawn_blocking(move || store.close()).await {
            Ok(true) => log::info!("stopped"),
            Ok(false) => log::error!("stopped, although the store did not finish in time"),
            Err(error) => log::error!("stopped, although the store could not be closed: {error}"),
        }
        Ok(())
    }
}

fn serve_management(listener: TcpListener, api: web::Data<Api>) -> io::Result<Server> {
    let server = HttpServer::new(move || {
        WebApp::new().app_data(api.clone()).wrap(from_fn(boundary)).configure(http::management)
    });
    Ok(server.workers(1).disable_signals().shutdown_timeout(1).listen(listener)?.run())
}

/// Where the logins are kept, as `store` is told it.
///
/// # Errors
/// When the connection string cannot be used.
pub fn store_options(settings: &StoreSettings) -> Result<store::Options, StartError> {
    let place = match &settings.kind {
        StoreKind::Embedded { path } => Place::Directory(path.clone()),
        StoreKind::Postgres { url } => Place::Database(Box::new(Database {
            address: Address::parse(url.expose())?,
            create_schema: settings.create_schema,
            connections: settings.connections,
            prepared_statements: settings.prepared_statements,
        })),
    };
    Ok(store::Options::at(place, settings.deadline))
}

/// Where the keys come from, as `auth` is told it.
pub fn key_source(token: &Token) -> auth::Source {
    let remote = |address| {
        auth::Source::Remote(auth::Remote {
            address,
            ca_file: token.ca_file.clone(),
            refresh: token.jwks_refresh,
            max_stale: token.jwks_max_stale,
        })
    };
    match &token.jwks {
        JwksSource::File(path) => auth::Source::File(path.clone()),
        JwksSource::Https(address) => remote(Some(address.clone())),
        JwksSource::Discover => remote(None),
    }
}

/// What a token must meet, as `auth` is told it.
pub fn token_rules(token: &Token) -> auth::Rules {
    auth::Rules {
        issuer: token.issuer.clone(),
        audience: token.audience.clone(),
        algorithms: token.algorithms.iter().filter_map(|name| auth::Algorithm::parse(name)).collect(),
        leeway_seconds: i64::try_from(token.leeway.as_secs()).unwrap_or(0),
        claims: auth::ClaimNames {
            organisation_type: token.claims.organisation_type.clone(),
            organisation_code: token.claims.organisation_code.clone(),
            access: token.claims.access.clone(),
            scope: token.claims.scope.clone(),
            acting_cvr: token.claims.acting_cvr.clone(),
        },
        organisation_types: token.organisation_types.clone(),
    }
}
