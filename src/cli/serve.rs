//! `serve`: runs the service until SIGTERM or SIGINT; SIGHUP reloads.

use std::future::Future;
use std::sync::Arc;

use actix_web::rt;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{App, Inherited, Reload, StartError, Supervisor};
use crate::domain::clock::{ServiceClock, SharedClock, SystemClock};
use crate::logging;
use crate::settings::{LogFormat, Settings};

use super::arguments::ServeArgs;
use super::{Exit, Failure, Output, load_settings};

/// Runs the service that the configuration file describes.
pub(super) fn run(arguments: &ServeArgs, _: &mut Output<'_>) -> Result<Exit, Failure> {
    let settings = load_settings(arguments)?;
    // Before the first thread is started.
    let inherited = Inherited::take().map_err(refused)?;
    run_on(settings, Arc::new(ServiceClock), inherited, Supervisor::from_environment(), |_| Ok(()))
}

/// Runs the service for a trial, on sockets of its own and by any clock; `started` is called once when it is bound, before
/// the first request is taken.
pub(super) fn run_with(
    settings: Settings,
    started: impl FnOnce(&App) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    run_on(settings, Arc::new(SystemClock), Inherited::default(), Supervisor::default(), started)
}

fn refused(error: StartError) -> Failure {
    Failure::new(Exit::of(error.exit_code()), error.to_string())
}

fn run_on(
    settings: Settings,
    clock: SharedClock,
    inherited: Inherited,
    supervisor: Supervisor,
    started: impl FnOnce(&App) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    logging::init(match settings.log_format {
        LogFormat::Text => logging::Format::Text,
        LogFormat::Json => logging::Format::Json,
    });
    let app = App::build_on(settings, clock, inherited, supervisor.clone()).map_err(refused)?;
    started(&app)?;
    log::info!(
        "version {} listens on {}, management on {}",
        env!("CARGO_PKG_VERSION"),
        app.address(),
        app.management_address().map_or_else(|| "none (off)".to_owned(), |address| address.to_string())
    );
    rt::System::new()
        .block_on(async move {
            let stop = stop_signal()?;
            rt::spawn(reload_on_hangup(app.reload(), signal(SignalKind::hangup())?, supervisor));
            app.run_until_stopped(stop).await
        })
        .map(|()| Exit::Done)
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}

fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => log::info!("SIGTERM"),
            _ = interrupt.recv() => log::info!("SIGINT"),
        }
    })
}

async fn reload_on_hangup(reload: Reload, mut hangup: Signal, supervisor: Supervisor) {
    while hangup.recv().await.is_some() {
        let reload = reload.clone();
        supervisor.reloading();
        let outcome = rt::task::spawn_blocking(move || reload.run()).await;
        match outcome.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(()) => {
                log::info!("SIGHUP: matrix, keys and audit file are read anew");
                supervisor.ready("matrix, keys and audit file were read anew");
            }
            Err(faults) => {
                log::error!("SIGHUP: nothing is changed, for: {faults}");
                // A status is one line.
                supervisor.ready(&format!("reload refused: {}", faults.replace('\n', "; ")));
            }
        }
    }
}
