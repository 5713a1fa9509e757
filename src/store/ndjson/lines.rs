//! A file's lines, bounded in memory and hashed as they pass; and what one line says.

use std::io::{self, BufRead, Read};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::domain::cvr::Cvr;
use crate::domain::login::Login;
use crate::domain::timestamp::Timestamp;
use crate::store::Record;

/// No record's line is longer; the rest of one that is, is skipped.
const LONGEST: u64 = 64 << 10;

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

/// What a line of NDJSON says.
pub(super) enum Said {
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
pub(super) fn read_json(text: &str) -> Result<Said, String> {
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
            return Ok(Said::Trailer { count, hash });
        }
        _ => {}
    }
    for (name, part) in NAMES.iter().zip(&parts) {
        if part.is_none() {
            return Err(format!("{name} is missing"));
        }
    }
    let parts = parts.each_ref().map(|part| part.as_deref().unwrap_or_default());
    read_parts(parts).map(Said::Record)
}

/// Makes a record of its three parts, or says which of them is wrong.
pub(super) fn read_parts([cvr, first, last]: [&str; 3]) -> Result<Record, String> {
    let cvr = Cvr::parse(cvr).map_err(|error| format!("{}: {error}", NAMES[0]))?;
    let first = Timestamp::parse(first).map_err(|error| format!("{}: {error}", NAMES[1]))?;
    let last = Timestamp::parse(last).map_err(|error| format!("{}: {error}", NAMES[2]))?;
    Ok(Record { cvr, login: Login::new(first, last).map_err(|error| error.to_string())? })
}

/// Splits a line of CSV (RFC 4180) into its three fields. A field may stand in quotes; none of ours has a line's end in it.
pub(super) fn split_csv(text: &str) -> Result<[String; 3], String> {
    let mut fields = Vec::with_capacity(3);
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (field, after) = rest.split_at(end);
                if field.contains('"') {
                    return Err("a quote within a field that is not quoted".to_owned());
                }
                (field.to_owned(), after)
            }
            Some(quoted) => split_quoted(quoted)?,
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None if after.is_empty() => break,
            None => return Err("something other than a comma after a quoted field".to_owned()),
        }
    }
    let count = fields.len();
    fields.try_into().map_err(|_| format!("{count} fields in the place of 3"))
}

fn split_quoted(text: &str) -> Result<(String, &str), String> {
    let (mut field, mut rest) = (String::new(), text);
    loop {
        let end = rest.find('"').ok_or("a quote that is not closed")?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Ok((field, rest)),
        }
    }
}
