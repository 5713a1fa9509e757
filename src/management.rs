//! The management listener: is the process alive, can it answer requests, what does it hold? Never reachable through the
//! API's address.
//!
//! It asks for no token. So web pages are kept out ([`origin`]), and each export leaves an audit line.

mod export;
mod health;
mod metrics;
mod origin;
mod state;

use actix_web::middleware::from_fn;
use actix_web::web;

use crate::api::routes::{READ, no_path, path, read};

pub(crate) use state::{ManagementState, watch_clock};

/// The paths of the management listener.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    let paths = web::scope("")
        .wrap(from_fn(origin::reject_web_pages))
        .service(path("/livez", READ, [read().to(health::livez)]))
        .service(path("/readyz", READ, [read().to(health::readyz)]))
        .service(path("/metrics", READ, [read().to(metrics::scrape)]))
        .service(path(export::PATH, READ, [read().to(export::export)]))
        .default_service(no_path(READ));
    // `OPTIONS *` is below no scope.
    config.service(paths).default_service(no_path(READ));
}
