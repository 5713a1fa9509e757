//! When a Danish company first and last logged in to JobAG, kept durably and shown only to authorised callers.
//!
//! Data walks straight down and straight back: connection → [`api`] middleware → [`auth`] (who is it?) →
//! [`domain::access`] (may it?) → handler → [`store`].
//!
//! # Rooms and floors
//!
//! A room may import what stands on a lower floor, and its own leaves; `tests/repository.rs` reads the `use` lines.
//!
//! | floor | room | is for |
//! |---|---|---|
//! | 7 | [`cli`] | one file a command: arguments → work → exit code |
//! | 6 | [`server`] | builds, binds, wires, reloads, stops |
//! | 5 | [`apidocs`] | the documentation page, the OpenAPI document, Swagger UI |
//! | 5 | [`management`] | liveness, readiness, the metrics scrape, the export |
//! | 4 | [`api`] | the three methods: routes, endpoint specs, guard, requests, responses, the list, the middleware |
//! | 3 | [`audit`] | the audit line, where it goes, how it is written |
//! | 3 | [`interchange`] | rows as NDJSON and CSV: export, import, verification |
//! | 2 | [`auth`] | bearer token → caller; the only importer of biscuit |
//! | 2 | [`store`] | get, record, list, ready: durable or an error; the only importer of sled and tokio-postgres |
//! | 2 | [`settings`] | TOML and environment → validated settings, every error at once |
//! | 1 | [`telemetry`] | logging, trace context, counters and histograms |
//! | 1 | [`domain`] | what a CVR number, a login and an access rule are; no web, JOSE, database or runtime crate |
//! | 0 | [`critical_tasks`], [`escape`], [`line_writer`], [`links`], [`regular_file`], [`strict_json`] | leaves that import nothing of ours |
//!
//! Rooms of one floor do not import each other: `auth` and `store` never meet.

mod api;
mod apidocs;
mod audit;
mod auth;
pub mod cli;
mod critical_tasks;
mod domain;
mod escape;
mod interchange;
mod line_writer;
mod links;
mod management;
mod regular_file;
mod server;
mod settings;
mod store;
mod strict_json;
mod telemetry;
