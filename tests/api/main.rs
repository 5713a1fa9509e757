//! The contract over real HTTP: one binary, so that the service is linked once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod access_matrix;
#[path = "../stores/again.rs"]
mod again;
mod audit;
mod bad_requests;
mod clock;
mod codings;
mod conditional;
mod documentation;
mod errors;
mod framing;
mod harness;
mod lifecycle;
mod limits;
mod management;
mod methods;
mod metrics;
mod on_postgres;
#[path = "../stores/place.rs"]
mod place;
#[path = "../servers/postgres.rs"]
#[allow(dead_code, unused_imports, reason = "servers are shared with other test binaries")]
mod postgres;
mod proxy;
mod raw;
mod source_page;
mod strangers;
mod tokens;
mod tracing;
