//! What can be wrong with a connection string, told without repeating it: it holds a password.

use std::path::PathBuf;

/// Why a connection string is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// There is nothing.
    #[error("it is empty: say where the database is, as in postgresql://user@db.example/logins")]
    Empty,
    /// The string cannot be taken apart.
    #[error("not a connection string: {0}")]
    Form(&'static str),
    /// A parameter that nobody here knows.
    #[error(
        "the parameter `{0}` is not known; leave it away, or look for its right name in the documentation of store.url"
    )]
    Unknown(String),
    /// Something in the place of a parameter that may be a part of a password.
    #[error(
        "parameter number {0} is not known, and not shown because it may be a part of a password: quote a password \
         that has spaces ('…'), and percent-encode it in a postgresql:// address"
    )]
    UnknownAt(usize),
    /// A parameter stands twice.
    #[error("`{0}` stands twice: keep one")]
    Twice(&'static str),
    /// A parameter has a value that it does not take.
    #[error("`{name}` has a value that it does not take: expected {expected}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// A parameter is missing.
    #[error("no {0}: say which, as in postgresql://user@db.example/logins")]
    Missing(&'static str),
    /// Understood, but not done.
    #[error("{0}")]
    Refused(&'static str),
    /// A file that the string names is not what it should be.
    #[error("{name}: {}: {reason}", path.display())]
    File {
        /// The parameter.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}
