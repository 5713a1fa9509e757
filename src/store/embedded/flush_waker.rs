//! Wakes a flush of sled that waits for an error nobody told it about.
//!
//! Some of sled's paths note an I/O error without waking those who wait for the write. A second `flush` sees the error
//! and wakes them all. On a disk that is merely slow it waits beside the first one and does no harm.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::isolate;
use crate::critical_tasks::Guard;

const LOOK_EVERY: Duration = Duration::from_millis(250);
const TOO_LONG: Duration = Duration::from_secs(1);

/// The database that is being written to, and since when.
#[derive(Default)]
pub(super) struct Watchdog(Mutex<Option<(Instant, sled::Db)>>);

impl Watchdog {
    /// A watchdog whose thread ends with it, and holds this guard.
    pub(super) fn start(guard: Guard) -> std::io::Result<Arc<Self>> {
        let watchdog = Arc::new(Self::default());
        let weak = Arc::downgrade(&watchdog);
        thread::Builder::new().name("store-watchdog".to_owned()).spawn(move || {
            let _guard = guard;
            loop {
                thread::sleep(LOOK_EVERY);
                let Some(watchdog) = weak.upgrade() else { break };
                let late = watchdog.late();
                drop(watchdog);
                if let Some(db) = late {
                    let _ = isolate::catch(|| db.flush());
                }
            }
        })?;
        Ok(watchdog)
    }

    fn current(&self) -> MutexGuard<'_, Option<(Instant, sled::Db)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write to this database begins.
    pub(super) fn watch(&self, db: sled::Db) {
        *self.current() = Some((Instant::now(), db));
    }

    /// The write has come back.
    pub(super) fn disarm(&self) {
        let relaxed = self.current().take();
        drop(relaxed);
    }

    fn late(&self) -> Option<sled::Db> {
        self.current().as_ref().filter(|(since, _)| since.elapsed() > TOO_LONG).map(|(_, db)| db.clone())
    }
}
