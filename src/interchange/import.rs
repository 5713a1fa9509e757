//! Reading a whole file and finding all its faults, before anything is done with it.
//!
//! A file of another kind (compressed, a workbook, UTF-16) is told as such and not read.
//!
//! Tolerated: lines that end with CR LF, a byte order mark, blank lines, a last line without an end, members that we do not know. A
//! company that stands twice is merged. Not tolerated: a file without its trailer, or anything after it.

use std::fmt;
use std::io::{self, BufRead};

use super::lines::{CsvSplitter, Lines, NAMES, ParsedLine, foreign_format, read_json, read_parts};
use crate::store::Record;

/// How many bad lines are told one by one; the others are only counted.
pub(crate) const MOST_BAD_LINES: usize = 100;

/// How the records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Ndjson {
        /// Whether the file must end with its trailer, and agree with it.
        trailer: bool,
    },
    /// A header line with the three names in any order, then three fields a line, separated by commas or by semicolons
    /// throughout; no trailer.
    Csv,
}

/// A line that is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Which line of the file; the first is 1.
    pub number: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// What a file says.
#[derive(Debug, Default)]
pub struct ImportReport {
    /// The records of the good lines, ascending, one a company.
    pub records: Vec<Record>,
    /// How many lines were good, the same company twice counted twice.
    pub good: u64,
    /// How many lines were bad.
    pub bad: u64,
    /// The first [`MOST_BAD_LINES`] of them.
    pub bad_lines: Vec<BadLine>,
    /// What is wrong with the file as a whole: its header, its trailer, what follows it.
    pub faults: Vec<String>,
}

/// Why a file is not taken. Displays as one line a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRejected {
    /// What is wrong with the file as a whole.
    pub faults: Vec<String>,
    /// How many lines are bad.
    pub bad: u64,
    /// The first [`MOST_BAD_LINES`] of them.
    pub bad_lines: Vec<BadLine>,
}

impl std::error::Error for ImportRejected {}

impl fmt::Display for ImportRejected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = self.faults.iter().cloned();
        let lines = self.bad_lines.iter().map(|line| format!("line {}: {}", line.number, line.reason));
        let unnamed = self.bad - self.bad_lines.len() as u64;
        let more = (unnamed > 0).then(|| format!("and {unnamed} more bad lines"));
        let all: Vec<_> = faults.chain(lines).chain(more).collect();
        formatter.write_str(&all.join("\n"))
    }
}

impl ImportReport {
    /// The records, unless something is wrong. With `skip_bad` bad lines are left out; a fault of the whole file is
    /// never passed over.
    pub fn accept(self, skip_bad: bool) -> Result<Vec<Record>, ImportRejected> {
        if self.faults.is_empty() && (self.bad == 0 || skip_bad) {
            Ok(self.records)
        } else {
            Err(ImportRejected { faults: self.faults, bad: self.bad, bad_lines: self.bad_lines })
        }
    }

    fn take(&mut self, number: u64, read: Result<Record, String>) {
        match read {
            Ok(record) => {
                self.good += 1;
                self.records.push(record);
            }
            Err(reason) => {
                self.bad += 1;
                if self.bad_lines.len() < MOST_BAD_LINES {
                    self.bad_lines.push(BadLine { number, reason });
                }
            }
        }
    }

    fn sort(&mut self) {
        if !self.records.is_sorted_by(|one, other| one.cvr < other.cvr) {
            self.records.sort_by_key(|record| record.cvr);
            self.records.dedup_by(|later, kept| {
                let same = later.cvr == kept.cvr;
                if same {
                    kept.login = kept.login.merge(later.login);
                }
                same
            });
        }
    }
}

/// Reads all of it. `progress` is told how many lines have been read so far, every now and then.
pub fn read(
    mut input: impl BufRead,
    format: Format,
    mut progress: impl FnMut(u64),
) -> io::Result<ImportReport> {
    const EVERY: u64 = 8192;
    if let Some(told) = foreign_format(input.fill_buf()?) {
        return Ok(ImportReport { faults: vec![told.to_owned()], ..ImportReport::default() });
    }
    let mut lines = Lines::new(input);
    let mut reading = ImportReport::default();
    let mut tell = |number: u64| {
        if number.is_multiple_of(EVERY) {
            progress(number);
        }
    };
    match format {
        Format::Ndjson { trailer } => read_ndjson(&mut lines, trailer, &mut reading, &mut tell)?,
        Format::Csv => read_csv(&mut lines, &mut reading, &mut tell)?,
    }
    reading.sort();
    progress(lines.number());
    Ok(reading)
}

fn read_ndjson<R: BufRead>(
    lines: &mut Lines<R>,
    must_end: bool,
    reading: &mut ImportReport,
    tell: &mut impl FnMut(u64),
) -> io::Result<()> {
    let mut ended = None;
    while lines.advance()? {
        tell(lines.number());
        let text = lines.text();
        if text.as_ref().is_ok_and(|text| text.trim().is_empty()) {
            continue;
        }
        if let Some(line) = ended
            && must_end
        {
            reading
                .faults
                .push(format!("line {}: there is data after the trailer in line {line}", lines.number()));
            return Ok(());
        }
        match text.and_then(read_json) {
            Ok(ParsedLine::Trailer { count, hash }) => {
                ended = Some(lines.number());
                if must_end {
                    check_trailer(reading, lines.number(), count, &hash, &lines.hash_before());
                }
            }
            Ok(ParsedLine::Record(record)) => reading.take(lines.number(), Ok(record)),
            Err(reason) => reading.take(lines.number(), Err(reason)),
        }
    }
    if must_end && ended.is_none() {
        reading.faults.push(format!(
            "the file ends after {} lines without its trailer {{\"antal\":…,\"sha256\":…}}: it is cut off, or was made by \
             another system (then say --no-trailer)",
            lines.number()
        ));
    }
    Ok(())
}

fn check_trailer(reading: &mut ImportReport, number: u64, count: u64, hash: &str, expected: &str) {
    let found = reading.good + reading.bad;
    if count != found {
        reading
            .faults
            .push(format!("line {number}: the trailer promises {count} records, the file has {found}"));
    }
    if hash != expected {
        reading
            .faults
            .push(format!("line {number}: the trailer's sha256 is {hash}, that of the file {expected}"));
    }
}

fn read_csv<R: BufRead>(
    lines: &mut Lines<R>,
    reading: &mut ImportReport,
    tell: &mut impl FnMut(u64),
) -> io::Result<()> {
    let header = if lines.advance()? { lines.text() } else { Err("no line at all".to_owned()) };
    let header = header.and_then(|header| {
        let mut splitter = CsvSplitter::of_header(header)?;
        let names = splitter.split(header)?;
        let place = |name: &str| {
            names.iter().position(|field| field == name).ok_or_else(|| format!("no column {name}"))
        };
        Ok((splitter, [place(NAMES[0])?, place(NAMES[1])?, place(NAMES[2])?]))
    });
    let (mut splitter, order) = match header {
        Ok(header) => header,
        Err(reason) => {
            reading.faults.push(format!(
                "line 1: {reason}; the header is {}, in any order, separated by commas or by semicolons",
                NAMES.join(",")
            ));
            return Ok(());
        }
    };
    while lines.advance()? {
        tell(lines.number());
        let text = lines.text();
        if text.as_ref().is_ok_and(|text| text.trim().is_empty()) {
            continue;
        }
        let read = text
            .and_then(|text| splitter.split(text))
            .and_then(|fields| read_parts(order.map(|at| fields[at].as_str())));
        reading.take(lines.number(), read);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
