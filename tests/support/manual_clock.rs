//! A clock that shows what a test sets.

use std::sync::Mutex;

use virksomhedslogin::testing::{Clock, ClockLimits, Timestamp};

pub(crate) struct ManualClock {
    now: Mutex<Timestamp>,
    limits: ClockLimits,
}

impl ManualClock {
    /// Shows this time, and is wrong outside of these limits.
    pub(crate) fn new(limits: ClockLimits, now: Timestamp) -> Self {
        Self { now: Mutex::new(now), limits }
    }

    pub(crate) fn set(&self, now: Timestamp) {
        *self.now.lock().unwrap() = now;
    }

    /// Later, or earlier when negative.
    pub(crate) fn advance_millis(&self, millis: i64) {
        self.set(self.now().shifted(millis));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    fn limits(&self) -> ClockLimits {
        self.limits
    }
}
