//! The only place that wires the parts together, and that takes them apart again in the right order.
//!
//! [`App::build`] opens and binds everything or says what is wrong; [`App::run_until_stopped`] serves until it is told
//! to stop, finishes what is in hand and leaves the store closed. Nothing here decides anything about a request.

mod absent_store;
mod acceptor;
mod activated_sockets;
mod listener;
mod nofile_limit;
mod preflight;
mod reload;
mod service_manager;
mod serving;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{rt, web};
use arc_swap::ArcSwap;

use crate::api::ApiState;
use crate::api::denied_calls::{self, DeniedCalls};
use crate::api::metrics::Metrics;
use crate::api::rate_limit::RateLimit;
use crate::apidocs::DocsState;
use crate::audit::AuditLog;
use crate::auth;
use crate::auth::Authenticator;
use crate::critical_tasks::CriticalTasks;
use crate::domain::clock::SharedClock;
use crate::management::{self, ManagementState};
use crate::settings::{
    AuditTarget, JwksSource, Server as ServerSettings, Settings, Store as StoreSettings, StoreKind, Token,
};
use crate::store;
use crate::store::{Address, Backend, Database, Store};

pub(crate) use absent_store::warn as warn_of_absent_store;
pub(crate) use activated_sockets::ActivatedSockets;
pub(crate) use listener::ApiListener;
use listener::exposed;
use serving::Role;

pub(crate) use preflight::preflight;
pub use reload::Reload;
pub(crate) use service_manager::ServiceManager;

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
    ActivatedSockets {
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
    /// The exit code of the process (docs/INTERFACE.md, "Commands"): 1 failed, 2 configuration, 3 store damaged or not ours.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Keys(_) | Self::Address(_) | Self::ActivatedSockets { .. } => 2,
            Self::Store(error) => error.exit_code(),
            Self::Audit(..) | Self::Listen { .. } => 1,
        }
    }
}

/// Why the service stopped without a signal.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It never served.
    #[error(
        "not every worker serves: {0}; if threads or open files ran out, raise TasksMax= (ulimit -u) or LimitNOFILE= \
         (ulimit -n), or lower server.workers"
    )]
    NotStarted(String),
    /// It served, and cannot any more.
    #[error("the service cannot serve any more: {0}")]
    Ended(String),
}

/// A service that is bound to its addresses and ready to run.
pub struct App {
    settings: Settings,
    api: web::Data<ApiState>,
    listener: ApiListener,
    management: Option<ApiListener>,
    supervisor: ServiceManager,
    essential: CriticalTasks,
}

impl App {
    /// As [`App::build_on`], with sockets of its own and nobody who is told.
    ///
    /// # Errors
    /// As there.
    pub fn build(settings: Settings, clock: SharedClock) -> Result<Self, StartError> {
        Self::build_on(settings, clock, ActivatedSockets::default(), ServiceManager::default())
    }

    /// Looks for the store, opens the audit log, loads the keys, opens the store, and binds both listeners unless they were handed over, in
    /// this order.
    ///
    /// # Errors
    /// The first part that cannot be had. Nothing is left running.
    pub fn build_on(
        settings: Settings,
        clock: SharedClock,
        inherited: ActivatedSockets,
        supervisor: ServiceManager,
    ) -> Result<Self, StartError> {
        let options = store::Options { clock: clock.limits(), ..store_options(&settings.store)? };
        if let Some(words) = in_the_clear(&options.place) {
            log::warn!("{words}");
        }
        // Before anything is made: the audit file may be meant for the same absent volume.
        absent_store::warn(&settings.store, &settings.audit_file, &options)?;
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
        let essential = options.essential.clone();
        let store = Store::open(&options)?;
        nofile_limit::raise_nofile_limit(settings.server.workers, settings.limits.connections);
        // Bound last: nobody is kept waiting on an open port while the store is being checked.
        let (listener, management) = inherited.or_bind(&settings.server)?;
        if let Some(ApiListener::Tcp(listener)) = &management
            && let Some(warning) = listener.local_addr().ok().and_then(exposed)
        {
            log::warn!("{warning}");
        }
        let api = web::Data::new(ApiState {
            authenticator: Arc::new(authenticator),
            access_table: Arc::new(ArcSwap::from_pointee(settings.access_table.clone())),
            store: Arc::new(store),
            audit: Arc::new(audit),
            clock,
            metrics: Arc::new(Metrics::default()),
            rate: settings.limits.rate.map(|rate| RateLimit::new(rate.per_second, rate.burst)),
            denied_calls: DeniedCalls::new(settings.limits.refused_per_second),
            body_timeout: settings.limits.request_timeout,
        });
        Ok(Self { settings, api, listener, management, supervisor, essential })
    }

    /// Where the API listens, with the port that the system chose for port 0.
    pub fn address(&self) -> String {
        self.listener.to_string()
    }

    /// Where the management listener listens, when there is one.
    pub fn management_address(&self) -> Option<String> {
        self.management.as_ref().map(ToString::to_string)
    }

    /// What reads matrix, keys and audit file anew.
    pub fn reload(&self) -> Reload {
        Reload::new(self.api.clone(), self.settings.access_file.clone())
    }

    /// Serves until `stop` is done or a part that is needed ends by itself, then: readiness turns 503, requests in hand
    /// are finished within `server.shutdown_timeout_seconds`, and the store is closed with everything on disk.
    ///
    /// # Errors
    /// Whatever ended it but `stop`.
    pub async fn run_until_stopped(self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self { settings, api, listener, management, supervisor, essential } = self;
        let status = format!("answers on {listener}");
        let failed = |error: io::Error| RunError::NotStarted(error.to_string());
        let docs = settings
            .server
            .documentation
            .then(|| web::Data::new(DocsState::new(Arc::clone(&api.access_table))));
        let state = web::Data::new(ManagementState::new(api.clone()));
        let server = serving::serve(listener, Role::Api { docs }, &settings, api.clone(), &essential)
            .map_err(failed)?;
        let management = management.map(|listener| {
            serving::serve(listener, Role::Management(state.clone()), &settings, api.clone(), &essential)
        });
        let management = management.transpose().map_err(failed)?;
        api.audit.watch(&essential).map_err(failed)?;
        // Each server is a part, and so is each of its workers.
        let mut parts = essential.started() + 1 + settings.server.workers;
        let mut handles = vec![serving::run(server, "the server of the API", essential.clone())];
        if let Some(management) = management {
            parts += 1 + Role::MANAGEMENT_WORKERS;
            handles.push(serving::run(
                management,
                "the server of the management listener",
                essential.clone(),
            ));
        }

        let ready = || {
            supervisor.ready(&status);
            supervisor.watch(Arc::clone(&api.store), settings.store.deadline);
            rt::spawn(management::watch_clock(state.clone()));
            rt::spawn(denied_calls::watch(api.clone()));
        };
        let outcome = until_stopped(&essential, parts, stop, ready).await;
        match &outcome {
            Ok(()) => log::info!("stopping: finishing the requests in hand"),
            Err(error) => log::error!("stopping because of a failure: {error}"),
        }
        supervisor.stopping();
        state.stop();
        close(&api, handles).await;
        outcome
    }
}

/// Waits until so many parts run, calls the service ready, and waits for `stop` or for the first part that ends.
async fn until_stopped(
    essential: &CriticalTasks,
    parts: usize,
    stop: impl Future<Output = ()>,
    ready: impl FnOnce(),
) -> Result<(), RunError> {
    let mut stop = pin!(stop);
    tokio::select! {
        biased;
        reason = essential.ended() => return Err(RunError::NotStarted(reason)),
        () = &mut stop => return Ok(()),
        () = essential.running(parts) => ready(),
    }
    tokio::select! {
        reason = essential.ended() => Err(RunError::Ended(reason)),
        () = stop => Ok(()),
    }
}

/// Lets no new call in, finishes those in hand, and closes the store.
async fn close(api: &ApiState, servers: Vec<ServerHandle>) {
    for server in servers {
        server.stop(true).await;
    }
    denied_calls::sum_up(api);
    // On this thread: nothing else has to run here any more, and the system may refuse another thread.
    if api.store.close() {
        log::info!("stopped");
    } else {
        log::error!("stopped, although the store did not finish in time");
    }
}

/// Where the logins are kept, as `store` is told it.
///
/// # Errors
/// When the connection string cannot be used.
pub(crate) fn store_options(settings: &StoreSettings) -> Result<store::Options, StartError> {
    let place = match &settings.kind {
        StoreKind::Embedded { path } => Backend::Directory(path.clone()),
        StoreKind::Postgres { url } => Backend::Database(Box::new(Database {
            address: Address::parse(url.expose())?,
            create_schema: settings.create_schema,
            connections: settings.connections,
            prepared_statements: settings.prepared_statements,
        })),
    };
    Ok(store::Options { create: settings.create, ..store::Options::at(place, settings.deadline) })
}

/// A warning where the database is on another machine and TLS is off. A private network or a tunnel may make that right.
fn in_the_clear(place: &Backend) -> Option<String> {
    match place {
        Backend::Database(database) if database.address.is_in_the_clear() => Some(format!(
            "store.url: sslmode=disable sends the password and every login unencrypted to {}, and nobody checks which \
             server answers; say sslmode=verify-full unless that network is encrypted already",
            database.address
        )),
        _ => None,
    }
}

/// Where the keys come from, as `auth` is told it.
pub(crate) fn key_source(token: &Token) -> auth::Source {
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
pub(crate) fn token_rules(token: &Token) -> auth::Rules {
    auth::Rules {
        issuer: token.issuer.clone(),
        audience: token.audience.clone(),
        algorithms: token.algorithms.iter().filter_map(|name| auth::Algorithm::parse(name)).collect(),
        leeway_seconds: i64::try_from(token.leeway.as_secs()).unwrap_or(0),
        types: token.types.clone(),
        max_lifetime_seconds: i64::try_from(token.max_lifetime.as_secs()).unwrap_or(0),
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
