//! The set of keys that serves now, how old it is, and the requests that wait for a better one.
//!
//! One background thread puts sets in (see `refresh`), requests take them out. Promises: reading costs an atomic load,
//! and waiting blocks no thread, is bounded in number and has an end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwapOption, Guard};
use tokio::sync::watch;

use super::algorithm::Algorithm;
use super::key_error::KeyError;
use super::keys::KeySet;
use super::source::{RefreshTiming, Source};

/// Maximum requests that wait for a fetch at once; more are denied at once.
const MAX_WAITING: usize = 1_024;

/// The set that serves, and the text that it was read from.
pub(super) struct Loaded {
    pub(super) set: KeySet,
    /// Counts the sets that have served; a cached verification holds for its own only.
    pub(super) generation: u64,
    text: Vec<u8>,
}

/// What changes when a file is written or replaced: modification time, size, inode.
pub(super) type Fingerprint = (i64, i64, u64, u64);

/// The version of the key file that was seen last.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// `None` when there was no file.
    pub(super) version: Option<Fingerprint>,
    pub(super) serves: bool,
}

/// State of the keys, for readiness and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyStatus {
    /// Keys that serve; 0 when there is no set, or the last good one has become too old.
    pub usable_keys: usize,
    /// Time since the set was last read, or confirmed by the issuer.
    pub age: Option<Duration>,
    /// Successful reads and confirmations.
    pub refreshes: u64,
    pub failures: u64,
}

#[derive(Debug, Default)]
struct Attempts {
    /// One is in progress or requested.
    pending: bool,
    /// When a token with an unknown `kid` last requested one.
    last_unknown: Option<Instant>,
    refreshes: u64,
    failures: u64,
}

/// The keys of one source. Its thread ends when it is dropped.
pub(super) struct Keyring {
    pub(super) source: Source,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) timing: RefreshTiming,
    loaded: ArcSwapOption<Loaded>,
    /// When the set was last confirmed, in milliseconds since `born`.
    confirmed: AtomicU64,
    born: Instant,
    seen: Mutex<Seen>,
    attempts: watch::Sender<Attempts>,
    wake: SyncSender<()>,
}

impl Keyring {
    /// An empty ring; `wake` wakes its thread.
    pub(super) fn new(
        source: Source,
        algorithms: Vec<Algorithm>,
        timing: RefreshTiming,
        wake: SyncSender<()>,
    ) -> Self {
        Self {
            source,
            algorithms,
            timing,
            loaded: ArcSwapOption::empty(),
            confirmed: AtomicU64::new(0),
            born: Instant::now(),
            seen: Mutex::default(),
            attempts: watch::Sender::default(),
            wake,
        }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn age(&self) -> Duration {
        self.born.elapsed().saturating_sub(Duration::from_millis(self.confirmed.load(Ordering::Acquire)))
    }

    /// The set that serves, unless there is none or it was confirmed too long ago.
    pub(super) fn current(&self) -> Option<Guard<Option<Arc<Loaded>>>> {
        let loaded = self.loaded.load();
        let is_fresh = match &self.source {
            Source::File(_) => true,
            Source::Remote(remote) => self.age() < remote.max_stale,
        };
        (loaded.is_some() && is_fresh).then_some(loaded)
    }

    /// Lets the set of this text serve from now on; without one, the set that serves is confirmed.
    pub(super) fn accept(&self, text: Option<Vec<u8>>) -> Result<(), KeyError> {
        match text {
            Some(text) => self.put(KeySet::read(&text, &self.algorithms)?, text),
            None => self.confirm(),
        }
        Ok(())
    }

    /// Lets a set serve from now on, unless it does already. One thread at a time, so that each set has a generation.
    pub(super) fn put(&self, set: KeySet, text: Vec<u8>) {
        let loaded = self.loaded.load();
        if loaded.as_ref().is_none_or(|loaded| loaded.text != text) {
            for warning in set.warnings() {
                log::warn!("token.jwks: {warning}");
            }
            log::info!("{} keys serve, {} are skipped", set.len(), set.skipped_count());
            let generation = loaded.as_ref().map_or(0, |loaded| loaded.generation) + 1;
            self.loaded.store(Some(Arc::new(Loaded { set, generation, text })));
        }
        self.confirm();
    }

    /// The set that serves is still the right one.
    pub(super) fn confirm(&self) {
        let millis = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.confirmed.store(millis, Ordering::Release);
    }

    pub(super) fn status(&self) -> KeyStatus {
        let current = self.current();
        let attempts = self.attempts.borrow();
        KeyStatus {
            usable_keys: current.as_deref().and_then(Option::as_ref).map_or(0, |loaded| loaded.set.len()),
            age: self.loaded.load().is_some().then(|| self.age()),
            refreshes: attempts.refreshes,
            failures: attempts.failures,
        }
    }

    /// An attempt begins.
    pub(super) fn begin(&self) {
        self.attempts.send_modify(|attempts| attempts.pending = true);
    }

    /// The attempt has succeeded or failed, or found nothing to do; requests that wait for it go on.
    pub(super) fn end(&self, succeeded: Option<bool>) {
        self.attempts.send_modify(|attempts| {
            attempts.pending = false;
            attempts.refreshes += u64::from(succeeded == Some(true));
            attempts.failures += u64::from(succeeded == Some(false));
        });
    }

    /// Requests an attempt now, for which requests wait.
    pub(super) fn request(&self) {
        self.begin();
        self.wake();
    }

    fn wake(&self) {
        // A full channel has a request that is as good.
        let _ = self.wake.try_send(());
    }

    /// Waits for the attempt in progress. Where there is none, an unknown `kid` requests one, unless another did shortly
    /// before.
    pub(super) async fn wait_for_attempt(&self, for_unknown_kid: bool) {
        let mut watched = self.attempts.subscribe();
        let (mut is_pending, mut is_requested) = (false, false);
        self.attempts.send_if_modified(|attempts| {
            let is_spaced = |last: Instant| last.elapsed() >= self.timing.unknown_spacing;
            is_requested =
                for_unknown_kid && !attempts.pending && attempts.last_unknown.is_none_or(is_spaced);
            if is_requested {
                attempts.last_unknown = Some(Instant::now());
            }
            is_pending = attempts.pending || is_requested;
            attempts.pending = is_pending;
            is_requested
        });
        if is_requested {
            self.wake();
        }
        if is_pending && self.attempts.receiver_count() <= MAX_WAITING {
            let ended = watched.wait_for(|attempts| !attempts.pending);
            let _ = tokio::time::timeout(self.timing.max_wait(), ended).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::*;

    const LONG: Duration = RefreshTiming::SERVING.fetch;

    fn ring() -> (Arc<Keyring>, Receiver<()>) {
        let (wake, woken) = sync_channel(1);
        let source = Source::File("keys.json".into());
        (Arc::new(Keyring::new(source, vec![], RefreshTiming::SERVING, wake)), woken)
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(future)
    }

    #[test]
    fn no_request_waits_for_an_attempt_that_never_comes() {
        let ((ring, woken), begun) = (ring(), Instant::now());
        run(ring.wait_for_attempt(false));
        ring.attempts.send_modify(|attempts| attempts.last_unknown = Some(begun));
        run(ring.wait_for_attempt(true));
        assert!(begun.elapsed() < LONG / 2);
        assert!(woken.try_recv().is_err());
    }

    #[test]
    fn unknown_kid_waits_for_the_attempt_in_progress_or_requests_one() {
        for is_in_progress in [true, false] {
            let ((ring, woken), begun) = (ring(), Instant::now());
            if is_in_progress {
                ring.begin();
            }
            let theirs = Arc::clone(&ring);
            let ending = std::thread::spawn(move || {
                while theirs.attempts.receiver_count() == 0 || !theirs.attempts.borrow().pending {
                    std::thread::sleep(Duration::from_millis(1));
                }
                theirs.end(Some(true));
            });
            run(ring.wait_for_attempt(true));
            assert!(!ring.attempts.borrow().pending && begun.elapsed() < LONG / 2);
            assert_eq!(woken.try_recv().is_ok(), !is_in_progress);
            ending.join().unwrap();
        }
    }
}
