//! The real binary as its users run it: commands, exit codes, signals, kill -9.

mod commands;
mod dev;
mod process;
mod serve;
