//! Whether the service's clock may be believed: for `/readyz`, the metrics and the log.
//!
//! Nothing is refused here. The store refuses a login at a wrong moment by itself, so that a clock that steps between two
//! checks records nothing either.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use actix_web::{rt, web};

use super::ManagementState;
use crate::domain::clock::WrongClock;
use crate::domain::timestamp::Timestamp;
use crate::store::ClockReport;

/// Between two checks when nobody asks.
const EVERY: Duration = Duration::from_secs(10);
/// How far behind the latest login the clock is worth a warning, in milliseconds: a day, so that no time zone and no
/// instance whose clock is a little ahead is one.
const FAR_BEHIND: i64 = 24 * 60 * 60 * 1_000;

/// What the last check found.
#[derive(Debug, Default)]
pub(crate) struct ClockState {
    wrong: AtomicBool,
    behind: AtomicI64,
    warned: AtomicBool,
}

impl ClockState {
    /// Whether logins are refused because of the clock.
    pub(crate) fn is_wrong(&self) -> bool {
        self.wrong.load(Ordering::Relaxed)
    }

    /// Seconds that the clock is behind the latest login; 0 when it is not.
    pub(crate) fn behind_seconds(&self) -> f64 {
        Duration::from_millis(self.behind.load(Ordering::Relaxed).unsigned_abs()).as_secs_f64()
    }

    /// Keeps what was found. The log is told when that changes, and not each time.
    fn note(&self, report: &ClockReport, now: Timestamp) {
        let was_wrong = self.wrong.swap(report.verdict.is_err(), Ordering::Relaxed);
        match report.verdict {
            Err(wrong) if !was_wrong => log::error!("logins are refused: {wrong}"),
            Ok(()) if was_wrong => log::info!("the clock is right again, and logins are recorded"),
            _ => {}
        }
        // A clock that is refused says nothing of the logins.
        let (Ok(()), Some(latest)) = (report.verdict, report.latest_login) else { return };
        let behind = (latest.millis() - now.millis()).max(0);
        self.behind.store(behind, Ordering::Relaxed);
        let far = behind > FAR_BEHIND;
        if far && !self.warned.swap(far, Ordering::Relaxed) {
            log::warn!(
                "the clock shows {now}, more than a day behind the latest login, {latest}: either is wrong; \
                 docs/OPERATIONS.md tells how to correct a login"
            );
        } else if !far {
            self.warned.store(false, Ordering::Relaxed);
        }
    }
}

/// Checks the clock now. A database that does not answer says nothing against it, and leaves what was known before.
///
/// # Errors
/// When logins are refused because of it.
pub(crate) async fn check(state: &ManagementState) -> Result<(), WrongClock> {
    let api = &state.api;
    let Some(report) = api.store.check_clock(&*api.clock).await else { return Ok(()) };
    state.clock.note(&report, api.clock.now());
    report.verdict
}

/// Checks the clock every now and then, for as long as the service runs.
pub(crate) async fn watch(state: web::Data<ManagementState>) {
    while !state.lifecycle.is_stopping() {
        let _ = check(&state).await;
        rt::time::sleep(EVERY).await;
    }
}
