//! What a line of an export says: a record, or the trailer.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::store::Record;

/// How many characters of a bad value are repeated.
const SHOWN: usize = 40;

/// The names of a record's three parts, in their usual order.
pub(super) const NAMES: [&str; 3] = ["cvrNummer", "tidligsteLoginTidspunkt", "senesteLogintidspunkt"];

pub(super) enum ParsedLine {
    Record(Record),
    Trailer(Trailer),
}

/// The end of an export: how many records precede it, and the SHA-256 of their bytes.
pub(super) struct Trailer {
    count: u64,
    hash: String,
}

impl Trailer {
    /// What does not agree with so many records whose bytes have this hash.
    pub(super) fn check(&self, count: u64, hash: Sha256) -> Vec<String> {
        let (mut errors, hash) = (Vec::new(), HEXLOWER.encode(&hash.finalize()));
        if self.count != count {
            errors.push(format!("the trailer promises {} records, the file has {count}", self.count));
        }
        if self.hash != hash {
            errors.push(format!(
                "the trailer's sha256 is {:?}, that of the file {hash:?}: it was changed on its way",
                self.hash
            ));
        }
        errors
    }
}

/// serde rejects a repeated member and ignores an unknown one.
#[derive(Deserialize)]
#[allow(non_snake_case, reason = "the names on the wire")]
struct Line {
    cvrNummer: Option<String>,
    tidligsteLoginTidspunkt: Option<String>,
    senesteLogintidspunkt: Option<String>,
    antal: Option<u64>,
    sha256: Option<String>,
}

/// Reads a line, or says why it is neither a record nor a trailer.
pub(super) fn parse_line(text: &str) -> Result<ParsedLine, String> {
    if !text.trim_start().starts_with('{') {
        return Err("not a JSON object".to_owned());
    }
    let line: Line = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let (reason, _) = message.rsplit_once(" at line ").unwrap_or((&message, ""));
        format!("not readable: {reason} at column {}", error.column())
    })?;
    let parts = [line.cvrNummer, line.tidligsteLoginTidspunkt, line.senesteLogintidspunkt];
    if let (Some(count), Some(hash), [None, None, None]) = (line.antal, line.sha256, &parts) {
        return Ok(ParsedLine::Trailer(Trailer { count, hash }));
    }
    if let Some(missing) = parts.iter().position(Option::is_none) {
        return Err(format!("{} is missing", NAMES[missing]));
    }
    parse_record(parts.each_ref().map(|part| part.as_deref().unwrap_or_default())).map(ParsedLine::Record)
}

/// Makes a record of its three parts, or says which of them is wrong.
pub(super) fn parse_record([cvr, first, last]: [&str; 3]) -> Result<Record, String> {
    let named = |at: usize, value: &str, error: &dyn fmt::Display| {
        let value: String = value.chars().take(SHOWN).collect();
        format!("{} {value:?}: {error}", NAMES[at])
    };
    let cvr = Cvr::parse(cvr).map_err(|error| named(0, cvr, &error))?;
    let first = Timestamp::parse(first).map_err(|error| named(1, first, &error))?;
    let last = Timestamp::parse(last).map_err(|error| named(2, last, &error))?;
    Ok(Record { cvr, login: LoginSpan::new(first, last).map_err(|error| error.to_string())? })
}
