//! `health`: asks `/readyz` of a running service, for the health checks of containers and units.

use std::io::Read;
use std::time::Duration;

use super::arguments::HealthArgs;
use super::{Exit, Failure, Output};

/// Health checks come every few seconds; a service that takes longer is not healthy.
const TIMEOUT: Duration = Duration::from_secs(3);

/// As much of the answer as is printed.
const MAX_ANSWER: u64 = 4096;

pub(super) fn run(arguments: &HealthArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let address = &arguments.url;
    let answer = address
        .get("/readyz", |config| config.timeout_global(Some(TIMEOUT)))
        .map_err(|error| Failure::new(Exit::Failed, format!("{address}/readyz: {error}")))?;
    if answer.status() == 200 {
        output.print("ready\n")?;
        return Ok(Exit::Done);
    }
    let status = answer.status();
    let mut body = Vec::new();
    // Half an answer still says more than none.
    let _ = answer.into_body().into_reader().take(MAX_ANSWER).read_to_end(&mut body);
    output.print(&format!("not ready: {status}\n{}", printable(&body)))?;
    Ok(Exit::Failed)
}

/// The answer as lines without control characters: what came over the network must not steer a terminal.
fn printable(body: &[u8]) -> String {
    String::from_utf8_lossy(body)
        .lines()
        .map(|line| line.chars().filter(|letter| !letter.is_control()).collect::<String>() + "\n")
        .collect()
}
