//! Open files: each connection is one, and the store, the logs and the key fetches need some too.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many files are opened beside the API's connections, generously.
const OTHERS: u64 = 512;

/// How many files a worker's runtime opens: epoll twice over, its waker, and its end of the signals.
const PER_WORKER: usize = 4;

/// Raises this process's limit of open files as far as workers and connections need and the system allows, and warns
/// when that is not far enough: connections beyond it would wait, and the audit log could not be opened again.
pub(super) fn raise_nofile_limit(workers: usize, connections: usize) {
    let wanted = OTHERS + u64::try_from(workers * PER_WORKER + connections).unwrap_or(u64::MAX / 2);
    let limit = getrlimit(Resource::Nofile);
    let has = |limit: Option<u64>| limit.is_none_or(|limit| limit >= wanted);
    if has(limit.current) {
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
