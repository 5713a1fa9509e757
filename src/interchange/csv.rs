//! Lines of CSV (RFC 4180): three fields, in the order of a header.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::ndjson::{NAMES, parse_record};
use crate::store::Record;

/// Reads the lines behind a header.
pub(super) struct CsvParser {
    reader: Reader,
    separator: u8,
    /// In which column each of [`NAMES`] is.
    columns: [usize; 3],
}

impl CsvParser {
    /// For a file with this header: fields are separated by commas or, as Excel writes them in Denmark, by semicolons.
    pub(super) fn new(header: &str) -> Result<Self, String> {
        let separator = match (header.contains(','), header.contains(';')) {
            (true, true) => return Err("commas and semicolons are mixed".to_owned()),
            (false, true) => b';',
            _ => b',',
        };
        let reader = ReaderBuilder::new().delimiter(separator).build();
        let mut parser = Self { reader, separator, columns: [0; 3] };
        let names = parser.fields(header)?;
        for (column, name) in parser.columns.iter_mut().zip(NAMES) {
            let found = names.iter().position(|field| field == name);
            *column = found.ok_or_else(|| format!("no column {name}"))?;
        }
        Ok(parser)
    }

    pub(super) fn record(&mut self, line: &str) -> Result<Record, String> {
        let fields = self.fields(line)?;
        parse_record(self.columns.map(|column| fields[column].as_str()))
    }

    /// A field never holds the end of a line, so a quote that is still open there is an error of this line only, and so is
    /// a carriage return, at which the reader would stop.
    fn fields(&mut self, line: &str) -> Result<[String; 3], String> {
        if line.contains('\r') {
            return Err("a carriage return within the line; lines end with LF or CRLF".to_owned());
        }
        self.reader.reset();
        let line = format!("{line}\n");
        let (mut text, mut ends) = (vec![0; line.len()], vec![0; line.len()]);
        let (result, _, _, count) = self.reader.read_record(line.as_bytes(), &mut text, &mut ends);
        if result != ReadRecordResult::Record {
            return Err("a quote that is not closed".to_owned());
        }
        let starts = std::iter::once(&0).chain(&ends);
        let bounds = starts.zip(&ends[..count]);
        let fields: Vec<_> =
            bounds.map(|(start, end)| String::from_utf8_lossy(&text[*start..*end]).into_owned()).collect();
        fields.try_into().map_err(|_| {
            let plural = if count == 1 { "field" } else { "fields" };
            let separator = if self.separator == b';' { "semicolons" } else { "commas" };
            format!("{count} {plural} in the place of 3, with {separator} between them as in the header")
        })
    }
}
