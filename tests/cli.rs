//! The real binary as its users run it: commands, exit codes, signals, kill -9.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod support {
    pub(crate) mod cluster;
    pub(crate) mod preload;
    pub(crate) mod process;
    pub(crate) mod programs;
    pub(crate) mod rerun_on_postgres;
    pub(crate) mod run_length;
    pub(crate) mod test_store;
}

mod suites {
    mod cli {
        mod absent_store;
        mod audit_file;
        mod audit_questions;
        mod audit_sink;
        mod build_script;
        mod check;
        mod check_keys;
        mod check_machine;
        mod check_notes;
        mod check_paths;
        mod commands;
        mod connection_log;
        mod dev;
        mod erase;
        mod explain_token;
        mod export_ends;
        mod export_file;
        mod file_size_limit;
        mod issuers;
        mod management;
        mod mounted_configuration;
        mod on_postgres;
        mod program;
        mod records;
        mod serve;
        mod service_end;
        mod sockets;
        mod stop_early;
        mod supervised;
        mod wrong_times;
    }
}
