//! Threads of the store's own, because a connection outlives the worker that used it.

use std::future::Future;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use super::address::Address;
use crate::critical_tasks::Guard;
use crate::store::OpenError;

/// On more than two cores: one decodes a list while the other serves the rest. On two cores one alone is a tenth faster
/// (docs/PERFORMANCE.md).
const THREADS: usize = 2;

pub(super) fn runtime(address: &Address) -> Result<Runtime, OpenError> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread()
        .worker_threads(if cores > 2 { THREADS } else { 1 })
        .thread_name("store-database")
        .enable_all()
        .build()
        .map_err(|error| OpenError::Unavailable { address: address.to_string(), reason: error.to_string() })
}

/// Runs a task that the store cannot work without.
pub(super) fn spawn(handle: &Handle, guard: Guard, task: impl Future<Output = ()> + Send + 'static) {
    handle.spawn(async move {
        let _guard = guard;
        task.await;
    });
}

/// Runs this on the store's threads and blocks until it is done, also on a thread of another runtime; `None` after
/// `limit`.
pub(super) fn wait<T: Send + 'static>(
    handle: &Handle,
    limit: Duration,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let (send, done) = std::sync::mpsc::sync_channel(1);
    handle.spawn(async move {
        let _ = send.send(work.await);
    });
    done.recv_timeout(limit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::critical_tasks::CriticalTasks;

    #[test]
    fn a_task_that_panics_is_reported_as_ended() {
        let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let tasks = CriticalTasks::default();
        spawn(runtime.handle(), tasks.guard("the task"), async { panic!("for the test") });
        assert_eq!(runtime.block_on(tasks.ended()), "the task has ended");
    }
}
