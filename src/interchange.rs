//! Export and import: one record a line, as `docs/INTERFACE.md` specifies.
//!
//! [`export()`] writes every record of a listing and a trailer with their number and the SHA-256 of every byte before it, so that a
//! file that was cut or changed is noticed. [`copy()`] checks one while it passes. [`read`] reads such a file, or a CSV,
//! and finds *all* its errors before anything is written to a store.

mod copy;
mod csv;
mod export;
mod import;
mod lines;
mod ndjson;

pub(crate) use copy::{CopyError, copy};
pub(crate) use export::{CVR_AT, Exporter, FIRST_AT, LAST_AT, ROW, length};
pub use export::{OBJECT, export, write_object};
pub(crate) use import::ImportReport;
pub use import::{Format, read};
