//! The shared store on real PostgreSQL servers: what was answered 204 is there, whatever happens to the service, to the
//! database or between the two.
//!
//! The default run is short; `VIRKSOMHEDSLOGIN_LONG=1` makes it a long one.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise, and helpers are shared with another test binary"
)]

#[path = "../servers/pgbouncer.rs"]
mod pgbouncer;
#[path = "../servers/postgres.rs"]
mod postgres;
mod servers;
