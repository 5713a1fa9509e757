//! What a CVR number, a login and an access rule are.
//!
//! Promises: a value that exists is valid, since each type has one `parse` or constructor that rejects what the contract
//! rejects. Knows nothing of HTTP, tokens, databases or threads.

pub(crate) mod access;
pub(crate) mod clock;
pub(crate) mod cvr;
pub(crate) mod login_span;
pub(crate) mod timestamp;
