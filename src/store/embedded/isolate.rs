//! Work with sled that may panic or never return, done in a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::critical_tasks::Guard;
use crate::store::options::Progress;

const CHECK_INTERVAL: Duration = Duration::from_millis(250);
const OVERDUE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) enum TaskFailure {
    Panicked(String),
    /// It made no progress for this time.
    Stuck(Duration),
    NoThread(std::io::Error),
}

/// Runs the work in a thread, which is abandoned when it makes no progress within the limit.
pub(super) fn run<T: Send + 'static>(
    limit: Duration,
    progress: &Arc<Progress>,
    work: impl FnOnce(&Progress) -> T + Send + 'static,
) -> Result<T, TaskFailure> {
    quieten_sled();
    let (sender, receiver) = mpsc::sync_channel(1);
    let theirs = Arc::clone(progress);
    thread::Builder::new()
        .name("store-open".to_owned())
        .spawn(move || sender.send(catch(|| work(&theirs))))
        .map_err(TaskFailure::NoThread)?;
    let (mut seen, mut since) = (progress.done.load(Ordering::Relaxed), Instant::now());
    loop {
        match receiver.recv_timeout(Duration::from_millis(200)) {
            Ok(result) => return result.map_err(TaskFailure::Panicked),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(TaskFailure::Panicked("the thread ended without a result".to_owned()));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let done = progress.done.load(Ordering::Relaxed);
        if done != seen {
            (seen, since) = (done, Instant::now());
        } else if since.elapsed() > limit {
            return Err(TaskFailure::Stuck(limit));
        }
    }
}

/// The result of the work, or the message of its panic.
pub(super) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned())
    })
}

/// sled panics on damage, in its own threads too. The operator gets an error for it; the trace belongs in the debug
/// log.
fn quieten_sled() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| match panic.location() {
            Some(place) if place.file().contains("/sled-0.34") => log::debug!("sled panicked: {panic}"),
            _ => before(panic),
        }));
    });
}

/// Wakes a flush of sled that waits for an error which it was never notified of: the database that is being written to, and
/// since when.
///
/// Some of sled's paths note an I/O error without waking those who wait for the write; a second `flush` sees the error and
/// wakes them all. On a disk that is merely slow it waits beside the first one and does no harm.
#[derive(Default)]
pub(super) struct FlushWaker(Mutex<Option<(Instant, sled::Db)>>);

impl FlushWaker {
    /// Starts the thread, which holds the guard and ends with the waker.
    pub(super) fn start(guard: Guard) -> std::io::Result<Arc<Self>> {
        let waker = Arc::new(Self::default());
        let weak = Arc::downgrade(&waker);
        thread::Builder::new().name("store-flush".to_owned()).spawn(move || {
            let _guard = guard;
            loop {
                thread::sleep(CHECK_INTERVAL);
                let Some(waker) = weak.upgrade() else { break };
                let overdue = waker.overdue();
                drop(waker);
                if let Some(db) = overdue {
                    let _ = catch(|| db.flush());
                }
            }
        })?;
        Ok(waker)
    }

    fn current(&self) -> MutexGuard<'_, Option<(Instant, sled::Db)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn arm(&self, db: sled::Db) {
        *self.current() = Some((Instant::now(), db));
    }

    pub(super) fn disarm(&self) {
        // Dropped after the lock is released: the last handle of a database writes.
        let disarmed = self.current().take();
        drop(disarmed);
    }

    fn overdue(&self) -> Option<sled::Db> {
        self.current().as_ref().filter(|(since, _)| since.elapsed() > OVERDUE).map(|(_, db)| db.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_and_standstill_are_errors_and_progress_is_awaited() {
        let progress = Arc::new(Progress::default());
        let limit = Duration::from_secs(2);
        assert!(matches!(run(limit, &progress, |_| 5), Ok(5)));
        let panicked = run(Duration::from_secs(20), &progress, |_| panic!("out of {}", "luck"));
        assert!(matches!(panicked, Err::<(), _>(TaskFailure::Panicked(text)) if text == "out of luck"));
        let stuck = run(limit, &progress, |_| thread::sleep(Duration::from_secs(30)));
        assert!(matches!(stuck, Err(TaskFailure::Stuck(_))));
        let slow = run(limit, &progress, |progress| {
            for _ in 0..12 {
                thread::sleep(Duration::from_millis(250));
                progress.done.fetch_add(1, Ordering::Relaxed);
            }
        });
        assert!(slow.is_ok());
    }
}
