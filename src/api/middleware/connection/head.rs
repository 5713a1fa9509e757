//! What is done to a request's head before actix-http sees it: its length is bounded, and offers to upgrade are hidden.
//!
//! actix-http 3.20 reads heads of up to 128 KiB, panics when a header's name has 64 KiB, and closes the connection after
//! every request that offers to upgrade (`Connection: Upgrade`). The service upgrades to nothing and may pass over such
//! an offer (RFC 9110 §7.8).
//!
//! Lines are never added, removed or made longer, so everything ends where it did. Chunks pass here too, since only
//! actix-http reads them: a body with a line that begins with `upgrade:` is no JSON.

/// Most bytes of a head.
pub(super) const MAX_LENGTH: usize = (64 << 10) - 1;

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

    /// Counts anew: what was passed on so far belongs to no head.
    pub(super) fn restart(&mut self) {
        self.length = 0;
    }

    /// Filters what was received next, up to the end of a head. How much that is, and whether the head is whole; nothing
    /// when it is too long.
    pub(super) fn accept(&mut self, bytes: &mut [u8]) -> Option<(usize, bool)> {
        let mut accepted = 0;
        for line in bytes.split_inclusive_mut(|byte| *byte == b'\n') {
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

/// Makes a header line that offers to upgrade one that nobody knows. A line that did not arrive whole may stay as it is:
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
mod tests {
    use super::*;

    fn filtered(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        let (mut filter, mut at) = (HeadFilter::new(), 0);
        while at < bytes.len() {
            at += filter.accept(&mut bytes[at..]).unwrap().0;
        }
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn offers_to_upgrade_are_hidden_and_nothing_else_is() {
        assert_eq!(
            filtered("GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUPGRADE: h2c\r\n\r\n"),
            "GET / HTTP/1.1\r\nConnection: xxxxxxx, HTTP2-Settings\r\nxxxxxxx: h2c\r\n\r\n"
        );
        for text in [
            "GET /upgrade: HTTP/1.1\r\nConnection: close\r\nX-Upgrade: h2c\r\nUpgraded: x\r\n\r\n",
            "GET / HTTP/1.1\r\nX: Connection: upgrade\r\nUpgrade\r\n\r\n{\"upgrade:\": \"Upgrade: x\"}",
        ] {
            assert_eq!(filtered(text), text);
        }
    }

    /// The lengths of the heads in a text that arrives in pieces of this size; 0 for one that is too long.
    fn heads(text: &str, size: usize) -> Vec<usize> {
        let (mut filter, mut found, mut length) = (HeadFilter::new(), Vec::new(), 0);
        for piece in text.as_bytes().to_vec().chunks_mut(size) {
            let mut at = 0;
            while at < piece.len() {
                let Some((accepted, is_whole)) = filter.accept(&mut piece[at..]) else {
                    found.push(0);
                    return found;
                };
                (at, length) = (at + accepted, length + accepted);
                if is_whole {
                    found.push(std::mem::take(&mut length));
                }
            }
        }
        found
    }

    #[test]
    fn heads_end_at_empty_lines_however_the_bytes_are_cut() {
        let line = format!("{}\r\n", "a".repeat(32_000));
        let text = format!("\r\n{line}{line}\r\n{line}\n\n\r\nGET\n\r\n{line}{line}{line}");
        for size in [1, 2, 3, 7, 8_192, 65_536, 1 << 20] {
            assert_eq!(heads(&text, size), [64_008, 32_003, 9, 0], "{size}");
        }
    }
}
