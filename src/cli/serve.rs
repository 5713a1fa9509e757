//! `serve`: runs the service until SIGTERM or SIGINT; SIGHUP reloads.
//!
//! The signals are taken first. While the store is being opened, which may take minutes, SIGTERM and SIGINT end the process at
//! once (the store survives that as it survives a crash), and SIGHUP is kept until the service serves.

use std::io;
use std::sync::Arc;
use std::thread;

use actix_web::rt::{self, SystemRunner};
use futures_util::FutureExt;
use futures_util::future::select_all;
use log::LevelFilter;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::arguments::ConfigArgs;
use super::outcome::{Exit, Failure};
use super::setup::{load_settings, start_logging};
use crate::domain::clock::ServiceClock;
use crate::server::{ActivatedSockets, App, Reload, service_manager};

const TERMINATE: (&str, SignalKind) = ("SIGTERM", SignalKind::terminate());
const INTERRUPT: (&str, SignalKind) = ("SIGINT", SignalKind::interrupt());
const HANGUP: (&str, SignalKind) = ("SIGHUP", SignalKind::hangup());
/// SIGHUP in a set of signals, as /proc/PID/status prints it.
const HANGUP_BIT: u64 = 1;

pub(super) fn run(arguments: &ConfigArgs) -> Result<Exit, Failure> {
    let process = Process::take(&[TERMINATE, INTERRUPT], true)?;
    // Before the first thread is started.
    let sockets = ActivatedSockets::take()?;
    let arguments = arguments.clone();
    let start = move || {
        let settings = load_settings(&arguments)?;
        start_logging(&settings, LevelFilter::Info);
        Ok(App::build_on(settings, Arc::new(ServiceClock), sockets)?)
    };
    process.run(start, |_| Ok(()))
}

/// A process that has taken its signals. One that arrives early is kept.
pub(super) struct Process {
    system: SystemRunner,
    stop: Vec<(&'static str, Signal)>,
    reload: Option<Signal>,
}

impl Process {
    fn take(stop: &[(&'static str, SignalKind)], hangup_reloads: bool) -> Result<Self, Failure> {
        let system = rt::System::new();
        let taken = system.block_on(async {
            let stop =
                stop.iter().map(|(name, kind)| Ok((*name, signal(*kind)?))).collect::<io::Result<_>>()?;
            Ok((stop, hangup_reloads.then(|| signal(HANGUP.1)).transpose()?))
        });
        let (stop, reload) = taken.map_err(|error: io::Error| Failure::failed(error))?;
        Ok(Self { system, stop, reload })
    }

    /// SIGHUP stops, because the terminal has gone, unless it was ignored before (`nohup`).
    pub(super) fn of_a_terminal() -> Result<Self, Failure> {
        let status = procfs::process::Process::myself().and_then(|process| process.status());
        let ignored = status.is_ok_and(|status| status.sigign & HANGUP_BIT != 0);
        Self::take(&[TERMINATE, INTERRUPT, HANGUP][..if ignored { 2 } else { 3 }], false)
    }

    /// Runs the service that `start` builds. `started` is called when it is bound, before the first request.
    pub(super) fn run(
        self,
        start: impl FnOnce() -> Result<App, Failure> + Send + 'static,
        started: impl FnOnce(&App) -> Result<(), Failure>,
    ) -> Result<Exit, Failure> {
        let Self { system, mut stop, reload } = self;
        system.block_on(async move {
            let app = tokio::select! {
                biased;
                () = stopped(&mut stop) => {
                    service_manager::stopping();
                    log::info!("stopped before the start was done");
                    return Ok(Exit::Done);
                }
                app = in_thread("start", start) => app?,
            };
            started(&app)?;
            log::info!(
                "version {} listens on {}, management on {}",
                env!("CARGO_PKG_VERSION"),
                app.address(),
                app.management_address().unwrap_or_else(|| "none (off)".to_owned())
            );
            if let Some(hangup) = reload {
                rt::spawn(reload_on_hangup(app.reload(), hangup));
            }
            app.run_until_stopped(stopped(&mut stop)).await.map(|()| Exit::Done).map_err(Failure::failed)
        })
    }
}

/// Waits for the first of these signals.
async fn stopped(signals: &mut [(&'static str, Signal)]) {
    let arrivals = signals.iter_mut().map(|(name, signal)| Box::pin(signal.recv().map(|_| *name)));
    let (name, ..) = select_all(arrivals).await;
    log::info!("{name}");
}

/// Works in a thread of its own: the end of the process would wait for one of the runtime's, and the runtime panics where
/// the system denies it one.
async fn in_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let (sender, receiver) = oneshot::channel();
    let thread = thread::Builder::new().name(name.to_owned());
    thread
        .spawn(move || {
            let _ = sender.send(work());
        })
        .map_err(|error| Failure::failed(format!("no thread for the {name}: {error}")))?;
    receiver.await.unwrap_or_else(|_| Err(Failure::failed(format!("the {name} panicked"))))
}

async fn reload_on_hangup(reload: Reload, mut hangup: Signal) {
    while hangup.recv().await.is_some() {
        let reload = reload.clone();
        service_manager::reloading();
        match in_thread("reload", move || reload.run().map_err(Failure::failed)).await {
            Ok(()) => {
                log::info!("SIGHUP: access table, keys and audit file are reloaded");
                service_manager::ready("access table, keys and audit file were reloaded");
            }
            Err(Failure { message: errors, .. }) => {
                log::error!("SIGHUP: nothing is changed: {errors}");
                // A status is one line.
                service_manager::ready(&format!("reload refused: {}", errors.replace('\n', "; ")));
            }
        }
    }
}
