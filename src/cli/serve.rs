//! `serve`: runs the service until SIGTERM or SIGINT; SIGHUP reloads.
//!
//! The signals are taken before anything else is done: while the store is being opened, which may take minutes, SIGTERM and
//! SIGINT end the process at once (a store that is being opened is left as by a crash, which harms none), and SIGHUP is
//! kept until the service serves.

use std::io;
use std::sync::Arc;
use std::thread;

use actix_web::rt::{self, SystemRunner};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::domain::clock::{ServiceClock, SharedClock, SystemClock};
use crate::server::{ActivatedSockets, App, Reload, ServiceManager, StartError};
use crate::settings::{LogFormat, Settings};
use crate::telemetry::logging;

use super::arguments::ServeArgs;
use super::{Exit, Failure, Output, load_settings};

/// Runs the service that the configuration file describes.
pub(super) fn run(arguments: &ServeArgs, _: &mut Output<'_>) -> Result<Exit, Failure> {
    let process = Process::reloaded_by_hangup()?;
    // Before the first thread is started.
    let inherited = ActivatedSockets::take().map_err(refused)?;
    let (arguments, supervisor) = (arguments.clone(), ServiceManager::from_environment());
    let tells = supervisor.clone();
    let start = move || build(load_settings(&arguments)?, Arc::new(ServiceClock), inherited, tells);
    process.run(start, supervisor, |_| Ok(()))
}

fn refused(error: StartError) -> Failure {
    Failure::new(Exit::of(error.exit_code()), error.to_string())
}

fn failed(error: impl ToString) -> Failure {
    Failure::new(Exit::Failed, error.to_string())
}

fn build(
    settings: Settings,
    clock: SharedClock,
    inherited: ActivatedSockets,
    supervisor: ServiceManager,
) -> Result<App, Failure> {
    logging::init(match settings.log_format {
        LogFormat::Text => logging::Format::Text,
        LogFormat::Json => logging::Format::Json,
    });
    App::build_on(settings, clock, inherited, supervisor).map_err(refused)
}

/// A process that runs the service, and has taken its signals.
pub(super) struct Process {
    system: SystemRunner,
    signals: Signals,
    reload: Option<Signal>,
}

impl Process {
    /// Takes the signals; SIGHUP reloads.
    ///
    /// # Errors
    /// When the system refuses that.
    fn reloaded_by_hangup() -> Result<Self, Failure> {
        let system = rt::System::new();
        let taken = system.block_on(async { Ok((Signals::take()?, signal(SignalKind::hangup())?)) });
        let (signals, hangup) = taken.map_err(|error: io::Error| failed(error))?;
        Ok(Self { system, signals, reload: Some(hangup) })
    }

    /// Takes the signals; SIGHUP stops, as the terminal has gone away then, unless it was ignored before (`nohup`).
    ///
    /// # Errors
    /// When the system refuses that.
    pub(super) fn of_a_terminal() -> Result<Self, Failure> {
        let status = procfs::process::Process::myself().and_then(|process| process.status());
        let ignored = status.is_ok_and(|status| status.sigign & HANGUP_BIT != 0);
        let system = rt::System::new();
        let mut signals = system.block_on(async { Signals::take() }).map_err(failed)?;
        if !ignored {
            signals.hangup = Some(system.block_on(async { signal(SignalKind::hangup()) }).map_err(failed)?);
        }
        Ok(Self { system, signals, reload: None })
    }

    /// Runs the service for a trial, on sockets of its own and by any clock; `started` is called once when it is bound,
    /// before the first request is taken.
    pub(super) fn run_with(
        self,
        settings: Settings,
        started: impl FnOnce(&App) -> Result<(), Failure>,
    ) -> Result<Exit, Failure> {
        let supervisor = ServiceManager::default();
        let tells = supervisor.clone();
        let start = move || build(settings, Arc::new(SystemClock), ActivatedSockets::default(), tells);
        self.run(start, supervisor, started)
    }

    fn run(
        self,
        start: impl FnOnce() -> Result<App, Failure> + Send + 'static,
        supervisor: ServiceManager,
        started: impl FnOnce(&App) -> Result<(), Failure>,
    ) -> Result<Exit, Failure> {
        let Self { system, mut signals, reload } = self;
        system.block_on(async move {
            let app = tokio::select! {
                biased;
                () = signals.stop() => {
                    supervisor.stopping();
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
                rt::spawn(reload_on_hangup(app.reload(), hangup, supervisor));
            }
            app.run_until_stopped(signals.stop()).await.map(|()| Exit::Done).map_err(failed)
        })
    }
}

/// SIGHUP in a set of signals, as /proc/PID/status prints it.
const HANGUP_BIT: u64 = 1;

/// The signals that stop the service. One that comes while nothing waits for it is kept.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    fn take() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: None,
        })
    }

    async fn stop(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => log::info!("SIGTERM"),
            _ = self.interrupt.recv() => log::info!("SIGINT"),
            _ = hangup => log::info!("SIGHUP"),
        }
    }
}

/// Does this in a thread of its own. One of the runtime's would be waited for at the end of the process, and the runtime
/// panics where the system refuses one.
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
        .map_err(|error| failed(format!("no thread for the {name}: {error}")))?;
    receiver.await.unwrap_or_else(|_| Err(failed(format!("the {name} panicked"))))
}

async fn reload_on_hangup(reload: Reload, mut hangup: Signal, supervisor: ServiceManager) {
    while hangup.recv().await.is_some() {
        let reload = reload.clone();
        supervisor.reloading();
        match in_thread("reload", move || reload.run().map_err(failed)).await {
            Ok(()) => {
                log::info!("SIGHUP: matrix, keys and audit file are read anew");
                supervisor.ready("matrix, keys and audit file were read anew");
            }
            Err(Failure { message: faults, .. }) => {
                log::error!("SIGHUP: nothing is changed, for: {faults}");
                // A status is one line.
                supervisor.ready(&format!("reload refused: {}", faults.replace('\n', "; ")));
            }
        }
    }
}
