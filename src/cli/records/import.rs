//! `import`: reads a whole file, refuses it with all its faults, or merges it into the closed store.
//!
//! The file is read to its end before the store is opened: a refused one changes nothing and makes nothing. Moments in the
//! future are taken, since it may be this machine's clock that is wrong, but warned of: no later login undoes them.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use super::progress::Progress;
use super::{Absent, STOP_IT, open, options, printable, start_logging};
use crate::cli::arguments::{ImportArgs, ImportFormat};
use crate::cli::{Exit, Failure, Output, load_settings};
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::timestamp::Timestamp;
use crate::interchange::{self, Format, ImportReport};
use crate::store::Record;

const BUFFER: usize = 256 << 10;
/// How much later than now a moment may be without a warning, in milliseconds: clocks differ a little.
const FUTURE_LEEWAY: i64 = 60_000;

pub(in crate::cli) fn run(
    arguments: &ImportArgs,
    output: &mut Output<'_>,
    errors: &mut dyn Write,
) -> Result<Exit, Failure> {
    let settings = load_settings(&arguments.config)?;
    start_logging(&settings);
    options(&settings)?;
    let input = name_of(&arguments.input);
    let reading = read(arguments, errors)
        .map_err(|error| Failure::new(Exit::Failed, format!("{input} cannot be read: {error}")))?;
    let (good, bad) = (reading.good, reading.bad);
    if arguments.skip_bad && bad > 0 {
        let _ = writeln!(errors, "{input}: left out\n{}", printable(&reading.bad_lines()));
    }
    let records = reading.accept(arguments.skip_bad).map_err(|refused| {
        let told = format!("{input} is refused, nothing is written\n{refused}");
        Failure::new(Exit::Failed, printable(&told))
    })?;

    if let Some(warning) = of_the_future(&records, SystemClock.now()) {
        let _ = writeln!(errors, "warning: {warning}");
    }

    let store = open(&settings, Absent::Made, STOP_IT, errors)?;
    let total = Some(records.len() as u64);
    let mut progress = Progress::start(errors, "written");
    let imported = store.import(records, |done| progress.at(done, total));
    progress.end();
    let imported = imported.map_err(|error| {
        let told = format!("{error}; what was merged so far stays, and the same import can be run again");
        Failure::new(Exit::Failed, told)
    })?;
    if !store.close() {
        let told = "everything is written, but the disk did not let the store be closed in time";
        return Err(Failure::new(Exit::Failed, told));
    }
    output.print(&format!("read: {good}\nskipped: {bad}\nchanged: {}\n", imported.changed))?;
    Ok(Exit::Done)
}

/// How many records have a login later than now, and the first of them.
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
         that, docs/OPERATIONS.md tells how to correct it",
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
    let is_csv = || {
        arguments.input.extension().and_then(OsStr::to_str).is_some_and(|end| end.eq_ignore_ascii_case("csv"))
    };
    match arguments.format {
        Some(ImportFormat::Csv) => Format::Csv,
        None if is_csv() => Format::Csv,
        Some(ImportFormat::Ndjson) | None => Format::Ndjson { trailer: !arguments.no_trailer },
    }
}
