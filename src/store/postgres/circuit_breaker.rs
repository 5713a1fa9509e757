//! Whether the database is available, as the last statement found it.
//!
//! During an outage that is shorter than a caller's wait, statements are retried, so that a restart or a failover costs
//! a pause and no error. In a longer one calls fail at once, because they would only pile up. Does not connect itself.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::store::StoreError;

/// The shortest time between two warnings, since a lock may let the database time out again and again.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct CircuitBreaker {
    state: watch::Sender<State>,
    grace: Duration,
}

#[derive(Debug, Default)]
struct State {
    outage: Option<Outage>,
    /// Outages that have begun since the database was first reached.
    outages: u64,
    last_warning: Option<Instant>,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    /// How long calls wait for the end.
    grace: Duration,
    reason: String,
    logged: bool,
}

impl CircuitBreaker {
    /// Open until the database was reached for the first time. Later, calls fail only after an outage of `grace`.
    pub(super) fn new(grace: Duration) -> Self {
        let reason = "it has not been reached yet".to_owned();
        let outage = Outage { since: Instant::now(), grace: Duration::ZERO, reason, logged: false };
        Self { state: watch::Sender::new(State { outage: Some(outage), ..State::default() }), grace }
    }

    /// An error once the database has been unavailable for too long.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let state = self.state.borrow();
        let long = state.outage.as_ref().filter(|outage| outage.since.elapsed() >= outage.grace);
        long.map_or(Ok(()), |outage| Err(StoreError::Unavailable(outage.reason.clone())))
    }

    /// Why the database is unavailable, if it is.
    pub(super) fn outage(&self) -> Option<String> {
        self.state.borrow().outage.as_ref().map(|outage| outage.reason.clone())
    }

    pub(super) fn outages(&self) -> u64 {
        self.state.borrow().outages
    }

    pub(super) fn open(&self, reason: &str) {
        let now = Instant::now();
        self.state.send_modify(|State { outage, outages, last_warning }| {
            let grace = self.grace;
            *outages += u64::from(outage.is_none());
            let outage =
                outage.get_or_insert(Outage { since: now, grace, reason: String::new(), logged: false });
            if !outage.logged && last_warning.is_none_or(|last| now.duration_since(last) >= BETWEEN_WARNINGS)
            {
                log::warn!("the database is unavailable and is tried again until it answers: {reason}");
                outage.logged = true;
                *last_warning = Some(now);
            } else if outage.reason != reason {
                log::debug!("the database is still unavailable: {reason}");
            }
            reason.clone_into(&mut outage.reason);
        });
    }

    /// The database answers, and its tables are ours.
    pub(super) fn close(&self) {
        self.state.send_modify(|state| {
            if let Some(outage) = state.outage.take().filter(|outage| outage.logged) {
                let seconds = outage.since.elapsed().as_secs_f64();
                log::info!("the database is available again after {seconds:.1} s");
            }
        });
    }

    /// Waits until it is open, or until it is closed.
    pub(super) async fn until(&self, open: bool) {
        // Never an error, because the sender is `self`.
        let _ = self.state.subscribe().wait_for(|state| state.outage.is_some() == open).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_fail_at_once_after_a_grace() {
        let breaker = CircuitBreaker::new(Duration::from_secs(2));
        assert!(breaker.check().is_err(), "not reached yet");
        breaker.close();
        assert_eq!(breaker.check(), Ok(()));
        breaker.open("connection refused");
        assert!(breaker.outage().is_some());
        assert_eq!(breaker.check(), Ok(()), "it may come back while they wait");
        std::thread::sleep(Duration::from_millis(2_100));
        assert_eq!(breaker.check(), Err(StoreError::Unavailable("connection refused".to_owned())));
        breaker.open("no route to host");
        assert_eq!(breaker.check(), Err(StoreError::Unavailable("no route to host".to_owned())));
        breaker.close();
        assert_eq!((breaker.check(), breaker.outage()), (Ok(()), None));
        assert_eq!(breaker.outages(), 1, "the wait for the first answer is none");
    }

    #[test]
    fn warnings_are_rare() {
        let breaker = CircuitBreaker::new(Duration::ZERO);
        let warned = |breaker: &CircuitBreaker| {
            breaker.close();
            breaker.open("no answer in time");
            breaker.state.borrow().outage.as_ref().unwrap().logged
        };
        assert!(warned(&breaker));
        assert!(!warned(&breaker), "within the pause");
        let earlier = Instant::now().checked_sub(BETWEEN_WARNINGS);
        breaker.state.send_modify(|state| state.last_warning = earlier);
        assert!(warned(&breaker), "after the pause");
    }
}
