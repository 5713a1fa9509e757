//! What the management listener is served from, and whether the service's clock can be trusted.
//!
//! The clock is only reported here. The store itself rejects a login at a wrong time, so a clock that steps between two checks
//! records nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use actix_web::{rt, web};

use super::metrics::store_size::StoreSize;
use crate::api::ApiState;
use crate::domain::clock::WrongClock;
use crate::domain::timestamp::Timestamp;
use crate::store::ClockReport;

/// Between two checks of the clock while no request asks for one.
const CLOCK_INTERVAL: Duration = Duration::from_secs(10);

/// The state of the API, and what only the management listener needs.
pub(crate) struct ManagementState {
    pub(crate) api: web::Data<ApiState>,
    pub(super) clock: ClockState,
    pub(super) size: StoreSize,
    pub(crate) stopping: Arc<AtomicBool>,
}

impl ManagementState {
    pub(crate) fn new(api: web::Data<ApiState>) -> Self {
        Self { api, clock: ClockState::default(), size: StoreSize::default(), stopping: Arc::default() }
    }

    /// From now on the service is not ready, and each answer ends its connection.
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

/// How far behind the latest login the clock is worth a warning, in milliseconds: a day, so that no time zone and no
/// instance whose clock is a little ahead causes one.
const FAR_BEHIND: i64 = 24 * 60 * 60 * 1_000;

/// The result of the last check.
#[derive(Debug, Default)]
pub(super) struct ClockState {
    wrong: AtomicBool,
    /// Milliseconds behind the latest login.
    behind: AtomicI64,
}

impl ClockState {
    /// Whether logins are rejected because of the clock.
    pub(super) fn is_wrong(&self) -> bool {
        self.wrong.load(Ordering::Relaxed)
    }

    /// Seconds that the clock is behind the latest login; 0 when it is not.
    pub(super) fn behind_seconds(&self) -> f64 {
        Duration::from_millis(self.behind.load(Ordering::Relaxed).unsigned_abs()).as_secs_f64()
    }

    /// Keeps the report, and logs a change of the verdict.
    fn note(&self, report: &ClockReport, now: Timestamp) {
        let was_wrong = self.wrong.swap(report.verdict.is_err(), Ordering::Relaxed);
        match report.verdict {
            Err(wrong) if !was_wrong => log::error!("logins are refused: {wrong}"),
            Ok(()) if was_wrong => log::info!("the clock is right again, and logins are recorded"),
            _ => {}
        }
        // A wrong clock says nothing of the logins.
        let (Ok(()), Some(latest)) = (report.verdict, report.latest_login) else { return };
        let behind = (latest.millis() - now.millis()).max(0);
        let was_behind = self.behind.swap(behind, Ordering::Relaxed);
        if behind > FAR_BEHIND && was_behind <= FAR_BEHIND {
            log::warn!(
                "the clock shows {now}, more than a day behind the latest login, {latest}: one of them is wrong; \
                 see docs/OPERATIONS.md for how to correct a login"
            );
        }
    }
}
