//! A file's lines, bounded in memory and hashed as they pass; and what one line says.

use std::fmt;
use std::io::{self, BufRead, Read};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::store::Record;

/// No record's line is longer; the rest of one that is, is skipped.
const LONGEST: u64 = 64 << 10;

/// How many characters of a bad value are repeated.
const SHOWN: usize = 40;

/// The lines of a file, one at a time.
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
    too_long: bool,
    hash: Sha256,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: Vec::new(), number: 0, too_long: false, hash: Sha256::new() }
    }

    /// The number of the line that was read last; the first is 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Reads the next line; `false` at the end of the file.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        self.hash.update(&self.line);
        self.too_long = false;
        if !self.read_piece()? {
            return Ok(false);
        }
        self.number += 1;
        while self.line.len() as u64 == LONGEST && !self.line.ends_with(b"\n") {
            self.too_long = true;
            self.hash.update(&self.line);
            self.read_piece()?;
        }
        Ok(true)
    }

    fn read_piece(&mut self) -> io::Result<bool> {
        self.line.clear();
        Ok((&mut self.input).take(LONGEST).read_until(b'\n', &mut self.line)? > 0)
    }

    /// The line, without its end and without the byte order mark that some programs put before the first.
    pub(super) fn text(&self) -> Result<&str, String> {
        if self.too_long {
            return Err("longer than any record".to_owned());
        }
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line =
            if self.number == 1 { line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line) } else { line };
        std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())
    }

    /// SHA-256 of every byte before this line, in small hexadecimal digits.
    pub(super) fn hash_before(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.hash.clone().finalize())
    }
}

/// What a file is that can only be read by another program, with the way out; nothing for text in UTF-8.
pub(super) fn foreign_format(start: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 8] = [
        (b"\x1f\x8b", "it is compressed by gzip: pipe it in, zcat FILE | virksomhedslogin import … -"),
        (
            b"\x28\xb5\x2f\xfd",
            "it is compressed by zstd: pipe it in, zstdcat FILE | virksomhedslogin import … -",
        ),
        (b"\xfd7zXZ", "it is compressed by xz: pipe it in, xzcat FILE | virksomhedslogin import … -"),
        (b"BZh", "it is compressed by bzip2: pipe it in, bzcat FILE | virksomhedslogin import … -"),
        (
            b"PK\x03\x04",
            "it is an Excel workbook or another ZIP archive: unpack it, or save the sheet as CSV UTF-8",
        ),
        (b"\xd0\xcf\x11\xe0", "it is an Excel workbook: save the sheet as CSV UTF-8"),
        (b"\xff\xfe", "it is UTF-16: convert it, iconv -f UTF-16 -t UTF-8 FILE"),
        (b"\xfe\xff", "it is UTF-16: convert it, iconv -f UTF-16 -t UTF-8 FILE"),
    ];
    let known = KINDS.iter().find(|(magic, _)| start.starts_with(magic));
    // No text of ours has a zero byte; UTF-16 without a mark has one beside every ASCII letter.
    known.map(|(_, told)| *told).or(match start {
        [first, 0, second, 0, ..] if *first != 0 && *second != 0 => {
            Some("it is UTF-16: convert it, iconv -f UTF-16LE -t UTF-8 FILE")
        }
        [0, first, 0, second, ..] if *first != 0 && *second != 0 => {
            Some("it is UTF-16: convert it, iconv -f UTF-16BE -t UTF-8 FILE")
        }
        _ => None,
    })
}

/// What a line of NDJSON says.
pub(super) enum ParsedLine {
    /// A record.
    Record(Record),
    /// The end of an export: so many lines, whose bytes have this hash.
    Trailer { count: u64, hash: String },
}

/// serde refuses a member that stands twice and ignores those that it does not know.
#[derive(Deserialize)]
#[allow(non_snake_case, reason = "the names on the wire")]
struct Line {
    cvrNummer: Option<String>,
    tidligsteLoginTidspunkt: Option<String>,
    senesteLogintidspunkt: Option<String>,
    antal: Option<u64>,
    sha256: Option<String>,
}

/// The names of a record's three parts, in their usual order.
pub(super) const NAMES: [&str; 3] = ["cvrNummer", "tidligsteLoginTidspunkt", "senesteLogintidspunkt"];

/// Reads a line of NDJSON, or says why it is neither a record nor a trailer.
pub(super) fn read_json(text: &str) -> Result<ParsedLine, String> {
    if !text.trim_start().starts_with('{') {
        return Err("not a JSON object".to_owned());
    }
    let line: Line = serde_json::from_str(text).map_err(|error| {
        let words = error.to_string();
        let (reason, _) = words.rsplit_once(" at line ").unwrap_or((&words, ""));
        format!("not readable: {reason} at column {}", error.column())
    })?;
    let parts = [line.cvrNummer, line.tidligsteLoginTidspunkt, line.senesteLogintidspunkt];
    match (line.antal, line.sha256) {
        (Some(count), Some(hash)) if parts.iter().all(Option::is_none) => {
            return Ok(ParsedLine::Trailer { count, hash });
        }
        _ => {}
    }
    for (name, part) in NAMES.iter().zip(&parts) {
        if part.is_none() {
            return Err(format!("{name} is missing"));
        }
    }
    let parts = parts.each_ref().map(|part| part.as_deref().unwrap_or_default());
    read_parts(parts).map(ParsedLine::Record)
}

/// Makes a record of its three parts, or says which of them is wrong.
pub(super) fn read_parts([cvr, first, last]: [&str; 3]) -> Result<Record, String> {
    let named = |at: usize, value: &str, error: &dyn fmt::Display| {
        let value: String = value.chars().take(SHOWN).collect();
        format!("{} {value:?}: {error}", NAMES[at])
    };
    let cvr = Cvr::parse(cvr).map_err(|error| named(0, cvr, &error))?;
    let first = Timestamp::parse(first).map_err(|error| named(1, first, &error))?;
    let last = Timestamp::parse(last).map_err(|error| named(2, last, &error))?;
    Ok(Record { cvr, login: LoginSpan::new(first, last).map_err(|error| error.to_string())? })
}

/// Splits lines of CSV (RFC 4180) into their three fields.
pub(super) struct CsvSplitter {
    reader: csv_core::Reader,
    separator: u8,
}

impl CsvSplitter {
    /// For a file with this header: fields are separated by commas or, as Excel writes them in Denmark, by semicolons.
    pub(super) fn of_header(header: &str) -> Result<Self, String> {
        let separator = match (header.contains(','), header.contains(';')) {
            (true, true) => return Err("commas and semicolons are mixed".to_owned()),
            (_, semicolons) => {
                if semicolons {
                    b';'
                } else {
                    b','
                }
            }
        };
        Ok(Self { reader: csv_core::ReaderBuilder::new().delimiter(separator).build(), separator })
    }

    /// None of our fields has the end of a line in it, so a quote that is still open there is a fault of this line alone.
    pub(super) fn split(&mut self, text: &str) -> Result<[String; 3], String> {
        self.reader.reset();
        let (mut fields, mut ends) = (vec![0; text.len() + 1], vec![0; text.len() + 2]);
        let (_, _, written, before) = self.reader.read_record(text.as_bytes(), &mut fields, &mut ends);
        let (result, _, _, last) =
            self.reader.read_record(b"\n", &mut fields[written..], &mut ends[before..]);
        if result != csv_core::ReadRecordResult::Record {
            return Err("a quote that is not closed".to_owned());
        }
        let mut start = 0;
        let fields: Vec<_> = ends[..before + last]
            .iter()
            .map(|end| {
                String::from_utf8_lossy(&fields[std::mem::replace(&mut start, *end)..*end]).into_owned()
            })
            .collect();
        let count = fields.len();
        fields.try_into().map_err(|_| {
            let plural = if count == 1 { "field" } else { "fields" };
            let separator = if self.separator == b';' { "semicolons" } else { "commas" };
            format!("{count} {plural} in the place of 3, with {separator} between them as in the header")
        })
    }
}
