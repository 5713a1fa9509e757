//! The shared store on real PostgreSQL servers: what was answered 204 is there, whatever happens to an instance of the
//! service, to the database or between the two.
//!
//! The default run is short; `VIRKSOMHEDSLOGIN_LONG=1` makes it a long one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test stops at the first surprise"
)]

mod support {
    pub(crate) mod cluster;
    pub(crate) mod history;
    pub(crate) mod list_copy;
    pub(crate) mod logins;
    pub(crate) mod preload;
    pub(crate) mod process;
    pub(crate) mod programs;
    pub(crate) mod run_length;
    pub(crate) mod test_store;
    pub(crate) mod transaction;
}

mod suites {
    mod postgres {
        mod bouncer;
        mod changes;
        mod clock;
        mod cluster_control;
        mod cluster_load;
        mod erasure;
        mod failover;
        mod failures;
        mod instance_failure;
        mod instances;
        mod migration;
        mod outage;
        mod partial_tables;
        mod pgbouncer;
        mod refusals;
        mod replication;
        mod roles;
        mod row_locks;
        mod servers;
        mod settings;
        mod statements;
        mod stuck;
        mod takeover;
        mod tls;
    }
}
