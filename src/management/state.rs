//! What the management listener is served from.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::{rt, web};

use super::clock::ClockState;
use super::metrics::store_size::StoreSize;
use crate::api::ApiState;
use crate::domain::clock::WrongClock;

/// Between two checks of the clock while no request asks for one.
const CLOCK_INTERVAL: Duration = Duration::from_secs(10);

/// The state of the API, and what only the management listener needs.
pub(crate) struct ManagementState {
    pub(super) api: web::Data<ApiState>,
    pub(super) clock: ClockState,
    pub(super) size: StoreSize,
    stopping: AtomicBool,
}

impl ManagementState {
    pub(crate) fn new(api: web::Data<ApiState>) -> Self {
        Self {
            api,
            clock: ClockState::default(),
            size: StoreSize::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// From now on the service is not ready.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Checks the clock now; an error when logins are rejected because of it. A database that does not answer leaves the last
    /// verdict in place.
    pub(super) async fn check_clock(&self) -> Result<(), WrongClock> {
        let Some(report) = self.api.store.check_clock(&*self.api.clock).await else { return Ok(()) };
        self.clock.note(&report, self.api.clock.now());
        report.verdict
    }
}

/// Checks the clock every ten seconds until the service stops.
pub(crate) async fn watch_clock(state: web::Data<ManagementState>) {
    while !state.is_stopping() {
        let _ = state.check_clock().await;
        rt::time::sleep(CLOCK_INTERVAL).await;
    }
}
