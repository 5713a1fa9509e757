//! Whether the service's clock can be trusted: for `/readyz`, the metrics and the log.
//!
//! Only reports. The store itself rejects a login at a wrong time, so a clock that steps between two checks records nothing.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use crate::domain::timestamp::Timestamp;
use crate::store::ClockReport;

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
    pub(super) fn note(&self, report: &ClockReport, now: Timestamp) {
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
