//! Lines to a file or pipe that may fail in the middle of one: a torn line spoils no other.

use std::io::{self, Write};

/// Ends a torn line before the next one.
#[derive(Debug)]
pub(crate) struct LineWriter<W> {
    output: W,
    torn: bool,
}

impl<W: Write> LineWriter<W> {
    /// `torn`: the output ends inside a line.
    pub(crate) fn new(output: W, torn: bool) -> Self {
        Self { output, torn }
    }

    pub(crate) fn output(&self) -> &W {
        &self.output
    }

    /// Writes whole lines, line feeds included: the number of bytes written, and why not all of them.
    pub(crate) fn write(&mut self, lines: &[u8]) -> (usize, Option<io::Error>) {
        if self.torn
            && let Err(error) = self.end_line()
        {
            return (0, Some(error));
        }
        let mut written = 0;
        while written < lines.len() {
            match self.output.write(&lines[written..]) {
                Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
                Ok(more) => {
                    written += more;
                    self.torn = lines[written - 1] != b'\n';
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (written, Some(error)),
            }
        }
        (written, None)
    }

    /// Writes a line feed, torn line or not: the smallest proof that the output accepts bytes.
    pub(crate) fn end_line(&mut self) -> io::Result<()> {
        self.output.write_all(b"\n")?;
        self.torn = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many more bytes.
    struct Room(Vec<u8>, usize);

    impl Write for Room {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.1);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.extend_from_slice(&bytes[..taken]);
            self.1 -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn next_line_begins_on_a_line_of_its_own() {
        let mut writer = LineWriter::new(Room(Vec::new(), 7), false);
        assert_eq!(writer.write(b"one\n").0, 4);
        let (written, error) = writer.write(b"two---\nthree\n");
        assert!(written == 3 && error.is_some());
        let (written, error) = writer.write(b"lost\n");
        assert!(written == 0 && error.is_some(), "not even the line feed gets out");
        writer.output.1 = 100;
        assert!(writer.write(b"four\n").1.is_none());
        assert!(writer.write(b"five\n").1.is_none());
        assert_eq!(writer.output.0, b"one\ntwo\nfour\nfive\n");
    }

    #[test]
    fn output_that_ends_inside_a_line_is_ended_first() {
        let mut writer = LineWriter::new(Vec::new(), true);
        assert_eq!(writer.write(b"one\n").0, 4);
        assert_eq!(writer.output(), b"\none\n");
    }
}
