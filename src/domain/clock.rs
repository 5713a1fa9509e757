//! Where the time comes from. Everything that needs it is handed a [`Clock`]; clippy bans the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::timestamp::Timestamp;

/// The present moment, to the millisecond.
pub trait Clock: Send + Sync {
    /// Now. May step back between two calls, as the machine's clock may.
    fn now(&self) -> Timestamp;
}

/// A clock that is shared by all parts of one service.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
    fn now(&self) -> Timestamp {
        // Not `chrono::Utc::now`, which panics before 1970.
        Timestamp::clamped(std::time::SystemTime::now().into())
    }
}

/// A clock that stands still until it is told otherwise, for tests.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows this moment.
    pub fn at(moment: Timestamp) -> Self {
        Self(AtomicI64::new(moment.millis()))
    }

    /// Turns the clock to this moment, earlier or later.
    pub fn set(&self, moment: Timestamp) {
        self.0.store(moment.millis(), Ordering::SeqCst);
    }

    /// Turns the clock on (or back, when negative) by so many milliseconds, as far as the years 1970 to 9999 go.
    pub fn advance_millis(&self, millis: i64) {
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| {
            Some(now.saturating_add(millis).clamp(Timestamp::MIN.millis(), Timestamp::MAX.millis()))
        });
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_shows_what_it_was_set_to() {
        let clock = ManualClock::at(Timestamp::from_millis(1_000).unwrap());
        clock.advance_millis(-400);
        assert_eq!(clock.now().millis(), 600);
        clock.advance_millis(i64::MIN);
        assert_eq!(clock.now(), Timestamp::MIN);
        clock.set(Timestamp::MAX);
        assert_eq!(clock.now(), Timestamp::MAX);
    }
}
