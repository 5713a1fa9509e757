//! The set of keys that serves now, how old it is, and the requests that wait for a better one.
//!
//! One background thread puts sets in (see `source`), requests take them out. Promises: reading costs an atomic load,
//! and waiting blocks no thread, is bounded in number and has an end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwapOption, Guard};
use tokio::sync::{Semaphore, watch};

use super::keys::KeySet;

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

/// What requests and the thread ask of each other.
#[derive(Default)]
struct RefreshState {
    stopped: bool,
    /// An attempt is in progress.
    busy: bool,
    /// An attempt is requested.
    requested: bool,
    /// When a token with an unknown `kid` last requested an attempt.
    last_unknown: Option<Instant>,
    /// The version of the key file that a failed reload leaves unused.
    held: Option<Fingerprint>,
    refreshes: u64,
    failures: u64,
}

/// Shared by the requests and the thread that refreshes.
pub(super) struct Keyring {
    loaded: ArcSwapOption<Loaded>,
    /// When the set was last confirmed, in milliseconds since `born`.
    confirmed: AtomicU64,
    born: Instant,
    max_stale: Option<Duration>,
    unknown_spacing: Duration,
    state: Mutex<RefreshState>,
    wake: Condvar,
    /// Changes when an attempt has ended.
    attempts: watch::Sender<()>,
    waiting: Semaphore,
}

impl Keyring {
    /// An empty ring. A set serves for `max_stale` without being confirmed, or without limit; between two attempts that
    /// unknown `kid`s request lies `unknown_spacing`.
    pub(super) fn new(max_stale: Option<Duration>, unknown_spacing: Duration) -> Self {
        Self {
            loaded: ArcSwapOption::empty(),
            confirmed: AtomicU64::new(0),
            born: Instant::now(),
            max_stale,
            unknown_spacing,
            state: Mutex::default(),
            wake: Condvar::new(),
            attempts: watch::Sender::new(()),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }

    /// A panic while the lock was held leaves the state whole, since each change to it is one assignment.
    fn state(&self) -> MutexGuard<'_, RefreshState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn age(&self) -> Duration {
        self.born.elapsed().saturating_sub(Duration::from_millis(self.confirmed.load(Ordering::Acquire)))
    }

    /// The set that serves, unless there is none or it was confirmed too long ago.
    pub(super) fn current(&self) -> Option<Guard<Option<Arc<Loaded>>>> {
        let loaded = self.loaded.load();
        let fresh = self.max_stale.is_none_or(|limit| self.age() < limit);
        (loaded.is_some() && fresh).then_some(loaded)
    }

    /// Whether the set that serves was read from exactly this text.
    pub(super) fn holds(&self, text: &[u8]) -> bool {
        self.loaded.load().as_ref().is_some_and(|loaded| loaded.text == text)
    }

    /// Lets a set serve from now on.
    pub(super) fn put(&self, set: KeySet, text: Vec<u8>) {
        for warning in set.warnings() {
            log::warn!("token.jwks: {warning}");
        }
        log::info!("{} keys serve, {} are skipped", set.len(), set.skipped_count());
        let generation = self.loaded.load().as_ref().map_or(0, |loaded| loaded.generation) + 1;
        self.loaded.store(Some(Arc::new(Loaded { set, generation, text })));
        self.confirm();
    }

    /// The set that serves is still the right one.
    pub(super) fn confirm(&self) {
        let millis = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.confirmed.store(millis, Ordering::Release);
    }

    pub(super) fn status(&self) -> KeyStatus {
        let current = self.current();
        let state = self.state();
        KeyStatus {
            usable_keys: current.as_deref().and_then(Option::as_ref).map_or(0, |loaded| loaded.set.len()),
            age: self.loaded.load().is_some().then(|| self.age()),
            refreshes: state.refreshes,
            failures: state.failures,
        }
    }

    /// An attempt begins.
    pub(super) fn begin(&self) {
        let mut state = self.state();
        state.busy = true;
        state.requested = false;
    }

    /// The attempt has ended, and requests that wait for it go on.
    pub(super) fn end(&self, succeeded: bool) {
        let mut state = self.state();
        if succeeded {
            state.refreshes += 1;
        } else {
            state.failures += 1;
        }
        drop(state);
        self.end_idle();
    }

    /// The attempt found nothing to do.
    pub(super) fn end_idle(&self) {
        self.state().busy = false;
        self.attempts.send_replace(());
    }

    /// Leaves this version of the key file unused, until another is held or `None`; another version is read.
    pub(super) fn hold(&self, version: Option<Fingerprint>) {
        self.state().held = version;
    }

    /// Whether this version of the key file must stay unused.
    pub(super) fn is_held(&self, version: Option<Fingerprint>) -> bool {
        version.is_some() && self.state().held == version
    }

    /// Requests an attempt soon.
    pub(super) fn request(&self) {
        self.state().requested = true;
        self.wake.notify_all();
    }

    /// Ends the thread. From now on no request waits, since no attempt will come.
    pub(super) fn stop(&self) {
        self.state().stopped = true;
        self.wake.notify_all();
    }

    /// Sleeps until the time is over or an attempt is requested; `false` when the thread must end.
    pub(super) fn sleep(&self, time: Duration) -> bool {
        let asleep = |state: &mut RefreshState| !state.stopped && !state.requested;
        let (state, _) =
            self.wake.wait_timeout_while(self.state(), time, asleep).unwrap_or_else(PoisonError::into_inner);
        !state.stopped
    }

    /// Waits for the attempt in progress. Where there is none, an unknown `kid` requests one, unless another did shortly
    /// before. `false` when there was nothing to wait for, or no end in time.
    pub(super) async fn wait_for_attempt(&self, for_unknown_kid: bool, at_most: Duration) -> bool {
        let mut attempts = {
            let mut state = self.state();
            if state.stopped {
                return false;
            }
            if !state.busy && !state.requested {
                let too_soon = state.last_unknown.is_some_and(|last| last.elapsed() < self.unknown_spacing);
                if !for_unknown_kid || too_soon {
                    return false;
                }
                state.last_unknown = Some(Instant::now());
                state.requested = true;
                self.wake.notify_all();
            }
            // Under the lock, so that the end of the attempt cannot be missed.
            self.attempts.subscribe()
        };
        let Ok(_slot) = self.waiting.try_acquire() else { return false };
        matches!(tokio::time::timeout(at_most, attempts.changed()).await, Ok(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn ring() -> Arc<Keyring> {
        Arc::new(Keyring::new(None, LONG))
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(future)
    }

    #[test]
    fn no_request_waits_for_an_attempt_that_never_comes() {
        let (ring, begun) = (ring(), Instant::now());
        assert!(!run(ring.wait_for_attempt(false, LONG)));
        ring.begin();
        ring.stop();
        assert!(!run(ring.wait_for_attempt(false, LONG)));
        assert!(!run(ring.wait_for_attempt(true, LONG)));
        assert!(begun.elapsed() < LONG / 2);
    }

    #[test]
    fn unknown_kid_waits_for_the_attempt_in_progress() {
        let ring = ring();
        ring.state().last_unknown = Some(Instant::now());
        assert!(!run(ring.wait_for_attempt(true, LONG)), "none is under way, and the last is too near");
        ring.begin();
        let theirs = Arc::clone(&ring);
        let ending = std::thread::spawn(move || {
            while theirs.waiting.available_permits() == MAX_WAITING {
                std::thread::sleep(Duration::from_millis(1));
            }
            theirs.end(true);
        });
        assert!(run(ring.wait_for_attempt(true, LONG)));
        ending.join().unwrap();
    }

    #[test]
    fn waiting_requests_are_bounded() {
        let ring = ring();
        ring.begin();
        let _slots = ring.waiting.try_acquire_many(MAX_WAITING as u32).unwrap();
        assert!(!run(ring.wait_for_attempt(false, LONG)));
    }
}
