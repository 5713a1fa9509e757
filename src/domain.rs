//! What the service is about, free of how it is asked and where it is kept.
//!
//! Nothing here knows of HTTP, tokens, databases or threads. A value that exists is valid: every type is
//! built by one `parse` or constructor that refuses what the contract refuses.

pub(crate) mod access;
pub(crate) mod clock;
pub(crate) mod cvr;
mod digits;
pub(crate) mod login_span;
pub(crate) mod timestamp;
pub(crate) mod timestamp_table;
