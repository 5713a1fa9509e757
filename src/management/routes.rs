//! The paths of the management listener.

use actix_web::middleware::from_fn;
use actix_web::web;

use super::metrics;
use crate::api::routes::{READ, no_path, path, read};

/// The paths of the management listener.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    let paths = web::scope("")
        .wrap(from_fn(super::refuse_web_pages))
        .service(path("/livez", READ, [read().to(super::livez)]))
        .service(path("/readyz", READ, [read().to(super::readyz)]))
        .service(path("/metrics", READ, [read().to(metrics::scrape)]))
        .service(path(super::EXPORT, READ, [read().to(super::export)]))
        .default_service(no_path(READ));
    // `OPTIONS *` is below no scope.
    config.service(paths).default_service(no_path(READ));
}
