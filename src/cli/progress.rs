//! Progress of long work on standard error: a bar on a terminal, a plain line every few seconds elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Long enough not to fill a log.
const BETWEEN_LINES: Duration = Duration::from_secs(5);
const BETWEEN_DRAWS: Duration = Duration::from_millis(100);

/// One piece of work, counted in records.
pub(super) struct Progress<'a> {
    /// `checked`, `read`, `written`.
    done_word: &'static str,
    bar: Option<ProgressBar>,
    errors: &'a mut dyn Write,
    shown: Instant,
}

impl<'a> Progress<'a> {
    /// Plain lines go to `errors`; a bar depends on the process's standard error.
    pub(super) fn start(errors: &'a mut dyn Write, done_word: &'static str) -> Self {
        let bar = io::stderr().is_terminal().then(ProgressBar::no_length);
        Self { done_word, bar, errors, shown: Instant::now() }
    }

    /// `total` where it is known.
    pub(super) fn at(&mut self, done: u64, total: Option<u64>) {
        let between = if self.bar.is_some() { BETWEEN_DRAWS } else { BETWEEN_LINES };
        if self.shown.elapsed() < between {
            return;
        }
        self.shown = Instant::now();
        let Some(bar) = &self.bar else {
            let of = total.map_or_else(String::new, |total| format!(" of {total}"));
            // An unwritable line must not stop the work.
            let _ = writeln!(self.errors, "{done}{of} records {}", self.done_word);
            return;
        };
        let counted = match total {
            Some(_) => "{wide_bar} {human_pos} of {human_len} records",
            None => "{spinner} {human_pos} records",
        };
        if let Ok(style) = ProgressStyle::with_template(&format!("{counted} {}  {{elapsed}}", self.done_word))
        {
            bar.set_style(style);
        }
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
        bar.tick();
    }

    /// Removes the bar: only the result stays on the screen.
    pub(super) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_lines_are_seconds_apart() {
        let mut lines = Vec::new();
        let mut progress =
            Progress { done_word: "read", bar: None, errors: &mut lines, shown: Instant::now() };
        progress.at(1, None);
        progress.shown -= BETWEEN_LINES;
        progress.at(2, Some(9));
        progress.at(3, Some(9));
        progress.shown -= BETWEEN_LINES;
        progress.at(4, None);
        progress.end();
        assert_eq!(String::from_utf8(lines).unwrap(), "2 of 9 records read\n4 records read\n");
    }
}
