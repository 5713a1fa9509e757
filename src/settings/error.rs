//! One thing wrong with the configuration, told so that it can be mended without reading the source.
//!
//! A fault never repeats the value of a secret; other values are shown quoted, escaped and cut short, so that
//! one fault is one line whatever stood in the file.

use std::fmt;
use std::path::PathBuf;

/// How many characters of a wrong value are repeated in a message.
const SHOWN: usize = 80;

/// Where a value came from, or should have come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file, and the line in it when there is one (counted from 1).
    File {
        /// The file as it was named on the command line or in the configuration.
        path: PathBuf,
        /// The line, when the fault stands in one.
        line: Option<usize>,
    },
    /// An environment variable, by its name.
    Variable(String),
}

/// One fault: where, which key, what is wrong and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError {
    /// The file or variable.
    pub origin: Origin,
    /// The key as in the configuration reference, or none when the whole file is at fault.
    pub key: Option<String>,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub help: String,
}

impl SettingError {
    /// The line of the file, when the fault stands in one.
    pub(crate) fn line(&self) -> Option<usize> {
        match self.origin {
            Origin::File { line, .. } => line,
            Origin::Variable(_) => None,
        }
    }
}

/// Every fault that was found, in the order: files, unknown names, values by section, the access table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsErrors(pub Vec<SettingError>);

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: None } => write!(formatter, "{}", path.display()),
            Self::File { path, line: Some(line) } => write!(formatter, "{}:{line}", path.display()),
            Self::Variable(name) => formatter.write_str(name),
        }
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.origin)?;
        if let Some(key) = &self.key {
            write!(formatter, "{key}: ")?;
        }
        write!(formatter, "{}; {}", self.reason, self.help)
    }
}

impl fmt::Display for SettingsErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            write!(formatter, "{}{fault}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsErrors {}

impl From<Vec<SettingError>> for SettingsErrors {
    fn from(faults: Vec<SettingError>) -> Self {
        Self(faults)
    }
}

/// A value as a message repeats it: quoted, control characters escaped, cut after 80 characters.
pub(crate) fn shown(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    }
}

/// The candidate that was probably meant: nearest in spelling, letter case aside, and not farther than a slip or two.
pub(crate) fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    let bound = (given.chars().count() / 4).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&given, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean …?` when a candidate is near, else what can be done otherwise.
pub(crate) fn did_you_mean<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    otherwise: impl FnOnce() -> String,
) -> String {
    nearest(given, candidates).map_or_else(otherwise, |candidate| format!("did you mean {candidate}?"))
}

/// How many single letters must be added, dropped or changed to make one text of the other (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    // A name longer than any of ours is no slip of the pen; the table would only cost time.
    if left.len().max(right.len()) > 120 {
        return usize::MAX;
    }
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(&right) {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = *cell;
            *cell = changed.min(diagonal + 1).min(before + 1);
            before = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
        assert_eq!(distance("workrs", "workers"), 1);
    }

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        assert_eq!(nearest("jobcenter", ["A-kasse", "JobCenter"]), Some("JobCenter"));
        assert_eq!(nearest("Kommune", ["A-kasse", "JobCenter"]), None);
    }

    #[test]
    fn a_value_is_shown_on_one_line_and_cut() {
        assert_eq!(shown("a\nb\u{2028}\u{85}\u{7f}"), r#""a\nb\u{2028}\u{85}\u{7f}""#);
        assert_eq!(shown(&"æ".repeat(200)).chars().count(), SHOWN + 3);
    }
}
