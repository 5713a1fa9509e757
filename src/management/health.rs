//! `/livez` and `/readyz`.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, web};
use futures_util::future::join;
use serde_json::{Map, Value, json};

use super::state::ManagementState;
use crate::api::middleware::errors::PassThroughError;

/// `GET /livez`: 200 as long as the process answers.
pub(super) async fn livez() -> HttpResponse {
    answer(StatusCode::OK, json!({ "status": "alive" }))
}

/// `GET /readyz`: 200 when requests can be answered, else 503 naming what is missing. The store writes, syncs and reads
/// back for real.
pub(super) async fn readyz(state: web::Data<ManagementState>) -> HttpResponse {
    let api = &state.api;
    // At the same time: a database that does not answer costs one deadline.
    let (store, clock) = join(api.store.ready(), state.check_clock()).await;
    let parts = [
        ("lifecycle", state.is_stopping().then(|| "the service is shutting down".to_owned())),
        ("keys", (!api.authenticator.has_keys()).then(|| "there is no usable key set".to_owned())),
        ("store", store.err().map(|error| error.to_string())),
        ("clock", clock.err().map(|wrong| wrong.to_string())),
        ("audit", api.audit.ready().err()),
    ];
    let missing: Map<_, _> =
        parts.into_iter().filter_map(|(part, reason)| Some((part.to_owned(), reason?.into()))).collect();
    let mut response = if missing.is_empty() {
        answer(StatusCode::OK, json!({ "status": "ready" }))
    } else {
        answer(StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "not ready", "missing": missing }))
    };
    response.extensions_mut().insert(PassThroughError);
    response
}

fn answer(status: StatusCode, body: Value) -> HttpResponse {
    HttpResponse::build(status).insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}
