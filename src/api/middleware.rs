//! What surrounds the methods, one file a job.

pub(crate) mod boundary;
pub(crate) mod connection;
pub(crate) mod host;
pub(crate) mod incoming_body;
pub(crate) mod parse_errors;
