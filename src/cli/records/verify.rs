//! `verify`: opens the closed store, which checks every record, and prints what it holds.

use std::io::Write;

use super::{Absent, STOP_IT, open, start_logging};
use crate::cli::arguments::VerifyArgs;
use crate::cli::{Exit, Failure, Output, load_settings};
use crate::domain::timestamp::Timestamp;

pub(in crate::cli) fn run(
    arguments: &VerifyArgs,
    output: &mut Output<'_>,
    errors: &mut dyn Write,
) -> Result<Exit, Failure> {
    let settings = load_settings(arguments)?;
    start_logging(&settings);
    let store = open(&settings, Absent::Refused, STOP_IT, errors)?;
    let snapshot = store.list().map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    let moment = |moment: Option<Timestamp>| moment.map_or_else(|| "none".to_owned(), |at| at.to_string());
    output.print(&format!(
        "records: {}\nfirst login: {}\nlast login: {}\nsequence: {}\n",
        snapshot.len(),
        moment(snapshot.earliest()),
        moment(snapshot.latest()),
        snapshot.sequence()
    ))?;
    if store.close() {
        Ok(Exit::Done)
    } else {
        Err(Failure::new(Exit::Failed, "the store is whole, but the disk did not let it be closed in time"))
    }
}
