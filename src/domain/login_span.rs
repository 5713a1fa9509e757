//! What is known of one company: its first and its latest login.
//!
//! Promises: spans form a lattice (merging takes the earlier first and the later last), so every write is idempotent,
//! commutative and associative, and retries, replays, races, imports, restores and a clock that steps back do no harm.

use super::timestamp::Timestamp;

/// The first and the latest login of one company; the first is never after the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LoginSpan {
    first: Timestamp,
    last: Timestamp,
}

/// The first login lies after the latest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the first login lies after the latest one")]
pub struct FirstAfterLast;

impl LoginSpan {
    /// Logins from first to last, in this order.
    pub fn new(first: Timestamp, last: Timestamp) -> Result<Self, FirstAfterLast> {
        if first <= last { Ok(Self { first, last }) } else { Err(FirstAfterLast) }
    }

    /// A company that logged in once.
    pub fn at(time: Timestamp) -> Self {
        Self { first: time, last: time }
    }

    /// The first login ever (`tidligsteLoginTidspunkt`).
    pub fn first(self) -> Timestamp {
        self.first
    }

    /// The latest login (`senesteLogintidspunkt`).
    pub fn last(self) -> Timestamp {
        self.last
    }

    /// Everything that either side knows: the earlier first, the later last.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }
}

/// A window of latest logins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LastLoginWindow {
    /// None before this time.
    pub since: Option<Timestamp>,
    /// None at or after this time.
    pub before: Option<Timestamp>,
}

impl LastLoginWindow {
    /// Whether every login is in it.
    pub fn is_unbounded(self) -> bool {
        self == Self::default()
    }

    /// Whether the latest login is in it.
    pub fn contains(self, login: LoginSpan) -> bool {
        self.since.is_none_or(|since| login.last >= since)
            && self.before.is_none_or(|before| login.last < before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn login() -> impl Strategy<Value = LoginSpan> {
        (0i64..1_000, 0i64..1_000).prop_map(|(one, other)| {
            let time = |millis| Timestamp::from_millis(millis).unwrap();
            LoginSpan::new(time(one.min(other)), time(one.max(other))).unwrap()
        })
    }

    #[test]
    fn span_that_ends_before_it_begins_is_rejected() {
        let time = |millis| Timestamp::from_millis(millis).unwrap();
        assert_eq!(LoginSpan::new(time(2), time(1)), Err(FirstAfterLast));
    }

    proptest! {
        #[test]
        fn merging_is_idempotent(a in login()) {
            prop_assert_eq!(a.merge(a), a);
        }

        #[test]
        fn merging_is_commutative(a in login(), b in login()) {
            prop_assert_eq!(a.merge(b), b.merge(a));
        }

        #[test]
        fn merging_is_associative(a in login(), b in login(), c in login()) {
            prop_assert_eq!(a.merge(b).merge(c), a.merge(b.merge(c)));
        }

        #[test]
        fn the_first_never_rises_and_the_last_never_falls(a in login(), b in login()) {
            let merged = a.merge(b);
            prop_assert!(merged.first() <= a.first() && merged.last() >= a.last());
            prop_assert!(merged.first() <= merged.last());
        }

        #[test]
        fn any_order_of_logins_gives_the_same_record(mut times in prop::collection::vec(0i64..1_000_000, 1..20)) {
            let merged = |times: &[i64]| {
                times.iter().map(|millis| LoginSpan::at(Timestamp::from_millis(*millis).unwrap())).reduce(LoginSpan::merge)
            };
            let forwards = merged(&times);
            times.reverse();
            prop_assert_eq!(forwards, merged(&times));
            times.sort_unstable();
            let record = forwards.unwrap();
            prop_assert_eq!(record.first().millis(), times[0]);
            prop_assert_eq!(record.last().millis(), times[times.len() - 1]);
        }
    }
}
