//! Taking turns: a list lets the other requests of its worker go first.
//!
//! The HTTP dispatcher asks for chunks and writes them in a loop for as long as the client's socket takes them, and
//! tokio's own budget lets it do so 128 times: tens of megabytes, many milliseconds, in which nobody else on the worker
//! is answered. So after every [`SHARE`] the worker looks for what has arrived. A worker that has answered anybody
//! since the share before also pauses the list for a moment: lists alone would take every core that there is, and a
//! small request then waits for the processor even when its worker is free.

use std::cell::Cell;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use tokio::time::{Sleep, sleep};

/// How many bytes a list may hand out at a time: what takes a quarter of a millisecond of the plain list, and less of a
/// compressed one.
pub(super) const SHARE: usize = 512 * 1024;
/// How long a list rests after a share while others are being answered.
const PAUSE: Duration = Duration::from_millis(4);

/// A list that is made chunk by chunk.
pub(crate) trait Chunks: Unpin {
    /// How many bytes it has, where that is known.
    fn size(&self) -> BodySize;

    /// The next chunk; nothing after the last.
    fn chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>>;
}

/// The body that hands out these chunks in turns.
#[derive(Debug)]
pub(crate) struct Throttled<C> {
    chunks: C,
    turns: Turns,
}

impl<C> Throttled<C> {
    /// These chunks, of which none has been handed out.
    pub(crate) fn of(chunks: C) -> Self {
        Self { chunks, turns: Turns::default() }
    }
}

impl<C: Chunks> MessageBody for Throttled<C> {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        self.chunks.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.turns.yield_if_due(context) {
            return Poll::Pending;
        }
        let chunk = ready!(self.chunks.chunk(context));
        if let Some(Ok(bytes)) = &chunk {
            self.turns.taken(bytes.len());
        }
        Poll::Ready(chunk)
    }
}

thread_local! {
    /// How many other requests this worker has answered.
    static OTHERS: Cell<u64> = const { Cell::new(0) };
}

/// Another request than a list was answered by this worker.
pub(crate) fn count_response() {
    OTHERS.set(OTHERS.get().wrapping_add(1));
}

/// Whose turn it is.
#[derive(Debug)]
struct Turns {
    handed_out: usize,
    /// How many others had been answered when the list last looked.
    others: u64,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { handed_out: 0, others: OTHERS.get(), pause: None }
    }
}

impl Turns {
    /// So many bytes were handed out; with a share of them the others are next.
    fn taken(&mut self, bytes: usize) {
        self.handed_out += bytes;
    }

    /// Whether it is the others' turn. If so, the task is woken again once the runtime has looked for what has arrived
    /// meanwhile, which waking it at once would put off, or once the pause is over.
    fn yield_if_due(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(context).is_pending() {
                return true;
            }
            self.pause = None;
        }
        if self.handed_out < SHARE {
            return false;
        }
        self.handed_out = 0;
        let others = OTHERS.get();
        if std::mem::replace(&mut self.others, others) == others {
            // Polled once it has arranged for the waking; it need not be kept.
            let _ = pin!(tokio::task::yield_now()).poll(context);
        } else {
            let mut pause = Box::pin(sleep(PAUSE));
            let _ = pause.as_mut().poll(context);
            self.pause = Some(pause);
        }
        true
    }
}
