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
    too_long: bool,
    hash: Sha256,
    /// Called with the number of every 8192nd line.
    progress: P,
}

impl<R: BufRead, P: FnMut(u64)> Lines<R, P> {
    pub(super) fn new(input: R, progress: P) -> Self {
        Self { input, line: Vec::new(), number: 0, too_long: false, hash: Sha256::new(), progress }
    }

    /// The number of the line that was read last; the first is 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Reads the next line; `false` at the end of the file.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        self.hash.update(&self.line);
        self.too_long = false;
        if !self.read_part()? {
            return Ok(false);
        }
        self.number += 1;
        if self.number.is_multiple_of(8192) {
            (self.progress)(self.number);
        }
        while self.line.len() as u64 == LONGEST && !self.line.ends_with(b"\n") {
            self.too_long = true;
            self.hash.update(&self.line);
            self.read_part()?;
        }
        Ok(true)
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

    fn read_part(&mut self) -> io::Result<bool> {
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
        let line = if self.number == 1 { without_byte_order_mark(line) } else { line };
        std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())
    }

    /// SHA-256 of every byte before this line.
    pub(super) fn hash_before(&self) -> Sha256 {
        self.hash.clone()
    }
}
