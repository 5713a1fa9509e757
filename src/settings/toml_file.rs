//! Reads a TOML file that an operator wrote, and reports every syntax error with its line.

use std::io::Read;
use std::path::Path;

use toml::de::DeTable;

use super::error::{Origin, SettingError, Wrong};
use super::text::shown;
use crate::files;

/// Maximum bytes of a file.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// The line of the byte at `offset`, counted from 1.
pub(super) fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The text of a file that must be there.
pub(super) fn read_file(file: &Path) -> Result<String, Vec<SettingError>> {
    read_text(file).map_err(|(reason, help)| {
        let origin = Origin::File { path: file.to_owned(), line: None };
        vec![SettingError { origin, key: None, reason, help }]
    })
}

/// Passes the table of this text, or returns every syntax error; `file` only names it in messages.
pub(super) fn parse_toml(
    text: &str,
    file: &Path,
    visit: impl FnOnce(&DeTable<'_>),
) -> Result<(), Vec<SettingError>> {
    let (table, syntax_errors) = DeTable::parse_recoverable(text);
    let mut errors: Vec<SettingError> = Vec::new();
    for error in syntax_errors {
        let line = error.span().map_or(1, |span| line(text, span.start));
        let origin = Origin::File { path: file.to_owned(), line: Some(line) };
        // One mistake can cause several errors in its line, of which the first describes it best.
        if errors.iter().all(|known| known.origin != origin) {
            let (reason, help) = describe(&error, text);
            errors.push(SettingError { origin, key: None, reason, help });
        }
    }
    errors.sort_by_key(SettingError::line);
    if errors.is_empty() {
        visit(table.get_ref());
        Ok(())
    } else {
        Err(errors)
    }
}

/// Reason and help of a syntax error. The text may hold a secret, so that only the name of a duplicate key is repeated.
fn describe(error: &toml::de::Error, text: &str) -> Wrong {
    let name = error.span().and_then(|span| text.get(span));
    match (error.message(), name) {
        ("duplicate key", Some(name)) => {
            (format!("{} occurs twice", shown(name)), "write it once".to_owned())
        }
        (message, _) => (
            format!("is not TOML: {}", message.replace('\n', ", ")),
            "fix the syntax; write every string in quotes".to_owned(),
        ),
    }
}

/// The whole text of a file, or the reason why not and the help.
pub(super) fn read_text(file: &Path) -> Result<String, Wrong> {
    let help = || "name a file that this user may read".to_owned();
    let cannot = |error: std::io::Error| (format!("cannot be read: {error}"), help());
    let mut bytes = Vec::new();
    files::open(file).map_err(cannot)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err((format!("is larger than {} MiB", MAX_FILE / 1024 / 1024), help()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        (format!("is not UTF-8 (line {line})"), "save it as UTF-8".to_owned())
    })
}
