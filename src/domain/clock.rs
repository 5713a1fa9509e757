//! Where the time comes from: everything that needs it is given a [`Clock`]; clippy bans the rest.
//!
//! A login at a wrong time cannot be undone by later ones (first = min, last = max), so a clock has [`ClockLimits`], and
//! the store records nothing outside of them. They catch what is plainly wrong (a machine before its first NTP answer, a
//! mistyped year), not a clock that is off by a second.

use std::sync::Arc;

use super::timestamp::Timestamp;

/// The present time, to the millisecond.
pub trait Clock: Send + Sync {
    /// May step back between two calls, as the machine's clock may.
    fn now(&self) -> Timestamp;

    /// Times outside are plainly wrong.
    fn limits(&self) -> ClockLimits {
        ClockLimits::NONE
    }
}

/// The one clock of a service.
pub type SharedClock = Arc<dyn Clock>;

/// Midnight (UTC) of a day before any commit that has this check, in seconds since 1970: 2026-11-01.
const FIRST_DAY: i64 = 1_793_491_200;

/// Midnight (UTC) of the day of the commit that was built, where the build knows it (`build.rs`): a clock a few hours behind
/// is not plainly wrong.
const COMMIT_DAY: i64 = match option_env!("VIRKSOMHEDSLOGIN_BUILD_DAY") {
    Some(text) => match i64::from_str_radix(text, 10) {
        Ok(day) if day > FIRST_DAY => day,
        _ => FIRST_DAY,
    },
    None => FIRST_DAY,
};

/// Times outside are plainly wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockLimits {
    /// No earlier time can be right.
    pub earliest: Timestamp,
    /// Maximum milliseconds between this clock and that of the database; `None`: not compared.
    pub from_database: Option<i64>,
}

/// Why a login is not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongClock {
    #[error(
        "the clock shows {now}, before {earliest}, when this program was committed: set this machine's clock (chrony, \
         systemd-timesyncd)"
    )]
    BeforeCommit { now: Timestamp, earliest: Timestamp },
    #[error(
        "the clock shows {now}, the database's {database}, more than {} s apart: synchronise both (chrony, \
         systemd-timesyncd)",
        limit / 1_000
    )]
    FarFromDatabase {
        now: Timestamp,
        database: Timestamp,
        /// In milliseconds.
        limit: i64,
    },
}

impl ClockLimits {
    /// Every time is right.
    pub const NONE: Self = Self { earliest: Timestamp::MIN, from_database: None };

    /// Those of the service: not before the commit that was built, and within a minute of the database's clock.
    pub fn service() -> Self {
        let earliest = Timestamp::from_millis(COMMIT_DAY.saturating_mul(1_000)).unwrap_or(Timestamp::MAX);
        Self { earliest, from_database: Some(60_000) }
    }

    /// Checks the time without a database.
    pub fn check(&self, now: Timestamp) -> Result<(), WrongClock> {
        let earliest = self.earliest;
        if now < earliest { Err(WrongClock::BeforeCommit { now, earliest }) } else { Ok(()) }
    }

    /// When logins from this first to this last time may be recorded, by the database's clock; `None`: at any time. The
    /// time that they waited counts.
    pub fn window(&self, first: Timestamp, last: Timestamp) -> Option<ClockWindow> {
        self.from_database.map(|limit| ClockWindow {
            opens: last.shifted(-limit),
            closes: first.shifted(limit),
            limit,
        })
    }

    /// Compares the clock with the database's, which showed `database` between `sent` and `received`.
    pub fn compare(
        &self,
        sent: Timestamp,
        received: Timestamp,
        database: Timestamp,
    ) -> Result<(), WrongClock> {
        self.check(received)?;
        // The clock may have been set back in between.
        let (first, last) = (sent.min(received), sent.max(received));
        match self.from_database {
            Some(limit) if database < first.shifted(-limit) || database > last.shifted(limit) => {
                Err(WrongClock::FarFromDatabase { now: received, database, limit })
            }
            _ => Ok(()),
        }
    }
}

/// When some logins may be recorded, by the database's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockWindow {
    pub opens: Timestamp,
    pub closes: Timestamp,
    limit: i64,
}

impl ClockWindow {
    /// The error when the database's clock shows a time outside.
    pub fn missed(&self, database: Timestamp) -> WrongClock {
        let nearest = if database < self.opens {
            self.opens.shifted(self.limit)
        } else {
            self.closes.shifted(-self.limit)
        };
        WrongClock::FarFromDatabase { now: nearest, database, limit: self.limit }
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// The machine's clock within the limits of the service.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ServiceClock;

impl Clock for ServiceClock {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn limits(&self) -> ClockLimits {
        ClockLimits::service()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
    fn now(&self) -> Timestamp {
        // Not `chrono::Utc::now`, which panics before 1970, and takes four times as long.
        Timestamp::clamped(std::time::SystemTime::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn times_before_the_commit_date_are_wrong() {
        let limits = ClockLimits::service();
        assert_eq!(limits.check(limits.earliest), Ok(()));
        assert_eq!(limits.check(Timestamp::MAX), Ok(()), "nothing shows that the future is wrong");
        for now in [limits.earliest.shifted(-1), time("2020-01-01T00:00:00.000Z"), Timestamp::MIN] {
            let earliest = limits.earliest;
            assert_eq!(limits.check(now), Err(WrongClock::BeforeCommit { now, earliest }));
            assert!(limits.compare(now, now, now).is_err(), "whatever the database shows");
        }
        assert!(limits.earliest >= time("2026-11-01T00:00:00.000Z"));
        assert_eq!(limits.earliest.millis() % 86_400_000, 0, "midnight");
        assert_eq!(SystemClock.limits(), ClockLimits::NONE);
        assert_eq!(ServiceClock.limits(), limits);
    }

    #[test]
    fn clock_may_be_a_minute_from_the_database() {
        let limits = ClockLimits { earliest: Timestamp::MIN, from_database: Some(60_000) };
        let (sent, received) = (time("2026-11-23T08:00:00.000Z"), time("2026-11-23T08:00:02.000Z"));
        for (database, fits) in [
            ("2026-11-23T07:59:00.000Z", true),
            ("2026-11-23T07:58:59.999Z", false),
            ("2026-11-23T08:01:02.000Z", true),
            ("2026-11-23T08:01:02.001Z", false),
        ] {
            let compared = limits.compare(sent, received, time(database));
            assert_eq!(compared.is_ok(), fits, "{database}");
            assert_eq!(limits.compare(received, sent, time(database)).is_ok(), fits, "set back: {database}");
        }
        assert_eq!(ClockLimits::NONE.compare(sent, received, Timestamp::MAX), Ok(()));
        assert_eq!(ClockLimits::NONE.window(sent, received), None);
        let window = limits.window(sent, received).unwrap();
        assert_eq!(window.opens, time("2026-11-23T07:59:02.000Z"));
        assert_eq!(window.closes, time("2026-11-23T08:01:00.000Z"));
        for (database, now) in [("2026-11-23T07:00:00.000Z", received), ("2026-11-23T09:00:00.000Z", sent)] {
            let database = time(database);
            assert_eq!(window.missed(database), WrongClock::FarFromDatabase { now, database, limit: 60_000 });
        }
    }
}
