//! What holds for the whole process: the panic hook, the file mode mask, the limit of open files.

use std::panic::{self, PanicHookInfo};
use std::sync::Once;
use std::thread;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use tokio::sync::Notify;

use crate::telemetry::logging;

/// Actix's name for the threads that accept connections. It does not notice when one dies: its listener is closed then,
/// while the workers and the process go on.
const ACCEPTOR: &str = "actix-server acceptor";
/// Files that are open beside the API's connections, generously.
const OTHER_FILES: u64 = 512;
/// Files of a worker's runtime: epoll twice, its waker, and its end of the signals.
const FILES_PER_WORKER: usize = 4;

/// Notified of every panic of a thread that accepts connections.
pub(super) static ACCEPTOR_PANICKED: Notify = Notify::const_new();

/// Makes panics log lines, and new files readable to their owner alone.
pub(crate) fn prepare() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let default = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if thread::current().name() == Some(ACCEPTOR) {
                ACCEPTOR_PANICKED.notify_waiters();
            }
            if log::log_enabled!(log::Level::Error) { log_panic(panic) } else { default(panic) }
        }));
    });
    umask(Mode::RWXG | Mode::RWXO);
}

/// Logs the panic and waits for the line, since the process may end with it.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    log::error!(
        target: "virksomhedslogin::panic",
        thread = thread::current().name().unwrap_or_default(), place = place.as_str();
        "a thread panicked: {text}"
    );
    logging::flush();
}

/// Raises the limit of open files as far as workers and connections need and the system allows; warns when that is too
/// little: connections beyond it would wait, and the audit file could not be opened again.
pub(super) fn raise_nofile_limit(workers: usize, connections: usize) {
    let wanted =
        OTHER_FILES + u64::try_from(workers * FILES_PER_WORKER + connections).unwrap_or(u64::MAX / 2);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let current = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = Rlimit { current: Some(current), maximum: limit.maximum };
    if setrlimit(Resource::Nofile, raised).is_err() || current < wanted {
        log::warn!(
            allowed = getrlimit(Resource::Nofile).current, wanted = wanted;
            "the limit of open files is too low for limits.connections and server.workers; raise it (LimitNOFILE=) or lower those"
        );
    }
}
