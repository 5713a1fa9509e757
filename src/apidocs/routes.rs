//! The paths of the documentation, on the API's listener behind the methods.

use actix_web::web;

use crate::api::routes::{READ, path, read};

/// The paths of the documentation.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(path("/", READ, [read().to(super::page)]))
        .service(path("/openapi.json", READ, [read().to(super::openapi)]))
        .service(path("/swagger", READ, [read().to(super::to_swagger)]))
        .service(path("/swagger/{file:.*}", READ, [read().to(super::swagger)]))
        .service(path("/assets/{file}", READ, [read().to(super::asset)]));
}
