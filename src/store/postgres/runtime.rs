//! Threads of the store's own: a connection outlives the worker that used it.

use std::future::Future;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use super::address::Address;
use crate::critical_tasks::Guard;
use crate::store::OpenError;

/// Threads that do the store's work on a machine of more than two cores: one can decode a list while the other serves the
/// rest. On two cores the second only gets in the way: one alone is a tenth faster (docs/PERFORMANCE.md).
const THREADS: usize = 2;

/// The threads of a store on the database at this address.
///
/// # Errors
/// When the system gives none.
pub(super) fn runtime(address: &Address) -> Result<Runtime, OpenError> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread()
        .worker_threads(if cores > 2 { THREADS } else { 1 })
        .thread_name("store-database")
        .enable_all()
        .build()
        .map_err(|error| OpenError::Unavailable { address: address.to_string(), reason: error.to_string() })
}

/// Runs a part on the store's threads that the store cannot work without.
pub(super) fn spawn(handle: &Handle, guard: Guard, work: impl Future<Output = ()> + Send + 'static) {
    handle.spawn(async move {
        let _guard = guard;
        work.await;
    });
}

/// Runs this on the store's threads and waits for it, on a thread that may itself belong to a runtime. Nothing when it took
/// too long.
pub(super) fn wait<T: Send + 'static>(
    handle: &Handle,
    within: Duration,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    handle.spawn(async move {
        let _ = tell.send(work.await);
    });
    told.recv_timeout(within).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::critical_tasks::CriticalTasks;

    #[test]
    fn a_part_that_panics_is_reported_as_ended() {
        let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let essential = CriticalTasks::default();
        spawn(runtime.handle(), essential.guard("the task"), async { panic!("for the test") });
        assert_eq!(runtime.block_on(essential.ended()), "the task has ended");
    }
}
