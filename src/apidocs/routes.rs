//! The paths of the documentation, on the API's listener behind the methods.

use actix_web::web;

use super::handlers;
use crate::api::routes::{READ, path, read};

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(path("/", READ, [read().to(handlers::page)]))
        .service(path("/openapi.json", READ, [read().to(handlers::openapi)]))
        .service(path("/swagger", READ, [read().to(handlers::to_swagger)]))
        .service(path("/swagger/{file:.*}", READ, [read().to(handlers::swagger)]))
        .service(path("/assets/{file}", READ, [read().to(handlers::asset)]));
}
