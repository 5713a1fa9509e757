//! A worker's way to the audit log: calls that are answered in the same turn of its event loop share one write.
//!
//! A line waits until the worker has polled all that is ready, and is then written with the others; each answer leaves
//! after its own line is out. On a busy worker that is one write for dozens of calls; on an idle one, one for one, at once.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{Map, Shared};
use tokio::task::{self, JoinError, JoinHandle};

use super::sink::AuditLog;

/// The most bytes of memory that are kept for the next turn.
const MOST_KEPT: usize = 64 << 10;

type Turn = Shared<Map<JoinHandle<Outcome>, fn(Result<Outcome, JoinError>) -> Outcome>>;

/// Gathers the lines of one worker.
#[derive(Debug)]
pub struct AuditWriter {
    log: Arc<AuditLog>,
    /// The lines that wait.
    lines: RefCell<Vec<u8>>,
    /// What they wait for.
    turn: RefCell<Option<Turn>>,
}

/// What became of the lines of a turn.
#[derive(Debug, Clone)]
struct Outcome {
    /// So many bytes got out.
    written: usize,
    error: Option<Rc<io::Error>>,
}

impl Outcome {
    /// What became of the line that ends at this byte.
    fn of_line(self, end: usize) -> Result<(), Rc<io::Error>> {
        self.error.filter(|_| end > self.written).map_or(Ok(()), Err)
    }
}

impl AuditWriter {
    /// A writer for one worker.
    pub fn new(log: Arc<AuditLog>) -> Rc<Self> {
        Rc::new(Self { log, lines: RefCell::default(), turn: RefCell::default() })
    }

    /// Writes one line, line feed included. From the first poll on it is written, whether or not its call is given up.
    ///
    /// # Errors
    /// When the line is not wholly written.
    pub async fn write(self: &Rc<Self>, line: &[u8]) -> Result<(), Rc<io::Error>> {
        let (turn, end) = {
            let mut lines = self.lines.borrow_mut();
            lines.extend_from_slice(line);
            (self.turn.borrow_mut().get_or_insert_with(|| self.begin_turn()).clone(), lines.len())
        };
        turn.await.of_line(end)
    }

    fn begin_turn(self: &Rc<Self>) -> Turn {
        let turn = EndOfTurn(Rc::clone(self));
        let ended: fn(Result<Outcome, JoinError>) -> Outcome = |outcome| {
            outcome
                .unwrap_or_else(|error| Outcome { written: 0, error: Some(Rc::new(io::Error::other(error))) })
        };
        let task = task::spawn_local(async move {
            // Polled again when everything that is ready has been.
            task::yield_now().await;
            turn.0.write_out()
        });
        task.map(ended).shared()
    }

    fn write_out(&self) -> Outcome {
        self.turn.take();
        let mut lines = self.lines.borrow_mut();
        let (written, error) = self.log.write(&lines);
        lines.clear();
        lines.shrink_to(MOST_KEPT);
        Outcome { written, error: error.map(Rc::new) }
    }
}

/// Writes the lines of a turn that the worker's end cut short.
struct EndOfTurn(Rc<AuditWriter>);

impl Drop for EndOfTurn {
    fn drop(&mut self) {
        if !self.0.lines.borrow().is_empty() {
            self.0.write_out();
        }
    }
}

#[cfg(test)]
mod tests;
