//! The set of keys that serves now, who waits for a better one, and how old it is.
//!
//! One background thread puts sets in (see `source`), requests take them out. Reading costs an atomic load.
//! Waiting never blocks a thread: waiters are futures, they are counted, and the wait has an end.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwapOption, Guard};
use tokio::sync::watch;

use super::keys::KeySet;

/// How many requests may wait for a fetch at once; more are refused at once.
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

/// What is known about the keys, for readiness and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyStatus {
    /// How many keys serve; 0 when there is no set, or the last good one has become too old.
    pub usable_keys: usize,
    /// How long ago the set was last read, or confirmed by the issuer.
    pub age: Option<Duration>,
    /// How often keys were read or confirmed.
    pub refreshes: u64,
    /// How often that failed.
    pub failures: u64,
    /// Why it failed, when the last attempt did.
    pub last_error: Option<String>,
}

/// What one of the two sides has asked of the other.
#[derive(Default)]
struct RefreshState {
    stopped: bool,
    /// An attempt is under way.
    busy: bool,
    /// An attempt is asked for.
    asked: bool,
    /// When a token with an unknown `kid` last made one be asked for.
    last_unknown: Option<Instant>,
    /// The version of the key file that a refused reload leaves unused.
    held: Option<Fingerprint>,
    refreshes: u64,
    failures: u64,
    last_error: Option<String>,
}

/// Shared by the requests and the thread that refreshes.
pub(super) struct Keyring {
    loaded: ArcSwapOption<Loaded>,
    /// When the set was last confirmed, in milliseconds since `born`.
    confirmed: AtomicU64,
    born: Instant,
    max_stale: Option<Duration>,
    unknown_spacing: Duration,
    board: Mutex<RefreshState>,
    wake: Condvar,
    /// Tells the waiting that an attempt has ended.
    attempts: watch::Sender<()>,
    waiting: AtomicUsize,
}

impl Keyring {
    /// An empty ring. `max_stale` is how long a set serves without being confirmed, `None` for ever;
    /// `unknown_spacing` the least time between two attempts that unknown `kid`s ask for.
    pub(super) fn new(max_stale: Option<Duration>, unknown_spacing: Duration) -> Self {
        Self {
            loaded: ArcSwapOption::empty(),
            confirmed: AtomicU64::new(0),
            born: Instant::now(),
            max_stale,
            unknown_spacing,
            board: Mutex::default(),
            wake: Condvar::new(),
            attempts: watch::Sender::new(()),
            waiting: AtomicUsize::new(0),
        }
    }

    /// A panic while the board was held leaves it whole: every change to it is one assignment.
    fn board(&self) -> MutexGuard<'_, RefreshState> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
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
        log::info!("{} keys serve, {} are left out", set.len(), set.left_out_count());
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
        let (current, any) = (self.current(), self.loaded.load().is_some());
        let board = self.board();
        KeyStatus {
            usable_keys: current
                .as_ref()
                .and_then(|guard| guard.as_ref())
                .map_or(0, |loaded| loaded.set.len()),
            age: any.then(|| self.age()),
            refreshes: board.refreshes,
            failures: board.failures,
            last_error: board.last_error.clone(),
        }
    }

    /// An attempt begins.
    pub(super) fn begin(&self) {
        let mut board = self.board();
        board.busy = true;
        board.asked = false;
    }

    /// The attempt has ended; whoever waits for it goes on.
    pub(super) fn end(&self, outcome: Result<(), String>) {
        let mut board = self.board();
        board.busy = false;
        match outcome {
            Ok(()) => {
                board.refreshes += 1;
                board.last_error = None;
            }
            Err(error) => {
                board.failures += 1;
                board.last_error = Some(error);
            }
        }
        self.attempts.send_replace(());
    }

    /// Leaves this version of the key file unused until [`Keyring::release`]; another one is taken.
    pub(super) fn hold(&self, version: Option<Fingerprint>) {
        self.board().held = version;
    }

    /// Takes every version of the key file again.
    pub(super) fn release(&self) {
        self.board().held = None;
    }

    /// Whether this version of the key file must stay unused.
    pub(super) fn is_held(&self, version: Option<Fingerprint>) -> bool {
        version.is_some() && self.board().held == version
    }

    /// The attempt found nothing to do.
    pub(super) fn end_idle(&self) {
        self.board().busy = false;
        self.attempts.send_replace(());
    }

    /// Asks the thread for an attempt soon.
    pub(super) fn ask(&self) {
        self.board().asked = true;
        self.wake.notify_all();
    }

    /// Tells the thread to end. From now on nobody waits for an attempt, for none will come.
    pub(super) fn stop(&self) {
        self.board().stopped = true;
        self.wake.notify_all();
    }

    /// Sleeps until it is time or an attempt is asked for; `false` when the thread must end.
    pub(super) fn sleep(&self, time: Duration) -> bool {
        let asleep = |board: &mut RefreshState| !board.stopped && !board.asked;
        let (board, _) =
            self.wake.wait_timeout_while(self.board(), time, asleep).unwrap_or_else(PoisonError::into_inner);
        !board.stopped
    }

    /// Waits for the attempt under way, if one is. `false` when there was none to wait for, or no end in time.
    pub(super) async fn wait_for_attempt(&self, at_most: Duration) -> bool {
        let attempts = {
            let board = self.board();
            if board.stopped || !(board.busy || board.asked) {
                return false;
            }
            // Taken while the board is held, so the end of the attempt cannot be missed.
            self.attempts.subscribe()
        };
        self.wait(attempts, at_most).await
    }

    /// Has the keys read anew because a token names an unknown one, and waits for it. `false` when it was done
    /// for another such token a moment ago.
    pub(super) async fn wait_for_unknown(&self, at_most: Duration) -> bool {
        let attempts = {
            let mut board = self.board();
            if board.stopped {
                return false;
            }
            if !board.busy && !board.asked {
                if board.last_unknown.is_some_and(|last| last.elapsed() < self.unknown_spacing) {
                    return false;
                }
                board.last_unknown = Some(Instant::now());
                board.asked = true;
                self.wake.notify_all();
            }
            self.attempts.subscribe()
        };
        self.wait(attempts, at_most).await
    }

    async fn wait(&self, mut attempts: watch::Receiver<()>, at_most: Duration) -> bool {
        let Some(_place) = WaitSlot::take(&self.waiting) else { return false };
        matches!(tokio::time::timeout(at_most, attempts.changed()).await, Ok(Ok(())))
    }
}

/// One of the places for waiting requests, given back when the wait ends or is given up.
struct WaitSlot<'a>(&'a AtomicUsize);

impl<'a> WaitSlot<'a> {
    fn take(waiting: &'a AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < MAX_WAITING).then_some(place)
    }
}

impl Drop for WaitSlot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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
    fn nobody_waits_for_an_attempt_that_nobody_makes() {
        let (ring, begun) = (ring(), Instant::now());
        assert!(!run(ring.wait_for_attempt(LONG)));
        ring.begin();
        ring.stop();
        assert!(!run(ring.wait_for_attempt(LONG)));
        assert!(!run(ring.wait_for_unknown(LONG)));
        assert!(begun.elapsed() < LONG / 2);
    }

    #[test]
    fn an_unknown_kid_waits_for_the_attempt_under_way_however_soon_after_another() {
        let ring = ring();
        ring.board().last_unknown = Some(Instant::now());
        assert!(!run(ring.wait_for_unknown(LONG)), "none is under way, and the last is too near");
        ring.begin();
        let theirs = Arc::clone(&ring);
        let ending = std::thread::spawn(move || {
            while theirs.waiting.load(Ordering::Relaxed) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            theirs.end(Ok(()));
        });
        assert!(run(ring.wait_for_unknown(LONG)));
        ending.join().unwrap();
    }

    #[test]
    fn places_for_the_waiting_are_bounded_and_given_back() {
        let waiting = AtomicUsize::new(0);
        for _ in 0..2 {
            let mut places: Vec<_> = (0..MAX_WAITING).map(|_| WaitSlot::take(&waiting)).collect();
            assert!(places.iter().all(Option::is_some));
            assert!(WaitSlot::take(&waiting).is_none());
            places.pop();
            assert!(WaitSlot::take(&waiting).is_some());
        }
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
    }
}
