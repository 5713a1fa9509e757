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
//! | 3 | [`settings`] | TOML and environment → validated settings, every error at once |
//! | 2 | [`auth`] | bearer token → caller; the only importer of biscuit |
//! | 2 | [`store`] | get, record, list, ready: durable or an error; the only importer of sled and tokio-postgres |
//! | 1 | [`telemetry`] | logging, trace context, counters and histograms |
//! | 1 | [`domain`] | what a CVR number, a login and an access rule are; no web, JOSE, database or runtime crate |
//! | 0 | [`critical_tasks`], [`escape`], [`files`], [`line_writer`], [`strict_json`], [`trusted_proxies`] | leaves that import nothing of ours |
//!
//! Rooms of one floor do not import each other: `auth` and `store` never meet.

mod api;
mod apidocs;
mod audit;
mod auth;
mod cli;
mod critical_tasks;
mod domain;
mod escape;
mod files;
mod interchange;
mod line_writer;
mod management;
mod server;
mod settings;
mod store;
mod strict_json;
mod telemetry;
mod trusted_proxies;

pub use cli::main;

/// What the tests and the benchmarks drive without the binary. Nothing else of the library can be reached from outside.
#[doc(hidden)]
pub mod testing {
    pub use crate::api::denied_calls::DeniedCalls;
    pub use crate::api::middleware::wrap;
    pub use crate::api::{ApiState, Metrics, routes};
    pub use crate::audit::{AuditLog, AuditWriter};
    pub use crate::auth::{
        Algorithm, Authenticator, CertificateBound, ClaimName, ClaimNames, Rules, Signer, Source,
    };
    pub use crate::domain::access::{AccessMode, AccessModes, AccessTable, Method, OrganisationType};
    pub use crate::domain::clock::{Clock, ClockLimits, SharedClock, SystemClock};
    pub use crate::domain::cvr::Cvr;
    pub use crate::domain::login_span::LoginSpan;
    pub use crate::domain::timestamp::Timestamp;
    pub use crate::server::{App, Reload};
    pub use crate::store::{
        Address, Backend, Database, EraseError, Imported, OpenError, Options, Record, RecordStream,
        Selection, Store, StoreError, Version,
    };
    pub use crate::trusted_proxies::TrustedProxies;

    pub mod interchange {
        pub use crate::interchange::{Format, OBJECT, export, read, write_object};
    }

    pub mod logging {
        pub use crate::telemetry::logging::{Format, init};
    }

    pub mod settings {
        pub use crate::settings::load;
    }
}
