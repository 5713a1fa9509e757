//! The way of log lines to standard error: handed over in memory, written many at once by a thread of its own.
//!
//! A line that was handed over is written within a few milliseconds, in the order of handing over. Bounded: while
//! whoever reads standard error stands still, lines beyond [`CAPACITY`] are dropped, as are those that standard error does
//! not take (a full disk), and their number is logged when it goes on. Lost with the process is what a SIGKILL catches in those few milliseconds.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::line_writer::LineWriter;

/// How many bytes may wait.
const CAPACITY: usize = 1 << 20;
/// How long the thread lets lines gather after a write. Much shorter, and every line is written alone again.
const GATHER: Duration = Duration::from_millis(2);
/// How long [`Pipe::drain`] waits at most.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    dropped: u64,
    /// Lines have been taken and are not written yet.
    writing: bool,
    /// The thread sleeps until there is something to write.
    asleep: bool,
    /// Somebody waits for everything to be written: no more gathering.
    hurry: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    written: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes lines; clones lead to the same thread.
#[derive(Debug, Clone)]
pub(super) struct Pipe(Arc<Shared>);

impl Pipe {
    /// Starts the thread that writes to `output`.
    pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&theirs, output))?;
        Ok(Self(shared))
    }

    /// Waits until everything handed over so far is written, but no longer than a second.
    pub(super) fn drain(&self) {
        let mut state = self.0.state();
        state.hurry = true;
        self.0.wake.notify_all();
        let unwritten = |state: &mut State| !state.waiting.is_empty() || state.writing;
        let (mut state, _) = self
            .0
            .written
            .wait_timeout_while(state, PATIENCE, unwritten)
            .unwrap_or_else(PoisonError::into_inner);
        state.hurry = false;
    }
}

impl Write for Pipe {
    /// Takes one line, or drops it: a line is never cut.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state();
        if state.waiting.len() + line.len() > CAPACITY {
            state.dropped += 1;
        } else {
            state.waiting.extend_from_slice(line);
        }
        let asleep = std::mem::replace(&mut state.asleep, false);
        drop(state);
        if asleep {
            self.0.wake.notify_all();
        }
        Ok(line.len())
    }

    /// Nothing to do: the thread writes as soon as it can.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(shared: &Shared, output: impl Write) {
    let mut output = LineWriter::new(output, false);
    let mut lines = Vec::new();
    loop {
        let mut state = shared.state();
        while state.waiting.is_empty() {
            state.asleep = true;
            state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.asleep = false;
        std::mem::swap(&mut state.waiting, &mut lines);
        let mut dropped = std::mem::take(&mut state.dropped);
        state.writing = true;
        drop(state);

        let (written, error) = output.write(&lines);
        if error.is_some() {
            let lost = lines[written..].iter().filter(|byte| **byte == b'\n').count();
            dropped += u64::try_from(lost).unwrap_or(u64::MAX);
        } else if dropped > 0 {
            let notice = format!(
                "virksomhedslogin: {dropped} log lines were dropped, standard error did not take them\n"
            );
            if output.write(notice.as_bytes()).1.is_none() {
                dropped = 0;
            }
        }
        lines.clear();
        // A burst must not be paid for ever after.
        lines.shrink_to(CAPACITY / 8);

        let mut state = shared.state();
        state.dropped += dropped;
        state.writing = false;
        shared.written.notify_all();
        if !state.hurry {
            drop(state);
            thread::sleep(GATHER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Collects what is written; each write waits for a permit when there is a gate.
    struct Collected(Arc<Mutex<Vec<u8>>>, Option<mpsc::Receiver<()>>);

    impl Write for Collected {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(gate) = &self.1 {
                let _ = gate.recv();
            }
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_of_many_threads_arrive_whole_and_in_each_ones_order() {
        let collected = Arc::default();
        let pipe = Pipe::start(Collected(Arc::clone(&collected), None)).unwrap();
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let mut pipe = pipe.clone();
                thread::spawn(move || {
                    (0..500).for_each(|at| pipe.write_all(format!("{writer} {at}\n").as_bytes()).unwrap())
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        pipe.drain();
        let text = String::from_utf8(collected.lock().unwrap().clone()).unwrap();
        for writer in 0..4 {
            let own: Vec<_> =
                text.lines().filter_map(|line| line.strip_prefix(&format!("{writer} "))).collect();
            assert_eq!(own, (0..500).map(|at: i32| at.to_string()).collect::<Vec<_>>());
        }
        assert_eq!(text.lines().count(), 2_000);
    }

    #[test]
    fn whoever_logs_never_waits_for_a_reader_that_stands_still_and_losses_are_told() {
        let (permit, gate) = mpsc::channel();
        let collected = Arc::default();
        let mut pipe = Pipe::start(Collected(Arc::clone(&collected), Some(gate))).unwrap();
        let line = format!("{}\n", "x".repeat(1_023));
        for _ in 0..3 * CAPACITY / line.len() {
            pipe.write_all(line.as_bytes()).unwrap();
        }
        drop(permit);
        pipe.drain();
        let text = String::from_utf8(collected.lock().unwrap().clone()).unwrap();
        assert!(text.len() < 3 * CAPACITY);
        assert!(
            text.ends_with("log lines were dropped, standard error did not take them\n"),
            "{}",
            &text[text.len() - 99..]
        );
    }
}
