//! The export of a running service, verified while it is copied.

use std::io::{self, Read, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::management::ManagementAddress;
use super::outcome::{Failure, printable};
use super::progress::Progress;
use crate::interchange::ExportVerifier;

/// Timeout of the connection, and of the answer's head.
const ANSWER: Duration = Duration::from_secs(30);
/// Timeout between two chunks. The whole has none: a large export takes its time.
const SILENCE: Duration = Duration::from_secs(60);
const CHUNK: usize = 64 << 10;
/// Maximum chunks that wait to be written.
const QUEUE: usize = 8;

/// Copies the export to `out`; `name` is for messages.
pub(super) fn copy(
    address: &ManagementAddress,
    out: &mut dyn Write,
    name: &str,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    let shown = format!("{address}/export");
    let failed = |reason: String| Failure::failed(printable(&reason));
    let wrong = |reason: String| failed(format!("the export from {shown} is not whole: {reason}"));
    let chunks = receive(ask(address).map_err(|reason| failed(format!("{shown}: {reason}")))?);
    let (mut verifier, mut lines) = (ExportVerifier::default(), Vec::new());
    loop {
        let chunk = match chunks.recv_timeout(SILENCE) {
            Ok(Ok(chunk)) => chunk,
            Ok(Err(error)) => {
                return Err(wrong(format!("it is cut off after {} records: {error}", verifier.count())));
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                return Err(wrong(format!(
                    "nothing more came for {} s after {} records",
                    SILENCE.as_secs(),
                    verifier.count()
                )));
            }
        };
        lines.clear();
        let verified = verifier.take(&chunk, &mut lines);
        out.write_all(&lines).map_err(|error| Failure::not_written(name, &error))?;
        verified.map_err(wrong)?;
        progress.at(verifier.count(), None);
    }
    verifier.finish().map_err(wrong)?;
    out.flush().map_err(|error| Failure::not_written(name, &error))
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

/// Reads in a thread, so that a silent service is noticed. The channel is closed after the last chunk.
fn receive(mut answer: impl Read + Send + 'static) -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (send, chunks) = mpsc::sync_channel(QUEUE);
    thread::spawn(move || {
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = match answer.read(&mut chunk) {
                Ok(0) => return,
                Ok(length) => {
                    chunk.truncate(length);
                    Ok(chunk)
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
    chunks
}
