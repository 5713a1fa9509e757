//! One error of the configuration, reported so that it can be fixed without reading the source.
//!
//! Promises: an error never repeats the value of a secret, and is one line whatever is in the file.

use std::fmt;
use std::path::PathBuf;

/// Where a value came from, or should have come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file as it was named on the command line or in the configuration, and the line in it, counted from 1.
    File { path: PathBuf, line: Option<usize> },
    /// An environment variable, by its name.
    Variable(String),
}

/// One error: where, which key, what is wrong and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {}{reason}; {help}", key.as_ref().map(|key| format!("{key}: ")).unwrap_or_default())]
pub struct SettingError {
    pub origin: Origin,
    /// The key as in the configuration reference, or none when the whole file is wrong.
    pub key: Option<String>,
    pub reason: String,
    pub help: String,
}

impl SettingError {
    pub(super) fn new(
        origin: Origin,
        key: impl Into<String>,
        (reason, help): (impl Into<String>, impl Into<String>),
    ) -> Self {
        Self { origin, key: Some(key.into()), reason: reason.into(), help: help.into() }
    }

    /// The line of the file, when the error is in one.
    pub(crate) fn line(&self) -> Option<usize> {
        match self.origin {
            Origin::File { line, .. } => line,
            Origin::Variable(_) => None,
        }
    }
}

/// What is wrong with a value, and how to fix it.
pub(super) type Wrong = (String, String);

/// Every error found, in the order: files, unknown names, values by section, the access table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
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
