//! `import`: reads a whole file, and merges it into the stopped store or rejects it with all its errors.
//!
//! The file is read to its end before the store is opened: a rejected one changes and makes nothing. A login in the future is
//! accepted with a warning, because this machine's clock may be wrong, and no later login undoes it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use log::LevelFilter;

use super::arguments::{ImportArgs, ImportFormat};
use super::offline_store::{STOP_IT, close, open};
use super::outcome::{Exit, Failure, Output, printable};
use super::progress::Progress;
use super::setup::{load_settings, start_logging};
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::timestamp::Timestamp;
use crate::interchange::{self, Format, ImportReport};
use crate::server::{store_options, warn_of_absent_store};
use crate::store::{Record, Store};

const BUFFER: usize = 256 << 10;
/// Milliseconds that a login may be in the future without a warning: clocks differ a little.
const FUTURE_LEEWAY: i64 = 60_000;

pub(super) fn run(
    arguments: &ImportArgs,
    output: &mut Output<'_>,
    errors: &mut dyn Write,
) -> Result<Exit, Failure> {
    let settings = load_settings(&arguments.config)?;
    start_logging(&settings, LevelFilter::Warn);
    let options = store_options(&settings.store)?;
    let input = name_of(&arguments.input);
    let reading = read(arguments, errors)
        .map_err(|error| Failure::failed(format!("{input} cannot be read: {error}")))?;
    let (good, bad) = (reading.good, reading.bad);
    if arguments.skip_bad && bad > 0 {
        let _ = writeln!(errors, "{input}: left out\n{}", printable(&reading.bad_lines()));
    }
    let records = reading.accept(arguments.skip_bad).map_err(|refused| {
        Failure::failed(printable(&format!("{input} is refused, nothing is written\n{refused}")))
    })?;

    if let Some(warning) = of_the_future(&records, SystemClock.now()) {
        let _ = writeln!(errors, "warning: {warning}");
    }

    warn_of_absent_store(&settings.store, &settings.audit_file, &options)?;
    let store = open(&options, Store::open, STOP_IT, errors)?;
    let total = Some(records.len() as u64);
    let mut progress = Progress::start(errors, "written");
    let imported = store.import(records, |done| progress.at(done, total));
    progress.end();
    let imported = imported.map_err(|error| {
        Failure::failed(format!(
            "{error}; what was merged so far stays, and the same import can be run again"
        ))
    })?;
    let exit = close(&store)?;
    output.print(&format!("read: {good}\nskipped: {bad}\nchanged: {}\n", imported.changed))?;
    Ok(exit)
}

/// A warning about the records with a login later than now.
fn of_the_future(records: &[Record], now: Timestamp) -> Option<String> {
    let latest = now.shifted(FUTURE_LEEWAY);
    let mut late = records.iter().filter(|record| record.login.last() > latest);
    let first = late.next()?;
    let companies = match late.count() {
        0 => "1 company has".to_owned(),
        others => format!("{} companies have", others + 1),
    };
    Some(format!(
        "{companies} a login later than this machine's clock ({now}), the first of them {} at {}; no later login undoes \
         that, see docs/OPERATIONS.md for how to correct it",
        first.cvr,
        first.login.last()
    ))
}

fn read(arguments: &ImportArgs, errors: &mut dyn Write) -> io::Result<ImportReport> {
    let input: Box<dyn BufRead> = if is_standard_input(&arguments.input) {
        Box::new(BufReader::with_capacity(BUFFER, io::stdin()))
    } else {
        Box::new(BufReader::with_capacity(BUFFER, File::open(&arguments.input)?))
    };
    let mut progress = Progress::start(errors, "read");
    let reading = interchange::read(input, format_of(arguments), |lines| progress.at(lines, None));
    progress.end();
    reading
}

fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

fn name_of(path: &Path) -> String {
    if is_standard_input(path) { "standard input".to_owned() } else { path.display().to_string() }
}

fn format_of(arguments: &ImportArgs) -> Format {
    let is_csv = match arguments.format {
        Some(format) => format == ImportFormat::Csv,
        None => arguments.input.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv")),
    };
    if is_csv { Format::Csv } else { Format::Ndjson { trailer: !arguments.no_trailer } }
}
