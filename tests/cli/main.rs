//! The real binary as its users run it: commands, exit codes, signals, kill -9.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod absent_store;
#[path = "../stores/again.rs"]
mod again;
mod audit_file;
mod audit_questions;
mod audit_sink;
mod build_script;
mod check;
mod check_keys;
mod check_machine;
mod check_paths;
mod commands;
mod connection_log;
mod dev;
mod export_ends;
mod export_file;
mod file_size_limit;
mod management;
mod on_postgres;
#[path = "../servers/postgres.rs"]
#[allow(dead_code, unused_imports, reason = "servers are shared with other test binaries")]
mod postgres;
mod process;
mod records;
mod serve;
mod service_end;
#[path = "../durability/shim.rs"]
mod shim;
mod sockets;
mod stop_early;
mod supervised;
mod wrong_moments;

use process::place;
