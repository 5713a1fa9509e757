//! Reading a whole file and finding all its errors, before anything is written.
//!
//! A file of another kind (compressed, a workbook, UTF-16) is named as such and not read.
//!
//! Accepted: lines that end with CR LF, a byte order mark, blank lines, a last line without an end, unknown members. A repeated company
//! is merged. Rejected: a file without its trailer, or anything after it.

use std::io::{self, BufRead};

use super::csv::CsvParser;
use super::lines::Lines;
use super::ndjson::{NAMES, ParsedLine, parse_line};
use crate::store::{Record, merge_by_company};

/// How many bad lines are reported one by one; the others are only counted.
const MOST_BAD_LINES: usize = 100;

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

/// What a file says.
#[derive(Debug, Default)]
pub struct ImportReport {
    /// The records of the good lines, ascending, one a company.
    pub records: Vec<Record>,
    /// Number of good lines, each line of a repeated company counted.
    pub good: u64,
    /// Number of bad lines.
    pub bad: u64,
    /// The first hundred of them, each with its number and what is wrong.
    pub bad_lines: Vec<String>,
    /// What is wrong with the file as a whole: its format, its header, its trailer, what follows it.
    pub errors: Vec<String>,
}

impl ImportReport {
    /// The records. With `skip_bad` bad lines are left out, but errors of the whole file never are.
    ///
    /// # Errors
    /// Everything that is wrong, one line each.
    pub fn accept(self, skip_bad: bool) -> Result<Vec<Record>, String> {
        if self.errors.is_empty() && (self.bad == 0 || skip_bad) {
            return Ok(self.records);
        }
        let lines = (self.bad > 0).then(|| self.bad_lines());
        Err(self.errors.into_iter().chain(lines).collect::<Vec<_>>().join("\n"))
    }

    /// What is wrong with the bad lines, one line each.
    pub(crate) fn bad_lines(&self) -> String {
        let named = self.bad_lines.join("\n");
        match self.bad - self.bad_lines.len() as u64 {
            0 => named,
            unnamed => format!("{named}\nand {unnamed} more bad lines"),
        }
    }

    fn take(&mut self, number: u64, line: Result<Record, String>) {
        match line {
            Ok(record) => {
                self.good += 1;
                self.records.push(record);
            }
            Err(reason) => {
                self.bad += 1;
                if self.bad_lines.len() < MOST_BAD_LINES {
                    self.bad_lines.push(format!("line {number}: {reason}"));
                }
            }
        }
    }
}

/// Reads the whole file. `progress` is called now and then with the number of lines so far.
///
/// # Errors
/// Only when the input cannot be read; what is wrong with it is in the report.
pub fn read(mut input: impl BufRead, format: Format, progress: impl FnMut(u64)) -> io::Result<ImportReport> {
    let mut report = ImportReport::default();
    if let Some(error) = foreign_format(input.fill_buf()?) {
        report.errors.push(error);
        return Ok(report);
    }
    let mut lines = Lines::new(input, progress);
    match format {
        Format::Ndjson { trailer } => read_ndjson(&mut lines, trailer, &mut report)?,
        Format::Csv => read_csv(&mut lines, &mut report)?,
    }
    if !report.records.is_sorted_by(|one, other| one.cvr < other.cvr) {
        merge_by_company(&mut report.records);
    }
    Ok(report)
}

fn read_ndjson<R: BufRead, P: FnMut(u64)>(
    lines: &mut Lines<R, P>,
    must_end: bool,
    report: &mut ImportReport,
) -> io::Result<()> {
    let mut ended = None;
    while lines.advance_past_blank()? {
        let number = lines.number();
        if let Some(end) = ended {
            report.errors.push(format!("line {number}: there is data after the trailer in line {end}"));
            return Ok(());
        }
        match lines.text().and_then(parse_line) {
            Ok(ParsedLine::Record(record)) => report.take(number, Ok(record)),
            Ok(ParsedLine::Trailer(trailer)) if must_end => {
                ended = Some(number);
                let errors = trailer.check(report.good + report.bad, lines.hash_before());
                report.errors.extend(errors.into_iter().map(|error| format!("line {number}: {error}")));
            }
            Ok(ParsedLine::Trailer(_)) => {}
            Err(reason) => report.take(number, Err(reason)),
        }
    }
    if must_end && ended.is_none() {
        report.errors.push(format!(
            "the file ends after {} lines without its trailer {{\"antal\":…,\"sha256\":…}}: it is cut off, or was made by \
             another system (then say --no-trailer)",
            lines.number()
        ));
    }
    Ok(())
}

fn read_csv<R: BufRead, P: FnMut(u64)>(lines: &mut Lines<R, P>, report: &mut ImportReport) -> io::Result<()> {
    let header = if lines.advance()? { lines.text() } else { Err("no line at all".to_owned()) };
    let mut parser = match header.and_then(CsvParser::new) {
        Ok(parser) => parser,
        Err(reason) => {
            report.errors.push(format!(
                "line 1: {reason}; the header is {}, in any order, separated by commas or by semicolons",
                NAMES.join(",")
            ));
            return Ok(());
        }
    };
    while lines.advance_past_blank()? {
        report.take(lines.number(), lines.text().and_then(|text| parser.record(text)));
    }
    Ok(())
}

/// What a file is that another program must convert, and how; nothing for text in UTF-8.
fn foreign_format(start: &[u8]) -> Option<String> {
    let compressed = |kind, tool| {
        format!("it is compressed by {kind}: pipe it in, {tool} FILE | virksomhedslogin import … -")
    };
    let utf_16 = |coding| format!("it is UTF-16: convert it, iconv -f {coding} -t UTF-8 FILE");
    Some(match start {
        [0x1f, 0x8b, ..] => compressed("gzip", "zcat"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => compressed("zstd", "zstdcat"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => compressed("xz", "xzcat"),
        [b'B', b'Z', b'h', ..] => compressed("bzip2", "bzcat"),
        [b'P', b'K', 3, 4, ..] => {
            "it is an Excel workbook or another ZIP archive: unpack it, or save the sheet as CSV UTF-8"
                .to_owned()
        }
        [0xd0, 0xcf, 0x11, 0xe0, ..] => "it is an Excel workbook: save the sheet as CSV UTF-8".to_owned(),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => utf_16("UTF-16"),
        // No text of ours has a zero byte; UTF-16 without a byte order mark has one beside every ASCII letter.
        [1..=255, 0, 1..=255, 0, ..] => utf_16("UTF-16LE"),
        [0, 1..=255, 0, 1..=255, ..] => utf_16("UTF-16BE"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
