//! What the service is about, free of how it is asked and where it is kept.
//!
//! Nothing here knows of HTTP, tokens, databases or threads. A value that exists is valid: every type is
//! built by one `parse` or constructor that refuses what the contract refuses.

pub mod access;
pub mod clock;
pub mod cvr;
mod digits;
pub mod login_span;
pub mod timestamp;
pub mod timestamp_table;
