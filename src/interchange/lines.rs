//! A file's lines: bounded in memory and hashed as they pass.

use std::io::{self, BufRead, Read};

use sha2::{Digest, Sha256};

use crate::strict_json::without_byte_order_mark;

/// Most bytes of a record's line; the rest of a longer one is skipped.
const LONGEST: u64 = 64 << 10;

/// The lines of a file, one at a time.
pub(super) struct Lines<R, P> {
    input: R,
    line: Vec<u8>,
    number: u64,
    hash: Sha256,
    /// Called with the number of every 8192nd line.
    progress: P,
}

impl<R: BufRead, P: FnMut(u64)> Lines<R, P> {
    pub(super) fn new(input: R, progress: P) -> Self {
        Self { input, line: Vec::new(), number: 0, hash: Sha256::new(), progress }
    }

    /// The number of the line that was read last; the first is 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Reads the next line; `false` at the end of the file.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        loop {
            let rest_of_line = self.is_too_long();
            self.hash.update(&self.line);
            self.line.clear();
            let read = (&mut self.input).take(LONGEST).read_until(b'\n', &mut self.line)?;
            if rest_of_line {
                continue;
            }
            self.number += u64::from(read > 0);
            if self.number.is_multiple_of(8192) {
                (self.progress)(self.number);
            }
            return Ok(read > 0);
        }
    }

    fn is_too_long(&self) -> bool {
        self.line.len() as u64 == LONGEST && !self.line.ends_with(b"\n")
    }

    /// Like [`Self::advance`], past blank lines.
    pub(super) fn advance_past_blank(&mut self) -> io::Result<bool> {
        while self.advance()? {
            if !self.text().is_ok_and(|text| text.trim().is_empty()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The line, without its end and without the byte order mark that some programs put before the first.
    pub(super) fn text(&self) -> Result<&str, String> {
        if self.is_too_long() {
            return Err("longer than any record".to_owned());
        }
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = if self.number == 1 { without_byte_order_mark(line) } else { line };
        std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())
    }

    /// The line as it is, but for the rest of one that is too long.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.line
    }

    /// SHA-256 of every byte before this line.
    pub(super) fn hash_before(&self) -> Sha256 {
        self.hash.clone()
    }
}
