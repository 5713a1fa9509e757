//! How a command ends: its output, its exit code, and the only map from errors to exit codes.

use std::io::{self, Write};

use crate::server::StartError;
use crate::settings::SettingsErrors;
use crate::store::OpenError;

/// The exit codes that scripts rely on (INTERFACE: "Commands").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    /// Failed while running, or: denied, not ready, input rejected, store in use.
    Failed = 1,
    /// Bad usage or configuration.
    Usage = 2,
    /// The store is damaged or is not ours.
    Damaged = 3,
}

impl From<&StartError> for Exit {
    fn from(error: &StartError) -> Self {
        match error {
            StartError::Keys(_) | StartError::Address(_) | StartError::ActivatedSockets { .. } => Self::Usage,
            StartError::Store(error) if error.exit_code() == 3 => Self::Damaged,
            StartError::Store(_) | StartError::Audit(..) | StartError::Listen { .. } => Self::Failed,
        }
    }
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub exit: Exit,
    /// For standard error.
    pub message: String,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Exit code 1.
    pub(super) fn failed(error: impl ToString) -> Self {
        Self::new(Exit::Failed, error.to_string())
    }

    /// Exit code 1 for an export that cannot be written to its destination, `name`.
    pub(super) fn not_written(name: &str, error: &io::Error) -> Self {
        Self::failed(format!("the export cannot be written to {name}: {error}"))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::new((&error).into(), error.to_string())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        StartError::from(error).into()
    }
}

impl From<SettingsErrors> for Failure {
    fn from(errors: SettingsErrors) -> Self {
        Self::new(Exit::Usage, format!("the configuration has {}\n{errors}", count(errors.0.len())))
    }
}

/// `1 error`, `2 errors`.
pub(super) fn count(errors: usize) -> String {
    if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") }
}

/// Standard output.
pub(crate) struct Output<'a>(pub &'a mut dyn Write);

impl Output<'_> {
    /// Prints the text and flushes it. A reader that has gone is no failure.
    pub(super) fn print(&mut self, text: &str) -> Result<(), Failure> {
        match self.0.write_all(text.as_bytes()).and_then(|()| self.0.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::failed(format!("cannot write to standard output: {error}")))
            }
            _ => Ok(()),
        }
    }
}

/// Foreign text without the control characters that could steer a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().filter(|letter| *letter == '\n' || !letter.is_control()).collect()
}
