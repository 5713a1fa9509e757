//! The contract over real HTTP: one binary, so that the service is linked once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod support {
    pub(crate) mod cluster;
    pub(crate) mod manual_clock;
    pub(crate) mod programs;
    pub(crate) mod rerun_on_postgres;
    pub(crate) mod run_length;
    pub(crate) mod test_store;
    pub(crate) mod transaction;
}

mod suites {
    mod api {
        mod access_table;
        mod audit;
        mod bad_requests;
        mod bound_tokens;
        mod changes;
        mod clock;
        mod codings;
        mod conditional;
        mod documentation;
        mod errors;
        mod forwarded;
        mod framing;
        mod harness;
        mod lifecycle;
        mod limits;
        mod management;
        mod methods;
        mod metrics;
        mod on_postgres;
        mod proxy;
        mod raw;
        mod source_page;
        mod strangers;
        mod tokens;
        mod tracing;
    }
}
