//! Text from outside, made safe to stand in one line.
//!
//! A log or audit line is one line whatever a client sends: C0, DEL, C1 (U+0085 among them), U+2028 and U+2029 are
//! written as `\u` escapes, and so are the characters that nobody sees and that turn the text around them (bidirectional
//! marks, zero widths, U+FEFF). Everything else is kept as it is, byte for byte, and most of it is copied in one piece.

use std::borrow::Cow;
use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// The text, or of one with more characters than these the first ones, an ellipsis and 16 digits of its SHA-256, so that two
/// long ones that begin alike can still be told apart.
pub(crate) fn shortened(text: &str, characters: usize) -> Cow<'_, str> {
    match text.char_indices().nth(characters) {
        None => text.into(),
        Some((end, _)) => {
            let digest = HEXLOWER.encode(&Sha256::digest(text)[..8]);
            format!("{}…{digest}", &text[..end]).into()
        }
    }
}

/// Writes the text as a JSON string (RFC 8259 §7) in which nothing can end a line or steer a terminal.
pub(crate) fn json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape(out, text, json_escape);
    out.push(b'"');
}

/// Writes the text without quotes, for a line that is read by people: quotes and backslashes are kept.
pub(crate) fn bare(out: &mut Vec<u8>, text: &str) {
    escape(out, text, bare_escape);
}

/// What is formatted into it goes into a JSON string whose quotes the caller writes.
#[derive(Debug)]
pub(crate) struct InJsonString<'a>(pub &'a mut Vec<u8>);

impl fmt::Write for InJsonString<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text, json_escape);
        Ok(())
    }
}

fn json_escape(character: char) -> Option<&'static str> {
    match character {
        '"' => Some("\\\""),
        '\\' => Some("\\\\"),
        _ => None,
    }
}

fn bare_escape(character: char) -> Option<&'static str> {
    match character {
        '\n' => Some("\\n"),
        '\r' => Some("\\r"),
        '\t' => Some("\\t"),
        _ => None,
    }
}

/// Characters that nobody sees, or that turn the order of the text around them.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Bytes that begin no character in need of a second look: printable ASCII without quote and backslash, and the
/// bytes of all other characters but for those of U+0080 to U+009F (which begin with C2), U+061C (D8), U+200B to U+206F
/// (E2) and U+FEFF (EF).
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 256 {
        plain[byte] = !matches!(byte as u8, b'"' | b'\\' | 0x7f | 0xc2 | 0xd8 | 0xe2 | 0xef);
        byte += 1;
    }
    plain
};

/// Copies plain stretches whole; `named` tells the escapes that are not `\u`.
fn escape(out: &mut Vec<u8>, text: &str, named: fn(char) -> Option<&'static str>) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| !PLAIN[usize::from(byte)]) {
        // A byte that is not plain begins a character, so the text may be cut here.
        let (plain, others) = rest.split_at(at);
        out.extend_from_slice(plain.as_bytes());
        let Some(character) = others.chars().next() else { return };
        if let Some(escaped) = named(character) {
            out.extend_from_slice(escaped.as_bytes());
        } else if character.is_control() || is_invisible(character) {
            out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
        } else {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        rest = &others[character.len_utf8()..];
    }
    out.extend_from_slice(rest.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write;

    fn written(write: fn(&mut Vec<u8>, &str), text: &str) -> String {
        let mut line = Vec::new();
        write(&mut line, text);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_written_text_stays_on_its_line_and_reads_back() {
        let text = "æ\"\\/\n\r\t\0\u{7f}\u{85}\u{9b}\u{a0}\u{2028}\u{2029}\u{2030}\u{1f600}";
        let line = written(json_string, text);
        assert_eq!(
            line,
            "\"æ\\\"\\\\/\\u000a\\u000d\\u0009\\u0000\\u007f\\u0085\\u009b\u{a0}\\u2028\\u2029\u{2030}😀\""
        );
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        assert_eq!(written(bare, "a \"b\" \\ \n\r\t\u{1b}\u{85}ø"), "a \"b\" \\ \\n\\r\\t\\u001b\\u0085ø");
    }

    #[test]
    fn what_nobody_sees_is_shown() {
        let text = "a\u{61c}\u{200b}\u{202e}b\u{2066}\u{feff}\u{61d}\u{fefe}\u{2070}";
        let line = written(json_string, text);
        assert_eq!(line, "\"a\\u061c\\u200b\\u202eb\\u2066\\ufeff\u{61d}\u{fefe}\u{2070}\"");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_keeps_its_difference() {
        assert_eq!(shortened("æøå", 3), "æøå");
        let (one, other) = (shortened("æøå1", 3).into_owned(), shortened("æøå2", 3).into_owned());
        assert!(one.starts_with("æøå…") && other.starts_with("æøå…") && one != other);
        assert_eq!(one.chars().count(), 3 + 1 + 16);
    }

    #[test]
    fn what_is_formatted_is_escaped_like_what_is_written() {
        let mut line = Vec::new();
        let (quote, separator) = ("a\"", '\u{2028}');
        write!(InJsonString(&mut line), "{quote}-{separator}").unwrap();
        assert_eq!(line, br#"a\"-\u2028"#);
    }

    proptest! {
        #[test]
        fn any_text_reads_back_from_its_one_line(text in any::<String>()) {
            let line = written(json_string, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text.clone());
            for line in [line, written(bare, &text)] {
                let ends_a_line = |c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}';
                prop_assert!(!line.contains(ends_a_line), "{}", line);
            }
        }
    }
}
