//! What the store's files take on the disk, read without holding up the thread that answers `/livez`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::rt;
use arc_swap::ArcSwapOption;

use crate::store::Store;

/// How long a scrape waits for the sizes of the files; then it has the last known one.
const TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(in crate::management) struct StoreSize(Arc<State>);

#[derive(Debug, Default)]
struct State {
    bytes: ArcSwapOption<u64>,
    /// One thread at most reads: on a disk that does not answer it may never end.
    reading: AtomicBool,
}

impl StoreSize {
    /// Bytes, as far as they are known.
    pub(super) async fn get(&self, store: &Arc<Store>) -> Option<u64> {
        if !self.0.reading.swap(true, Ordering::AcqRel) {
            let (state, store) = (Arc::clone(&self.0), Arc::clone(store));
            let read = rt::task::spawn_blocking(move || {
                let bytes = store.disk_bytes();
                let bytes =
                    bytes.inspect_err(|error| log::debug!("the store's files cannot be read: {error}"));
                state.bytes.store(bytes.ok().flatten().map(Arc::new));
                state.reading.store(false, Ordering::Release);
            });
            let _ = tokio::time::timeout(TIMEOUT, read).await;
        }
        self.0.bytes.load().as_deref().copied()
    }
}
