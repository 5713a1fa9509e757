//! The real binary as its users run it: commands, exit codes, signals, kill -9.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod audit_questions;
mod audit_sink;
mod check;
mod check_machine;
mod commands;
mod dev;
mod process;
mod records;
mod serve;
mod supervised;
