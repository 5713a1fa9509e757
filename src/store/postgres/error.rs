//! The database's errors: whether to retry, to wait or to report. Holds no value that was sent, and no password.

use std::error::Error as _;
use std::{io, iter};

use deadpool_postgres::PoolError;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::store::StoreError;

/// A connection string, password or certificate that cannot be used. The message begins with the configuration key.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(pub(super) String);

/// What an error means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Another transaction was in the way, or the server lacked the means for it: memory, its files, time.
    Transient,
    /// As [`Kind::Transient`], but on another connection only.
    Stale,
    /// The database cannot be reached, or takes no writes now.
    Unavailable,
    /// A table, a column, a key or a right is missing.
    Unusable,
    /// The server rejects the login, or we its certificate.
    Rejected,
    DiskFull,
    /// Not helped by a retry.
    Other,
}

/// An error of a statement or of connecting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DatabaseError {
    pub(super) kind: Kind,
    /// The database's message with its SQLSTATE, or what went wrong on the way there.
    pub(super) reason: String,
}

impl DatabaseError {
    pub(super) fn timeout() -> Self {
        Self { kind: Kind::Unavailable, reason: "no answer in time".to_owned() }
    }

    /// Whether the same statement may be sent again.
    pub(super) fn is_retryable(&self) -> bool {
        !matches!(self.kind, Kind::DiskFull | Kind::Other)
    }

    /// Whether the connection is as good as before.
    pub(super) fn spares_connection(&self) -> bool {
        matches!(self.kind, Kind::Transient | Kind::DiskFull | Kind::Other)
    }
}

impl From<&Error> for DatabaseError {
    fn from(error: &Error) -> Self {
        let kind =
            error.code().map_or_else(|| kind_of_connection(error), |state| kind_of_state(state, error));
        Self { kind, reason: message(error) }
    }
}

impl From<Error> for DatabaseError {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<PoolError> for DatabaseError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Timeout(_) => {
                Self { kind: Kind::Unavailable, reason: "no connection was free in time".to_owned() }
            }
            other => Self { kind: Kind::Other, reason: other.to_string() },
        }
    }
}

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        let reason = error.reason;
        match error.kind {
            Kind::Unavailable | Kind::Unusable | Kind::Rejected => Self::Unavailable(reason),
            Kind::DiskFull => Self::DiskFull,
            Kind::Stale | Kind::Transient | Kind::Other => Self::Failing(reason),
        }
    }
}

fn kind_of_state(state: &SqlState, error: &Error) -> Kind {
    match state.code() {
        // Serialization failure, deadlock, statement completion unknown.
        "40001" | "40P01" | "40003" => Kind::Transient,
        // The tables were changed, or a pooler in between has forgotten the statement.
        "0A000" if is_stale_plan(error) => Kind::Stale,
        "26000" => Kind::Stale,
        // Idle for too long: in a transaction, between two of them, or the transaction as a whole.
        "25P03" | "57P05" | "25P04" => Kind::Stale,
        "53100" => Kind::DiskFull,
        // No such database; class 28: no such login or password.
        "3D000" => Kind::Rejected,
        // Shutting down, crashed, starting, dropped, too many connections; a standby takes no writes.
        "57P01" | "57P02" | "57P03" | "57P04" | "53300" | "25006" => Kind::Unavailable,
        "0A000" | "3F000" => Kind::Unusable,
        code => match &code[..2] {
            "28" => Kind::Rejected,
            "08" => Kind::Unavailable,
            "42" => Kind::Unusable,
            // Insufficient resources, objects in use, operator intervention, system errors; among them 57014 (canceled),
            // 55P03 (lock not available), 53200 (out of memory) and 58030 (I/O error).
            "53" | "55" | "57" | "58" => Kind::Transient,
            _ => Kind::Other,
        },
    }
}

/// For an error that the server did not report. `tokio_postgres` distinguishes them by their text only.
fn kind_of_connection(error: &Error) -> Kind {
    let text = error.to_string();
    let begins = |known: &&str| text.starts_with(known);
    if ["authentication error", "error performing TLS handshake"].iter().any(begins) {
        // A connection that breaks during a handshake says nothing about the certificate.
        let broken = sources(error).filter_map(|source| source.downcast_ref::<io::Error>()).any(|error| {
            use io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut, UnexpectedEof};
            matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe | TimedOut)
        });
        return if broken { Kind::Unavailable } else { Kind::Rejected };
    }
    if text.starts_with("invalid configuration") {
        return Kind::Rejected;
    }
    let lost = [
        "error communicating",
        "unexpected message",
        "connection closed",
        "error connecting",
        "timeout waiting",
    ];
    if lost.iter().any(begins) { Kind::Unavailable } else { Kind::Other }
}

/// Whether a prepared statement no longer fits the tables. Messages are translated; the place in the source is not.
fn is_stale_plan(error: &Error) -> bool {
    error.as_db_error().is_some_and(|error| {
        error.routine() == Some("RevalidateCachedQuery")
            || error.message().starts_with("cached plan must not change")
    })
}

/// Whether the server committed without the synchronous standby, because the wait for it was canceled. Messages are
/// translated; the place in the source is not.
pub(super) fn is_unreplicated(notice: &DbError) -> bool {
    notice.routine() == Some("SyncRepWaitForLSN") || notice.message().contains("synchronous replication")
}

/// The message of a server with its SQLSTATE, on one line.
pub(super) fn server_message(error: &DbError) -> String {
    on_one_line(&format!("{} (SQLSTATE {})", error.message(), error.code().code()))
}

fn message(error: &Error) -> String {
    if let Some(error) = error.as_db_error() {
        return server_message(error);
    }
    let mut text = error.to_string();
    for source in sources(error).map(ToString::to_string) {
        if !text.contains(&source) {
            text = format!("{text}: {source}");
        }
    }
    if text.ends_with("tls handshake eof") {
        text.push_str(" (sslnegotiation=direct needs PostgreSQL 17 or later)");
    }
    on_one_line(&text)
}

fn sources(error: &Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    iter::successors(error.source(), |&error| error.source())
}

/// Without characters that would steer a terminal or begin a line.
fn on_one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
