//! When a Danish company first and last logged in to JobAG, kept durably and told only to those who may know.
//!
//! Data walks straight down and straight back: request → [`http`] → [`auth`] (who is it?) →
//! [`domain::access`] (may it?) → handler → [`store`].
//!
//! | module | is for |
//! |---|---|
//! | [`cli`] | the commands: arguments → work → exit code |
//! | [`app`] | the only place that wires the parts together and stops them again |
//! | [`settings`] | TOML and environment → validated settings, all faults at once |
//! | [`http`] | the API on one screen, its errors, its documentation, the audit line, the management listener |
//! | [`auth`] | bearer text → caller; the only importer of biscuit |
//! | [`store`] | get, record, list, ready: durable or an error, on sled or on a shared database; the only importer of either |
//! | [`domain`] | what a CVR number, a login and an access rule are; imports nothing of ours |
//! | [`strict_json`] | JSON in which a duplicated member is seen, not swallowed; imports nothing of ours |
//! | [`escape`] | text from outside, made safe to stand in one line; imports nothing of ours |
//! | [`line_writer`] | lines to what may stop taking bytes inside one; imports nothing of ours |
//! | [`links`] | symbolic links to what is not there, refused; imports nothing of ours |
//! | [`regular_file`] | reading what an operator named, without ever waiting for it; imports nothing of ours |
//! | [`essential`] | threads and tasks that must not end before the service stops; imports nothing of ours |
//! | [`metrics`] | counters and histograms that take no lock; imports nothing of ours |
//! | [`logging`] | the format of log lines, and their way to standard error |
//!
//! # Arrows
//!
//! A module may use what stands to the right of it and nothing else; a test reads the `use` lines.
//!
//! ```text
//! main → cli → app → http → auth → domain
//!                    http → store → domain
//! cli → settings, store, domain     app → settings, auth, store     settings → domain
//! auth, http → strict_json          http, logging → escape          cli → logging
//! http, store → metrics             app, http, store → links
//! app, http, store → essential      app, auth, cli, http, settings, store → regular_file
//! http, logging → line_writer
//! ```
//!
//! `auth` and `store` never meet.

pub mod app;
pub mod auth;
pub mod cli;
pub mod domain;
pub mod escape;
pub mod essential;
pub mod http;
pub mod line_writer;
pub mod links;
pub mod logging;
pub mod metrics;
pub mod regular_file;
pub mod settings;
pub mod store;
pub mod strict_json;
