//! Why the service did not start, or stopped without a signal. `cli` maps them to exit codes.

use std::io;
use std::path::PathBuf;

use crate::auth;
use crate::store;

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("token.jwks: {}", .0.with_help())]
    Keys(#[from] auth::KeyError),
    #[error(transparent)]
    Store(#[from] store::OpenError),
    #[error(transparent)]
    Address(#[from] store::AddressError),
    #[error("audit.file: {0} cannot be opened for appending: {1}")]
    Audit(PathBuf, io::Error),
    #[error("the socket {name:?} from the service manager (LISTEN_FDS) {reason}")]
    ActivatedSockets {
        /// As in `FileDescriptorName=`.
        name: String,
        reason: String,
    },
    #[error("{key}: cannot listen on {address}: {error}")]
    Listen { key: &'static str, address: String, error: io::Error },
}

/// Why the service stopped without a signal.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It never served.
    #[error(
        "not every worker serves: {0}; if threads or open files ran out, raise TasksMax= (ulimit -u) or LimitNOFILE= \
         (ulimit -n), or lower server.workers"
    )]
    NotStarted(String),
    /// It served before.
    #[error("the service cannot serve any more: {0}")]
    Ended(String),
}
