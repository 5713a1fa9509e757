//! A request's head before actix-http sees it: its length is bounded, and offers to upgrade are hidden.
//!
//! actix-http 3.20 reads heads of up to 128 KiB, panics when a header's name has 64 KiB, and closes the connection after
//! every request that offers to upgrade (`Connection: Upgrade`). The service upgrades to nothing and may pass over such
//! an offer (RFC 9110 §7.8).
//!
//! Lines are never added, removed or made longer, so everything ends where it did. Chunks pass here too, since only
//! actix-http reads them: a body with a line that begins with `upgrade:` is no JSON.

use memchr::memchr;

/// Most bytes of a head.
const MAX_LENGTH: usize = (64 << 10) - 1;

/// Finds the ends of heads: empty lines.
#[derive(Debug)]
pub(super) struct HeadFilter {
    /// Bytes since the last empty line.
    length: usize,
    is_line_start: bool,
}

impl HeadFilter {
    pub(super) fn new() -> Self {
        Self { length: 0, is_line_start: true }
    }

    /// Counts from zero: what was passed on so far belongs to no head.
    pub(super) fn restart(&mut self) {
        self.length = 0;
    }

    /// Filters what comes next, up to the end of a head: how much, and whether the head is whole; nothing when it is too long.
    pub(super) fn accept(&mut self, bytes: &mut [u8]) -> Option<(usize, bool)> {
        let (mut accepted, mut rest) = (0, bytes);
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let line;
            (line, rest) = rest.split_at_mut(end);
            let is_start = self.is_line_start;
            let room = MAX_LENGTH - self.length;
            if line.len() > room {
                self.length = MAX_LENGTH;
                accepted += room;
                return (accepted > 0).then_some((accepted, false));
            }
            accepted += line.len();
            let may_be_empty = is_start && line == b"\r";
            self.is_line_start = may_be_empty || line.ends_with(b"\n");
            if may_be_empty {
                continue;
            }
            if is_start && (line == b"\n" || line == b"\r\n") {
                // Empty lines before a head belong to it (RFC 9112 §2.2).
                if std::mem::take(&mut self.length) > 0 {
                    return Some((accepted, true));
                }
                continue;
            }
            self.length += line.len();
            if is_start {
                hide_upgrade(line);
            }
        }
        Some((accepted, false))
    }
}

/// Makes a header line that offers to upgrade an unknown one. A line that did not arrive whole may stay as it is:
/// then the connection is closed after the answer.
fn hide_upgrade(line: &mut [u8]) {
    const UPGRADE: &[u8] = b"upgrade";
    let Some(colon) = line.iter().take(UPGRADE.len() + 4).position(|byte| *byte == b':') else { return };
    let (name, value) = line.split_at_mut(colon);
    if name.eq_ignore_ascii_case(UPGRADE) {
        name.fill(b'x');
    } else if name.eq_ignore_ascii_case(b"connection") {
        let found = value.windows(UPGRADE.len()).position(|window| window.eq_ignore_ascii_case(UPGRADE));
        if let Some(at) = found {
            value[at..at + UPGRADE.len()].fill(b'x');
        }
    }
}

#[cfg(test)]
mod tests;
