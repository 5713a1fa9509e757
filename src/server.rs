//! The only place that wires the rooms together, and takes them apart again in the right order.
//!
//! [`App::build_on`] opens and binds everything or says what is wrong; [`App::run_until_stopped`] serves until it is stopped,
//! finishes the requests in flight and closes the store. Nothing here decides anything about a request.

mod activated_sockets;
mod error;
mod listener;
mod preflight;
pub(crate) mod process;
mod reload;
pub(crate) mod service_manager;
mod serving;
mod store_setup;

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{rt, web};
use arc_swap::ArcSwap;

use crate::api::denied_calls::DeniedCalls;
use crate::api::middleware::denied_calls;
use crate::api::rate_limit::TokenBuckets;
use crate::api::{ApiState, Metrics};
use crate::apidocs::DocsState;
use crate::audit::AuditLog;
use crate::auth::Authenticator;
use crate::critical_tasks::CriticalTasks;
use crate::domain::clock::SharedClock;
use crate::management::{self, ManagementState};
use crate::settings::{AuditTarget, Settings};
use crate::store;
use crate::store::Store;

pub(crate) use activated_sockets::ActivatedSockets;
use error::RunError;
pub(crate) use error::StartError;
use listener::{ApiListener, exposed};
pub(crate) use preflight::preflight;
pub use reload::Reload;
use serving::{MANAGEMENT_WORKERS, Role};
pub(crate) use store_setup::{store_options, warn_of_absent_store};

/// How long accepted connections may still send a request when the service stops; each answer ends its connection.
const LAST_REQUESTS: Duration = Duration::from_millis(250);

/// Opens the audit log that the settings name.
pub(crate) fn open_audit(target: &AuditTarget) -> Result<AuditLog, StartError> {
    let (audit, file) = match target {
        AuditTarget::Stdout => (AuditLog::to_stdout(), Path::new("-")),
        AuditTarget::File(path) => (AuditLog::to_file(path), path.as_path()),
    };
    audit.map_err(|error| StartError::Audit(file.to_owned(), error))
}

/// A service that is bound to its addresses and ready to run.
pub struct App {
    settings: Settings,
    api: web::Data<ApiState>,
    listener: ApiListener,
    /// New connections wait in it for the next process.
    socket_is_held: bool,
    management: Option<ApiListener>,
    tasks: CriticalTasks,
}

impl App {
    /// As [`App::build_on`], on sockets of its own.
    pub fn build(settings: Settings, clock: SharedClock) -> Result<Self, StartError> {
        Self::build_on(settings, clock, ActivatedSockets::default())
    }

    /// Looks for the store, opens the audit log, loads the keys, opens the store, and binds the listeners that were not
    /// passed, in this order. Nothing is left running when a part fails.
    pub(crate) fn build_on(
        settings: Settings,
        clock: SharedClock,
        sockets: ActivatedSockets,
    ) -> Result<Self, StartError> {
        process::prepare();
        let options = store::Options { clock: clock.limits(), ..store_options(&settings.store)? };
        if let Some(warning) = store_setup::unencrypted(&options.backend) {
            log::warn!("{warning}");
        }
        // Before anything is made: the audit file may be meant for the same absent volume.
        warn_of_absent_store(&settings.store, &settings.audit_file, &options)?;
        let audit = open_audit(&settings.audit_file)?;
        let (rules, source) = (settings.token.rules.clone(), settings.token.keys.clone());
        let authenticator = Authenticator::new(rules, source, Arc::clone(&clock))?;
        let tasks = options.essential.clone();
        let store = Store::open(&options)?;
        process::raise_nofile_limit(settings.server.workers, settings.limits.connections);
        // Last: no client waits on an open port while the store is being checked.
        let socket_is_held = sockets.holds_api();
        let (listener, management) = sockets.or_bind(&settings.server)?;
        if let Some(ApiListener::Tcp(listener)) = &management
            && let Some(warning) = listener.local_addr().ok().and_then(exposed)
        {
            log::warn!("{warning}");
        }
        let mut trusted_proxies = settings.server.trusted_proxies.clone();
        // On TCP a peer without an address is one that has gone.
        trusted_proxies.unix &= matches!(listener, ApiListener::Unix(_));
        let api = web::Data::new(ApiState {
            authenticator: Arc::new(authenticator),
            access_table: Arc::new(ArcSwap::from_pointee(settings.access_table.clone())),
            store: Arc::new(store),
            audit: Arc::new(audit),
            clock,
            metrics: Arc::new(Metrics::default()),
            rate: settings.limits.rate.map(|rate| TokenBuckets::new(rate.per_second, rate.burst)),
            denied_calls: DeniedCalls::new(settings.limits.refused_per_second),
            body_timeout: settings.limits.request_timeout,
            trusted_proxies,
            certificate_header: settings.token.certificate_header.clone(),
        });
        Ok(Self { settings, api, listener, socket_is_held, management, tasks })
    }

    /// The address of the API, with the port that the system chose for port 0.
    pub fn address(&self) -> String {
        self.listener.to_string()
    }

    /// `None` when `server.management` is off.
    pub fn management_address(&self) -> Option<String> {
        self.management.as_ref().map(ToString::to_string)
    }

    /// The reload on SIGHUP.
    pub fn reload(&self) -> Reload {
        Reload::new(self.api.clone(), self.settings.access_file.clone())
    }

    /// Serves until `stop` is done or a critical task ends. Then readiness turns 503, the requests in flight are finished
    /// within `server.shutdown_timeout_seconds`, and the store is closed with everything on disk.
    ///
    /// # Errors
    /// Any end but `stop`.
    pub async fn run_until_stopped(self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self { settings, api, listener, socket_is_held, management, tasks } = self;
        let status = format!("answers on {listener}");
        let failed = |error: io::Error| RunError::NotStarted(error.to_string());
        let docs = settings
            .server
            .documentation
            .then(|| DocsState::new(Arc::clone(&api.access_table), settings.server.public_url.clone()));
        let state = web::Data::new(ManagementState::new(api.clone()));
        let serve =
            |listener, role| serving::start(listener, role, &settings, state.clone(), &tasks).map_err(failed);
        api.audit.watch(&tasks).map_err(failed)?;
        let mut count = tasks.started() + settings.server.workers;
        let mut handles = vec![serve(listener, Role::Api { docs: docs.map(web::Data::new) })?];
        if let Some(listener) = management {
            count += MANAGEMENT_WORKERS;
            handles.push(serve(listener, Role::Management(state.clone()))?);
        }
        let mut stop = pin!(stop);
        let outcome = tokio::select! {
            biased;
            reason = tasks.ended() => Err(RunError::NotStarted(reason)),
            () = &mut stop => Ok(()),
            () = tasks.running(count) => {
                service_manager::ready(&status);
                service_manager::watch(Arc::clone(&api.store), settings.store.deadline);
                rt::spawn(management::watch_clock(state.clone()));
                rt::spawn(denied_calls::watch(api.clone()));
                tokio::select! {
                    reason = tasks.ended() => Err(RunError::Ended(reason)),
                    () = stop => Ok(()),
                }
            }
        };
        match &outcome {
            Ok(()) => log::info!("stopping: finishing the requests in flight"),
            Err(error) => log::error!("stopping because of a failure: {error}"),
        }
        service_manager::stopping();
        state.stop();
        close(&api, handles, socket_is_held).await;
        outcome
    }
}

/// Accepts no new call, finishes those in flight, and closes the store.
async fn close(api: &ApiState, servers: Vec<ServerHandle>, socket_is_held: bool) {
    // actix closes connections whose request it has not read yet, so they get time to send it.
    if let Some(api) = servers.first().filter(|_| socket_is_held) {
        api.pause().await;
    }
    rt::time::sleep(LAST_REQUESTS).await;
    for server in servers {
        server.stop(true).await;
    }
    denied_calls::sum_up(api);
    // On this thread: nothing else has to run on it any more, and the system may refuse another one.
    if api.store.close() {
        log::info!("stopped");
    } else {
        log::error!("stopped, although the store did not finish in time");
    }
}
