//! Opening the store for `export`, `import` and `verify`.
//!
//! An embedded store has one process at a time, so the service must be stopped; a shared database is opened beside the
//! services that use it. Progress goes to standard error.

use std::io::Write;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::outcome::{Exit, Failure};
use super::progress::Progress;
use crate::store::{OpenError, Options, Store};

/// What to do about another process that has the store open.
pub(super) const STOP_IT: &str = "stop it first";
/// Interval between two reads of the progress of opening.
const POLL: Duration = Duration::from_millis(10);

/// Opens the store by `open` and checks every record in it. `in_use` is what to do when another process has it open.
pub(super) fn open(
    options: &Options,
    open: fn(&Options) -> Result<Store, OpenError>,
    in_use: &str,
    errors: &mut dyn Write,
) -> Result<Store, Failure> {
    let checked = &options.progress;
    let mut progress = Progress::start(errors, "checked");
    let opened = thread::scope(|scope| {
        let opening = scope.spawn(|| open(options));
        while !opening.is_finished() {
            let total = checked.total.load(Ordering::Relaxed);
            progress.at(checked.done.load(Ordering::Relaxed), (total > 0).then_some(total));
            thread::sleep(POLL);
        }
        opening.join()
    });
    progress.end();
    let store = match opened {
        Ok(Err(error @ OpenError::InUse { .. })) => {
            let Failure { exit, message } = error.into();
            return Err(Failure::new(exit, format!("{message}; {in_use}")));
        }
        Ok(opened) => opened?,
        Err(_) => return Err(Failure::failed("opening the store panicked; this is a bug of the program")),
    };
    // A command does not wait for a database.
    store.unavailable().map_or(Ok(store), |error| Err(error.into()))
}

/// Closes the store when the work is done.
pub(super) fn close(store: &Store) -> Result<Exit, Failure> {
    if store.close() {
        return Ok(Exit::Done);
    }
    Err(Failure::failed("the work is done, but the disk did not let the store be closed in time"))
}
