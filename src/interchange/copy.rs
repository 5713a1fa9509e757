//! Copying an export that is never held whole, verified while it passes.

use std::io::{self, BufRead, Write};

use super::export::Exporter;
use super::lines::Lines;
use super::ndjson::{ParsedLine, parse_line};
use crate::domain::login_span::LastLoginWindow;

/// Why a copy ended before its export.
#[derive(Debug)]
pub(crate) enum CopyError {
    /// What is wrong with the export.
    Export(String),
    /// It cannot be written.
    Write(io::Error),
}

/// Passes an export on line by line; `progress` gets the number of lines so far. The trailer passes only when it is right, so
/// that what was written of a wrong export can never be taken for a whole one. Of a bounded window only the records in it are
/// passed on, with a trailer of their own.
pub(crate) fn copy(
    input: impl BufRead,
    window: LastLoginWindow,
    out: &mut dyn Write,
    progress: impl FnMut(u64),
) -> Result<(), CopyError> {
    let mut lines = Lines::new(input, progress);
    let is_whole = window.is_unbounded();
    let (mut chosen, mut own) = (Exporter::default(), Vec::new());
    let mut ended = false;
    loop {
        let records = lines.number();
        let cut_off =
            |reason: &str| CopyError::Export(format!("it is cut off after {records} records{reason}"));
        if !lines.advance().map_err(|error| cut_off(&format!(": {error}")))? {
            break if ended { Ok(()) } else { Err(cut_off(", without its trailer")) };
        }
        if ended {
            return Err(CopyError::Export("there is data after the trailer".to_owned()));
        }
        let text = lines.text();
        if text.is_ok() && !lines.bytes().ends_with(b"\n") {
            return Err(cut_off(", without its trailer"));
        }
        let parsed = text.and_then(parse_line);
        match parsed.map_err(|reason| CopyError::Export(format!("line {}: {reason}", lines.number())))? {
            ParsedLine::Record(record) if !is_whole && window.contains(record.login) => {
                chosen.records(&mut own, &[record])
            }
            ParsedLine::Record(_) => {}
            ParsedLine::Trailer(trailer) => {
                let errors = trailer.check(records, lines.hash_before());
                if !errors.is_empty() {
                    return Err(CopyError::Export(errors.join("; ")));
                }
                ended = true;
                std::mem::take(&mut chosen).trailer(&mut own);
            }
        }
        let line = if is_whole { lines.bytes() } else { &own };
        out.write_all(line).map_err(CopyError::Write)?;
        own.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;
    use crate::domain::cvr::Cvr;
    use crate::domain::login_span::LoginSpan;
    use crate::domain::timestamp::Timestamp;
    use crate::interchange::ROW;
    use crate::store::Record;

    fn export(count: u32) -> Vec<u8> {
        let (mut exporter, mut text) = (Exporter::default(), Vec::new());
        for number in 0..count {
            let cvr = Cvr::parse(&format!("{number:08}")).unwrap();
            exporter.records(&mut text, &[Record { cvr, login: LoginSpan::at(Timestamp::MIN) }]);
        }
        exporter.trailer(&mut text);
        text
    }

    fn copied(text: &[u8], chunk: usize) -> (Vec<u8>, Result<(), String>) {
        let mut out = Vec::new();
        let result =
            copy(BufReader::with_capacity(chunk, text), LastLoginWindow::default(), &mut out, |_| ());
        let result = result.map_err(|error| match error {
            CopyError::Export(reason) => reason,
            CopyError::Write(error) => panic!("{error}"),
        });
        (out, result)
    }

    #[test]
    fn whole_export_passes_unchanged_in_chunks_of_any_size() {
        for count in [0, 1, 7] {
            let text = export(count);
            for chunk in [1, 2, 100, 129, 10_000] {
                assert_eq!(copied(&text, chunk), (text.clone(), Ok(())));
            }
        }
    }

    #[test]
    fn cut_or_changed_export_is_rejected_without_its_trailer() {
        let text = export(3);
        let rows = 3 * ROW;
        for at in 0..text.len() {
            let (out, result) = copied(&text[..at], 50);
            assert!(result.is_err() && out.len() <= rows, "cut at {at}: {result:?}");
            let mut changed = text.clone();
            changed[at] ^= 1;
            let (out, result) = copied(&changed, 50);
            assert!(result.is_err() && out.len() <= rows, "changed at {at}: {result:?}");
        }
    }

    #[test]
    fn data_after_the_trailer_and_endless_lines_are_rejected() {
        let text = [export(1), b"x".to_vec()].concat();
        assert_eq!(copied(&text, 64).1, Err("there is data after the trailer".to_owned()));
        let endless = BufReader::new(std::io::repeat(b'x'));
        let result = copy(endless, LastLoginWindow::default(), &mut Vec::new(), |_| ());
        assert!(
            matches!(result, Err(CopyError::Export(reason)) if reason == "line 1: longer than any record")
        );
    }
}
