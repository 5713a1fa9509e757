//! Taking turns: a list lets the other requests of its worker go first after every chunk.
//!
//! The HTTP dispatcher asks for chunks and writes them in a loop for as long as the client's socket takes them, and tokio's
//! own budget lets it do so 128 times. With chunks of 64 KiB that would be 8 MiB, several milliseconds, in which
//! nobody else on the worker is answered.

use std::pin::pin;
use std::task::Context;

/// Whose turn it is.
#[derive(Debug, Default)]
pub struct Turns {
    others: bool,
}

impl Turns {
    /// A chunk was handed out: the others are next.
    pub fn taken(&mut self) {
        self.others = true;
    }

    /// Whether it is the others' turn. If so, the task is woken again once the runtime has looked for what has arrived
    /// meanwhile, which waking it at once would put off.
    pub fn give_way(&mut self, context: &mut Context<'_>) -> bool {
        if !std::mem::take(&mut self.others) {
            return false;
        }
        // Polled once it has arranged for the waking; it need not be kept.
        let _ = pin!(tokio::task::yield_now()).poll(context);
        true
    }
}
