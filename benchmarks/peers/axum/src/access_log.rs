//! One line a call, in the file before the call is answered. All lines that wait are one write.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use tokio::sync::{mpsc, oneshot};

const MOST_LINES: usize = 1024;

struct Line {
    text: Vec<u8>,
    written: oneshot::Sender<()>,
}

pub struct AccessLog {
    // Bounded by the connections: each has one line waiting at most.
    lines: mpsc::UnboundedSender<Line>,
}

impl AccessLog {
    pub fn append_to(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let (lines, waiting) = mpsc::unbounded_channel();
        tokio::spawn(write_lines(file, waiting));
        Ok(Self { lines })
    }

    /// Whether the line is in the file.
    pub async fn write(&self, text: Vec<u8>) -> bool {
        let (written, done) = oneshot::channel();
        self.lines.send(Line { text, written }).is_ok() && done.await.is_ok()
    }
}

async fn write_lines(mut file: File, mut waiting: mpsc::UnboundedReceiver<Line>) {
    let (mut lines, mut text) = (Vec::with_capacity(MOST_LINES), Vec::new());
    while waiting.recv_many(&mut lines, MOST_LINES).await > 0 {
        text.clear();
        for line in &lines {
            text.extend_from_slice(&line.text);
        }
        if let Err(error) = file.write_all(&text) {
            eprintln!("the access log cannot be written: {error}");
            // Their senders are dropped, which is the answer "no".
            lines.clear();
        }
        for line in lines.drain(..) {
            // A caller that has hung up does not wait.
            let _ = line.written.send(());
        }
    }
}
