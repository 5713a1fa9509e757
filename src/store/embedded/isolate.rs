//! Work with sled that may panic or never come back, done in a thread of its own.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Once};
use std::thread;
use std::time::{Duration, Instant};

use crate::store::Progress;

/// Why the work has no result.
#[derive(Debug)]
pub(super) enum TaskFailure {
    /// It panicked, with these words.
    Panicked(String),
    /// It made no progress for so long.
    Stuck(Duration),
    /// The machine would not start a thread.
    NoThread(std::io::Error),
}

/// Runs the work in a thread; gives up when it makes no progress for the patience. The thread is then left behind.
pub(super) fn run<T: Send + 'static>(
    patience: Duration,
    progress: &Arc<Progress>,
    work: impl FnOnce(&Progress) -> T + Send + 'static,
) -> Result<T, TaskFailure> {
    quieten_sled();
    let (sender, receiver) = mpsc::sync_channel(1);
    let theirs = Arc::clone(progress);
    thread::Builder::new()
        .name("store-open".to_owned())
        .spawn(move || {
            let _ = sender.send(catch(|| work(&theirs)));
        })
        .map_err(TaskFailure::NoThread)?;
    let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (mut seen, mut since) = (counted(&progress.done), Instant::now());
    loop {
        match receiver.recv_timeout(Duration::from_millis(200)) {
            Ok(result) => return result.map_err(TaskFailure::Panicked),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(TaskFailure::Panicked("the thread ended without a result".to_owned()));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if counted(&progress.done) != seen {
            (seen, since) = (counted(&progress.done), Instant::now());
        } else if since.elapsed() > patience {
            return Err(TaskFailure::Stuck(patience));
        }
    }
}

/// The result of the work, or what it panicked with.
pub(super) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| words(&*payload))
}

fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

/// sled panics on damage, in its own threads too. We tell the operator what it means; the trace belongs in the debug log.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_and_a_standstill_are_told_and_progress_is_waited_for() {
        let progress = Arc::new(Progress::default());
        let patience = Duration::from_millis(500);
        assert!(matches!(run(patience, &progress, |_| 5), Ok(5)));
        let panicked = run(patience, &progress, |_| panic!("out of {}", "luck"));
        assert!(matches!(panicked, Err::<(), _>(TaskFailure::Panicked(words)) if words == "out of luck"));
        let stuck = run(patience, &progress, |_| thread::sleep(Duration::from_secs(5)));
        assert!(matches!(stuck, Err(TaskFailure::Stuck(_))));
        let slow = run(patience, &progress, |progress| {
            for _ in 0..10 {
                thread::sleep(Duration::from_millis(100));
                progress.done.fetch_add(1, Ordering::Relaxed);
            }
        });
        assert!(slow.is_ok());
    }
}
