//! What a database's errors mean for us: try again, wait for it, or tell.

use std::error::Error as _;
use std::io;

use deadpool_postgres::PoolError;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::store::StoreError;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DatabaseError {
    /// Another transaction was in the way; the same statement may go through now.
    Conflict(String),
    /// This connection, or what was prepared on it, is of no more use; on another one it goes through.
    Stale(String),
    /// The server gave the statement up, or lacked the means for it, at this moment: canceled, a lock, memory, its files.
    Transient(String),
    /// The database cannot be reached, or cannot take writes at the moment.
    Away(String),
    /// The tables do not take the statement: a table, a column, a key or a right is missing.
    Unusable(String),
    /// It does not let us in: login, database or certificate.
    Refused(String),
    /// It has no room left.
    DiskFull,
    /// Anything else; trying again would not help.
    Other(String),
}

impl DatabaseError {
    /// What an error of a statement or of connecting means.
    pub(super) fn of(error: &Error) -> Self {
        let told = words(error);
        let Some(state) = error.code() else {
            return if is_refusal(error) {
                Self::Refused(told)
            } else if is_loss(error) {
                Self::Away(told)
            } else {
                Self::Other(told)
            };
        };
        match state.code() {
            // Serialization failure, deadlock, and whether it was committed is not known.
            "40001" | "40P01" | "40003" => Self::Conflict(told),
            // The tables were changed, or whoever stands between has forgotten the statement.
            "0A000" if is_stale_plan(error) => Self::Stale(told),
            "26000" => Self::Stale(told),
            // Idle for too long: in a transaction, between two of them, or the transaction as a whole.
            "25P03" | "57P05" | "25P04" => Self::Stale(told),
            "53100" => Self::DiskFull,
            // No login of this name or password, or no such database.
            "3D000" => Self::Refused(told),
            code if code.starts_with("28") => Self::Refused(told),
            // Shutting down, crashed, starting, dropped, too many connections; a standby takes no writes.
            "57P01" | "57P02" | "57P03" | "57P04" | "53300" | "25006" => Self::Away(told),
            code if code.starts_with("08") => Self::Away(told),
            // The look-out says what is missing, and when it is back.
            "0A000" | "3F000" => Self::Unusable(told),
            code if code.starts_with("42") => Self::Unusable(told),
            // Insufficient resources, objects in use, operator intervention, system errors; among them 57014 (canceled),
            // 55P03 (lock not available), 53200 (out of memory) and 58030 (I/O error).
            code if ["53", "55", "57", "58"].iter().any(|class| code.starts_with(class)) => {
                Self::Transient(told)
            }
            _ => Self::Other(told),
        }
    }

    /// What an error of the pool means.
    pub(super) fn of_pool(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::of(&error),
            PoolError::Timeout(_) => Self::Away("no connection could be had in time".to_owned()),
            other => Self::Other(other.to_string()),
        }
    }

    /// Nothing came back in time.
    pub(super) fn silence() -> Self {
        Self::Away("no answer in time".to_owned())
    }

    /// Whether the same statement may be sent again.
    pub(super) fn is_passing(&self) -> bool {
        !matches!(self, Self::DiskFull | Self::Other(_))
    }

    /// Whether the connection is as good as before.
    pub(super) fn spares_connection(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::Transient(_) | Self::DiskFull | Self::Other(_))
    }

    /// What the store's callers are told.
    pub(super) fn told(self) -> StoreError {
        match self {
            Self::Conflict(reason) => StoreError::Failing(format!("too many conflicts: {reason}")),
            Self::Away(reason) | Self::Unusable(reason) | Self::Refused(reason) => {
                StoreError::Unavailable(reason)
            }
            Self::DiskFull => StoreError::DiskFull,
            Self::Stale(reason) | Self::Transient(reason) | Self::Other(reason) => {
                StoreError::Failing(reason)
            }
        }
    }

    /// What happened.
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Conflict(reason)
            | Self::Stale(reason)
            | Self::Transient(reason)
            | Self::Away(reason)
            | Self::Unusable(reason)
            | Self::Refused(reason)
            | Self::Other(reason) => reason,
            Self::DiskFull => "its disk is full",
        }
    }
}

/// Whether a statement cannot be run as it was prepared, because its result would have other types. The server's words
/// may be in any language; the place in its source is not.
fn is_stale_plan(error: &Error) -> bool {
    error.as_db_error().is_some_and(|told| {
        told.routine() == Some("RevalidateCachedQuery")
            || told.message().starts_with("cached plan must not change")
    })
}

/// Whether a table that was named is not there.
pub(super) fn is_missing_table(error: &Error) -> bool {
    error.code() == Some(&SqlState::UNDEFINED_TABLE)
}

/// Whether a row was locked by another transaction for longer than `lock_timeout`.
pub(super) fn is_lock_timeout(error: &Error) -> bool {
    error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE)
}

/// Whether the server committed without the synchronous standby: the wait for it was canceled or its session terminated.
/// The server's words may be in any language; the place in its source is not.
pub(super) fn is_unreplicated(notice: &DbError) -> bool {
    notice.routine() == Some("SyncRepWaitForLSN") || notice.message().contains("synchronous replication")
}

/// The words of an error or a notice with their SQLSTATE.
pub(super) fn server_words(said: &DbError) -> String {
    on_one_line(&format!("{} (SQLSTATE {})", said.message(), said.code().code()))
}

/// Whether connecting failed for a reason that will not pass: the server's certificate, TLS that it does not speak, or
/// the way in which it wants to know who we are.
fn is_refusal(error: &Error) -> bool {
    let text = error.to_string();
    if text.starts_with("authentication error") || text.starts_with("error performing TLS handshake") {
        // A connection that breaks in the middle of a handshake says nothing about the certificate.
        return !sources(error).any(|source| {
            source.downcast_ref::<io::Error>().is_some_and(|error| {
                matches!(
                    error.kind(),
                    io::ErrorKind::UnexpectedEof
                        | io::ErrorKind::ConnectionReset
                        | io::ErrorKind::BrokenPipe
                        | io::ErrorKind::TimedOut
                )
            })
        });
    }
    text.starts_with("invalid configuration")
}

/// Whether the server could not be reached, or the connection to it is of no more use.
fn is_loss(error: &Error) -> bool {
    const LOST: [&str; 5] = [
        "error communicating",
        "unexpected message",
        "connection closed",
        "error connecting",
        "timeout waiting",
    ];
    let text = error.to_string();
    text.starts_with("error performing TLS handshake") || LOST.iter().any(|lost| text.starts_with(lost))
}

fn sources(error: &Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let source = next?;
        next = source.source();
        Some(source)
    })
}

/// The database's own words with their SQLSTATE, or what stood between us and it. Holds no value that was sent.
fn words(error: &Error) -> String {
    if let Some(told) = error.as_db_error() {
        return server_words(told);
    }
    let mut text = error.to_string();
    for source in sources(error) {
        let more = source.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
    }
    on_one_line(&text)
}

/// The text with no character that would steer a terminal or begin a line.
fn on_one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
