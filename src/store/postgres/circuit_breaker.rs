//! Whether the database is there: what the last statement found, and what is told of it meanwhile.
//!
//! While it has been away for no longer than a caller waits, statements are tried again, so that a restart or a standby
//! that takes over costs callers a pause and no error. After that callers are told at once: they would only pile up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::store::StoreError;

/// How long the log is left in peace after it was told of an absence.
const QUIET: Duration = Duration::from_secs(30);

/// What is known of the database's whereabouts.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    /// The same as whether `absence` is something; looked at by every call.
    is_away: AtomicBool,
    absence: Mutex<Option<Absence>>,
    /// When the log was last told that it is away.
    told: Mutex<Option<Instant>>,
    /// Somebody found it away.
    lost: Notify,
    grace: Duration,
}

#[derive(Debug, Clone)]
struct Absence {
    since: Instant,
    /// From when on callers are told at once.
    told_from: Instant,
    reason: String,
    /// Whether the log knows of it.
    logged: bool,
}

impl CircuitBreaker {
    /// Nothing is known yet: away until it was reached for the first time. `grace` is how long it may be away before
    /// callers are told at once.
    pub(super) fn unknown(grace: Duration) -> Self {
        let now = Instant::now();
        let absence = Absence {
            since: now,
            told_from: now,
            reason: "it has not been reached yet".to_owned(),
            logged: false,
        };
        Self {
            is_away: AtomicBool::new(true),
            absence: Mutex::new(Some(absence)),
            told: Mutex::default(),
            lost: Notify::new(),
            grace,
        }
    }

    /// Refuses a call while the database has been away for too long.
    pub(super) fn enqueue(&self) -> Result<(), StoreError> {
        if !self.is_away.load(Ordering::Acquire) {
            return Ok(());
        }
        match &*self.lock() {
            Some(absence) if absence.told_from <= Instant::now() => {
                Err(StoreError::Unavailable(absence.reason.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Why it is away, if it is.
    pub(super) fn absence(&self) -> Option<String> {
        self.lock().as_ref().map(|absence| absence.reason.clone())
    }

    pub(super) fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Acquire)
    }

    /// It could not be reached just now.
    pub(super) fn lost(&self, reason: &str) {
        let now = Instant::now();
        let mut guard = self.lock();
        let absence = guard.get_or_insert_with(|| Absence {
            since: now,
            told_from: now + self.grace,
            reason: String::new(),
            logged: false,
        });
        if !absence.logged && self.may_tell(now) {
            log::warn!("the database is away, and is looked for until it is there: {reason}");
            absence.logged = true;
        } else if absence.reason != reason {
            log::debug!("the database is still away: {reason}");
        }
        reason.clone_into(&mut absence.reason);
        self.is_away.store(true, Ordering::Release);
        drop(guard);
        self.lost.notify_one();
    }

    /// Whether the log is to hear of it: not each time when, say, a lock makes the database fall silent again and again.
    fn may_tell(&self, now: Instant) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let may = told.is_none_or(|told| now.duration_since(told) >= QUIET);
        if may {
            *told = Some(now);
        }
        may
    }

    /// It answers, and its tables are ours.
    pub(super) fn back(&self) {
        let mut absence = self.lock();
        if let Some(absence) = absence.take().filter(|absence| absence.logged) {
            log::info!("the database is there, after {:.1} s", absence.since.elapsed().as_secs_f64());
        }
        self.is_away.store(false, Ordering::Release);
    }

    /// Waits until somebody finds it away.
    pub(super) async fn until_lost(&self) {
        while !self.is_away() {
            self.lost.notified().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Absence>> {
        self.absence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_wait_for_a_grace_and_are_told_at_once_after_it() {
        let health = CircuitBreaker::unknown(Duration::from_millis(50));
        assert!(health.enqueue().is_err(), "not reached yet");
        let now = Instant::now();
        assert!(health.may_tell(now) && !health.may_tell(now + QUIET / 2) && health.may_tell(now + QUIET));
        *health.told.lock().unwrap() = None;
        health.back();
        assert_eq!(health.enqueue(), Ok(()));
        health.lost("connection refused");
        assert!(health.is_away());
        assert_eq!(health.enqueue(), Ok(()), "it may come back while they wait");
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(health.enqueue(), Err(StoreError::Unavailable("connection refused".to_owned())));
        health.lost("no route to host");
        assert_eq!(health.enqueue(), Err(StoreError::Unavailable("no route to host".to_owned())));
        health.back();
        assert_eq!((health.enqueue(), health.absence()), (Ok(()), None));
    }
}
