//! A worker's way to the audit log: calls that are answered in the same turn share one write.
//!
//! A worker takes what its connections have sent, one after another. A line waits until the worker has done what it
//! had at hand, and is then written with the others of that turn; each answer leaves after its own line is out. On a
//! busy worker that is one write for dozens of calls; on an idle one it is one write for one, at once.

use std::cell::{OnceCell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::task;

use super::sink::AuditLog;

/// The most bytes of room that are kept for the next turn.
const MOST_KEPT: usize = 64 << 10;

/// Gathers the lines of one worker.
#[derive(Debug)]
pub struct AuditWriter {
    log: Arc<AuditLog>,
    turn: RefCell<Turn>,
}

/// The lines that wait, and who waits for them.
#[derive(Debug, Default)]
struct Turn {
    lines: Vec<u8>,
    callers: Vec<Waker>,
    outcome: Rc<OnceCell<Outcome>>,
}

/// What became of the lines of a turn.
#[derive(Debug)]
struct Outcome {
    /// So many bytes got out.
    written: usize,
    error: Option<Rc<io::Error>>,
}

/// One line's place in its turn.
struct Ticket {
    outcome: Rc<OnceCell<Outcome>>,
    /// Where the line ends, in bytes.
    end: usize,
    /// Which of the callers waits for it, once one does.
    caller: Option<usize>,
}

impl AuditWriter {
    /// A writer for one worker.
    pub fn new(log: Arc<AuditLog>) -> Rc<Self> {
        Rc::new(Self { log, turn: RefCell::default() })
    }

    /// Writes one line, line feed included.
    ///
    /// From the first poll on the line is written, whether or not somebody still waits for the outcome.
    ///
    /// # Errors
    /// When the line is not wholly written.
    pub async fn write(self: &Rc<Self>, line: &[u8]) -> Result<(), Rc<io::Error>> {
        let mut ticket = self.put(line);
        poll_fn(|context| self.poll(&mut ticket, context)).await
    }

    fn put(self: &Rc<Self>, line: &[u8]) -> Ticket {
        let mut turn = self.turn.borrow_mut();
        if turn.lines.is_empty() {
            let end_of_turn = EndOfTurn(Rc::clone(self));
            task::spawn_local(async move {
                // Back when everything that is ready has been looked at.
                task::yield_now().await;
                drop(end_of_turn);
            });
        }
        turn.lines.extend_from_slice(line);
        Ticket { outcome: Rc::clone(&turn.outcome), end: turn.lines.len(), caller: None }
    }

    fn poll(&self, ticket: &mut Ticket, context: &Context<'_>) -> Poll<Result<(), Rc<io::Error>>> {
        if let Some(outcome) = ticket.outcome.get() {
            return Poll::Ready(match &outcome.error {
                Some(error) if ticket.end > outcome.written => Err(Rc::clone(error)),
                _ => Ok(()),
            });
        }
        let callers = &mut self.turn.borrow_mut().callers;
        match ticket.caller {
            Some(caller) => callers[caller].clone_from(context.waker()),
            None => {
                ticket.caller = Some(callers.len());
                callers.push(context.waker().clone());
            }
        }
        Poll::Pending
    }

    /// Writes what waits, and wakes those who wait for it.
    fn write_out(&self) {
        let mut turn = self.turn.borrow_mut();
        let (written, error) = self.log.write(&turn.lines);
        turn.lines.clear();
        turn.lines.shrink_to(MOST_KEPT);
        let outcome = Outcome { written, error: error.map(Rc::new) };
        // An outcome is taken out of the turn as it is told, so it is told once.
        let _ = std::mem::take(&mut turn.outcome).set(outcome);
        turn.callers.drain(..).for_each(Waker::wake);
    }
}

/// Writes the lines of its turn when the turn is over, or when the worker ends before that.
struct EndOfTurn(Rc<AuditWriter>);

impl Drop for EndOfTurn {
    fn drop(&mut self) {
        self.0.write_out();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::future::Future as _;

    use futures_util::future::join_all;

    use super::*;

    #[actix_rt::test]
    async fn calls_that_are_ready_together_share_a_write_and_each_has_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let writer = AuditWriter::new(Arc::new(AuditLog::to_file(&path).unwrap()));
        for turn in 0..3 {
            let lines: Vec<_> = (0..10).map(|call| format!("{turn}{call}\n")).collect();
            assert!(
                join_all(lines.iter().map(|line| writer.write(line.as_bytes())))
                    .await
                    .iter()
                    .all(Result::is_ok)
            );
            let written = fs::read_to_string(&path).unwrap();
            assert!(written.ends_with(&lines.concat()), "{written}");
        }
    }

    #[actix_rt::test]
    async fn a_call_that_is_given_up_leaves_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let writer = AuditWriter::new(Arc::new(AuditLog::to_file(&path).unwrap()));
        let mut call = Box::pin(writer.write(b"given up\n"));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(call);
        writer.write(b"next\n").await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "given up\nnext\n");
    }

    #[test]
    fn a_worker_that_ends_within_a_turn_leaves_its_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let log = Arc::new(AuditLog::to_file(&path).unwrap());
        let worker = actix_rt::Runtime::new().unwrap();
        worker.block_on(async {
            let writer = AuditWriter::new(log);
            let mut calls = [Box::pin(writer.write(b"one\n")), Box::pin(writer.write(b"two\n"))];
            for call in &mut calls {
                assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), "", "the turn is not over");
        });
        drop(worker);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }

    #[actix_rt::test]
    async fn only_calls_whose_line_is_not_out_are_told_of_a_fault() {
        let writer = AuditWriter::new(Arc::new(AuditLog::to_file("/dev/full".as_ref()).unwrap()));
        let told = join_all([writer.write(b"one\n"), writer.write(b"two\n")]).await;
        assert!(told.iter().all(Result::is_err));
        let outcome = Outcome { written: 4, error: Some(Rc::new(io::ErrorKind::StorageFull.into())) };
        let told = Rc::new(OnceCell::from(outcome));
        let context = Context::from_waker(Waker::noop());
        for (end, ready) in [(4, true), (8, false)] {
            let mut ticket = Ticket { outcome: Rc::clone(&told), end, caller: None };
            let Poll::Ready(result) = writer.poll(&mut ticket, &context) else { panic!("not told") };
            assert_eq!(result.is_ok(), ready);
        }
    }
}
