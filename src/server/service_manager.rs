//! What the service manager is told (sd_notify(3)): ready, reloading, stopping, and that the process still works.
//!
//! # The watchdog
//!
//! `WatchdogSec=` ends a process that has not been heard of for so long, and starts it anew. It is fed while the parts
//! of this process *answer*, not while they say yes:
//!
//! - The store is asked as `/readyz` asks it: a write that is synced and read back. Done is an answer. "The disk is
//!   full" and "the disk refuses" are answers too: the store repairs itself from them while reads go on, and a restart
//!   would take the reads away and find the same disk.
//! - No answer before `store.deadline_seconds` is none: the thread that writes is stuck. The store frees itself from a
//!   disk that stood still for a while; what is stuck longer than the watchdog's whole time only a restart can free.
//! - The loop runs on the thread that also takes the signals, so a thread that is stuck feeds nothing either.
//!
//! Nothing here is asked for by a request, and nothing costs one anything.

use std::sync::Arc;
use std::time::Duration;

use actix_web::rt;
use sd_notify::NotifyState;

use crate::store::{Store, StoreError};

/// Feedings in one watchdog time. Its manual page advises two; four let a slow disk answer late twice.
const FEEDINGS: u32 = 4;
/// How soon the store is asked again after it did not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// The service manager that started this process, when there is one that listens.
#[derive(Debug, Clone, Default)]
pub struct ServiceManager {
    present: bool,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that the environment names (`NOTIFY_SOCKET`, `WATCHDOG_USEC`); nobody when it names none.
    pub fn from_environment() -> Self {
        let present = std::env::var_os("NOTIFY_SOCKET").is_some_and(|socket| !socket.is_empty());
        Self { present, watchdog: sd_notify::watchdog_enabled().filter(|time| present && !time.is_zero()) }
    }

    /// Requests are being answered.
    pub fn ready(&self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The configuration is being read anew. To be followed by [`ServiceManager::ready`], however that ends.
    pub fn reloading(&self) {
        // Type=notify-reload (systemd 253) wants to know when; older ones pass over it.
        let now = NotifyState::monotonic_usec_now().ok();
        let states: Vec<_> = std::iter::once(NotifyState::Reloading).chain(now).collect();
        self.tell(&states);
    }

    /// The process is on its way down.
    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
    }

    /// Feeds the watchdog, when there is one, for as long as the store answers; also while requests in hand are finished.
    pub(super) fn watch(&self, store: Arc<Store>, deadline: Duration) {
        let Some(time) = self.watchdog else { return };
        if time < deadline * 2 {
            log::warn!(
                "the watchdog's {time:?} are less than twice store.deadline_seconds: a slow disk may end the process"
            );
        }
        let supervisor = self.clone();
        rt::spawn(async move {
            loop {
                let answer = store.ready().await;
                let pause = if answers(&answer) {
                    supervisor.tell(&[NotifyState::Watchdog]);
                    time / FEEDINGS
                } else {
                    log::error!(
                        "the store does not answer; the watchdog ends the process after {time:?} of that"
                    );
                    AGAIN.min(time / FEEDINGS)
                };
                rt::time::sleep(pause).await;
            }
        });
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        if self.present
            && let Err(error) = sd_notify::notify(states)
        {
            log::warn!("the service manager cannot be told {states:?}: {error}");
        }
    }
}

/// Whether the store gave an answer, good or bad.
fn answers(answer: &Result<(), StoreError>) -> bool {
    match answer {
        Ok(()) | Err(StoreError::DiskFull | StoreError::Failing(_) | StoreError::Closing) => true,
        // Another clock is not had by a start either.
        Err(StoreError::WrongClock(_)) => true,
        // A database that is away is not mended by a process that starts anew.
        Err(StoreError::Unavailable(_)) => true,
        // Full: so many probes wait that this one was not even put to it.
        Err(StoreError::Deadline | StoreError::Full) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_fed_on_any_answer_and_on_nothing_else() {
        for answered in [
            Ok(()),
            Err(StoreError::DiskFull),
            Err(StoreError::Failing("syncing: Input/output error".to_owned())),
            Err(StoreError::Closing),
            Err(StoreError::Unavailable("connection refused".to_owned())),
        ] {
            assert!(answers(&answered), "{answered:?}");
        }
        for silent in [StoreError::Deadline, StoreError::Full] {
            assert!(!answers(&Err(silent.clone())), "{silent:?}");
        }
    }
}
