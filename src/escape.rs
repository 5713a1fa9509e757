//! Text from outside, made safe to stand in one line.
//!
//! A log or audit line is one line whatever a client sends: C0, DEL, C1 (U+0085 among them), U+2028 and U+2029 are
//! escaped, and so are characters that are invisible or turn the text around them (bidirectional marks, zero widths,
//! U+FEFF). Everything else is kept byte for byte.

use std::borrow::Cow;
use std::io;

use data_encoding::HEXLOWER;
use serde::Serialize;
use serde_json::ser::Formatter;
use sha2::{Digest, Sha256};

/// The text, or of one with more characters than these the first ones, an ellipsis and 16 digits of its SHA-256, so that two
/// long ones that begin alike still differ.
pub(crate) fn shortened(text: &str, characters: usize) -> Cow<'_, str> {
    // A text of so many bytes has no more characters.
    let end = if text.len() <= characters { None } else { text.char_indices().nth(characters) };
    match end {
        None => text.into(),
        Some((end, _)) => {
            let digest = HEXLOWER.encode(&Sha256::digest(text)[..8]);
            format!("{}…{digest}", &text[..end]).into()
        }
    }
}

/// Appends the value as JSON in which nothing can end a line or steer a terminal.
pub(crate) fn to_json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Memory takes every byte, and the values have no maps with keys that are not text.
    let _ = value.serialize(&mut serde_json::Serializer::with_formatter(out, OneLine));
}

/// As [`to_json`] for a text. One in which nothing is to be escaped, the usual one, is copied.
pub(crate) fn text_to_json(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| byte.is_ascii() && PLAIN[usize::from(byte)]) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        to_json(out, text);
    }
}

/// JSON as serde writes it, with the other characters escaped that this module escapes.
struct OneLine;

impl Formatter for OneLine {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        // serde has escaped quotes, backslashes and C0.
        if text.is_ascii() && !text.as_bytes().contains(&0x7f) {
            return out.write_all(text.as_bytes());
        }
        let mut escaped = Vec::new();
        bare(&mut escaped, text);
        out.write_all(&escaped)
    }
}

/// Characters that are invisible, or turn the order of the text around them.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Bytes that begin no character in need of an escape: printable ASCII without quote and backslash, and the bytes of all
/// other characters but for those of U+0080 to U+009F (which begin with C2), U+061C (D8), U+200B to U+206F (E2) and
/// U+FEFF (EF).
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 256 {
        plain[byte] = !matches!(byte as u8, b'"' | b'\\' | 0x7f | 0xc2 | 0xd8 | 0xe2 | 0xef);
        byte += 1;
    }
    plain
};

/// Appends the text without quotes, for a line that people read: quotes and backslashes are kept, runs of plain bytes are
/// copied whole.
pub(crate) fn bare(out: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| !PLAIN[usize::from(byte)]) {
        // A byte that is not plain begins a character, so the text may be cut here.
        let (plain, others) = rest.split_at(at);
        out.extend_from_slice(plain.as_bytes());
        let Some(character) = others.chars().next() else { return };
        match character {
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            _ if character.is_control() || is_invisible(character) => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
            }
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        rest = &others[character.len_utf8()..];
    }
    out.extend_from_slice(rest.as_bytes());
}

#[cfg(test)]
mod tests;
