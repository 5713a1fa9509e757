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
use crate::domain::timestamp::Timestamp;
use crate::store::Record;

/// What the records are together.
#[derive(Default)]
struct Summary {
    records: u64,
    earliest: Option<Timestamp>,
    latest: Option<Timestamp>,
}

impl Summary {
    fn add(&mut self, record: &Record) {
        let (first, last) = (record.login.first(), record.login.last());
        self.records += 1;
        self.earliest = Some(self.earliest.map_or(first, |earliest| earliest.min(first)));
        self.latest = Some(self.latest.map_or(last, |latest| latest.max(last)));
    }
}

pub(in crate::cli) fn run(
    arguments: &VerifyArgs,
    output: &mut Output<'_>,
    errors: &mut dyn Write,
) -> Result<Exit, Failure> {
    let settings = load_settings(arguments)?;
    start_logging(&settings);
    let store = open(&settings, Absent::Refused, STOP_IT, errors)?;
    let failed = |error: String| Failure::new(Exit::Failed, error);
    let listing = store.list_blocking().map_err(|error| failed(error.to_string()))?;
    let (sequence, total) = (listing.sequence(), listing.count());
    let mut summary = Summary::default();
    let mut progress = Progress::start(errors, "read");
    let read = listing.read(|records| {
        records.iter().for_each(|record| summary.add(record));
        progress.at(summary.records, total);
        Ok::<_, Infallible>(())
    });
    progress.end();
    read.map_err(|error| failed(error.to_string()))?;
    let moment = |moment: Option<Timestamp>| moment.map_or_else(|| "none".to_owned(), |at| at.to_string());
    output.print(&format!(
        "records: {}\nfirst login: {}\nlast login: {}\nsequence: {sequence}\n",
        summary.records,
        moment(summary.earliest),
        moment(summary.latest),
    ))?;
    if store.close() {
        Ok(Exit::Done)
    } else {
        Err(failed("the store is whole, but the disk did not let it be closed in time".to_owned()))
    }
}
