//! Notifications to the service manager (sd_notify(3)): ready, reloading, stopping, and the watchdog.
//!
//! The watchdog is notified while the store *answers* a write within `store.deadline_seconds`, with success or not: a full disk
//! repairs itself while reads go on, a stuck writer only by a restart. The loop runs on the thread that also takes the signals,
//! so a stuck thread does not notify either.

use std::sync::Arc;
use std::time::Duration;

use actix_web::rt;
use sd_notify::NotifyState;

use crate::store::{Store, StoreError};

/// Notifications in one watchdog time. The manual page advises two; with four a slow disk may answer late twice.
const NOTIFICATIONS: u32 = 4;
/// Pause after a store that did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// Also after a reload, however it ended.
pub(crate) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub(crate) fn reloading() {
    // Type=notify-reload (systemd 253) requires the time; older ones ignore it.
    let now = NotifyState::monotonic_usec_now().ok();
    let states: Vec<_> = std::iter::once(NotifyState::Reloading).chain(now).collect();
    notify(&states);
}

pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Notifies the watchdog, if any, as long as the store answers; also while the last requests are finished.
pub(super) fn watch(store: Arc<Store>, deadline: Duration) {
    let Some(time) = sd_notify::watchdog_enabled().filter(|time| !time.is_zero()) else { return };
    if time < deadline * 2 {
        log::warn!(
            "the watchdog's {time:?} are less than twice store.deadline_seconds: a slow disk may end the process"
        );
    }
    rt::spawn(async move {
        loop {
            let pause = if answers(&store.ready().await) {
                notify(&[NotifyState::Watchdog]);
                time / NOTIFICATIONS
            } else {
                log::error!(
                    "the store does not answer; the watchdog ends the process after {time:?} of that"
                );
                RETRY.min(time / NOTIFICATIONS)
            };
            rt::time::sleep(pause).await;
        }
    });
}

/// Does nothing without a service manager (`NOTIFY_SOCKET`).
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("the service manager cannot be notified of {states:?}: {error}");
    }
}

/// Whether the store gave an answer, good or bad.
fn answers(answer: &Result<(), StoreError>) -> bool {
    // Full: so many probes wait that this one was not queued. A restart helps with no other error.
    !matches!(answer, Err(StoreError::Deadline | StoreError::Full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watchdog_is_notified_on_any_answer_of_the_store() {
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
