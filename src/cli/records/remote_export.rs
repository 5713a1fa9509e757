//! The export of a running service, checked while it is copied.

use std::io::{self, Read, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::progress::Progress;
use super::{not_written, printable};
use crate::cli::management::ManagementAddress;
use crate::cli::{Exit, Failure};
use crate::interchange::ExportVerifier;

/// How long the connection and the beginning of the answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// How long the service may be silent in the middle of an export. There is no limit to the whole: a large one takes its time.
const SILENCE: Duration = Duration::from_secs(60);
const PIECE: usize = 64 << 10;
/// How many pieces may wait to be written.
const WAITING: usize = 8;

/// Copies the export of the service whose management listener is at the address to `out`, which is called `name`.
pub(super) fn copy(
    address: &ManagementAddress,
    out: &mut dyn Write,
    name: &str,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    let shown = format!("{address}/export");
    let failed = |told: String| Failure::new(Exit::Failed, printable(&told));
    let wrong = |told: String| failed(format!("the export from {shown} is not whole: {told}"));
    let pieces = receive(ask(address).map_err(|told| failed(format!("{shown}: {told}")))?);
    let (mut checker, mut lines) = (ExportVerifier::default(), Vec::new());
    loop {
        let piece = match pieces.recv_timeout(SILENCE) {
            Ok(Ok(piece)) => piece,
            Ok(Err(error)) => {
                return Err(wrong(format!("it is cut off after {} records: {error}", checker.count())));
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                return Err(wrong(format!(
                    "nothing more came for {} s after {} records",
                    SILENCE.as_secs(),
                    checker.count()
                )));
            }
        };
        lines.clear();
        let taken = checker.take(&piece, &mut lines);
        out.write_all(&lines).map_err(|error| not_written(name, &error))?;
        taken.map_err(wrong)?;
        progress.at(checker.count(), None);
    }
    checker.finish().map_err(wrong)?;
    out.flush().map_err(|error| not_written(name, &error))
}

fn ask(address: &ManagementAddress) -> Result<impl Read + Send + use<>, String> {
    let answer = address
        .get("/export", |config| config.timeout_connect(Some(ANSWER)).timeout_recv_response(Some(ANSWER)))
        .map_err(|error| error.to_string())?;
    match answer.status().as_u16() {
        200 => Ok(answer.into_body().into_reader()),
        404 => Err("404: this is not the management listener, or that of another version".to_owned()),
        _ => Err(format!("the service answered {}", answer.status())),
    }
}

/// Reads in a thread of its own, so that a silent service can be noticed. The channel is closed after the last piece.
fn receive(mut answer: impl Read + Send + 'static) -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (send, pieces) = mpsc::sync_channel(WAITING);
    thread::spawn(move || {
        loop {
            let mut piece = vec![0; PIECE];
            let read = match answer.read(&mut piece) {
                Ok(0) => return,
                Ok(length) => {
                    piece.truncate(length);
                    Ok(piece)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let ended = read.is_err();
            if send.send(read).is_err() || ended {
                return;
            }
        }
    });
    pieces
}
