//! Checking an export while its bytes pass, for whoever copies one and does not hold it.

use sha2::{Digest, Sha256};

use super::lines::{ParsedLine, read_json};

/// No line of an export is longer, by far.
const LONGEST: usize = 4096;

/// Lets an export through line by line. The trailer passes only when it is right, so that what was written of a wrong
/// export can never be taken for a whole one.
#[derive(Debug, Default)]
pub(crate) struct ExportVerifier {
    hash: Sha256,
    count: u64,
    ended: bool,
    /// The beginning of a line whose end has not come yet.
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
    /// In words what is wrong: a line that is no record, a trailer that does not fit, anything after it.
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
            return Err(format!("line {}: longer than any record", self.number()));
        }
        self.rest = lines.to_vec();
        Ok(())
    }

    /// That was all; returns how many records the export has.
    ///
    /// # Errors
    /// In words, that the end is missing.
    pub(crate) fn finish(self) -> Result<u64, String> {
        if self.ended && self.rest.is_empty() {
            Ok(self.count)
        } else if self.ended {
            Err("there is data after the trailer".to_owned())
        } else {
            Err(format!("it is cut off after {} records, without its trailer", self.count))
        }
    }

    fn number(&self) -> u64 {
        self.count + 1
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        if self.ended {
            return Err("there is data after the trailer".to_owned());
        }
        let told = |reason: String| format!("line {}: {reason}", self.count + 1);
        let text = std::str::from_utf8(line).map_err(|_| told("not UTF-8".to_owned()))?;
        match read_json(text.trim_end()).map_err(told)? {
            ParsedLine::Record(_) => {
                self.hash.update(line);
                self.count += 1;
            }
            ParsedLine::Trailer { count, hash } => {
                let found = data_encoding::HEXLOWER.encode(&self.hash.clone().finalize());
                if count != self.count {
                    return Err(format!(
                        "the trailer promises {count} records, but there came {}",
                        self.count
                    ));
                }
                if hash != found {
                    return Err(format!(
                        "the trailer's sha256 is {hash:?}, that of what came {found:?}: it was changed on its way"
                    ));
                }
                self.ended = true;
            }
        }
        Ok(())
    }
}

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

    fn checked(text: &[u8], piece: usize) -> (Vec<u8>, Result<u64, String>) {
        let (mut checker, mut out) = (ExportVerifier::default(), Vec::new());
        for piece in text.chunks(piece) {
            if let Err(reason) = checker.take(piece, &mut out) {
                return (out, Err(reason));
            }
        }
        (out, checker.finish())
    }

    #[test]
    fn a_whole_export_passes_unchanged_in_pieces_of_any_size() {
        for count in [0, 1, 7] {
            let text = export(count);
            for piece in [1, 2, 100, 129, 10_000] {
                assert_eq!(checked(&text, piece), (text.clone(), Ok(u64::from(count))));
            }
        }
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_told_and_the_trailer_held_back() {
        let text = export(3);
        let rows = 3 * ROW;
        for at in 0..text.len() {
            let (out, told) = checked(&text[..at], 50);
            assert!(told.is_err() && out.len() <= rows, "cut at {at}: {told:?}");
            let mut changed = text.clone();
            changed[at] ^= 1;
            let (out, told) = checked(&changed, 50);
            assert!(told.is_err() && out.len() <= rows, "changed at {at}: {told:?}");
        }
    }

    #[test]
    fn data_after_the_trailer_and_endless_lines_are_told() {
        let text = [export(1), b"x".to_vec()].concat();
        assert_eq!(checked(&text, 64).1, Err("there is data after the trailer".to_owned()));
        assert_eq!(checked(&[b'x'; 10_000], 64).1, Err("line 1: longer than any record".to_owned()));
    }
}
