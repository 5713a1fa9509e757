//! Where keys come from, and the one thread that keeps them fresh.
//!
//! A file is read at once and again when it changes; a published set is fetched in the background before it is
//! due, and with growing pauses while that fails. Promises: the last good set stays, whatever goes wrong.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use url::Url;

use super::algorithm::Algorithm;
use super::fetch::{Fetched, Fetcher, Limits, Target};
use super::key_error::{FetchError, KeyError};
use super::keyring::{Fingerprint, Keyring};
use super::keys::{KeySet, MAX_BYTES};
use super::rules::Rules;
use crate::files;

/// Pause of the thread after a panic, so that one that comes again at once does not fill the log.
const PAUSE_AFTER_PANIC: Duration = Duration::from_secs(1);

/// Where the keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In this file, which is read again when it changes.
    File(PathBuf),
    /// Published by the issuer.
    Remote(Remote),
}

/// A set that the issuer publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its address (`https://`, or `http://` to this machine); `None`: as the OpenID configuration of
    /// [`Rules::issuer`] says.
    pub address: Option<Url>,
    /// Certificates in PEM that are trusted beside the public ones.
    pub ca_file: Option<PathBuf>,
    /// Maximum time between two fetches; less when the issuer's `max-age` is shorter.
    pub refresh: Duration,
    /// How long the last good set serves during an outage of the issuer.
    pub max_stale: Duration,
}

/// The timing of the background thread and of requests that wait for it. Tests run faster ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct RefreshTiming {
    pub(super) limits: Limits,
    pub(super) shortest: Duration,
    pub(super) longest: Duration,
    pub(super) first_pause: Duration,
    pub(super) longest_pause: Duration,
    pub(super) unknown_spacing: Duration,
    pub(super) file_poll: Duration,
}

impl RefreshTiming {
    pub(super) const SERVING: Self = Self {
        limits: Limits { connect: Duration::from_secs(2), whole: Duration::from_secs(5) },
        shortest: Duration::from_secs(10),
        longest: Duration::from_secs(3_600),
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(30),
        unknown_spacing: Duration::from_secs(10),
        file_poll: Duration::from_secs(2),
    };

    /// How long a request waits for a fetch: the whole of it and a little.
    pub(super) fn max_wait(&self) -> Duration {
        self.limits.whole + self.limits.whole / 10
    }
}

/// A set that was read and does not serve yet.
pub struct Prepared(Option<(KeySet, Vec<u8>)>);

/// A source that is open: its thread runs until this is dropped.
pub(super) struct KeySource {
    pub(super) keyring: Arc<Keyring>,
    algorithms: Vec<Algorithm>,
    source: Source,
}

impl KeySource {
    /// Reads a file at once and fails with it; fetches a published set in the background.
    pub(super) fn open(source: Source, rules: &Rules, timing: RefreshTiming) -> Result<Self, KeyError> {
        let max_stale = match &source {
            Source::Remote(remote) => Some(remote.max_stale),
            Source::File(_) => None,
        };
        let keyring = Arc::new(Keyring::new(max_stale, timing.unknown_spacing));
        let algorithms = rules.algorithms.clone();
        let opened = Self { keyring: Arc::clone(&keyring), algorithms: algorithms.clone(), source };
        match &opened.source {
            Source::File(path) => {
                let (path, mut seen) = (path.clone(), file_fingerprint(path));
                opened.commit(opened.prepare()?);
                keyring.end(true);
                spawn(move || watch_file(&keyring, &path, &mut seen, &algorithms, timing))?;
            }
            Source::Remote(remote) => {
                let mut fetcher = fetcher(remote, &rules.issuer, timing.limits)?;
                let interval = Interval { refresh: remote.refresh, max_stale: remote.max_stale };
                keyring.begin();
                spawn(move || keep_fetching(&keyring, &mut fetcher, interval, &algorithms, timing))?;
            }
        }
        Ok(opened)
    }

    /// Reads a file again, for [`KeySource::commit`]. Of a published set nothing is prepared.
    pub(super) fn prepare(&self) -> Result<Prepared, KeyError> {
        let Source::File(path) = &self.source else { return Ok(Prepared(None)) };
        let text = read_file(path)?;
        KeySet::read(&text, &self.algorithms).map(|set| Prepared(Some((set, text))))
    }

    /// Lets what was prepared serve; has a published set fetched soon.
    pub(super) fn commit(&self, prepared: Prepared) {
        self.keyring.hold(None);
        match prepared.0 {
            Some((_, text)) if self.keyring.holds(&text) => self.keyring.confirm(),
            Some((set, text)) => self.keyring.put(set, text),
            None => self.keyring.request(),
        }
    }

    /// Drops what was prepared, and keeps the file's poll from reading it: a reload that failed has changed nothing.
    pub(super) fn abandon(&self) {
        if let Source::File(path) = &self.source {
            self.keyring.hold(file_fingerprint(path));
        }
    }
}

impl Drop for KeySource {
    fn drop(&mut self) {
        self.keyring.stop();
    }
}

/// Reads or fetches a source once, in the calling thread, within the usual limits.
pub(super) fn read_once(source: &Source, rules: &Rules) -> Result<KeySet, KeyError> {
    let text = match source {
        Source::File(path) => read_file(path)?,
        Source::Remote(remote) => {
            match fetcher(remote, &rules.issuer, RefreshTiming::SERVING.limits)?.fetch()? {
                Fetched::Text(text, ..) => text,
                // Cannot be: it answers a request with a condition, and there was none.
                Fetched::Unchanged(_) => return Err(KeyError::NotASet),
            }
        }
    };
    KeySet::read(&text, &rules.algorithms)
}

fn fetcher(remote: &Remote, issuer: &str, limits: Limits) -> Result<Fetcher, FetchError> {
    let target = remote.address.clone().map_or_else(|| Target::Issuer(issuer.to_owned()), Target::Address);
    Fetcher::new(target, remote.ca_file.as_deref(), limits)
}

/// Does this in a thread, again after a panic: keys that are never read again would grow old unseen.
fn spawn(mut work: impl FnMut() + Send + 'static) -> Result<(), KeyError> {
    let thread = thread::Builder::new().name("keys".to_owned()).spawn(move || {
        while catch_unwind(AssertUnwindSafe(&mut work)).is_err() {
            log::error!("the thread that reads the keys has panicked, and begins again");
            thread::sleep(PAUSE_AFTER_PANIC);
        }
    });
    thread.map(drop).map_err(KeyError::NoThread)
}

fn read_file(path: &Path) -> Result<Vec<u8>, KeyError> {
    let mut text = Vec::new();
    files::open(path)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut text))
        .map_err(|cause| KeyError::Unreadable { path: path.display().to_string(), cause })?;
    Ok(text)
}

fn file_fingerprint(path: &Path) -> Option<Fingerprint> {
    fs::metadata(path).ok().map(|file| (file.mtime(), file.mtime_nsec(), file.size(), file.ino()))
}

fn watch_file(
    keyring: &Keyring,
    path: &Path,
    seen: &mut Option<Fingerprint>,
    algorithms: &[Algorithm],
    timing: RefreshTiming,
) {
    let mut good = true;
    while keyring.sleep(timing.file_poll) {
        keyring.begin();
        let now = file_fingerprint(path);
        let unchanged = now == *seen;
        if unchanged || keyring.is_held(now) {
            // A good file that has not changed is as good as one that was just read.
            if unchanged && good {
                keyring.confirm();
            }
            keyring.end_idle();
            continue;
        }
        let outcome = read_file(path).and_then(|text| accept(keyring, text, algorithms));
        *seen = now;
        good = outcome.is_ok();
        if let Err(error) = outcome {
            log::warn!("the key file is not taken, the old keys stay: {}", error.with_help());
        }
        keyring.end(good);
    }
}

fn accept(keyring: &Keyring, text: Vec<u8>, algorithms: &[Algorithm]) -> Result<(), KeyError> {
    if keyring.holds(&text) {
        keyring.confirm();
    } else {
        keyring.put(KeySet::read(&text, algorithms)?, text);
    }
    Ok(())
}

fn keep_fetching(
    keyring: &Keyring,
    fetcher: &mut Fetcher,
    interval: Interval,
    algorithms: &[Algorithm],
    timing: RefreshTiming,
) {
    let mut failures = 0;
    loop {
        keyring.begin();
        let outcome = fetch_once(keyring, fetcher, algorithms);
        let pause = match &outcome {
            Ok(lifetime) => {
                failures = 0;
                interval.pause(*lifetime, timing, fastrand::f64())
            }
            Err(error) => {
                log::warn!("keys could not be fetched, the last good ones stay: {}", error.with_help());
                failures += 1;
                pause_after(failures, timing, fastrand::f64())
            }
        };
        keyring.end(outcome.is_ok());
        if !keyring.sleep(pause) {
            return;
        }
    }
}

fn fetch_once(
    keyring: &Keyring,
    fetcher: &mut Fetcher,
    algorithms: &[Algorithm],
) -> Result<Option<Duration>, KeyError> {
    match fetcher.fetch()? {
        Fetched::Unchanged(lifetime) => {
            keyring.confirm();
            Ok(lifetime)
        }
        Fetched::Text(text, validators, lifetime) => {
            accept(keyring, text, algorithms)?;
            fetcher.accept(validators);
            Ok(lifetime)
        }
    }
}

/// The times that decide when a published set is fetched again.
#[derive(Debug, Clone, Copy)]
struct Interval {
    refresh: Duration,
    max_stale: Duration,
}

impl Interval {
    /// The shorter of our interval and the issuer's `max-age`, within the limits, and at most half of the time after
    /// which the keys no longer serve; of that 80 to 90 % by chance (0 to 1), so that it is fetched before it is due.
    fn pause(self, max_age: Option<Duration>, timing: RefreshTiming, chance: f64) -> Duration {
        let due = max_age.map_or(self.refresh, |max_age| max_age.min(self.refresh));
        due.clamp(timing.shortest, timing.longest).min(self.max_stale / 2).mul_f64(0.8 + 0.1 * chance)
    }
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
            let interval = Interval { refresh: seconds(refresh), max_stale: seconds(max_stale) };
            assert_eq!(
                interval.pause(max_age.map(seconds), TIMING, chance),
                Duration::from_millis(milliseconds),
                "{interval:?} {max_age:?} {chance}"
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
}
