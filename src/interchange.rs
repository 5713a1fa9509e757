//! Export and import: one record a line, as docs/INTERFACE.md, "NDJSON", prints them.
//!
//! [`export`] writes every record of a snapshot and a trailer with their number and a SHA-256 of every byte before it, so that a
//! file that was cut or changed on its way is noticed. [`ExportVerifier`] notices it while the bytes pass. [`read`] takes such a file, or a CSV, and finds *all* its
//! faults before anything is written to a store.

mod export;
mod import;
mod lines;
mod verifier;

pub(crate) use export::{CVR_AT, Exporter, FIRST_AT, LAST_AT, ROW, length};
pub use export::{OBJECT, export, write_object};
pub use import::{Format, read};
pub(crate) use import::{ImportRejected, ImportReport};
pub(crate) use verifier::ExportVerifier;
