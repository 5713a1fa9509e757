//! The way of log lines to standard error: a bounded channel, and a thread that writes many lines at once.
//!
//! A line is written within a few milliseconds, in the order of logging. Lines are dropped while the channel is full or
//! standard error rejects them (a full disk); their number is written when it accepts lines again. SIGKILL loses the lines
//! of the last few milliseconds.

use std::io::{self, Write};
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use crate::line_writer::LineWriter;

/// Maximum queued lines.
const CAPACITY: usize = 2_048;
/// The thread's pause after a write. Much shorter, and every line costs a system call of its own.
const GATHER: Duration = Duration::from_millis(2);
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Takes lines; clones lead to the same thread.
#[derive(Debug, Clone)]
pub(super) struct Pipe {
    lines: SyncSender<Vec<u8>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Lines in the channel or being written.
    pending: AtomicUsize,
    dropped: AtomicUsize,
}

impl Pipe {
    /// Starts the thread that writes to `output`.
    pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let (lines, receiver) = mpsc::sync_channel(CAPACITY);
        let pipe = Self { lines, counts: Arc::default() };
        let counts = Arc::clone(&pipe.counts);
        let thread = thread::Builder::new().name("log".to_owned());
        thread.spawn(move || write_lines(&receiver, &counts, output))?;
        Ok(pipe)
    }

    /// Waits until every line is written, but no longer than a second.
    pub(super) fn drain(&self) {
        let end = Instant::now() + DRAIN_TIMEOUT;
        while self.counts.pending.load(Ordering::Acquire) > 0 && Instant::now() < end {
            thread::sleep(GATHER);
        }
    }
}

impl Write for Pipe {
    /// Takes one whole line, or drops it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.counts.pending.fetch_add(1, Ordering::Relaxed);
        if self.lines.try_send(line.to_vec()).is_err() {
            self.counts.pending.fetch_sub(1, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_lines(receiver: &Receiver<Vec<u8>>, counts: &Counts, output: impl Write) {
    let mut output = LineWriter::new(output, false);
    while let Ok(first) = receiver.recv() {
        let taken: Vec<_> = iter::once(first).chain(receiver.try_iter()).take(CAPACITY).collect();
        let lines = taken.concat();
        let (written, error) = output.write(&lines);
        let mut lost = lines[written..].iter().filter(|byte| **byte == b'\n').count();
        // Only behind the last queued line, since what was dropped came after it.
        if error.is_none() && counts.pending.load(Ordering::Relaxed) == taken.len() {
            lost = counts.dropped.swap(0, Ordering::Relaxed);
            let notice = format!(
                "virksomhedslogin: {lost} log lines were dropped, standard error did not take them\n"
            );
            if lost > 0 && output.write(notice.as_bytes()).1.is_none() {
                lost = 0;
            }
        }
        counts.dropped.fetch_add(lost, Ordering::Relaxed);
        counts.pending.fetch_sub(taken.len(), Ordering::Release);
        thread::sleep(GATHER);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

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
    fn lines_of_each_thread_arrive_whole_and_in_order() {
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
    fn full_pipe_drops_lines_without_waiting_and_logs_how_many() {
        let (permit, gate) = mpsc::channel();
        let collected = Arc::default();
        let mut pipe = Pipe::start(Collected(Arc::clone(&collected), Some(gate))).unwrap();
        let line = "a line\n";
        for _ in 0..3 * CAPACITY {
            pipe.write_all(line.as_bytes()).unwrap();
        }
        drop(permit);
        pipe.drain();
        let text = String::from_utf8(collected.lock().unwrap().clone()).unwrap();
        assert!(text.len() < 3 * CAPACITY * line.len());
        assert!(
            text.ends_with("log lines were dropped, standard error did not take them\n"),
            "{}",
            &text[text.len() - 99..]
        );
    }
}
