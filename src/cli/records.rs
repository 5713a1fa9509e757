//! `export`, `import`, `verify`: the commands that read or fill the store.
//!
//! An embedded store has one process at a time: these commands open the closed one, but for `export --from`, which asks the
//! service that has it open. A shared database is opened beside the services that use it. Results go to standard output;
//! how far the work has come goes to standard error.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::{Exit, Failure};
use crate::server::{store_options, warn_of_absent_store};
use crate::settings::{LogFormat, Settings};
use crate::store::{OpenError, Options, Store};
use crate::telemetry::logging;

mod atomic_file;
mod export;
mod import;
mod progress;
mod remote_export;
mod verify;

pub(super) use export::run as export;
pub(super) use import::run as import;
pub(super) use verify::run as verify;

use progress::Progress;

/// What to do about another process, for the commands that cannot do without the store.
const STOP_IT: &str = "stop it first";
/// How often the check of the records at opening is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What a command may find where the store should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absent {
    /// A missing store is an error.
    ImportRejected,
    /// A missing store is made.
    Made,
}

/// Opens the closed store and checks every record in it, telling how far that has come. `in_use` is what to do when
/// another process has it open.
fn open(settings: &Settings, absent: Absent, in_use: &str, errors: &mut dyn Write) -> Result<Store, Failure> {
    let options = options(settings)?;
    if absent == Absent::Made {
        warn_of_absent_store(&settings.store, &settings.audit_file, &options)
            .map_err(|error| Failure::new(Exit::of(error.exit_code()), error.to_string()))?;
    }
    let told = Arc::clone(&options.progress);
    let mut progress = Progress::start(errors, "checked");
    let opened = thread::scope(|scope| {
        let (ended, end) = mpsc::channel::<()>();
        let opening = scope.spawn(move || {
            let _ended = ended;
            match absent {
                Absent::ImportRejected => Store::open_existing(&options),
                Absent::Made => Store::open(&options),
            }
        });
        while let Err(RecvTimeoutError::Timeout) = end.recv_timeout(LOOK) {
            let total = told.total.load(Ordering::Relaxed);
            progress.at(told.done.load(Ordering::Relaxed), (total > 0).then_some(total));
        }
        opening.join()
    });
    progress.end();
    match opened {
        // Nobody waits here for a database that is away.
        Ok(Ok(store)) => match store.unavailable() {
            None => Ok(store),
            Some(away) => Err(Failure::new(Exit::of(away.exit_code()), away.to_string())),
        },
        Ok(Err(error)) => {
            let hint =
                if matches!(error, OpenError::InUse { .. }) { format!("; {in_use}") } else { String::new() };
            Err(Failure::new(Exit::of(error.exit_code()), format!("{error}{hint}")))
        }
        Err(_) => Err(Failure::new(Exit::Failed, "opening the store ended in a fault of this program")),
    }
}

fn options(settings: &Settings) -> Result<Options, Failure> {
    store_options(&settings.store)
        .map_err(|error| Failure::new(Exit::of(error.exit_code()), error.to_string()))
}

/// Warnings and errors are logged as `serve` logs them. The rest is not: the command tells itself what it does. `RUST_LOG`
/// has the last word.
fn start_logging(settings: &Settings) {
    logging::init(match settings.log_format {
        LogFormat::Text => logging::Format::Text,
        LogFormat::Json => logging::Format::Json,
    });
    if std::env::var_os("RUST_LOG").is_none() {
        log::set_max_level(log::LevelFilter::Warn);
    }
}

/// Text that may hold what came from outside: no control character of it steers a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| *letter == '\n' || !letter.is_control()).collect()
}

fn not_written(name: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("the export cannot be written to {name}: {error}"))
}
