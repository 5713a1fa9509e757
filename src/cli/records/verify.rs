//! `verify`: opens the store, reads every record in it, and prints what it holds.
//!
//! An embedded store is checked against its seal while it is opened. A shared database has no seal of ours: each record is
//! read and held against what a record may be, in one snapshot.

use std::convert::Infallible;
use std::io::Write;

use super::progress::Progress;
use super::{Absent, STOP_IT, open, start_logging};
use crate::cli::arguments::VerifyArgs;
use crate::cli::{Exit, Failure, Output, load_settings};
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;

pub(in crate::cli) fn run(
    arguments: &VerifyArgs,
    output: &mut Output<'_>,
    errors: &mut dyn Write,
) -> Result<Exit, Failure> {
    let settings = load_settings(arguments)?;
    start_logging(&settings);
    let store = open(&settings, Absent::ImportRejected, STOP_IT, errors)?;
    let failed = |error: String| Failure::new(Exit::Failed, error);
    let listing = store.list_blocking().map_err(|error| failed(error.to_string()))?;
    let (sequence, total) = (listing.sequence(), listing.count());
    // From the first login of any company to the latest of any: what merging them all would give.
    let (mut count, mut span) = (0, None::<LoginSpan>);
    let mut progress = Progress::start(errors, "read");
    let read = listing.read(|records| {
        count += records.len() as u64;
        span = records.iter().map(|record| record.login).chain(span).reduce(LoginSpan::merge);
        progress.at(count, total);
        Ok::<_, Infallible>(())
    });
    progress.end();
    read.map_err(|error| failed(error.to_string()))?;
    let moment = |moment: Option<Timestamp>| moment.map_or_else(|| "none".to_owned(), |at| at.to_string());
    output.print(&format!(
        "records: {count}\nfirst login: {}\nlast login: {}\nsequence: {sequence}\n",
        moment(span.map(LoginSpan::first)),
        moment(span.map(LoginSpan::last)),
    ))?;
    if store.close() {
        Ok(Exit::Done)
    } else {
        Err(failed("the store is whole, but the disk did not let it be closed in time".to_owned()))
    }
}
