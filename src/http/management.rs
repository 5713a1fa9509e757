//! The management listener: is the process alive, may it be sent requests, what does it hold? Never reachable through
//! the API's address.

use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use futures_util::future::join;

use super::boundary::OwnWords;
use super::problem::Problem;
use super::{Api, clock, export_body};
use crate::escape::json_string;

/// Seconds after which an export that could not be read may be tried again.
const RETRY_EXPORT_SECONDS: u32 = 5;

/// Whether the service is on its way down.
#[derive(Debug, Default)]
pub struct Lifecycle {
    stopping: AtomicBool,
}

impl Lifecycle {
    /// From now on the service is not ready.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether [`Lifecycle::stop`] was called.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}

/// `GET /livez`: 200 as long as the process answers.
pub async fn livez() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(r#"{"status":"alive"}"#)
}

/// `GET /readyz`: 200 when requests can be answered, else 503 naming what is missing. The store is asked to write,
/// sync and read back for real.
pub async fn readyz(api: web::Data<Api>) -> HttpResponse {
    let mut missing: Vec<(&str, String)> = Vec::new();
    if api.lifecycle.is_stopping() {
        missing.push(("lifecycle", "the service is shutting down".to_owned()));
    }
    if !api.authenticator.has_keys() {
        missing.push(("keys", "no usable key set is at hand".to_owned()));
    }
    // Side by side: a database that stands still is waited for once.
    let (store, clock) = join(api.store.ready(), clock::check(&api)).await;
    if let Err(error) = store {
        missing.push(("store", error.to_string()));
    }
    if let Err(wrong) = clock {
        missing.push(("clock", wrong.to_string()));
    }
    if let Err(fault) = api.audit.ready() {
        missing.push(("audit", fault));
    }
    let mut body = Vec::new();
    body.extend_from_slice(if missing.is_empty() {
        br#"{"status":"ready""#
    } else {
        br#"{"status":"not ready","missing":{"#
    });
    for (index, (part, reason)) in missing.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        json_string(&mut body, part);
        body.push(b':');
        json_string(&mut body, reason);
    }
    if !missing.is_empty() {
        body.push(b'}');
    }
    body.push(b'}');
    let mut response =
        if missing.is_empty() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header((header::CONTENT_TYPE, "application/json"));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    let mut response = response.body(body);
    response.extensions_mut().insert(OwnWords);
    response
}

/// `GET /export`: every record of one moment as NDJSON with its trailer.
///
/// # Errors
/// 503 when the store cannot be read.
pub async fn export(api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    let listing = api.store.list().await.map_err(|error| {
        log::error!("the export cannot be read from the store: {error}");
        Problem::unavailable(RETRY_EXPORT_SECONDS)
    })?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/x-ndjson"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(export_body::Export::new(listing)))
}
