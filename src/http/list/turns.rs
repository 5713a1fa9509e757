//! Taking turns: a list lets the other requests of its worker go first after every [`SHARE`].
//!
//! The HTTP dispatcher asks for chunks and writes them in a loop for as long as the client's socket takes them, and tokio's
//! own budget lets it do so 128 times: tens of megabytes, many milliseconds, in which nobody else on the worker is answered.

use std::pin::pin;
use std::task::Context;

/// How many bytes a list may hand out at a time: what takes a quarter of a millisecond of the plain list, and less of a
/// compressed one.
pub const SHARE: usize = 512 * 1024;

/// Whose turn it is.
#[derive(Debug, Default)]
pub struct Turns {
    handed_out: usize,
}

impl Turns {
    /// So many bytes were handed out; with a share of them the others are next.
    pub fn taken(&mut self, bytes: usize) {
        self.handed_out += bytes;
    }

    /// Whether it is the others' turn. If so, the task is woken again once the runtime has looked for what has arrived
    /// meanwhile, which waking it at once would put off.
    pub fn give_way(&mut self, context: &mut Context<'_>) -> bool {
        if self.handed_out < SHARE {
            return false;
        }
        self.handed_out = 0;
        // Polled once it has arranged for the waking; it need not be kept.
        let _ = pin!(tokio::task::yield_now()).poll(context);
        true
    }
}
