//! Checking an export while its bytes pass, for a copy that is never held whole.

use sha2::{Digest, Sha256};

use super::ndjson::{ParsedLine, parse_line};

/// No line of an export is longer, by far.
const LONGEST: usize = 4096;

/// Passes an export on line by line. The trailer passes only when it is right, so that what was written of a wrong
/// export can never be taken for a whole one.
#[derive(Debug, Default)]
pub(crate) struct ExportVerifier {
    hash: Sha256,
    count: u64,
    ended: bool,
    /// The beginning of a line whose end has not arrived.
    rest: Vec<u8>,
}

impl ExportVerifier {
    /// How many records have passed.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Takes the next bytes and appends to `out` the lines that may pass.
    ///
    /// # Errors
    /// What is wrong: a line that is no record, a trailer that does not agree, anything after it.
    pub(crate) fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(bytes);
        let mut lines = rest.as_slice();
        while let Some(end) = lines.iter().position(|byte| *byte == b'\n') {
            let (line, after) = lines.split_at(end + 1);
            self.line(line)?;
            out.extend_from_slice(line);
            lines = after;
        }
        if lines.len() > LONGEST {
            return Err(self.bad_line("longer than any record"));
        }
        self.rest = lines.to_vec();
        Ok(())
    }

    /// Ends the export; returns how many records it has.
    ///
    /// # Errors
    /// That the end is missing, or is not the trailer.
    pub(crate) fn finish(self) -> Result<u64, String> {
        match (self.ended, self.rest.is_empty()) {
            (true, true) => Ok(self.count),
            (true, false) => Err(AFTER_TRAILER.to_owned()),
            (false, _) => Err(format!("it is cut off after {} records, without its trailer", self.count)),
        }
    }

    fn bad_line(&self, reason: &str) -> String {
        format!("line {}: {reason}", self.count + 1)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        if self.ended {
            return Err(AFTER_TRAILER.to_owned());
        }
        let text = std::str::from_utf8(line).map_err(|_| self.bad_line("not UTF-8"))?;
        match parse_line(text.trim_end()).map_err(|reason| self.bad_line(&reason))? {
            ParsedLine::Record(_) => {
                self.hash.update(line);
                self.count += 1;
            }
            ParsedLine::Trailer(trailer) => {
                let errors = trailer.check(self.count, self.hash.clone());
                if !errors.is_empty() {
                    return Err(errors.join("; "));
                }
                self.ended = true;
            }
        }
        Ok(())
    }
}

const AFTER_TRAILER: &str = "there is data after the trailer";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cvr::Cvr;
    use crate::domain::login_span::LoginSpan;
    use crate::domain::timestamp::Timestamp;
    use crate::interchange::ROW;
    use crate::interchange::export::write_row;
    use crate::store::Record;

    fn export(count: u32) -> Vec<u8> {
        let mut text = Vec::new();
        for number in 0..count {
            let cvr = Cvr::parse(&format!("{number:08}")).unwrap();
            write_row(&mut text, &Record { cvr, login: LoginSpan::at(Timestamp::MIN) });
        }
        let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(&text));
        text.extend_from_slice(format!("{{\"antal\":{count},\"sha256\":\"{hash}\"}}\n").as_bytes());
        text
    }

    fn verified(text: &[u8], chunk: usize) -> (Vec<u8>, Result<u64, String>) {
        let (mut verifier, mut out) = (ExportVerifier::default(), Vec::new());
        for chunk in text.chunks(chunk) {
            if let Err(reason) = verifier.take(chunk, &mut out) {
                return (out, Err(reason));
            }
        }
        (out, verifier.finish())
    }

    #[test]
    fn whole_export_passes_unchanged_in_chunks_of_any_size() {
        for count in [0, 1, 7] {
            let text = export(count);
            for chunk in [1, 2, 100, 129, 10_000] {
                assert_eq!(verified(&text, chunk), (text.clone(), Ok(u64::from(count))));
            }
        }
    }

    #[test]
    fn cut_or_changed_export_is_rejected_without_its_trailer() {
        let text = export(3);
        let rows = 3 * ROW;
        for at in 0..text.len() {
            let (out, result) = verified(&text[..at], 50);
            assert!(result.is_err() && out.len() <= rows, "cut at {at}: {result:?}");
            let mut changed = text.clone();
            changed[at] ^= 1;
            let (out, result) = verified(&changed, 50);
            assert!(result.is_err() && out.len() <= rows, "changed at {at}: {result:?}");
        }
    }

    #[test]
    fn data_after_the_trailer_and_endless_lines_are_rejected() {
        let text = [export(1), b"x".to_vec()].concat();
        assert_eq!(verified(&text, 64).1, Err("there is data after the trailer".to_owned()));
        assert_eq!(verified(&[b'x'; 10_000], 64).1, Err("line 1: longer than any record".to_owned()));
    }
}
