//! Wakes a flush of sled that waits for an error which it was never notified of.
//!
//! Some of sled's paths note an I/O error without waking those who wait for the write; a second `flush` sees the
//! error and wakes them all. On a disk that is merely slow it waits beside the first one and does no harm.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::isolate;
use crate::critical_tasks::Guard;

const CHECK_INTERVAL: Duration = Duration::from_millis(250);
const OVERDUE: Duration = Duration::from_secs(1);

/// The database that is being written to, and since when.
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
                    let _ = isolate::catch(|| db.flush());
                }
            }
        })?;
        Ok(waker)
    }

    fn current(&self) -> MutexGuard<'_, Option<(Instant, sled::Db)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write to this database begins.
    pub(super) fn arm(&self, db: sled::Db) {
        *self.current() = Some((Instant::now(), db));
    }

    /// The write has returned.
    pub(super) fn disarm(&self) {
        // Dropped after the lock is released: the last handle of a database writes.
        let disarmed = self.current().take();
        drop(disarmed);
    }

    fn overdue(&self) -> Option<sled::Db> {
        self.current().as_ref().filter(|(since, _)| since.elapsed() > OVERDUE).map(|(_, db)| db.clone())
    }
}
