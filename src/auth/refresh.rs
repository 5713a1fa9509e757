//! The one thread that keeps the keys of a source fresh.
//!
//! A file is read at once and again when it changes; a published set is fetched in the background before it is
//! due, and with growing pauses while that fails. Promises: the last good set stays, whatever goes wrong.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use super::fetch::Fetcher;
use super::key_error::KeyError;
use super::keyring::{Fingerprint, Keyring, Seen};
use super::keys::{KeySet, MAX_BYTES};
use super::rules::Rules;
use super::source::{RefreshTiming, Remote, Source};
use crate::files;

/// Pause of the thread after a panic, so that one that comes again at once does not fill the log.
const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(1);

/// A key file that was read and does not serve yet.
pub struct Prepared(Option<(Option<Fingerprint>, KeySet, Vec<u8>)>);

/// Reads a file at once and fails with it; fetches a published set in the background.
pub(super) fn open(source: Source, rules: &Rules, timing: RefreshTiming) -> Result<Arc<Keyring>, KeyError> {
    let (wake, woken) = mpsc::sync_channel(1);
    let keyring = Arc::new(Keyring::new(source.clone(), rules.algorithms.clone(), timing, wake));
    match source {
        Source::File(path) => {
            commit(&keyring, prepare(&keyring)?);
            keyring.end(Some(true));
            let reread_file = move |keyring: &Keyring| (reread(keyring, &path), timing.file_poll);
            spawn(&keyring, woken, timing.file_poll, reread_file)?;
        }
        Source::Remote(remote) => {
            let mut fetcher = Fetcher::new(&remote, &rules.issuer, timing.fetch)?;
            let mut failures = 0;
            let fetch = move |keyring: &Keyring| match fetcher.fetch(|text| keyring.accept(text)) {
                Ok(((), lifetime)) => {
                    failures = 0;
                    (Some(true), pause(&remote, lifetime, timing, fastrand::f64()))
                }
                Err(error) => {
                    log::warn!("keys could not be fetched, the last good ones stay: {}", error.with_help());
                    failures += 1;
                    (Some(false), pause_after(failures, timing, fastrand::f64()))
                }
            };
            keyring.begin();
            spawn(&keyring, woken, Duration::ZERO, fetch)?;
        }
    }
    Ok(keyring)
}

/// Makes these attempts in a thread, each after the pause that the last one returned, until the keyring is dropped. One
/// that panics, also in waiting for it, is a failed one, since keys that are never read again would grow old unseen.
fn spawn(
    keyring: &Arc<Keyring>,
    woken: Receiver<()>,
    mut pause: Duration,
    mut attempt: impl FnMut(&Keyring) -> (Option<bool>, Duration) + Send + 'static,
) -> Result<(), KeyError> {
    let keyring = Arc::downgrade(keyring);
    let ended = Weak::clone(&keyring);
    let mut turn = move || {
        if woken.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
            return None;
        }
        let keyring = keyring.upgrade()?;
        keyring.begin();
        let (succeeded, next) = attempt(&keyring);
        keyring.end(succeeded);
        pause = next;
        Some(())
    };
    let work = move || {
        loop {
            match catch_unwind(AssertUnwindSafe(&mut turn)) {
                Ok(Some(())) => {}
                Ok(None) => return,
                Err(_) => {
                    log::error!("the thread that reads the keys has panicked, and begins again");
                    let Some(keyring) = ended.upgrade() else { return };
                    keyring.end(Some(false));
                    drop(keyring);
                    thread::sleep(PAUSE_AFTER_PANIC);
                }
            }
        }
    };
    thread::Builder::new().name("keys".to_owned()).spawn(work).map(drop).map_err(KeyError::NoThread)
}

/// Reads a file again, for [`commit`]. Of a published set nothing is prepared.
pub(super) fn prepare(keyring: &Keyring) -> Result<Prepared, KeyError> {
    let Source::File(path) = &keyring.source else { return Ok(Prepared(None)) };
    let version = fingerprint(path);
    let text = read_file(path)?;
    KeySet::read(&text, &keyring.algorithms).map(|set| Prepared(Some((version, set, text))))
}

/// Lets what was prepared serve; has a published set fetched soon.
pub(super) fn commit(keyring: &Keyring, prepared: Prepared) {
    match prepared.0 {
        Some((version, set, text)) => {
            // A reload and the thread may both commit: the lock lets one put its set at a time.
            let mut seen = keyring.seen();
            keyring.put(set, text);
            *seen = Seen { version, serves: true };
        }
        None => keyring.request(),
    }
}

/// Keeps this version of the file from being read until it changes: a reload that failed has changed nothing.
pub(super) fn abandon(keyring: &Keyring) {
    if let Source::File(path) = &keyring.source {
        *keyring.seen() = Seen { version: fingerprint(path), serves: false };
    }
}

/// Reads a file that has changed; one that has not is as good as one that was just read.
fn reread(keyring: &Keyring, path: &Path) -> Option<bool> {
    let version = fingerprint(path);
    let seen = keyring.seen();
    if seen.version == version {
        if seen.serves {
            keyring.confirm();
        }
        return None;
    }
    drop(seen);
    let committed = prepare(keyring).map(|prepared| commit(keyring, prepared));
    if let Err(error) = &committed {
        log::warn!("the key file is not taken, the old keys stay: {}", error.with_help());
        *keyring.seen() = Seen { version, serves: false };
    }
    Some(committed.is_ok())
}

/// Reads or fetches a source once, in the calling thread, within the usual limits.
pub(super) fn read_once(source: &Source, rules: &Rules) -> Result<KeySet, KeyError> {
    let read = |text: &[u8]| KeySet::read(text, &rules.algorithms);
    match source {
        Source::File(path) => read(&read_file(path)?),
        Source::Remote(remote) => {
            let mut fetcher = Fetcher::new(remote, &rules.issuer, RefreshTiming::SERVING.fetch)?;
            fetcher.fetch(|text| read(&text.unwrap_or_default())).map(|(set, _)| set)
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, KeyError> {
    let mut text = Vec::new();
    files::open(path)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut text))
        .map_err(|cause| KeyError::Unreadable { path: path.display().to_string(), cause })?;
    Ok(text)
}

fn fingerprint(path: &Path) -> Option<Fingerprint> {
    fs::metadata(path).ok().map(|file| (file.mtime(), file.mtime_nsec(), file.size(), file.ino()))
}

/// The shorter of our interval and the issuer's `max-age`, not below the limit, and at most half of the time after
/// which the keys no longer serve; of that 80 to 90 % by chance (0 to 1), so that it is fetched before it is due.
fn pause(remote: &Remote, max_age: Option<Duration>, timing: RefreshTiming, chance: f64) -> Duration {
    let due = max_age.map_or(remote.refresh, |max_age| max_age.min(remote.refresh));
    due.max(timing.shortest).min(remote.max_stale / 2).mul_f64(0.8 + 0.1 * chance)
}

/// Doubles with each failure up to the longest; half of it is chance (0 to 1), so that many instances do not return
/// as one.
fn pause_after(failures: u32, timing: RefreshTiming, chance: f64) -> Duration {
    let whole = timing.first_pause.saturating_mul(1 << (failures - 1).min(16)).min(timing.longest_pause);
    whole.mul_f64(0.5 + 0.5 * chance)
}
#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: RefreshTiming = RefreshTiming::SERVING;

    #[test]
    fn keys_are_fetched_before_they_are_due_and_within_the_limits() {
        for (refresh, max_age, max_stale, chance, milliseconds) in [
            (300, None, 86_400, 0.0, 240_000),
            (300, None, 86_400, 1.0, 270_000),
            (300, Some(3_600), 86_400, 1.0, 270_000),
            (300, Some(u64::MAX), 86_400, 1.0, 270_000),
            (300, Some(60), 86_400, 1.0, 54_000),
            (300, Some(0), 86_400, 0.0, 8_000),
            (300, Some(9), 86_400, 1.0, 9_000),
            (3_600, Some(4_000), 86_400, 1.0, 3_240_000),
            (300, Some(3_600), 300, 1.0, 135_000),
            (10, None, 10, 1.0, 4_500),
        ] {
            let seconds = Duration::from_secs;
            let remote = Remote {
                address: None,
                authorities: vec![],
                refresh: seconds(refresh),
                max_stale: seconds(max_stale),
            };
            assert_eq!(
                pause(&remote, max_age.map(seconds), TIMING, chance),
                Duration::from_millis(milliseconds),
                "{remote:?} {max_age:?} {chance}"
            );
        }
    }

    #[test]
    fn pauses_double_with_each_failure_up_to_the_longest() {
        for (failures, none, all) in
            [(1, 500, 1_000), (2, 1_000, 2_000), (3, 2_000, 4_000), (5, 8_000, 16_000), (6, 15_000, 30_000)]
        {
            assert_eq!(pause_after(failures, TIMING, 0.0), Duration::from_millis(none), "{failures}");
            assert_eq!(pause_after(failures, TIMING, 1.0), Duration::from_millis(all), "{failures}");
        }
        assert_eq!(pause_after(u32::MAX, TIMING, 1.0), TIMING.longest_pause);
    }

    #[test]
    fn a_request_waits_for_a_fetch_a_little_longer_than_the_fetch_may_take() {
        assert_eq!(TIMING.max_wait(), Duration::from_millis(5_500));
    }
}
