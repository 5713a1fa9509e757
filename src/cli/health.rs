//! `health`: asks `/readyz` of a running service, for the health checks of containers and units.

use std::io::Read;
use std::time::Duration;

use super::management::ManagementAddress;
use super::outcome::{Exit, Failure, Output, printable};

const TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes of the answer that are printed.
const MAX_ANSWER: u64 = 4096;

pub(super) fn run(address: &ManagementAddress, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let answer = address
        .get("/readyz", Some(TIMEOUT))
        .map_err(|error| Failure::failed(format!("{address}/readyz: {error}")))?;
    if answer.status() == 200 {
        output.print("ready\n")?;
        return Ok(Exit::Done);
    }
    let status = answer.status();
    let mut body = Vec::new();
    // A truncated answer still helps.
    let _ = answer.into_body().into_reader().take(MAX_ANSWER).read_to_end(&mut body);
    let body = printable(&String::from_utf8_lossy(&body));
    output.print(&format!("not ready: {status}\n{}\n", body.trim_end()))?;
    Ok(Exit::Failed)
}
