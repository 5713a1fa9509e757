//! A worker's way to the audit log: calls that are answered in the same turn of its event loop share one write.
//!
//! A line waits until the worker has polled all that is ready, and is then written with the others; each answer leaves
//! after its own line is out. On a busy worker that is one write for dozens of calls; on an idle one, one for one, at once.

use std::cell::{OnceCell, RefCell};
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use tokio::task;

use super::sink::AuditLog;

/// Gathers the lines of one worker.
#[derive(Debug)]
pub struct AuditWriter {
    log: Arc<AuditLog>,
    turn: RefCell<Weak<Turn>>,
}

/// The lines that share a write.
#[derive(Debug)]
struct Turn {
    log: Arc<AuditLog>,
    lines: RefCell<Vec<u8>>,
    /// How many bytes got out, and why not all of them; set once they are written.
    outcome: OnceCell<(usize, Option<Rc<io::Error>>)>,
}

impl AuditWriter {
    /// A writer for one worker.
    pub fn new(log: Arc<AuditLog>) -> Rc<Self> {
        Rc::new(Self { log, turn: RefCell::default() })
    }

    /// Writes one line, line feed included. From the first poll on it is written, whether or not its call is given up.
    ///
    /// # Errors
    /// When the line is not wholly written.
    pub async fn write(&self, line: &[u8]) -> Result<(), Rc<io::Error>> {
        let turn = self.turn();
        turn.lines.borrow_mut().extend_from_slice(line);
        let end = turn.lines.borrow().len();
        // Polled again when everything that is ready has been.
        task::yield_now().await;
        turn.result(end)
    }

    /// The turn that is not over yet, or a new one.
    fn turn(&self) -> Rc<Turn> {
        let open = self.turn.borrow().upgrade().filter(|turn| turn.outcome.get().is_none());
        open.unwrap_or_else(|| {
            let turn =
                Turn { log: Arc::clone(&self.log), lines: RefCell::default(), outcome: OnceCell::new() };
            let turn = Rc::new(turn);
            self.turn.replace(Rc::downgrade(&turn));
            turn
        })
    }
}

impl Turn {
    /// What becomes of the line that ends at this byte; writes all of them first, unless that was done.
    fn result(&self, end: usize) -> Result<(), Rc<io::Error>> {
        let (written, error) = self.outcome.get_or_init(|| {
            let (written, error) = self.log.write(&self.lines.borrow());
            (written, error.map(Rc::new))
        });
        error.clone().filter(|_| end > *written).map_or(Ok(()), Err)
    }
}

/// Writes the lines of calls that were all given up, or that the worker's end cut short.
impl Drop for Turn {
    fn drop(&mut self) {
        let _ = self.result(0);
    }
}

#[cfg(test)]
mod tests;
