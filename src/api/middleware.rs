//! What surrounds the methods, one file a job.

pub mod boundary;
pub mod connection;
pub mod host;
pub mod incoming_body;
pub mod parse_errors;
