//! A worker's way to the audit log: calls that are answered in the same turn of its event loop share one write.
//!
//! A task of its own writes the lines once the worker has polled all that was ready, and wakes their calls: each answer
//! leaves after its own line is out. On a busy worker that is one write for dozens of calls; on an idle one, one for one, at
//! once. A call cannot wait for that by yielding: actix-http polls a call twice before it lets others run.

use std::cell::{OnceCell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Poll, Waker};

use actix_web::rt;

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
    /// The calls that wait for it.
    waiting: RefCell<Vec<Waker>>,
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
        poll_fn(|context| {
            if turn.outcome.get().is_some() {
                return Poll::Ready(());
            }
            let mut waiting = turn.waiting.borrow_mut();
            if !waiting.last().is_some_and(|last| last.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
        turn.result(end)
    }

    /// The turn that is not over yet, or a new one.
    fn turn(&self) -> Rc<Turn> {
        let open = self.turn.borrow().upgrade().filter(|turn| turn.outcome.get().is_none());
        open.unwrap_or_else(|| {
            let turn = Rc::new(Turn {
                log: Arc::clone(&self.log),
                lines: RefCell::default(),
                waiting: RefCell::default(),
                outcome: OnceCell::new(),
            });
            self.turn.replace(Rc::downgrade(&turn));
            let begun = Rc::clone(&turn);
            // Runs behind all tasks that are ready by now.
            rt::spawn(async move {
                let _ = begun.result(0);
                begun.waiting.take().into_iter().for_each(Waker::wake);
            });
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
