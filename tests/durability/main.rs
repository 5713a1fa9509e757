//! What was answered 204 is there: after kill -9, a power cut, a flipped bit, a full or failing disk.
//!
//! The default run is short; `VIRKSOMHEDSLOGIN_LONG=1` makes it the run that `docs/DURABILITY.md` counts.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise, and helpers are shared with another test binary"
)]

mod clock;
mod crash;
mod crowd;
mod damage;
mod faults;
mod growth;
mod history;
mod model;
#[path = "../servers/postgres.rs"]
#[allow(unused_imports, reason = "servers are shared with other test binaries")]
mod postgres;
mod powercut;
#[path = "../cli/process.rs"]
mod process;
mod shim;
mod site;
