//! `verify`: opens the store, reads every record in it, and prints a summary.
//!
//! Opening an embedded store checks it against its checkpoint. A shared database has none: each record is read in one
//! snapshot, and must be a valid one.

use std::convert::Infallible;
use std::io::Write;

use log::LevelFilter;

use super::arguments::ConfigArgs;
use super::offline_store::{STOP_IT, close, open};
use super::outcome::{Exit, Failure, Output};
use super::progress::Progress;
use super::setup::{load_settings, start_logging};
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::server::store_options;
use crate::store::Store;

pub(super) fn run(
    arguments: &ConfigArgs,
    output: &mut Output<'_>,
    errors: &mut dyn Write,
) -> Result<Exit, Failure> {
    let settings = load_settings(arguments)?;
    start_logging(&settings, LevelFilter::Warn);
    let store = open(&store_options(&settings.store)?, Store::open_existing, STOP_IT, errors)?;
    let listing = store.list_blocking().map_err(Failure::failed)?;
    let (sequence, total) = (listing.sequence(), listing.count());
    // From the first login of any company to the last login of any.
    let (mut count, mut span) = (0, None::<LoginSpan>);
    let mut progress = Progress::start(errors, "read");
    let read = listing.read(|records| {
        count += records.len() as u64;
        span = records.iter().map(|record| record.login).chain(span).reduce(LoginSpan::merge);
        progress.at(count, total);
        Ok::<_, Infallible>(())
    });
    progress.end();
    read.map_err(Failure::failed)?;
    let time = |time: Option<Timestamp>| time.map_or_else(|| "none".to_owned(), |time| time.to_string());
    output.print(&format!(
        "records: {count}\nfirst login: {}\nlast login: {}\nsequence: {sequence}\n",
        time(span.map(LoginSpan::first)),
        time(span.map(LoginSpan::last)),
    ))?;
    close(&store)
}
