//! Fairness: a list lets the other requests of its worker go first.
//!
//! The HTTP dispatcher writes chunks in a loop for as long as the client's socket takes them, and tokio's own budget lets it do so
//! 128 times: tens of megabytes, many milliseconds, in which the worker answers nothing else. So after every [`SHARE`] the list
//! yields. If the worker has answered other requests since the share before, the list also pauses: lists alone would take every
//! core, and a small request then waits for the processor even when its worker is free.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

/// How many bytes a chunk has at least, unless it is the first, the last, or the next fragment is still being encoded. With
/// 64 KiB a fast client sleeps and is woken for each; larger ones bring little and are held for every slow reader.
pub(super) const CHUNK: usize = 256 * 1024;
/// How many bytes a list sends at a time: a quarter of a millisecond of the identity coding, less of a compressed one.
pub(super) const SHARE: usize = 512 * 1024;
/// How long a list pauses after a share while others are being answered.
const PAUSE: Duration = Duration::from_millis(4);

thread_local! {
    /// How many requests other than lists this worker has answered.
    static OTHERS: Cell<u64> = const { Cell::new(0) };
}

/// Counts a response of this worker that is no list.
pub(crate) fn count_response() {
    OTHERS.set(OTHERS.get().wrapping_add(1));
}

/// These chunks, at most about a share at a time.
pub(super) fn throttled<S>(chunks: S) -> impl Stream<Item = io::Result<Bytes>>
where
    S: Stream<Item = io::Result<Bytes>> + Unpin,
{
    stream::unfold((chunks, 0, OTHERS.get()), |(mut chunks, mut sent, mut others)| async move {
        if sent >= SHARE {
            sent = 0;
            if std::mem::replace(&mut others, OTHERS.get()) == OTHERS.get() {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(PAUSE).await;
            }
        }
        let chunk = chunks.next().await?;
        sent += chunk.as_ref().map_or(0, Bytes::len);
        Some((chunk, (chunks, sent, others)))
    })
}
