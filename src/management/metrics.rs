//! `GET /metrics`: every metric in Prometheus' text format. docs/METRICS.md says what each one means; a test holds that the
//! two name the same.
//!
//! Each number is kept where it is known (`api`, `auth`, `store`) and only read here. A scrape waits at most a second for a
//! disk.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use prometheus_client::encoding::prometheus_text::{CONTENT_TYPE, encode};
use prometheus_client::registry::Registry;

use super::state::ManagementState;
use crate::api::problem::{Kind, Problem};
use process::ProcessCollector;
use service::ServiceCollector;

mod encoder;
mod process;
mod service;
pub(super) mod store_size;

/// `GET /metrics`; 500 when the text cannot be made, which does not happen.
pub(super) async fn scrape(state: web::Data<ManagementState>) -> Result<HttpResponse, Problem> {
    let store_bytes = state.size.get(&state.api.store).await;
    let mut registry = Registry::default();
    registry.register_collector(Box::new(ProcessCollector));
    let service = registry.sub_registry_with_prefix("virksomhedslogin");
    service.register_collector(Box::new(ServiceCollector { state, store_bytes }));
    let mut text = String::with_capacity(32 << 10);
    encode(&mut text, &registry).map_err(|_| Problem::new(Kind::Internal))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, CONTENT_TYPE))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text))
}
