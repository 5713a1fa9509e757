//! The shared store on real PostgreSQL servers: what was answered 204 is there, whatever happens to an instance of the
//! service, to the database or between the two.
//!
//! The default run is short; `VIRKSOMHEDSLOGIN_LONG=1` makes it a long one.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may stop at the first surprise, and helpers are shared with other test binaries"
)]

mod away;
mod bouncer;
mod clock;
mod failover;
mod failures;
mod fleet;
#[path = "../durability/history.rs"]
mod history;
mod instances;
mod load;
mod moving;
mod partial_tables;
#[path = "../servers/pgbouncer.rs"]
mod pgbouncer;
#[path = "../servers/postgres.rs"]
mod postgres;
#[path = "../cli/process.rs"]
mod process;
mod refusals;
mod replication;
mod roles;
mod row_locks;
mod servers;
mod settings;
#[path = "../durability/shim.rs"]
mod shim;
#[path = "../durability/site.rs"]
mod site;
mod statements;
mod stuck;
mod tls;
